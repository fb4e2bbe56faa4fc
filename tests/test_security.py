"""What a hostile file could do: run code, reach other files, be read by others."""

import ast
import json
import os
import pickle
import sys
import zipfile
from pathlib import Path

import h5py
import models
import numpy as np
import pytest

import keras_prune_kit as kpk
from keras_prune_kit import _keras
from keras_prune_kit._tools.files import replacing, replacing_folder
from keras_prune_kit.cli import main

pytestmark = pytest.mark.filterwarnings("ignore:.*HDF5 file")

PACKAGE = Path(kpk.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
RUN_CODE = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(monkeypatch, tmp_path):
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])


def test_nothing_is_unpickled_or_evaluated():
    """But for the messages of a child process, on pipes that nobody else has."""
    found = []
    for path in FILES:
        is_worker = path.parent.name == "worker"
        run_code = RUN_CODE - {"pickle"} if is_worker else RUN_CODE
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                found += [path] * (node.func.id in ("eval", "exec"))
            elif isinstance(node, ast.keyword) and node.arg == "allow_pickle":
                found += [path] * (ast.unparse(node.value) != "False")
            found += [path] * any(name.partition(".")[0] in run_code for name in names)
            # Not from a file, which somebody else may have written.
            found += [path] * (ast.unparse(node) == "pickle.load")
    assert not found


class Touch:
    def __reduce__(self):
        return os.mkdir, ("ran",)


def test_a_pickle_in_an_npz_is_not_opened(K, capsys):
    models.sequential(K).save("model.keras")
    x = np.array([Touch()] * 4)
    np.savez("data.npz", x=x, y=np.zeros(4))
    with pytest.raises(FileExistsError if Path("ran").exists() else OSError):
        os.rmdir("ran")
    words = ["compare", "model.keras", "--data", "data.npz"]
    assert main(words) == 1
    assert "data.npz" in capsys.readouterr().err
    assert not Path("ran").exists()
    pickle.loads(pickle.dumps(Touch()))  # It would have.
    assert Path("ran").exists()


@pytest.mark.parametrize("name", ["../out.txt", "/out.txt", "C:\\out.txt", "a/../../b"])
def test_a_path_that_leads_out_of_an_archive(K, name):
    models.sequential(K).save("model.keras")
    with zipfile.ZipFile("model.keras", "a") as archive:
        archive.writestr(name, "outside")
    loaders = [_keras.load, *([kpk.tfmot.load] if K.__name__ == "tf_keras" else [])]
    for load in loaders:
        with pytest.raises(ValueError, match="leads out of it") as refused:
            load("model.keras")
        assert "model.keras" in str(refused.value)


def dataset_of(file):
    """The path of some dataset in an HDF5 file."""
    names = []
    file.visititems(lambda name, item: names.append(name))
    return next(name for name in names if getattr(file[name], "size", 0) > 3)


@pytest.mark.parametrize("how", ["link", "external", "virtual"])
@pytest.mark.parametrize("suffix", ["keras", "h5"])
def test_weights_that_are_in_another_file(K, how, suffix):
    with h5py.File("secret.h5", "w") as secret:
        secret["it"] = np.arange(128.0)
    models.sequential(K).save(f"model.{suffix}")
    weights = "model.h5"
    if suffix == "keras":
        with zipfile.ZipFile("model.keras") as archive:
            parts = {name: archive.read(name) for name in archive.namelist()}
        weights = "model.weights.h5"
        Path(weights).write_bytes(parts[weights])
    with h5py.File(weights, "r+") as file:
        name = dataset_of(file)
        shape = file[name].shape
        del file[name]
        if how == "link":
            file[name] = h5py.ExternalLink("secret.h5", "it")
        elif how == "external":
            end = h5py.h5f.UNLIMITED
            file.create_dataset(name, shape, "f4", external=[("secret.h5", 0, end)])
        else:
            layout = h5py.VirtualLayout(shape, "f4")
            layout[...] = h5py.VirtualSource("secret.h5", "it", shape)
            file.create_virtual_dataset(name, layout)
    if suffix == "keras":
        parts[weights] = Path(weights).read_bytes()
        with zipfile.ZipFile("model.keras", "w") as archive:
            for part, content in parts.items():
                archive.writestr(part, content)
    with pytest.raises(ValueError, match="another file"):
        _keras.load(f"model.{suffix}")


@pytest.mark.parametrize("suffix", ["keras", "h5"])
def test_the_bridge_opens_no_code_of_others(suffix):
    import tf_keras as K

    path = f"model.{suffix}"
    doubled = K.layers.Lambda(lambda x: x * 2)
    K.Sequential([K.layers.Input((8,)), doubled]).save(path)
    with pytest.raises(ValueError, match=f"{path} holds code .*a Lambda layer"):
        kpk.tfmot.load(path)
    x = np.ones((1, 8), "float32")
    loaded = kpk.tfmot.load(path, unsafe=True)
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), 2 * x)


@pytest.mark.skipif(sys.platform == "win32", reason="permissions")
def test_what_is_half_written_is_private(tmp_path):
    for write in (replacing, replacing_folder):
        with write(tmp_path / write.__name__) as part:
            folder = part if part.is_dir() else part.parent
            private = folder if folder.parent == tmp_path else folder.parent
            assert private.stat().st_mode & 0o777 == 0o700
            if not part.is_dir():
                part.write_text("whole")


@pytest.mark.parametrize("change", ["list", "version", "numbers"])
def test_a_configuration_that_is_none(K, change):
    models.sequential(K).save("model.keras")
    with zipfile.ZipFile("model.keras") as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    if change == "list":
        parts["config.json"] = b"[]"
    elif change == "version":
        parts["metadata.json"] = json.dumps({"keras_version": 3}).encode()
    else:
        parts["config.json"] = b"3"
    with zipfile.ZipFile("model.keras", "w") as archive:
        for part, content in parts.items():
            archive.writestr(part, content)
    with pytest.raises(ValueError, match="model.keras"):
        _keras.load("model.keras")
