"""Full disks, closed folders, odd clocks, tools that fail: nothing is half done."""

import functools
import itertools
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from marks import slow

import keras_prune_kit as kpk
from keras_prune_kit import _keras
from keras_prune_kit.tflite import model as tflite_model

ROOM = 8192  # Bytes left on a disk that is full: less than any file here needs.
rng = np.random.default_rng(0)
DATA = rng.normal(size=(64, 64)).astype("float32"), rng.integers(0, 10, 64)


def new_model(K):
    layers = [K.layers.Input((64,)), K.layers.Dense(200), K.layers.Dense(10)]
    model = K.Sequential([*layers, K.layers.Softmax()])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def compress(model, **options):
    options = {"validation_data": DATA, "epochs": 2, "verbose": 0, **options}
    return kpk.compress(model, DATA, **options, quantization="none")


@functools.cache
def report_of(K):
    return compress(new_model(K))


def checkpoint(K, folder):
    best = kpk.TargetSparsityCheckpoint(folder / "best.keras", monitor="loss")
    callbacks = [kpk.PruningCallback(0.5), best]
    new_model(K).fit(*DATA, epochs=2, verbose=0, callbacks=callbacks)


# Each writes one file or folder into a folder, and by which name.
WRITERS = {
    "export": (
        "model.tflite",
        lambda K, folder: kpk.export_tflite(
            report_of(K).model, folder / "model.tflite"
        ),
    ),
    "report": ("out", lambda K, folder: report_of(K).save(folder / "out")),
    "page": ("page.html", lambda K, folder: report_of(K).to_html(folder / "page.html")),
    "picture": ("a.png", lambda K, folder: report_of(K).plot(folder / "a.png")),
    "checkpoint": ("best.keras", checkpoint),
}


def mount(folder, *options):
    if not Path("/proc/mounts").exists():
        pytest.skip("mounts file systems as Linux does")
    done = subprocess.run(["mount", *options, folder], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"may not mount a file system here: {done.stderr.strip()}")


@pytest.fixture
def disk(tmp_path):
    """A file system of one megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount(folder, "-t", "tmpfs", "-o", "size=1m", "tmpfs")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def fill(disk):
    state = os.statvfs(disk)
    (disk / "others").write_bytes(b"1" * (state.f_bavail * state.f_frsize - ROOM))


def close(disk):
    mount(disk, "-o", "remount,ro")


def contents(folder):
    """Every file and folder, hidden ones too."""
    return {
        path.relative_to(folder): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


def put_old(place):
    """Something that was there before, for a fault to leave as it is."""
    if place.suffix:
        place.write_text("old")
    else:
        place.mkdir()
        for name in ("model.tflite", "report.json", "mine"):
            (place / name).write_text("old")


def is_one_sentence(error):
    return "\n" not in str(error) and len(str(error)) < 300


@pytest.mark.each_value
@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("has_old", [False, True], ids=["new", "old"])
@pytest.mark.parametrize("fault", [fill, close])
def test_a_disk_that_takes_nothing_is_left_as_it_was(K, writer, has_old, fault, disk):
    name, write = WRITERS[writer]
    weights = report_of(K).model.get_weights()
    if has_old:
        put_old(disk / name)
    fault(disk)
    before = contents(disk)
    message = "disk is full" if fault is fill else "cannot be written to"
    with pytest.raises(OSError, match=message) as caught:
        write(K, disk)
    assert is_one_sentence(caught.value)
    assert ".keras_prune_kit-" not in str(caught.value)
    assert contents(disk) == before
    assert all(map(np.array_equal, weights, report_of(K).model.get_weights()))


@pytest.mark.parametrize("writer", WRITERS)
def test_a_file_where_a_folder_should_be(K, writer, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OSError, match="file") as caught:
        WRITERS[writer][1](K, tmp_path / "file")
    assert is_one_sentence(caught.value)
    assert contents(tmp_path) == {Path("file"): b"mine"}


def test_a_closed_folder_is_found_before_the_training(K, disk):
    model = new_model(K)
    weights = model.get_weights()
    close(disk)
    trained = []
    seen = K.callbacks.LambdaCallback(on_train_begin=trained.append)
    with pytest.raises(PermissionError, match="cannot be written to"):
        compress(model, out_dir=disk / "out", callbacks=[seen])
    assert not trained
    assert all(map(np.array_equal, weights, model.get_weights()))


def test_no_room_for_temporary_files(K, disk, monkeypatch):
    model = new_model(K)
    weights = model.get_weights()
    fill(disk)
    monkeypatch.setattr(tempfile, "tempdir", os.fspath(disk))
    for work in (kpk.export_tflite, compress):
        with pytest.raises(OSError, match=f"disk is full.*{disk}") as caught:
            work(model)
        assert is_one_sentence(caught.value)
    assert set(contents(disk)) == {Path("others")}
    assert all(map(np.array_equal, weights, model.get_weights()))


def test_training_goes_on_without_room_for_its_backup(K, disk, monkeypatch, caplog):
    fill(disk)
    monkeypatch.setattr(tempfile, "tempdir", os.fspath(disk))
    pruning = kpk.PruningCallback(0.5)
    new_model(K).fit(*DATA, epochs=2, verbose=0, callbacks=[pruning])
    assert "No snapshot could be saved" in caplog.text
    assert pruning.report.zeros == (64 * 200 + 200 * 10) // 2
    assert set(contents(disk)) == {Path("others")}


def test_a_log_that_finds_no_room_says_so(K, disk):
    pytest.importorskip("tensorboard")
    summaries = kpk.SparsitySummaries(disk / "logs")
    (disk / "others").write_bytes(b"1" * 2**20)
    with pytest.raises(OSError, match="disk is full.*logs") as caught:
        callbacks = [kpk.PruningCallback(0.5), summaries]
        new_model(K).fit(*DATA, epochs=2, verbose=0, callbacks=callbacks)
    assert is_one_sentence(caught.value)


AT_HOME = """
import keras, numpy as np, tf_keras
import keras_prune_kit as kpk
x = np.ones((32, 8), "float32")
for K in (keras, tf_keras):
    model = K.Sequential([K.layers.Input((8,)), K.layers.Dense(8)])
    model.compile("adam", "mse")
    pruning = kpk.PruningCallback(0.5)
    model.fit(x, x, epochs=2, verbose=0, callbacks=[pruning])
    kpk.export_tflite(model, f"{K.__name__}.tflite")
    pruning.report.plot(f"{K.__name__}.png")
    model.save(f"{K.__name__}.keras")
    print(pruning.report.zeros)
"""


@pytest.mark.parametrize("home", [slow(None), slow("/proc"), "/nowhere/at/all"])
def test_no_home_is_needed(home, tmp_path):
    unwanted = ("HOME", "KERAS_HOME", "MPLCONFIGDIR", "XDG_CONFIG_HOME")
    kept = {key: value for key, value in os.environ.items() if key not in unwanted}
    run = subprocess.run(
        [sys.executable, "-c", AT_HOME],
        cwd=tmp_path,
        env=kept if home is None else {**kept, "HOME": home},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert run.stdout.split() == ["32", "32"], run.stderr[-2000:]
    ends = ("tflite", "png", "keras")
    names = {f"{K}.{end}" for K in ("keras", "tf_keras") for end in ends}
    assert {path.name for path in tmp_path.iterdir()} == names


TWO_AT_ONCE = """
import sys
from pathlib import Path
import keras, tf_keras
import test_faults
K, place = {"keras": keras, "tf_keras": tf_keras}[sys.argv[1]], Path(sys.argv[2])
report = test_faults.compress(test_faults.new_model(K), policy=float(sys.argv[3]))
report.save(place / K.__name__)
print("ready", flush=True)
sys.stdin.readline()
for _ in range(5):
    report.save(place / "both")
    report.tflite.save(place / "both.tflite")
"""


def at_once(world, place, sparsity):
    return subprocess.Popen(
        [sys.executable, "-c", TWO_AT_ONCE, world, place, sparsity],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_two_processes_write_to_the_same_place(tmp_path):
    worlds = {"keras": "0.5", "tf_keras": "0.75"}
    processes = [at_once(world, tmp_path, part) for world, part in worlds.items()]
    try:
        for process in processes:
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            process.stdin.write("go\n")
            process.stdin.flush()
        errors = [process.communicate(timeout=200)[1] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0, 0], errors
    both, *own = (contents(tmp_path / name) for name in ("both", *worlds))
    assert set(both) == set(own[0]) == set(own[1])
    for path, content in both.items():
        if path.suffix not in (".keras", ".html"):  # These have dates and ids in them.
            assert content in [files[path] for files in own], path
    whole = _keras.load(tmp_path / "both" / "pruned.keras")
    found = kpk.sparsity_report(whole).sparsity
    assert found in [0.5, 0.75]
    page = (tmp_path / "both" / "report.html").read_text("utf-8")
    assert page.rstrip().endswith("</html>")
    model = Path("model.tflite")
    assert (tmp_path / "both.tflite").read_bytes() in [files[model] for files in own]
    assert set(os.listdir(tmp_path)) == {"both", "both.tflite", *worlds}


@pytest.mark.slow
def test_a_clock_that_jumps_back_changes_nothing(K, tmp_path, monkeypatch):
    pytest.importorskip("tensorboard")

    def work(name):
        K.utils.set_random_seed(1)
        place = tmp_path / name
        place.mkdir()
        summaries = kpk.SparsitySummaries(place / "logs")
        best = kpk.TargetSparsityCheckpoint(place / "best.keras", monitor="loss")
        callbacks = [kpk.PruningCallback(0.5), summaries, best]
        model = new_model(K)
        model.fit(*DATA, epochs=2, verbose=0, callbacks=callbacks)
        exported = kpk.export_tflite(model, place / "model.tflite")
        names = {path.name for path in place.iterdir()}
        return model.get_weights(), best.best, exported, names

    weights, loss, _, names = work("before")
    start, hours = time.time(), itertools.count()
    monkeypatch.setattr(time, "time", lambda: start - 3600 * next(hours))
    after, loss_after, exported, names_after = work("after")
    assert next(hours) > 1  # Somebody has asked for the time.
    assert all(map(np.array_equal, weights, after))
    assert loss_after == loss
    assert exported.latency(runs=3) > 0
    assert names == names_after == {"logs", "best.keras", "model.tflite"}


@pytest.fixture
def exported_before(K, tmp_path, monkeypatch):
    """A model, and a file that an earlier export has left; temporary files beside."""
    monkeypatch.setattr(tempfile, "tempdir", os.fspath(tmp_path))
    path = tmp_path / "model.tflite"
    path.write_text("old")
    return new_model(K), path


def check_export_fails(model, path, match):
    weights = model.get_weights()
    level = tf.get_logger().level
    with pytest.raises(kpk.ExportError, match=match) as caught:
        kpk.export_tflite(model, path)
    assert is_one_sentence(caught.value)
    assert contents(path.parent) == {Path(path.name): b"old"}
    assert all(map(np.array_equal, weights, model.get_weights()))
    assert tf.get_logger().level == level


@pytest.mark.quick_in("keras")
@pytest.mark.parametrize(
    "error", [RuntimeError, ValueError, KeyError, AttributeError, MemoryError]
)
def test_a_converter_that_fails(exported_before, monkeypatch, error):
    class Failing:
        def convert(self):
            raise error("it broke\nand\nsays\npages")

    from_saved_model = staticmethod(lambda folder: Failing())
    monkeypatch.setattr(tf.lite.TFLiteConverter, "from_saved_model", from_saved_model)
    check_export_fails(*exported_before, "it broke")


@pytest.mark.each_value
@pytest.mark.parametrize("error", [RuntimeError, ValueError])
def test_an_interpreter_that_refuses_the_file(exported_before, monkeypatch, error):
    model, path = exported_before
    content = kpk.export_tflite(model).bytes

    def refuse(*_, **__):
        raise error("no kernel for this one")

    monkeypatch.setattr(tflite_model, "open_interpreter", refuse)
    check_export_fails(model, path, "no kernel for this one")
    with pytest.raises(ValueError, match="does not accept.*no kernel for this one"):
        kpk.TFLiteModel(content)
    with pytest.raises(RuntimeError, match="no kernel for this one"):
        compress(model, out_dir=path.parent / "out")
    assert not (path.parent / "out").exists()
