"""What the tests of this folder share: models, data, and a watcher of every step."""

import keras
import numpy as np

import keras_prune_kit as kpk

BACKEND = keras.backend.backend()
STEPS = 8  # in an epoch of `data()`, in batches of 16


def data():
    """128 samples of 8 features, and 3 classes that can be learned."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(128, 8)).astype("float32")
    y = (x[:, 0] > 0).astype("int64") + (x[:, 1] > 0)
    return x, y


def classifier(optimizer="adam", **compile_args):
    """A compiled network with 408 prunable weights."""
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.Input((8,)),
            keras.layers.Dense(24, activation="relu", name="hidden"),
            keras.layers.Dense(8, activation="relu", name="middle"),
            keras.layers.Dense(3, activation="softmax", name="classifier"),
        ]
    )
    compile_args.setdefault("metrics", ["accuracy"])
    model.compile(optimizer, "sparse_categorical_crossentropy", **compile_args)
    return model


def kernels(model):
    """Return copies of the kernels, as float32."""
    values = [layer.kernel for layer in model.layers if hasattr(layer, "kernel")]
    # `copy`: torch returns a view of the variable's own memory.
    return [keras.ops.convert_to_numpy(v).astype("float32").copy() for v in values]


def every_step(final=0.8, end=12):
    """A policy whose masks change at each of the first `end` steps."""
    return kpk.PrunePolicy(kpk.PolynomialDecay(0.0, final, end_step=end, frequency=1))


def due(step, final=0.8, end=12):
    """The sparsity of `every_step` by the formula of Zhu and Gupta."""
    progress = min(1, step / end)
    return final + (0 - final) * (1 - progress) ** 3


class EachStep(keras.callbacks.Callback):
    """Looks at all kernels after each batch, and at what is due then.

    It comes after the callback that prunes. `seen` has the number of steps looked at.
    """

    def __init__(self, steps_per_call=1, is_trained=lambda step: True):
        super().__init__()
        self.steps_per_call, self.is_trained = steps_per_call, is_trained
        self.seen, self.before = 0, None

    def on_train_batch_end(self, batch, logs=None):
        self.look(self.model)

    def look(self, model):
        self.seen += self.steps_per_call
        now = kernels(model)
        for kernel in now:
            zeros = round(due(self.seen) * kernel.size)
            assert np.sum(kernel == 0) == zeros, (self.seen, kernel.shape)
            assert not np.signbit(kernel[kernel == 0]).any()
        if self.before is not None:
            for earlier, kernel in zip(self.before, now, strict=True):
                assert (kernel[earlier == 0] == 0).all(), self.seen
                if self.is_trained(self.seen):
                    assert (kernel != earlier).any(), f"{self.seen} trained nothing"
        self.before = now


def fit(model, *callbacks, epochs=3, **options):
    x, y = data()
    options.setdefault("batch_size", 16)
    return model.fit(x, y, epochs=epochs, callbacks=callbacks, verbose=0, **options)
