"""Files without what no interpreter computes with: the same outputs, fewer bytes."""

import models
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

import keras_prune_kit as kpk
from keras_prune_kit.tflite import stripping


@pytest.fixture
def as_converted(monkeypatch):
    """Exports the file as the converter gives it."""

    def export(model, **options):
        with monkeypatch.context() as patch:
            patch.setattr(stripping, "strip", lambda content: content)
            return kpk.export_tflite(model, **options)

    return export


def samples(count, *shape):
    return np.random.default_rng(0).random((count, *shape), "float32")


def convnet(K):
    return K.Sequential(
        [
            K.layers.Input((8, 8, 2)),
            K.layers.Conv2D(8, 3, activation="relu"),
            K.layers.DepthwiseConv2D(3),
            K.layers.Flatten(),
            K.layers.Dense(12, activation="relu", name="hidden"),
            K.layers.Dense(3, activation="softmax"),
        ]
    )


def recurrent(K):
    return K.Sequential(
        [K.layers.Input((6, 4)), K.layers.LSTM(8), K.layers.Dense(2, name="top")]
    )


def tensors(exported):
    model = schema.ModelT.InitFromPackedBuf(exported.bytes)
    return [tensor for graph in model.subgraphs for tensor in graph.tensors]


def report(exported):
    return [(w.path, w.shape, w.zeros) for w in exported.sparsity_report().weights]


@pytest.mark.parametrize(
    "quantization", ["none", "float16", "dynamic", "int8", "int16x8"]
)
def test_it_computes_bit_for_bit_the_same(K, as_converted, quantization):
    model, x = convnet(K), samples(20, 8, 8, 2)
    options = {"quantization": quantization}
    if quantization.startswith("int"):
        options["representative_data"] = x
    whole, stripped = (
        as_converted(model, **options),
        kpk.export_tflite(model, **options),
    )
    np.testing.assert_array_equal(stripped.predict(x), whole.predict(x))
    assert report(stripped) == report(whole)
    assert stripped.gzip_bytes < whole.gzip_bytes - 200
    assert stripped.inputs == whole.inputs
    assert stripped.outputs == whole.outputs


def test_loops_and_states_stay(K, as_converted):
    model, x = recurrent(K), samples(5, 6, 4)
    whole, stripped = as_converted(model), kpk.export_tflite(model)
    np.testing.assert_array_equal(stripped.predict(x), whole.predict(x))
    assert len(stripped.bytes) < len(whole.bytes)


def test_inputs_are_still_told_apart_by_name(K, as_converted):
    model = models.two_in_two_out(K)
    x = {"left": samples(5, 8), "right": samples(5, 4)}
    whole, stripped = as_converted(model), kpk.export_tflite(model)
    for before, after in zip(whole.predict(x), stripped.predict(x), strict=True):
        np.testing.assert_array_equal(before, after)
    runner_names = [item.name for item in stripped.inputs + stripped.outputs]
    assert runner_names == ["left", "right", "kind", "place"]


def test_sparse_storage_keeps_its_positions(K, as_converted):
    model, x = convnet(K), samples(5, 8, 8, 2)
    for weight in model.weights:
        weight.assign(np.where(samples(1, *weight.shape)[0] < 0.8, 0, weight.numpy()))
    whole = as_converted(model, sparse_storage=True)
    stripped = kpk.export_tflite(model, sparse_storage=True)
    np.testing.assert_array_equal(stripped.predict(x), whole.predict(x))
    assert report(stripped) == report(whole)


def test_weights_inputs_and_outputs_alone_have_names(K):
    exported = kpk.export_tflite(convnet(K))
    names = {tensor.name.decode() for tensor in tensors(exported) if tensor.name}
    of_weights = {constant.name for constant in kpk.tflite.constants(exported.bytes)}
    assert names == of_weights | {exported.inputs[0].name, exported.outputs[0].name}
    assert any("hidden" in name for name in of_weights)


def test_weights_start_where_the_schema_says(K):
    exported = kpk.export_tflite(convnet(K))
    starts = [c.position.start for c in kpk.tflite.constants(exported.bytes)]
    assert len(starts) >= 5 and all(start % 16 == 0 for start in starts)


def test_stripping_once_more_changes_nothing(K):
    content = kpk.export_tflite(convnet(K)).bytes
    assert stripping.strip(content) == content


def test_files_without_any_name_can_be_read(K):
    model = schema.ModelT.InitFromPackedBuf(kpk.export_tflite(convnet(K)).bytes)
    for tensor in model.subgraphs[0].tensors:
        tensor.name = None
    nameless = kpk.TFLiteModel(stripping.pack(model))
    assert {weight.path for weight in nameless.sparsity_report().weights} == {""}
    assert "not weights" in str(kpk.entropy_bound(nameless))
