"""Damaged .tflite files: the interpreter may crash on them, the process may not."""

import sys

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

import keras_prune_kit as kpk
from keras_prune_kit.tflite import sandbox


@pytest.fixture(scope="module")
def content():
    import keras

    layers = keras.layers
    images = layers.Input((8, 8, 3))
    pooled = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3)(images))
    model = keras.Model(images, layers.Dense(3)(pooled))
    return kpk.export_tflite(model).bytes


def tensors_of(content):
    graph = schema.Model.GetRootAs(content, 0).Subgraphs(0)
    return [graph.Tensors(i) for i in range(graph.TensorsLength())]


def test_sizes_that_contradict_each_other(content):
    damaged = bytearray(content)
    sizes = next(
        tensor.ShapeSignatureAsNumpy()
        for tensor in tensors_of(damaged)
        if tensor.ShapeSignatureLength() == 4 and not tensor.Buffer()
    )
    sizes[1] = 2**28  # A view: what is written to it is in the file.
    with pytest.raises(ValueError, match="sizes of '.*' contradict each other"):
        kpk.TFLiteModel(bytes(damaged))


def test_sizes_beyond_any_memory(content):
    damaged = bytearray(content)
    for tensor in tensors_of(damaged):
        if tensor.ShapeLength() == 4 and tensor.ShapeSignatureLength():
            tensor.ShapeAsNumpy()[1] = 2**26
            tensor.ShapeSignatureAsNumpy()[1] = 2**26
    with pytest.raises(ValueError, match="source"):
        kpk.TFLiteModel(bytes(damaged))


def stub(monkeypatch, run):
    """Has files run by a function, in a helper of its own."""
    monkeypatch.setattr(sandbox, "_survived", set())
    monkeypatch.setattr(sandbox, "_helper", sandbox._Helper())
    code = sandbox._CODE.replace("getattr", f"sandbox_process._run = {run}\ngetattr")
    monkeypatch.setattr(sandbox, "_CODE", code)


@pytest.mark.each_value
@pytest.mark.parametrize(
    ("run", "said"),
    [
        ("lambda _: __import__('os').abort()", "the interpreter crashes on it"),
        ("lambda _: __import__('time').sleep(60)", "does not run within"),
    ],
)
@pytest.mark.parametrize("has_fork", [True, False])
def test_a_file_that_the_interpreter_does_not_come_back_from(
    content, monkeypatch, run, said, tmp_path, has_fork
):
    stub(monkeypatch, run)
    monkeypatch.setattr(sandbox, "_WALL_FACTOR", 0.1 if "sleep" in run else 12)
    monkeypatch.setattr(sandbox, "_CAN_FORK", has_fork)
    path = tmp_path / "model.tflite"
    path.write_bytes(content)
    for read in (kpk.TFLiteModel, kpk.sparsity_report, kpk.entropy_bound):
        with pytest.raises(ValueError, match=f"model.tflite.*{said}"):
            read(path)
    sandbox._helper.close()


def test_a_helper_that_somebody_ends_is_started_again(content, monkeypatch):
    stub(monkeypatch, "lambda _: None")
    kpk.TFLiteModel(content)
    first = sandbox._helper._process
    first.kill()
    first.wait()
    with pytest.raises(ValueError, match="crashes"):
        kpk.TFLiteModel(content + b"1")
    kpk.TFLiteModel(content + b"2")
    assert sandbox._helper._process.pid != first.pid
    sandbox._helper.close()
    assert sandbox._helper._process is None


def test_a_file_is_tried_once(content, monkeypatch):
    monkeypatch.setattr(sandbox, "_survived", set())
    trials = []
    monkeypatch.setattr(
        sandbox._Helper,
        "outcome",
        lambda self, item: trials.append(item) or sandbox.Outcome(),
    )
    for _ in range(2):
        kpk.TFLiteModel(content)
    assert len(trials) == 1


def test_what_the_converter_has_made_is_tried_as_it_will_be_run(K, monkeypatch):
    trials = []
    monkeypatch.setattr(
        sandbox._Helper,
        "outcome",
        lambda self, item: trials.append(item) or sandbox.Outcome(),
    )
    layers = K.layers
    model = K.Sequential([layers.Input((4,)), layers.Dense(2)])
    x = np.arange(4 * 40, dtype="float32").reshape(40, 4)
    kpk.export_tflite(model)
    kpk.export_tflite(model, quantization="int8", representative_data=x)
    (zeros,), (sample,) = (item.arrays for item in trials)
    np.testing.assert_array_equal(zeros, np.zeros((1, 4)))
    np.testing.assert_array_equal(sample, x[:1])


@pytest.mark.parametrize("quantization", ["int8", "int16x8"])
def test_a_file_that_aborts_is_an_error_and_no_file(K, quantization, tmp_path):
    """Differences of one feature to their own mean are nothing but steps."""
    inputs = K.Input((60, 1))
    model = K.Model(inputs, K.layers.LayerNormalization()(inputs))
    x = np.random.default_rng(0).normal(size=(20, 60, 1)).astype("float32")
    path = tmp_path / "model.tflite"
    try:
        file = kpk.export_tflite(
            model, path, quantization=quantization, representative_data=x
        )
    except kpk.ExportError as error:
        assert "the interpreter" in str(error)
        assert not path.exists()
    else:
        assert np.abs(file.predict(x) - model.predict(x, verbose=0)).max() < 0.1


def test_a_reason_of_the_interpreter_is_told(K, monkeypatch):
    stub(monkeypatch, "lambda _: open('/no/such/file')")
    model = K.Sequential([K.layers.Input((4,)), K.layers.Dense(2)])
    with pytest.raises(kpk.ExportError, match="cannot run the .*/no/such/file"):
        kpk.export_tflite(model)
    sandbox._helper.close()


def test_without_an_interpreter_to_try_it_on(content, monkeypatch):
    monkeypatch.setattr(sandbox, "_survived", set())
    monkeypatch.setattr(sys, "executable", None)
    assert kpk.TFLiteModel(content).outputs[0].shape == (None, 3)


def test_whatever_raises_while_a_damaged_file_is_read_is_told(content):
    rng = np.random.default_rng(0)
    x = np.zeros((2, 8, 8, 3), "float32")
    for _ in range(60):
        damaged = bytearray(content)
        damaged[rng.integers(len(damaged))] ^= 1 << rng.integers(8)
        try:
            exported = kpk.TFLiteModel(bytes(damaged))
            exported.predict(x)
        except ValueError as error:
            assert "source" in str(error) or "x" in str(error)


@pytest.mark.parametrize("threads", [0, -1, 10**6, 1.5, None])
def test_threads_that_no_machine_has(content, threads):
    exported = kpk.TFLiteModel(content)
    with pytest.raises(ValueError, match="num_threads"):
        exported.latency(np.zeros((1, 8, 8, 3)), runs=1, num_threads=threads)
