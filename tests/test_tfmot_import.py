"""TFMOT's import leaves the user's tf.keras as it was, in fresh processes."""

import os
import subprocess
import sys
import textwrap

import pytest
from marks import slow

WRAP = """
    import tf_keras
    import keras_prune_kit as kpk
    model = tf_keras.Sequential([tf_keras.layers.Input((4,)), tf_keras.layers.Dense(2)])
    kpk.tfmot.wrap(model, kpk.ConstantSparsity(0.5))
    import sys
    assert "tensorflow_model_optimization" in sys.modules
"""
TOUCH = "import tensorflow as tf; tf.keras.layers"
TELL = """
    import os
    import tensorflow as tf
    found = tf.keras.layers.Layer.__module__.split(".")[0]
    print(found, os.environ.get("TF_USE_LEGACY_KERAS"))
"""


def run(*parts, legacy=None):
    env = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    env.pop("TF_USE_LEGACY_KERAS", None)
    if legacy is not None:
        env["TF_USE_LEGACY_KERAS"] = legacy
    script = "\n".join(textwrap.dedent(part) for part in parts)
    done = subprocess.run(
        [sys.executable, "-c", script], env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.parametrize(
    ("parts", "legacy", "expected"),
    [
        ((WRAP, TELL), None, ["keras", "None"]),
        slow((TOUCH, WRAP, TELL), None, ["keras", "None"]),
        slow((WRAP, TELL), "1", ["tf_keras", "1"]),
    ],
    ids=["kit first", "tf.keras first", "legacy asked for"],
)
def test_tf_keras_stays_as_it_was(parts, legacy, expected):
    assert run(*parts, legacy=legacy) == expected


def test_asking_for_the_bridge_imports_nothing_heavy():
    heavy = ["tensorflow", "tf_keras", "tensorflow_model_optimization"]
    script = (
        "import sys, keras_prune_kit as kpk; kpk.tfmot.wrap; "
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    assert run(script) == ["[]"]
