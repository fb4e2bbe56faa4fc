"""Compressed sizes: right, deterministic and free of what is not weights."""

import bz2
import gzip
import importlib
import lzma
import subprocess
import sys
import time

import numpy as np
import pytest

import keras_prune_kit as kpk
from keras_prune_kit._keras import weights_h5

MLP_IN_A_NEW_PROCESS = """
import keras as K
import keras_prune_kit as kpk

K.utils.set_random_seed(0)
layers = [K.layers.Input((64,)), K.layers.Dense(32), K.layers.Dense(10)]
print(kpk.gzip_bytes(K.Sequential(layers)))
"""


def mlp(K):
    return K.Sequential([K.layers.Input((64,)), K.layers.Dense(32), K.layers.Dense(10)])


def cnn(K):
    return K.Sequential(
        [
            K.layers.Input((28, 28, 1)),
            K.layers.Conv2D(32, 5),
            K.layers.Conv2D(64, 3),
            K.layers.MaxPooling2D(4),
            K.layers.Flatten(),
            K.layers.Dense(256),
            K.layers.Dropout(0.4),
            K.layers.Dense(10),
        ]
    )


def batch_norm(K):
    return K.Sequential(
        [
            K.layers.Input((28, 28, 1)),
            K.layers.Conv2D(32, 3),
            K.layers.BatchNormalization(),
            K.layers.ReLU(),
            K.layers.Conv2D(32, 3),
            K.layers.BatchNormalization(),
            K.layers.GlobalAveragePooling2D(),
        ]
    )


def nested(K):
    encoder = K.Sequential([K.layers.Dense(64), K.layers.Dense(32)])
    inputs = K.layers.Input((64,))
    return K.Model(inputs, K.layers.Dense(10)(encoder(inputs)))


def subclassed(K):
    class Classifier(K.Model):
        def __init__(self):
            super().__init__()
            self.encoder = K.Sequential([K.layers.Dense(64), K.layers.Dense(32)])
            self.classifier = K.layers.Dense(10)

        def call(self, inputs):
            return self.classifier(self.encoder(inputs))

    model = Classifier()
    model(np.zeros((1, 64), "float32"))
    return model


def sparsify(model, sparsity):
    rng = np.random.default_rng(0)
    for weight in model.weights:
        if len(weight.shape) > 1:
            weight.assign(weight.numpy() * (rng.random(weight.shape) >= sparsity))
    return model


def saved(K, model, folder):
    """What Keras itself writes for an uncompiled model, which has no optimizer."""
    is_keras_3 = K.__version__.startswith("3")
    path = folder / ("model.weights.h5" if is_keras_3 else "model.h5")
    model.save_weights(str(path))
    return path


@pytest.mark.parametrize("build", [mlp, cnn, batch_norm, nested, subclassed])
def test_a_model_weighs_what_its_saved_weights_weigh(K, build, tmp_path):
    model = build(K)

    path = saved(K, model, tmp_path)

    assert kpk.gzip_bytes(model) == pytest.approx(kpk.gzip_bytes(path), rel=0.01)
    assert len(weights_h5(model)) == pytest.approx(path.stat().st_size, rel=0.05)


@pytest.mark.quick_in("keras")
def test_a_sparse_model_weighs_what_its_saved_weights_weigh(K, tmp_path):
    model = cnn(K)
    dense = kpk.gzip_bytes(model)

    sparse = kpk.gzip_bytes(sparsify(model, 0.9))

    expected = kpk.gzip_bytes(saved(K, model, tmp_path))
    assert sparse == pytest.approx(expected, rel=0.01)
    assert sparse < 0.2 * dense


def test_the_optimizer_does_not_count(K):
    model = mlp(K)
    before = kpk.gzip_bytes(model)

    model.compile("adam", "mse")
    model.optimizer.build(model.trainable_variables)

    assert kpk.gzip_bytes(model) == before


def test_the_same_weights_always_give_the_same_bytes(K):
    model = cnn(K)
    before = weights_h5(model)
    time.sleep(1.1)  # HDF5 keeps times in whole seconds.
    assert weights_h5(model) == before


@pytest.mark.slow
def test_another_process_gives_the_same_number():
    runs = [
        subprocess.check_output([sys.executable, "-c", MLP_IN_A_NEW_PROCESS], text=True)
        for _ in range(2)
    ]
    assert runs[0] == runs[1]
    assert int(runs[0]) > 4 * 64 * 32


def test_layers_of_the_same_name_all_count(K):
    class Twins(K.Model):
        def __init__(self):
            super().__init__()
            self.first = K.layers.Dense(64, name="twin")
            self.second = K.layers.Dense(64, name="twin")

        def call(self, inputs):
            return self.second(self.first(inputs))

    model = Twins()
    model(np.zeros((1, 64), "float32"))
    assert len(weights_h5(model)) > 4 * 2 * 64 * 64


def test_a_shared_layer_counts_once(K):
    shared = K.layers.Dense(256)
    inputs = K.layers.Input((256,))
    block = K.Sequential([K.layers.Input((256,)), shared])
    model = K.Model(inputs, shared(block(inputs)))
    if K.__version__.startswith("3"):
        assert kpk.gzip_bytes(model) < 1.1 * 4 * 256 * 256
    else:  # The legacy format of Keras 2 does write it twice.
        assert kpk.gzip_bytes(model) > 1.5 * 4 * 256 * 256


def test_bytes_and_files_weigh_the_same(tmp_path):
    content = bytes(1000) + b"kernel"
    path = tmp_path / "file.bin"
    path.write_bytes(content)

    expected = len(gzip.compress(content, 9, mtime=0))

    assert kpk.gzip_bytes(content) == expected
    assert kpk.gzip_bytes(path) == expected
    assert kpk.gzip_bytes(str(path)) == expected


def sparse_bytes():
    """Small values, one in ten, as the kernels of a pruned file."""
    rng = np.random.default_rng(0)
    values = rng.integers(-3, 4, 20_000) * (rng.random(20_000) < 0.1)
    return values.astype(np.int8).tobytes()


@pytest.mark.parametrize("encoder", ["gzip", "zopfli", "lzma", "bz2"])
def test_an_encoder_gives_the_size_of_its_own_file(encoder, tmp_path):
    if encoder == "zopfli":
        pytest.importorskip("zopfli")
    content, path = sparse_bytes(), tmp_path / "file.bin"
    path.write_bytes(content)
    written = {
        "gzip": lambda: gzip.compress(content, 9, mtime=0),
        "zopfli": lambda: importlib.import_module("zopfli.gzip").compress(content),
        "lzma": lambda: lzma.compress(content, preset=9 | lzma.PRESET_EXTREME),
        "bz2": lambda: bz2.compress(content, 9),
    }[encoder]()
    assert kpk.compressed_bytes(content, encoder) == len(written)
    assert kpk.compressed_bytes(path, encoder) == len(written)


def test_zopfli_writes_gzip_files_that_are_smaller():
    content, zopfli = sparse_bytes(), pytest.importorskip("zopfli.gzip")
    assert gzip.decompress(zopfli.compress(content)) == content
    size = kpk.compressed_bytes(content, "zopfli")
    assert size < 0.95 * kpk.gzip_bytes(content)


def test_an_encoder_that_is_unknown_or_not_installed_is_explained(monkeypatch):
    with pytest.raises(ValueError, match=r"one of \['gzip', .*'zopfi'.*Did you mean"):
        kpk.compressed_bytes(b"", "zopfi")
    with pytest.raises(ValueError, match="encoder must be one of .*Received: 3"):
        kpk.compressed_bytes(b"", 3)
    with pytest.raises(TypeError, match="Received: 3 of type int"):
        kpk.compressed_bytes(3, "bz2")
    monkeypatch.setitem(sys.modules, "zopfli", None)
    with pytest.raises(ImportError, match=r"pip install keras-prune-kit\[zopfli\]"):
        kpk.compressed_bytes(b"", "zopfli")


def test_bad_input_is_explained(K, tmp_path):
    with pytest.raises(FileNotFoundError, match="existing file.*missing.h5"):
        kpk.gzip_bytes(tmp_path / "missing.h5")
    with pytest.raises(IsADirectoryError, match="measures one file"):
        kpk.gzip_bytes(tmp_path)
    with pytest.raises(TypeError, match="Received: 3 of type int"):
        kpk.gzip_bytes(3)
    with pytest.raises(ValueError, match="is not built"):
        kpk.gzip_bytes(K.Sequential([K.layers.Dense(3)]))
