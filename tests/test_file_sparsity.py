"""The zeros of a .tflite file are those of its model, whatever else is stored there."""

import numpy as np
import pytest

import keras_prune_kit as kpk
from keras_prune_kit.tflite.constants import constants
from keras_prune_kit.tflite.shrinking.packing import pack, unpack

SHAPE = (12, 12, 3)


@pytest.fixture
def data():
    return np.random.default_rng(0).normal(size=(64, *SHAPE)).astype("float32")


def with_normalizations(K):
    """Normalizations that no kernel absorbs, without a zero in their constants."""
    layers = K.layers
    inputs = layers.Input(SHAPE)
    x = layers.Conv2D(16, 3, activation="relu")(inputs)
    x = layers.BatchNormalization()(x)
    x = layers.Conv2D(24, 1)(layers.DepthwiseConv2D(3)(x))
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.LayerNormalization()(layers.Reshape((64, 24))(x))
    x = layers.PReLU(shared_axes=[1])(layers.Dense(20)(x))
    x = layers.LayerNormalization()(x)
    x = layers.BatchNormalization()(layers.GlobalAveragePooling1D()(x))
    return pruned(K.Model(inputs, layers.Dense(1, name="head")(layers.Dense(30)(x))))


def with_shifts_of_several_dimensions(K):
    """Biases of heads, by an attention and by a sum over axes, and slopes by place."""
    layers = K.layers
    inputs = layers.Input(SHAPE)
    x = layers.PReLU()(layers.Conv2D(8, 3)(inputs))
    x = layers.Reshape((100, 8))(x)
    x = layers.MultiHeadAttention(2, 6)(x, x)
    by_head = {"output_shape": (3, None, 5), "bias_axes": "de", "name": "heads"}
    x = layers.EinsumDense("abc,cde->adbe", **by_head)(x)
    x = layers.GlobalAveragePooling2D(data_format="channels_first")(x)
    return pruned(K.Model(inputs, layers.Dense(1, name="head")(x)))


def pruned(model):
    """A model without a zero but those of its masks."""
    # Far from zero, so that int8 rounds none of them to zero.
    rng = np.random.default_rng(1)
    model.set_weights([0.5 + rng.random(w.shape) for w in model.get_weights()])
    # The exporter clears what only zeros of the last layers would read.
    rules = [kpk.Rule("heads?", None)]
    with kpk.Pruner(model, kpk.PrunePolicy(kpk.ConstantSparsity(0.75), rules)):
        pass
    return model


@pytest.mark.each_value
@pytest.mark.parametrize("quantization", ["none", "float16", "dynamic", "int8"])
@pytest.mark.parametrize(
    "build", [with_normalizations, with_shifts_of_several_dimensions]
)
def test_a_file_is_as_sparse_as_its_model(K, data, build, quantization):
    model = build(K)
    samples = data if quantization == "int8" else None
    file = kpk.export_tflite(
        model, quantization=quantization, representative_data=samples
    )
    of_model, of_file = kpk.sparsity_report(model), file.sparsity_report()
    assert of_file.sparsity == pytest.approx(of_model.sparsity, abs=1e-3)
    assert of_file.size == of_model.size
    assert sizes(of_file) == sizes(of_model)


def sizes(report):
    return sorted(weight.size for weight in report.weights)


@pytest.mark.parametrize("layer", ["GRU", "SimpleRNN"])
def test_the_state_that_a_loop_begins_with_is_no_weight(K, layer):
    recurrent = getattr(K.layers, layer)(5)
    model = K.Sequential([K.layers.Input((6, 4)), recurrent, K.layers.Dense(2)])
    of_file = kpk.export_tflite(model).sparsity_report()
    assert sizes(of_file) == sizes(kpk.sparsity_report(model))


def test_outputs_of_unknown_rank_are_no_obstacle(K):
    file = kpk.export_tflite(K.Sequential([K.layers.Input((4,)), K.layers.Dense(2)]))
    model = unpack(file.bytes)
    for tensor in model.subgraphs[0].tensors:
        if model.buffers[tensor.buffer].data is None:
            tensor.shape = None
    weights = [item.size for item in constants(pack(model)) if item.is_weight]
    assert weights == [8]


def test_tables_that_are_added_stay_weights(K):
    class Positions(K.layers.Layer):
        def build(self, shape):
            self.table = self.add_weight(shape=tuple(shape[1:]), name="table")

        def call(self, inputs):
            return inputs + self.table

    model = K.Sequential([K.layers.Input((6, 4)), Positions(), K.layers.Dense(2)])
    assert sizes(kpk.export_tflite(model).sparsity_report()) == [4 * 2, 6 * 4]
