"""Weights of few bits without training, in the model, in files and in training."""

import importlib.util

import keras
import numpy as np
import pytest
import tf_keras
from random_values import random, randomize

import keras_prune_kit as kpk
from keras_prune_kit.quantization.int8_kernels import _STAGES
from keras_prune_kit.reconstruction import rounded_after_pruning
from keras_prune_kit.reconstruction.grids import _ONE_STEP
from keras_prune_kit.tflite import constants

has_int4 = importlib.util.find_spec("litert_quantizer") is not None


def pictures(K):
    """Kernels with and without a normalization, an activation or a bias."""
    L = K.layers
    inputs = L.Input((8, 8, 3))
    x = L.Conv2D(8, 3, use_bias=False, name="normalized")(inputs)
    x = L.ReLU()(L.BatchNormalization(name="norm_of_normalized")(x))
    x = L.Conv2D(6, 2, activation="relu", padding="same", name="plain")(x)
    x = L.SeparableConv2D(8, 3, activation="relu", name="separable")(x)
    x = L.Flatten()(x)
    x = L.Dense(12, name="wide")(x)
    x = L.ReLU()(L.BatchNormalization(scale=False, name="norm_of_wide")(x))
    x = L.Dense(10, activation="relu", use_bias=False, name="middle")(x)
    return randomize(K.Model(inputs, L.Dense(4, name="top")(x)))


def sequences(K):
    L = K.layers
    inputs = L.Input((8, 6))
    x = L.Conv1D(8, 3, activation="relu", name="conv")(inputs)
    x = L.EinsumDense("abc,cde->abde", (6, 3, 2), bias_axes="de", name="einsum")(x)
    x = L.Flatten()(x)
    return randomize(K.Model(inputs, L.Dense(4, name="top")(x)))


MODELS = {"pictures": (pictures, (8, 8, 3)), "sequences": (sequences, (8, 6))}


def rounded(build, shape, bits, K=keras, sparsity=0.3, **options):
    dense, x = build(K), random(200, *shape, seed=9)
    return kpk.prune_at_once(dense, sparsity, data=x, weight_bits=bits, **options), x


def kernels_of(model):
    """Each rounded kernel with its outputs last, once its normalization is folded."""
    names = {layer.name: layer for layer in model.layers}
    found = {}
    for layer in model.layers:
        kernel = getattr(layer, "pointwise_kernel", getattr(layer, "kernel", None))
        if kernel is None:
            continue
        # The output axes of an EinsumDense are all after the first.
        inputs = 1 if layer.name == "einsum" else len(kernel.shape) - 1
        flat = np.asarray(kernel).reshape(*kernel.shape[:inputs], -1)
        norm = names.get(f"norm_of_{layer.name}")
        if norm is not None:
            gamma = np.asarray(norm.gamma) if norm.scale else 1.0
            flat = flat * gamma / np.sqrt(np.asarray(norm.moving_variance) + 1e-3)
        found[layer.name] = flat.reshape(-1, flat.shape[-1]).astype(np.float64)
    return found


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("bits", [3, 8])
@pytest.mark.parametrize("for_quantize_aware", [False, True])
def test_kernels_have_few_values(name, bits, for_quantize_aware, K):
    model, _ = rounded(*MODELS[name], bits, K, for_quantize_aware=for_quantize_aware)
    levels = 2 ** (bits - 1) - 1
    for path, kernel in kernels_of(model).items():
        step = np.abs(kernel).max(0) / levels
        if for_quantize_aware and path in ("wide", "middle", "top", "einsum"):
            # TFMOT rounds kernels of Keras 2 before it folds normalizations.
            if path == "wide" and K is not keras:
                continue
            step[:] = step.max()
        multiples = kernel / np.where(step > 0, step, 1)
        np.testing.assert_allclose(multiples, np.rint(multiples), atol=1e-4)


def in_file(content, values):
    """The values of the weight in the file that comes closest, sorted.

    Channels have another order there, which compresses better.
    """
    sizes = [c for c in constants(content) if c.is_weight and c.size == values.size]
    sorted_ones = [np.sort(np.broadcast_to(c.values, c.shape).ravel()) for c in sizes]
    return min(sorted_ones, key=lambda found: np.abs(found - values).max())


FILES = {"int8": 8, "int4": 4}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("quantization", FILES)
@pytest.mark.parametrize("bits", ["own", 2])
def test_files_have_the_rounded_weights(name, quantization, bits, K):
    if quantization == "int4" and not has_int4:
        pytest.skip("litert-quantizer is not installed")
    bits = FILES[quantization] if bits == "own" else bits
    model, x = rounded(*MODELS[name], bits, K)
    content = kpk.export_tflite(
        model, quantization=quantization, representative_data=x[:50]
    ).bytes
    for kernel in kernels_of(model).values():
        values = np.sort(kernel.ravel())
        np.testing.assert_allclose(
            in_file(content, values), values, rtol=0, atol=1e-6 * np.abs(values).max()
        )


def assert_training_begins_with(model, weight_bits, x):
    """The weights and outputs of quantization-aware training are a model's at first."""
    quantized = kpk.quantize_aware(model, weight_bits=weight_bits).model
    stripped = kpk.strip_quantization(quantized)
    for layer in model.layers:
        for one, other in zip(
            layer.get_weights(),
            stripped.get_layer(layer.name).get_weights(),
            strict=True,
        ):
            np.testing.assert_allclose(
                other, one, rtol=0, atol=1e-6 * max(1e-9, np.abs(one).max())
            )
    wanted = model(x).numpy()
    # Ranges of activations come with training, and round nothing before it.
    np.testing.assert_allclose(
        quantized(x).numpy(), wanted, rtol=0, atol=1e-4 * np.abs(wanted).max()
    )


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("bits", [2, 3, 4, 5, 8])
def test_training_begins_with_the_rounded_weights(name, bits):
    model, x = rounded(*MODELS[name], bits, for_quantize_aware=True)
    if name == "pictures":  # The depthwise kernel is not solved, and not rounded.
        depthwise = model.get_layer("separable").depthwise_kernel
        depthwise.assign(np.sign(depthwise) * (1 - 0.5 ** (bits - 1)))
    assert_training_begins_with(model, bits, x)


def test_what_is_zero_by_rounding_alone_is_not_pruned():
    build, shape = MODELS["pictures"]
    model, x = build(keras), random(64, *shape)
    pruned = kpk.prune_at_once(model, 0.5, data=x)
    begun = rounded_after_pruning(pruned, model, data=x, weight_bits=2)
    plain = kpk.reconstruct(pruned, model, data=x, weight_bits=2)
    zeros = kpk.sparsity_report(begun).sparsity
    assert zeros == pytest.approx(0.5, abs=1e-3)
    assert kpk.sparsity_report(pruned).sparsity > 0.52, plain
    stripped = kpk.strip_quantization(kpk.quantize_aware(begun, weight_bits=2).model)
    for layer in begun.layers:
        if layer.name != "separable":  # Its depthwise kernel is not rounded.
            one = layer.get_weights()
            for array, other in zip(
                one, stripped.get_layer(layer.name).get_weights(), strict=True
            ):
                largest = np.abs(array).max()
                np.testing.assert_allclose(other, array, rtol=0, atol=2e-6 * largest)


def test_tfmot_trains_from_the_rounded_weights():
    model, x = rounded(pictures, (8, 8, 3), 8, tf_keras, for_quantize_aware=True)
    quantized = kpk.quantize_aware(model).model
    quantized(x[:8], training=True)  # TFMOT's ranges come with the first step.
    stripped = kpk.strip_quantization(quantized)
    for name in ("normalized", "plain", "wide", "middle", "top"):
        np.testing.assert_array_equal(
            stripped.get_layer(name).get_weights()[0],
            model.get_layer(name).get_weights()[0],
        )


def test_layers_of_one_step_are_those_of_training():
    found = {
        kind.__name__
        for kind, stages in _STAGES.items()
        if not stages[-1].is_per_channel
    }
    assert found == {*_ONE_STEP}


def difference(model, other, x):
    given, wanted = np.asarray(model(x)), np.asarray(other(x))
    return float(np.square(given - wanted).mean() / wanted.var())


@pytest.mark.parametrize("bits", [2, 4])
def test_outputs_are_closer_than_those_of_the_nearest(bits, K):
    dense = pictures(K)
    model, x = rounded(pictures, (8, 8, 3), bits, K, sparsity=0.0)
    nearest = pictures(K)
    for layer in nearest.layers:
        name = "pointwise_kernel" if layer.name == "separable" else "kernel"
        if hasattr(layer, name):
            kernel = np.asarray(getattr(layer, name))
            axes = tuple(range(kernel.ndim - 1))
            step = np.abs(kernel).max(axes) / (2 ** (bits - 1) - 1)
            getattr(layer, name).assign(np.round(kernel / step) * step)
    fresh = random(300, 8, 8, 3, seed=5)
    assert difference(model, dense, fresh) < 0.5 * difference(nearest, dense, fresh)


def test_zeros_stay_and_the_report_says_the_bits(K):
    dense, x = pictures(K), random(200, 8, 8, 3)
    pruned = kpk.prune_at_once(dense, 0.5, data=x)
    zeros = {name: kernel == 0 for name, kernel in kernels_of(pruned).items()}
    report = kpk.reconstruct(pruned, dense, data=x, weight_bits=3)
    for name, kernel in kernels_of(pruned).items():
        assert (kernel[zeros[name]] == 0).all()
    assert len(report.weights) == 6
    for weight in report.weights:
        assert weight.weight_bits == 3
        assert 0 < weight.error_after < 0.5
    assert "bits" in str(report)
    assert "bits" not in str(kpk.reconstruct(pruned, dense, data=x))
    assert report.to_dict()["weights"][0]["weight_bits"] == 3


def test_what_cannot_be_solved_stays_float(K):
    inputs = K.layers.Input((6,), dtype="int32")
    hidden = K.layers.Embedding(9, 4)(inputs)
    hidden = K.layers.GlobalAveragePooling1D()(hidden)
    model = randomize(K.Model(inputs, K.layers.Dense(3)(hidden)))
    x = np.random.default_rng(0).integers(0, 9, (50, 6))
    rounded_model = kpk.prune_at_once(model, 0.0, data=x, weight_bits=2)
    pairs = zip(model.get_weights(), rounded_model.get_weights(), strict=True)
    table, *of_dense = [np.array_equal(*pair) for pair in pairs]
    assert table and not any(of_dense)


def test_layers_that_do_not_train_are_rounded_too(K):
    dense, model, x = pictures(K), pictures(K), random(100, 8, 8, 3)
    model.trainable = False
    kpk.reconstruct(model, dense, data=x, weight_bits=2)
    assert np.unique(np.asarray(model.get_layer("plain").kernel)[..., 0]).size == 3


def test_a_kernel_above_the_memory_limit_is_rounded_to_the_nearest(K):
    dense, pruned = pictures(K), pictures(K)
    x = random(100, 8, 8, 3)
    report = kpk.reconstruct(pruned, dense, data=x, memory_bytes=50_000, weight_bits=3)
    (wide,) = [weight for weight in report.weights if weight.path == "wide/kernel"]
    assert "rounded to the nearest values; the bias alone makes up" in wide.note
    kernel = kernels_of(pruned)["wide"]
    multiples = kernel / (np.abs(kernel).max(0) / 3)
    np.testing.assert_allclose(multiples, np.rint(multiples), atol=1e-4)


@pytest.mark.parametrize("bits", [1, 7, 9, 3.0, "3", True])
def test_bad_bits(bits, K):
    dense, pruned, x = pictures(K), pictures(K), random(20, 8, 8, 3)
    before = pruned.get_weights()
    with pytest.raises(ValueError, match="weight_bits is one of"):
        kpk.reconstruct(pruned, dense, data=x, weight_bits=bits)
    with pytest.raises(ValueError, match="weight_bits is one of"):
        kpk.prune_at_once(dense, 0.5, data=x, weight_bits=bits)
    for one, other in zip(before, pruned.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_steps_for_training_need_bits(K):
    dense, x = pictures(K), random(20, 8, 8, 3)
    with pytest.raises(ValueError, match="it needs weight_bits"):
        kpk.prune_at_once(dense, 0.5, data=x, for_quantize_aware=True)
    with pytest.raises(TypeError, match="for_quantize_aware is True or False"):
        kpk.prune_at_once(dense, 0.5, data=x, weight_bits=3, for_quantize_aware=1)
