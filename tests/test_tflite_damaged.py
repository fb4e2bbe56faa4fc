"""Damaged .tflite files: the interpreter may crash on them, the process may not."""

import subprocess
import sys

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

import keras_prune_kit as kpk
from keras_prune_kit.tflite import trial


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


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("import os; os.abort()", "the interpreter crashes on it"),
        ("import time; time.sleep(60)", "does not run within"),
    ],
)
def test_a_file_that_the_interpreter_does_not_come_back_from(
    content, monkeypatch, script, said, tmp_path
):
    monkeypatch.setattr(trial, "_SCRIPT", script)
    monkeypatch.setattr(trial, "_survived", set())
    monkeypatch.setattr(trial, "_WALL_FACTOR", 0.1)
    path = tmp_path / "model.tflite"
    path.write_bytes(content)
    for read in (kpk.TFLiteModel, kpk.sparsity_report, kpk.entropy_bound):
        with pytest.raises(ValueError, match=f"model.tflite.*{said}"):
            read(path)


def test_a_file_is_tried_once(content, monkeypatch):
    monkeypatch.setattr(trial, "_survived", set())
    runs = []

    def run(*words, **options):
        runs.append(words)
        return subprocess.CompletedProcess(words, 0)

    monkeypatch.setattr(trial.subprocess, "run", run)
    for _ in range(2):
        kpk.TFLiteModel(content)
    assert len(runs) == 1


def test_what_the_converter_has_just_made_is_not_tried(monkeypatch):
    import keras

    monkeypatch.setattr(trial.subprocess, "run", None)
    model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(2)])
    assert kpk.export_tflite(model).predict(np.ones((3, 4))).shape == (3, 2)


def test_without_an_interpreter_to_try_it_on(content, monkeypatch):
    monkeypatch.setattr(trial, "_survived", set())
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
