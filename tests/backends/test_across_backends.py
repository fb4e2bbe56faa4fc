"""Pruned on JAX, loaded on torch, exported under TensorFlow: the same numbers."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from contract import BACKEND, data, fit

import keras_prune_kit as kpk

ON_TORCH = """
import sys
import keras
import numpy as np
import keras_prune_kit as kpk

assert keras.backend.backend() == "torch"
model = keras.models.load_model("pruned.keras")
kpk.export_tflite(model, "model.tflite")
outputs = model.predict(np.load("x.npy"), verbose=0)
weights = kpk.sparsity_report(model).weights
zeros = {weight.path.replace("/", "."): weight.zeros for weight in weights}
np.savez("torch.npz", outputs=outputs, **zeros)
"""


@pytest.mark.skipif(
    BACKEND != "jax" or importlib.util.find_spec("torch") is None,
    reason="begins on JAX and needs torch",
)
def test_pruned_on_jax_loaded_on_torch_exported_under_tensorflow(tmp_path):
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.Input((8,)),
            keras.layers.Reshape((4, 2)),
            keras.layers.Conv1D(16, 2, activation="relu", name="convolution"),
            keras.layers.BatchNormalization(),
            keras.layers.GRU(12, name="recurrent"),
            keras.layers.Dense(3, activation="softmax", name="classifier"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    fit(model, kpk.PruningCallback(0.75), epochs=2)
    x, _ = data()
    model.save(tmp_path / "pruned.keras")
    np.save(tmp_path / "x.npy", x)
    path = os.pathsep.join(filter(None, sys.path))
    done = subprocess.run(
        [sys.executable, "-c", ON_TORCH],
        cwd=tmp_path,
        env={**os.environ, "KERAS_BACKEND": "torch", "PYTHONPATH": path},
        **{"capture_output": True, "text": True, "check": False},
    )
    assert done.returncode == 0, done.stderr
    on_torch = dict(np.load(tmp_path / "torch.npz"))
    expected = model.predict(x, verbose=0)
    assert expected.std() > 0.01
    np.testing.assert_allclose(on_torch.pop("outputs"), expected, atol=1e-5)
    zeros = {w.path.replace("/", "."): w.zeros for w in pruned(model)}
    assert {name: int(count) for name, count in on_torch.items()} == zeros
    assert sum(zeros.values()) == sum(round(0.75 * w.size) for w in pruned(model))
    exported = kpk.TFLiteModel(Path(tmp_path) / "model.tflite")
    np.testing.assert_allclose(exported.predict(x), expected, atol=1e-5)
    in_file = exported.sparsity_report().weights
    assert sum(w.zeros for w in in_file) >= sum(zeros.values())


def pruned(model):
    return kpk.sparsity_report(model).weights
