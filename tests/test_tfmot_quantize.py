"""Quantization-aware training and clustering through TFMOT."""

import re

import models
import numpy as np
import pytest
import tf_keras as K

import keras_prune_kit as kpk


def kind(name):
    """A layer's name without the number that Keras counts through a process."""
    return re.sub(r"_\d+$", "", name)


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 4, 128)
    x = rng.normal(size=(128, 10, 10, 1)).astype("float32")
    x[np.arange(128), y, y] += 6
    return x, y


@pytest.fixture(scope="module")
def pruned(images):
    """A trained CNN with normalizations, its kernels pruned to 80 %."""
    K.utils.set_random_seed(1)
    model = K.Sequential(
        [
            K.layers.Input((10, 10, 1)),
            K.layers.Conv2D(8, 3, use_bias=False, name="first"),
            K.layers.BatchNormalization(),
            K.layers.ReLU(),
            K.layers.Conv2D(8, 3, activation="relu", name="second"),
            K.layers.BatchNormalization(),
            K.layers.MaxPooling2D(),
            K.layers.Flatten(),
            K.layers.Dense(4, activation="softmax", name="classifier"),
        ]
    )
    model.compile(
        K.optimizers.Adam(1e-2), "sparse_categorical_crossentropy", ["accuracy"]
    )
    model.fit(
        *images,
        epochs=4,
        batch_size=16,
        verbose=0,
        callbacks=[kpk.PruningCallback(0.8)],
    )
    return model


def kernels(model):
    return [weight for weight in model.get_weights() if weight.ndim in (2, 4)]


def in_file(exported):
    """The kernels of an int8 file, by their Keras shape's size."""
    return {item.shape: item.zeros for item in exported.sparsity_report().weights}


def export(model, images):
    return kpk.export_tflite(
        model, quantization="int8", representative_data=images[0][:50]
    )


def test_qat_trains_and_reports(pruned, images):
    before = pruned.get_weights()
    quantized, report = kpk.tfmot.quantize_aware(pruned)
    assert [kind(name) for name, _ in report.layers][:3] == [
        "first",
        "batch_normalization",
        "re_lu",
    ]
    # Not folded into the layer before it, whose activation comes in between.
    assert [kind(item.path) for item in report.skipped] == ["batch_normalization"]
    assert "BatchNormalization" in str(report)
    quantized.fit(*images, epochs=2, batch_size=16, verbose=0)
    assert quantized.evaluate(*images, verbose=0)[1] > 0.8
    for old, new in zip(before, pruned.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize("preserve", ["sparsity", "both"])
def test_every_pruned_zero_is_zero_in_the_file(pruned, images, preserve):
    model = pruned
    if preserve == "both":
        clustered = kpk.tfmot.cluster(pruned, 8).model
        clustered.fit(*images, batch_size=16, verbose=0)
        model = kpk.tfmot.strip(clustered)
    zeros = [int((kernel == 0).sum()) for kernel in kernels(model)]
    assert sum(zeros) >= 0.8 * sum(kernel.size for kernel in kernels(model)) - 2
    quantized = kpk.tfmot.quantize_aware(model, preserve).model
    quantized.fit(*images, epochs=3, batch_size=16, verbose=0)
    found = in_file(export(quantized, images))
    shapes = [(8, 3, 3, 1), (8, 3, 3, 8), (4, 72)]
    for shape, expected in zip(shapes, zeros, strict=True):
        assert found[shape] >= expected, shape


def test_without_preserving_the_zeros_are_lost(pruned, images):
    quantized = kpk.tfmot.quantize_aware(pruned).model
    quantized.fit(*images, epochs=3, batch_size=16, verbose=0)
    assert in_file(export(quantized, images))[(8, 3, 3, 8)] < 0.5 * 576


def test_clusters_survive_training_strip_and_quantization(pruned, images):
    clustered, report = kpk.tfmot.cluster(pruned, 8)
    done = [name for name, _ in report.layers]
    assert done == ["first", "second", "classifier"]
    assert len(report.skipped) == 2
    clustered.fit(*images, batch_size=16, verbose=0)
    stripped = kpk.tfmot.strip(clustered)
    for kernel in kernels(stripped):
        assert len(np.unique(kernel)) <= 8
    quantized = kpk.tfmot.quantize_aware(stripped, "clusters").model
    quantized.fit(*images, batch_size=16, verbose=0)
    assert quantized.evaluate(*images, verbose=0)[1] > 0.5


def test_nested_models_are_clustered_and_left_float():
    model = models.nested(K)
    model.compile("sgd", "mse")
    clustered, report = kpk.tfmot.cluster(model, 4)
    assert [name for name, _ in report.layers] == ["encoder/inside", "outside"]
    x = np.ones((8, 8), "float32")
    clustered.fit(x, np.zeros((8, 3)), verbose=0)
    stripped = kpk.tfmot.strip(clustered)
    assert [len(np.unique(kernel)) for kernel in kernels(stripped)] == [4, 4]
    _, report = kpk.tfmot.quantize_aware(model)
    assert [item.path for item in report.skipped] == ["encoder"]
    assert "float" in report.skipped[0].reason


def test_unknown_layers_stay_float():
    model = K.Sequential(
        [
            K.layers.Input((8,)),
            K.layers.Rescaling(0.5),
            K.layers.Lambda(lambda x: 2 * x),
            K.layers.Dense(3),
        ]
    )
    quantized, report = kpk.tfmot.quantize_aware(model)
    assert [kind(item.path) for item in report.skipped] == ["rescaling", "lambda"]
    x = np.random.default_rng(0).normal(size=(32, 8)).astype("float32")
    quantized.compile("sgd", "mse")
    quantized.fit(x, np.zeros((32, 3)), verbose=0)
    kpk.export_tflite(quantized, quantization="int8", representative_data=x)


def test_bad_arguments(pruned):
    with pytest.raises(ValueError, match="preserve is one of.*'zeros'"):
        kpk.tfmot.quantize_aware(pruned, "zeros")
    with pytest.raises(ValueError, match="at least 2. Received: clusters=1"):
        kpk.tfmot.cluster(pruned, 1)
    lonely = K.Sequential([K.layers.Input((8,)), models.nested(K)])
    with pytest.raises(ValueError, match="can quantize no layer"):
        kpk.tfmot.quantize_aware(lonely)
