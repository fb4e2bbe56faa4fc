"""Multiplications: of a model by its trace, of a file by its operators, and by hand."""

import models
import numpy as np
import pytest

import keras_prune_kit as kpk
from keras_prune_kit.channels import macs_of
from keras_prune_kit.tflite import macs


def convolutional(K):
    layers = K.layers
    return [
        layers.Conv2D(6, 3, padding="same"),
        layers.DepthwiseConv2D(3, 2, padding="same"),
        layers.SeparableConv2D(4, 3),
        layers.Flatten(),
        layers.Dense(5),
    ]


CASES = {
    # Positions times kernel: 8x8 of 3x3x2x6, 4x4 of 3x3x6, 2x2 of 3x3x6 and 6x4.
    "convolutions": (
        (8, 8, 2),
        convolutional,
        64 * 108 + 16 * 54 + 4 * (54 + 24) + 16 * 5,
    ),
    "transposed": (
        (4, 4, 3),
        lambda K: [K.layers.Conv2DTranspose(5, 2, 2)],
        16 * 2 * 2 * 3 * 5,
    ),
    "dense at each step": ((7, 4), lambda K: [K.layers.Dense(3)], 7 * 12),
    "einsum": (
        (7, 4),
        lambda K: [K.layers.EinsumDense("abc,cd->abd", (None, 6), bias_axes="d")],
        7 * 24,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_model_and_file_have_as_many_as_by_hand(K, name):
    shape, layers, expected = CASES[name]
    model = K.Sequential([K.layers.Input(shape), *layers(K)])
    assert macs_of(model) == expected
    assert macs(kpk.export_tflite(model).bytes) == expected


def test_attention_counts_its_products(K):
    x = inputs = K.layers.Input((5, 6))
    outputs = K.layers.MultiHeadAttention(2, 3)(x, x)
    model = K.Model(inputs, outputs)
    projections = 3 * 5 * 6 * 2 * 3 + 5 * 2 * 3 * 6
    products = 2 * 5 * 5 * 2 * 3
    assert macs_of(model) == projections + products
    assert macs(kpk.export_tflite(model).bytes) == projections + products


def test_recurrent_layers_count_each_step(K):
    model = K.Sequential([K.layers.Input((7, 4)), K.layers.LSTM(5)])
    assert macs_of(model) == 7 * 4 * (4 * 5 + 5 * 5)


def test_a_model_without_a_graph_has_no_number(K):
    model = models.subclassed(K)
    assert macs_of(model) is None
    compared = kpk.compare({"a": model}, np.zeros((2, 8), "float32"), np.zeros(2))
    assert compared.measurements[0].macs is None
    assert "MACs" not in "\n".join(compared.notes)
