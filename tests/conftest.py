"""Fixtures: everything that trains runs in both worlds."""

import gc
import os
import signal

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

# Two logical devices, so that distribution strategies have replicas to keep in step.
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0],
    [tf.config.LogicalDeviceConfiguration(), tf.config.LogicalDeviceConfiguration()],
)

# A shell without job control has what it runs in the background ignore Ctrl-C, and
# children inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

WORLDS = {"keras": keras, "tf_keras": tf_keras}


@pytest.fixture(params=WORLDS)
def K(request):
    """The Keras module of each world."""
    return WORLDS[request.param]


@pytest.fixture(autouse=True)
def _fixed_seed_and_policy():
    """Every test starts alike and leaves no dtype policy behind."""
    for world in WORLDS.values():  # each has a generator of its own
        world.utils.set_random_seed(1)
    yield
    keras.config.set_dtype_policy("float32")
    tf_keras.mixed_precision.set_global_policy("float32")


@pytest.fixture
def no_collection(monkeypatch):
    """For searches: KerasTuner collects garbage in each trial.

    In a process of many tests that takes seconds.
    """
    monkeypatch.setattr(gc, "collect", lambda *_: 0)


@pytest.fixture
def data():
    """128 samples of 8 features, 3 classes that can be learned."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(128, 8)).astype("float32")
    y = (x[:, 0] > 0).astype("int64") + (x[:, 1] > 0)
    return x, y


@pytest.fixture
def mlp(K):
    """A small compiled classifier for `data`."""

    def build(**compile_args):
        model = K.Sequential(
            [
                K.layers.Input((8,)),
                K.layers.Dense(16, activation="relu", name="hidden"),
                K.layers.Dense(3, activation="softmax", name="classifier"),
            ]
        )
        compile_args.setdefault("optimizer", "adam")
        model.compile(
            loss="sparse_categorical_crossentropy",
            metrics=["accuracy"],
            **compile_args,
        )
        return model

    return build
