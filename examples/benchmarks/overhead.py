"""What pruning costs a training step: plain, with keras_prune_kit, with TFMOT.

On both worlds, TFMOT on its own. The schedules are each side's default over the same
ramp. The sides take turns, so that a slow moment of the machine hits all of them.
Expect a ratio to plain of about 1.0 for the masks and 1.1 or more for TFMOT.

    python examples/benchmarks/overhead.py
"""

import argparse
import json
import statistics
import time
import warnings

import keras
import numpy as np
import tf_keras

import keras_prune_kit as kpk

BATCH = 128
WARM_UP = 10
# Three quarters of five epochs of MNIST, the default ramp of a five-epoch run.
RAMP_STEPS = 1758


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


def wrap_with_tfmot(model, steps):
    import tensorflow_model_optimization as tfmot

    sparsity = tfmot.sparsity.keras
    schedule = sparsity.PolynomialDecay(0.0, 0.8, 0, steps)
    wrapped = sparsity.prune_low_magnitude(model, pruning_schedule=schedule)
    return wrapped, [sparsity.UpdatePruningStep()]


def prepare(K, build, kind):
    model, callbacks = build(K), []
    if kind == "tfmot":
        model, callbacks = wrap_with_tfmot(model, RAMP_STEPS)
    if kind == "kpk":
        ramp = kpk.PolynomialDecay(0.0, 0.8, end_step=RAMP_STEPS)
        callbacks = [kpk.PruningCallback(kpk.PrunePolicy(ramp))]
    model.compile("adam", "sparse_categorical_crossentropy")
    return model, callbacks


def ms_per_step(K, model, callbacks, x, y, epoch):
    """One epoch of a longer run; the first steps trace and are not counted."""
    times = []
    clock = K.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: times.append(time.perf_counter())
    )
    with warnings.catch_warnings():
        # Each epoch is a fit of its own, which ends in the middle of the ramp.
        warnings.simplefilter("ignore", kpk.IncompletePruningWarning)
        model.fit(
            x,
            y,
            batch_size=BATCH,
            initial_epoch=epoch,
            epochs=epoch + 1,
            verbose=0,
            callbacks=[*callbacks, clock],
        )
    return 1000 * (times[-1] - times[WARM_UP]) / (len(times) - 1 - WARM_UP)


def measure(build, shape, steps, rounds):
    rng = np.random.default_rng(0)
    x = rng.random((steps * BATCH, *shape), np.float32)
    y = rng.integers(0, 10, steps * BATCH)
    sides = [(keras, "plain"), (keras, "kpk")]
    sides += [(tf_keras, "plain"), (tf_keras, "kpk"), (tf_keras, "tfmot")]
    times = {side: [] for side in sides}
    models = {side: prepare(side[0], build, side[1]) for side in sides}
    for epoch in range(rounds):
        for side in sides:
            times[side].append(ms_per_step(side[0], *models[side], x, y, epoch))
    report = {}
    for K, kind in sides:
        report[f"{K.__name__}_{kind}_ms"] = round(min(times[K, kind]), 3)
    for K, kind in sides:
        if kind != "plain":
            # Round by round, because the machine's speed drifts.
            pairs = zip(times[K, kind], times[K, "plain"], strict=True)
            ratio = statistics.median(side / plain for side, plain in pairs)
            report[f"{K.__name__}_{kind}_over_plain"] = round(ratio, 3)
    return report


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    result = {
        "benchmark": "overhead",
        "batch": BATCH,
        "mlp": measure(build_mlp, (784,), options.steps, options.rounds),
        "cnn": measure(build_cnn, (28, 28, 1), options.steps, options.rounds),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
