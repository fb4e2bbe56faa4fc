"""Models whose train steps are timed, and sides that take turns."""

import statistics
import threading
import time

BATCH = 128
STEPS_A_TURN = 10


def build_mlp(K):
    layers = [K.layers.Input((784,))]
    layers += [K.layers.Dense(1024, activation="relu") for _ in range(2)]
    return K.Sequential([*layers, K.layers.Dense(10, activation="softmax")])


def build_cnn(K):
    return K.Sequential(
        [
            K.layers.Input((28, 28, 1)),
            K.layers.Conv2D(32, 3, activation="relu"),
            K.layers.MaxPooling2D(),
            K.layers.Conv2D(64, 3, activation="relu"),
            K.layers.MaxPooling2D(),
            K.layers.Flatten(),
            K.layers.Dense(256, activation="relu"),
            K.layers.Dense(10, activation="softmax"),
        ]
    )


MODELS = {"mlp": (build_mlp, (784,)), "cnn": (build_cnn, (28, 28, 1))}


class Turns:
    """Lets several fits run by turns of some steps, and times each turn.

    The machine's speed drifts from second to second; sides that change places every
    few steps see the same of it.
    """

    def __init__(self, sides):
        self.sides = list(sides)
        self.times = {side: [] for side in self.sides}
        self._turn = 0
        self._condition = threading.Condition()
        self._started = 0.0

    def callback(self, K, side):
        def take_turns(batch, logs):
            if batch % STEPS_A_TURN == 0:
                elapsed = time.perf_counter() - self._started
                self.times[side].append(1000 * elapsed / STEPS_A_TURN)
                self._hand_over(side)
                self._wait(side)

        return K.callbacks.LambdaCallback(
            on_train_begin=lambda logs: self._wait(side),
            on_train_batch_end=take_turns,
            on_train_end=lambda logs: self._leave(side),
        )

    def _wait(self, side):
        with self._condition:
            self._condition.wait_for(lambda: self.sides[self._turn] == side)
        self._started = time.perf_counter()

    def _hand_over(self, side):
        with self._condition:
            self._turn = (self.sides.index(side) + 1) % len(self.sides)
            self._condition.notify_all()

    def _leave(self, side):
        with self._condition:
            self._turn = self.sides.index(side) % max(1, len(self.sides) - 1)
            self.sides.remove(side)
            self._condition.notify_all()


def mean(turns):
    """The mean, so that turns with a mask update count, but not the odd hiccup."""
    turns = sorted(turns[3:])
    return statistics.mean(turns[: int(0.95 * len(turns))])
