"""Fixtures: everything that trains runs in both worlds.

Neither Keras nor TensorFlow is imported here, so that `pytest tests/nouns`, which needs
neither, ends in seconds.
"""

import functools
import gc
import importlib
import os
import signal
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
if "PYTEST_XDIST_WORKER" in os.environ:  # Each worker has a core, not all of them.
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import models
import numpy as np
import pytest

# A shell without job control has what it runs in the background ignore Ctrl-C, and
# children inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

WORLDS = ("keras", "tf_keras")


def pytest_collect_file(file_path):
    """Prepare TensorFlow before the first module that may use it is imported."""
    folder = file_path.parent.name
    if file_path.suffix == ".py" and folder not in ("nouns", "backends"):
        make_two_devices()


@functools.cache
def make_two_devices():
    """Give TensorFlow two logical devices, for distribution strategies to use."""
    import tensorflow as tf

    device = tf.config.LogicalDeviceConfiguration()
    (cpu,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [device, device])


@pytest.hookimpl(tryfirst=True)  # before `-m` looks at the markers
def pytest_collection_modifyitems(items):
    """Find out which cases are slow: those that a quicker one stands for."""
    seen = {}
    for item in items:
        if not hasattr(item, "callspec"):
            continue
        quick = item.get_closest_marker("quick_in")
        values = item.callspec.params.values()
        worlds = {value for value in values if isinstance(value, str)} & set(WORLDS)
        if quick is not None and worlds and not worlds & set(quick.args):
            item.add_marker("slow")
        is_slow = item.get_closest_marker("slow") is not None
        if item.get_closest_marker("each_value") and not is_slow:
            function = item.nodeid.partition("[")[0]
            seen.setdefault(function, []).append(item)
    for cases in seen.values():
        chosen = each_value(cases)
        for item in cases:
            if item not in chosen:
                item.add_marker("slow")


def each_value(cases):
    """Choose cases in which each value of each parameter occurs, but not each pair."""
    missing = {value for case in cases for value in values_of(case)}
    chosen = []
    while missing:
        best = max(cases, key=lambda case: len(missing & values_of(case)))
        missing -= values_of(best)
        chosen.append(best)
    return chosen


def values_of(case):
    """Return the values of a case as `(parameter, value)`, or its id if not plain."""
    plain = (str, int, float, type(None))
    return {
        (name, value if isinstance(value, plain) else id(value))
        for name, value in case.callspec.params.items()
    }


def pytest_collection_finish():
    gc.freeze()


@pytest.fixture(scope="module", autouse=True)
def _small_heap():
    """Collect garbage once a file; what is imported or left over is looked at no more.

    The converter and KerasTuner call `gc.collect()` each time, which takes seconds in a
    process of a million objects that never go: here that does nothing. Python collects
    by itself when there are many new ones.
    """
    collect, gc.collect = gc.collect, lambda *_: 0
    yield
    gc.collect = collect
    if "keras" in sys.modules:
        sys.modules["keras"].utils.clear_session()
    if "tf_keras" in sys.modules:
        sys.modules["tf_keras"].backend.clear_session()
    gc.collect()
    gc.freeze()


@pytest.fixture(params=WORLDS)
def K(request):
    """The Keras module of each world."""
    return importlib.import_module(request.param)


@pytest.fixture(autouse=True)
def _fixed_seed_and_policy():
    """Every test starts alike and leaves no dtype policy behind."""
    worlds = [sys.modules[name] for name in WORLDS if name in sys.modules]
    for world in worlds:  # each has a generator of its own
        world.utils.set_random_seed(1)
    yield
    if "keras" in sys.modules:
        sys.modules["keras"].config.set_dtype_policy("float32")
    if "tf_keras" in sys.modules:
        sys.modules["tf_keras"].mixed_precision.set_global_policy("float32")


@pytest.fixture
def data():
    """128 samples of 8 features, 3 classes that can be learned."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(128, 8)).astype("float32")
    y = (x[:, 0] > 0).astype("int64") + (x[:, 1] > 0)
    return x, y


@pytest.fixture
def mlp(K):
    """Builds a small compiled classifier for `data`."""
    return functools.partial(models.classifier, K)
