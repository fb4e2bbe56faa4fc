"""Model files that hold or name code: refused, unless --unsafe is given."""

import importlib
import json
import sys
import zipfile
from pathlib import Path

import h5py
import models
import numpy as np
import pytest

import keras_prune_kit as kpk
from keras_prune_kit import _keras
from keras_prune_kit._keras.trust import foreign_code
from keras_prune_kit.cli import main

pytestmark = pytest.mark.filterwarnings("ignore:.*HDF5 file")

each_suffix = pytest.mark.parametrize("suffix", ["keras", "h5"])


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(monkeypatch, tmp_path):
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
    monkeypatch.chdir(tmp_path)
    # The command line makes the current folder importable.
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield
    sys.modules.pop("my_layers", None)


def with_lambda(K, inner):
    return K.Sequential(
        [K.layers.Input((8,)), K.layers.Dense(4), K.layers.Lambda(inner)]
    )


@pytest.fixture(params=["python lambda", "named function", "inside a model"])
def lambda_model(request, K):
    if request.param == "named function":
        return with_lambda(K, K.activations.relu)
    model = with_lambda(K, lambda x: x * 2)
    if request.param == "inside a model":
        model = K.Sequential([K.layers.Input((8,)), model, K.layers.Dense(3)])
    return model


@each_suffix
def test_a_lambda_is_refused_in_one_sentence(lambda_model, capsys, suffix):
    path = f"model.{suffix}"
    try:
        lambda_model.save(path)
    except TypeError:
        pytest.skip("Keras 2 cannot save a named function in a .keras file")
    for words in (["inspect", path], ["export", path, "--out", "model.tflite"]):
        assert main(words) == 1
        out, error = capsys.readouterr()
        assert not out
        assert "a Lambda layer" in error
        assert "--unsafe" in error
        assert error.count("\n") == 1
    assert not Path("model.tflite").exists()


@each_suffix
def test_a_lambda_runs_if_it_may(K, capsys, suffix):
    path = f"model.{suffix}"
    model = with_lambda(K, lambda x: x * 2)
    model.save(path)
    assert main(["inspect", path, "--unsafe"]) == 0
    assert main(["export", path, "--out", "model.tflite", "--unsafe"]) == 0
    x = np.ones((1, 8), "float32")
    np.testing.assert_allclose(
        kpk.TFLiteModel("model.tflite").predict(x),
        model.predict(x, verbose=0),
        rtol=1e-5,
    )


@each_suffix
def test_compress_refuses_a_lambda_before_it_reads_data(K, capsys, suffix):
    Path("data.npz").write_bytes(b"not read")
    with_lambda(K, lambda x: x * 2).save(f"model.{suffix}")
    words = [f"model.{suffix}", "--train", "data.npz", "--out", "out"]
    assert main(["compress", *words]) == 1
    assert "a Lambda layer" in capsys.readouterr().err
    assert not Path("out").exists()


def rewritten(path, change):
    """Changes the configuration in a `.keras` file."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(parts["config.json"])
    change(config)
    parts["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)


EVIL = "from pathlib import Path\nPath('ran').touch()\nclass Evil:\n    pass\n"


@pytest.mark.parametrize("where", ["layer", "initializer", "activation", "compiled"])
def test_a_module_that_a_file_names_is_not_imported(K, mlp, capsys, where):
    """Keras 2 in its safe mode imports it."""
    Path("my_layers.py").write_text(EVIL)
    sys.path.insert(0, ".")
    model = mlp()
    model.save("model.keras")
    named = {
        "module": "my_layers",
        "class_name": "Evil",
        "config": {},
        "registered_name": None,
    }

    def change(config):
        dense = config["config"]["layers"][1]
        if where == "layer":
            dense |= {"module": "my_layers", "class_name": "Evil"}
        elif where == "initializer":
            dense["config"]["kernel_initializer"] = named
        elif where == "activation":
            dense["config"]["activation"] = named | {
                "class_name": "function",
                "config": "Evil",
            }
        else:
            config["compile_config"]["loss"] = named

    rewritten("model.keras", change)
    code = main(["inspect", "model.keras"])
    if where == "compiled":
        assert code == 0
        assert not _keras.is_compiled(_keras.load("model.keras", compiled=True))
    else:
        assert code == 1
        assert "Evil of module my_layers" in capsys.readouterr().err
    assert not Path("ran").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="paths")
def test_an_h5_that_names_a_module(K, capsys):
    Path("my_layers.py").write_text(EVIL)
    sys.path.insert(0, ".")
    models.sequential(K).save("model.h5")
    with h5py.File("model.h5", "r+") as file:
        text = file.attrs["model_config"]
        text = text.replace("keras.initializers", "my_layers").replace(
            "GlorotUniform", "Evil"
        )
        file.attrs["model_config"] = text
    assert main(["inspect", "model.h5"]) == 1
    assert "Evil of module my_layers" in capsys.readouterr().err
    assert not Path("ran").exists()


LAYER = """\
import {world} as keras
class Double(keras.layers.Layer):
    def call(self, inputs):
        return 2 * inputs
"""


def test_a_custom_layer_is_loaded_from_its_module_if_it_may_be(K, capsys):
    Path("my_layers.py").write_text(LAYER.format(world=K.__name__))
    importlib.invalidate_caches()
    sys.path.insert(0, ".")
    double = importlib.import_module("my_layers").Double()
    K.Sequential([K.layers.Input((8,)), double]).save("model.keras")
    del sys.modules["my_layers"]
    assert main(["inspect", "model.keras"]) == 1
    error = capsys.readouterr().err
    assert "the class Double of module my_layers" in error
    assert "my_layers" not in sys.modules
    assert main(["inspect", "model.keras", "--unsafe"]) == 0
    assert "Double" in capsys.readouterr().out
    Path("my_layers.py").unlink()
    importlib.invalidate_caches()
    del sys.modules["my_layers"]
    assert main(["inspect", "model.keras", "--unsafe"]) == 1
    assert "No module named 'my_layers'" in capsys.readouterr().err


@each_suffix
def test_a_custom_layer_of_an_unknown_place(K, capsys, suffix):
    class Nowhere(K.layers.Layer):
        def call(self, inputs):
            return inputs

    path = f"model.{suffix}"
    K.Sequential([K.layers.Input((8,)), Nowhere()]).save(path)
    for words in (["inspect", path], ["inspect", path, "--unsafe"]):
        assert main(words) == 1
        error = capsys.readouterr().err
        assert "Nowhere" in error
        assert error.count("\n") == 1


def test_a_registered_layer_is_trusted(K):
    @K.saving.register_keras_serializable("test_cli_unsafe")
    class Known(K.layers.Layer):
        def call(self, inputs):
            return inputs

    K.Sequential([K.layers.Input((8,)), Known()]).save("model.keras")
    assert type(_keras.load("model.keras").layers[-1]) is Known


@pytest.mark.parametrize("name", sorted(models.ZOO))
def test_built_in_layers_hold_no_code(K, name):
    own_code = {"subclassed", "dense_subclass", "self_declared", "unknown_layer"}
    model = models.ZOO[name](K)
    config = json.loads(model.to_json()) if name != "subclassed" else {}
    assert bool(foreign_code(config, K)) == (name in own_code - {"subclassed"})


@pytest.mark.parametrize(
    ("node", "found"),
    [
        ({"class_name": "Lambda", "config": {}}, True),
        ({"class_name": "__lambda__", "config": {}}, True),
        ({"class_name": "TFSMLayer", "module": "keras.layers"}, True),
        ({"class_name": "Dense", "module": "keras.layers"}, False),
        ({"class_name": "Dense", "module": "tf_keras.layers"}, False),
        ({"class_name": "Dense", "module": "keras_evil.layers"}, True),
        ({"class_name": "Popen", "module": "subprocess"}, True),
        ({"class_name": "Mine", "module": None, "registered_name": "Mine"}, True),
        ({"class_name": "function", "module": "builtins", "config": "relu"}, False),
        ({"class_name": "function", "module": "builtins", "config": "exec"}, True),
        ({"class_name": "function", "module": "os", "config": "system"}, True),
        (
            {"class_name": "function", "module": "keras.utils", "config": "get_file"},
            True,
        ),
        (
            {
                "class_name": "function",
                "module": "keras.src.ops",
                "config": "os.system",
            },
            True,
        ),
        ({"class_name": "TFOpLambda", "config": {"function": "math.add"}}, False),
        ({"class_name": "TFOpLambda", "config": {"function": "io.write_file"}}, True),
        ({"class_name": "TFOpLambda", "config": {"function": "raw_ops.X"}}, True),
    ],
)
def test_what_counts_as_foreign_code(K, node, found):
    nested = {"config": {"layers": [{"config": {"inner": node}}]}}
    assert bool(foreign_code(nested, K)) == found
