"""Models after Keras' own `model.quantize`: their zeros and their size."""

import keras
import numpy as np
import pytest
from keras import layers as L

import keras_prune_kit as kpk

SPARSITY = 0.6

# Keras says so of each layer that stays as it is.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Layer .* does not have a `quantize`", "ignore:Invalid quantization mode"
)


MODES = {
    "int8": {"mode": "int8"},
    "int4": {"mode": "int4"},  # in groups with an offset
    "int4 per channel": {
        "config": keras.quantizers.Int4QuantizationConfig(block_size=None)
    },
    "float8": {"mode": "float8"},
}


def network():
    """Layers that can be quantized, of odd sizes, and one that cannot."""
    tokens = L.Input((5,), dtype="int32")
    x = L.Embedding(30, 7, name="table")(tokens)
    x = L.Add()([x, L.ReversibleEmbedding(30, 7, name="tied")(tokens)])
    x = L.EinsumDense("abc,cd->abd", (5, 9), bias_axes="d", name="flat")(x)
    x = L.EinsumDense("abc,cde->abde", (5, 3, 3), name="heads")(x)
    x = L.Conv1D(4, 3, name="conv")(L.Reshape((15, 3))(x))
    inner = keras.Sequential([L.Input((52,)), L.Dense(11, name="inner")], name="block")
    return keras.Model(tokens, L.Dense(3, name="top")(inner(L.Flatten()(x))))


def pruned():
    """The network with zeros, and with other weights that 4 bits tell from zero."""
    model = network()
    rng = np.random.default_rng(0)
    for weight in model.trainable_variables:
        if len(weight.shape) > 1:
            size = rng.uniform(0.5, 1, weight.shape) * rng.choice([-1, 1], weight.shape)
            weight.assign(size * (rng.random(weight.shape) > SPARSITY))
    return model


def quantized(model, name):
    model.quantize(**MODES[name])
    return model


@pytest.mark.parametrize("name", MODES)
def test_the_zeros_are_those_of_the_pruned_model(name, tmp_path):
    model = pruned()
    before = kpk.sparsity_report(model)
    assert len(before.weights) == 7
    assert before.sparsity == pytest.approx(SPARSITY, abs=0.05)
    quantized(model, name)
    after = kpk.sparsity_report(model)
    assert after.weights == before.weights
    assert after.skipped == before.skipped
    model.save(tmp_path / "model.keras")
    assert kpk.sparsity_report(tmp_path / "model.keras").weights == before.weights


def test_zeros_stay_where_they_were_by_hand():
    kernel = np.float32([[0, 7, -7], [3, 0, 0], [0, -5, 1]])
    for name in ("int8", "int4", "int4 per channel"):
        model = keras.Sequential([L.Input((3,)), L.Dense(3, use_bias=False)])
        model.layers[0].kernel.assign(kernel)
        quantized(model, name)
        (weight,) = kpk.sparsity_report(model).weights
        assert (weight.shape, weight.zeros) == ((3, 3), 4)
        # A 1 is more than half of each step, so that nothing else became zero.
        output = model.predict(np.eye(3, dtype="float32"), verbose=0)
        np.testing.assert_array_equal(output == 0, kernel == 0)


@pytest.mark.parametrize("name", MODES)
def test_the_size_is_that_of_the_saved_weights(name, tmp_path):
    model = quantized(pruned(), name)
    model.save_weights(tmp_path / "model.weights.h5")
    expected = kpk.gzip_bytes(tmp_path / "model.weights.h5")
    assert kpk.gzip_bytes(model) == pytest.approx(expected, rel=0.03)


@pytest.mark.parametrize("layer", [L.Dense(5), L.EinsumDense("ab,bc->ac", (5,))])
def test_a_calibrated_kernel_counts_from_its_offset(layer):
    """As GPTQ leaves it: outputs first, two weights a byte, a zero point a group."""
    model = keras.Sequential([L.Input((8,)), layer])
    config = keras.quantizers.GPTQConfig(dataset=["a"], tokenizer=str, group_size=4)
    layer.quantize("gptq", config=config)
    levels = np.random.default_rng(0).integers(0, 16, (5, 8))
    zeros = np.array([[3, 9]] * 5)
    levels[:, 2] = 3
    levels[:, 6] = 9
    packed = keras.quantizers.pack_int4(levels.astype("uint8"), axis=0, dtype="uint8")
    layer.quantized_kernel.assign(packed[0])
    layer.kernel_zero.assign(zeros)
    layer.g_idx.assign(np.repeat([0.0, 1.0], 4))
    layer.is_gptq_calibrated = True
    (weight,) = kpk.sparsity_report(model).weights
    assert weight.shape == (8, 5)
    assert weight.zeros == np.sum(levels == np.repeat(zeros, 4, axis=1)) >= 10


def test_what_is_quantized_is_not_pruned_and_the_plan_says_so():
    model = quantized(pruned(), "int8")
    plan = kpk.PrunePolicy(0.5).plan(model)
    assert [weight.path for weight in plan.weights] == ["conv/kernel"]
    assert "its kernel is quantized (int8); prune it first" in str(plan)
