"""The entropy bound: by hand on small tensors, then on files."""

import math

import numpy as np
import pytest

import keras_prune_kit as kpk
from keras_prune_kit.measuring.entropy import _tensor, entropy_bits
from keras_prune_kit.tflite import Constant


def record_of(stored, bits, zero_point=0):
    """The record of a tensor; what deflate makes of it is so much that it is no bound.

    That is tested on files.
    """
    constant = Constant(
        name="weight",
        dtype="any",
        shape=stored.shape,
        stored=stored,
        scale=np.ones(1, np.float32),
        zero_point=np.full(1, zero_point),
        bits=bits,
        position=slice(0, 9999),
    )
    return _tensor(constant, np.random.default_rng(0).bytes(9999))


def dense(K, kernel):
    model = K.Sequential([K.layers.Input(kernel.shape[:1]), K.layers.Dense(128)])
    model.set_weights([kernel, np.zeros(128, "float32")])
    return model


def sparse_kernel(sparsity=0.9, shape=(256, 128)):
    rng = np.random.default_rng(0)
    kernel = rng.normal(size=shape).astype("float32")
    kernel[rng.random(shape) < sparsity] = 0
    return kernel


@pytest.mark.parametrize(
    ("values", "bits"),
    [
        ([], 0),
        ([7, 7, 7], 0),
        ([0, 1], 2),
        ([0, 1, 2, 3], 8),
        ([0, 0, 0, 0, 0, 0, 1, 2], 6 * math.log2(8 / 6) + 2 * 3),
    ],
)
def test_zero_order_entropy(values, bits):
    assert entropy_bits(np.array(values)) == pytest.approx(bits)


def test_small_integers_count_by_level():
    levels = np.array([[0, 0, 0, 0], [0, 0, 5, -5]], np.int8)
    record = record_of(levels, bits=8)
    assert record.bound_bytes == pytest.approx((6 * math.log2(8 / 6) + 2 * 3) / 8)
    assert record.zeros == 6


def test_zeros_are_what_equals_the_zero_point():
    record = record_of(np.array([3, 3, 3, 0], np.int8), 8, zero_point=3)
    assert record.zeros == 3


def test_floats_that_all_differ_stand_as_they_are():
    values = np.array([0, 0, 0, 0.1, 0.2, 0.3], np.float32)
    record = record_of(values, bits=32)
    assert record.bound_bytes == pytest.approx((6 * 1 + 3 * 32) / 8)


def test_clustered_floats_count_by_level_and_pay_for_the_table():
    values = np.tile(np.array([0, 0, 0.5, -0.5], np.float32), 100)
    record = record_of(values, bits=32)
    assert record.bound_bytes == pytest.approx((400 * 1.5 + 2 * 32) / 8)
    assert record.bits_per_value == pytest.approx(1.5 + 64 / 400)


@pytest.mark.parametrize("quantization", ["none", "float16", "dynamic", "int8"])
def test_a_file_adds_up(K, quantization):
    kernel = sparse_kernel()
    samples = np.random.default_rng(1).normal(size=(50, 256)).astype("float32")
    exported = kpk.export_tflite(
        dense(K, kernel),
        quantization=quantization,
        representative_data=samples if quantization == "int8" else None,
    )
    bound = kpk.entropy_bound(exported)
    weight = bound.tensors[0]
    assert weight.shape == (128, 256)
    # Rounding to int8 makes some more zeros.
    assert weight.zeros >= np.count_nonzero(kernel == 0)
    stored = sum(c.position.stop - c.position.start for c in constants(exported))
    assert bound.rest_bytes == len(exported.bytes) - stored
    assert bound.gzip_bytes == exported.gzip_bytes
    assert weight.bound_bytes < weight.deflated_bytes
    assert bound.bound_bytes == pytest.approx(
        sum(t.bound_bytes for t in bound.tensors) + bound.rest_gzip_bytes
    )
    assert 1 < bound.ratio == bound.gzip_bytes / bound.bound_bytes < 2


def test_order_that_deflate_sees_counts(K):
    """Whole rows of zeros: their positions cost next to nothing."""
    kernel = sparse_kernel(0.0)
    kernel[:224] = 0
    kernel = np.sign(kernel)
    weight = kpk.entropy_bound(kpk.export_tflite(dense(K, kernel))).tensors[0]
    assert weight.bound_bytes == weight.deflated_bytes
    assert weight.ratio == 1


@pytest.mark.quick_in("keras")
def test_values_in_sparse_storage_are_those_that_are_stored(K):
    kernel = sparse_kernel()
    dense_file = kpk.export_tflite(dense(K, kernel))
    sparse_file = kpk.export_tflite(dense(K, kernel), sparse_storage=True)
    weight = kpk.entropy_bound(sparse_file).tensors[0]
    assert weight.size == np.count_nonzero(kernel)
    assert weight.zeros == 0
    plain, sparse = map(kpk.entropy_bound, (dense_file, sparse_file))
    assert sparse.rest_bytes > plain.rest_bytes  # the positions of the values


@pytest.mark.quick_in("keras")
def test_path_bytes_and_model_are_the_same(K, tmp_path):
    exported = kpk.export_tflite(dense(K, sparse_kernel()), tmp_path / "m.tflite")
    expected = kpk.entropy_bound(exported)
    assert kpk.entropy_bound(exported.bytes) == expected
    assert kpk.entropy_bound(tmp_path / "m.tflite") == expected


def test_it_prints_as_a_table_and_turns_into_plain_data(K):
    bound = kpk.entropy_bound(kpk.export_tflite(dense(K, sparse_kernel())))
    text = str(bound)
    assert "not weights" in text and f"{bound.ratio:.2f} times" in text
    assert max(map(len, text.splitlines())) <= 80
    data = bound.to_dict()
    assert data["ratio"] == bound.ratio
    assert data["tensors"][0]["shape"] == [128, 256]


def test_what_is_no_tflite_is_refused(K, tmp_path):
    with pytest.raises(TypeError, match="export_tflite first"):
        kpk.entropy_bound(dense(K, sparse_kernel()))
    with pytest.raises(ValueError, match="TFL3"):
        kpk.entropy_bound(b"something else")
    with pytest.raises(FileNotFoundError):
        kpk.entropy_bound(tmp_path / "none.tflite")


def constants(exported):
    return list(kpk.tflite.constants(exported.bytes))


def test_a_bias_is_called_one(K):
    model = dense(K, sparse_kernel())
    model.layers[-1].bias.assign(np.arange(128, dtype="float32"))
    bound = kpk.entropy_bound(kpk.export_tflite(model))
    (bias,) = (tensor for tensor in bound.tensors if tensor.shape == (128,))
    assert f"bias {bias.name} " in str(bound)
