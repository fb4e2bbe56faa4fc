"""What is masked must not take the range of the scores, however it is masked."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_prune_kit as kpk
from keras_prune_kit.tflite.masking import bounding, finding

# Largest error of a probability. In int8 each operator before the softmax rounds once
# more: 0.013 behind one of them, 0.023 behind three, 0.038 behind two masks.
CALIBRATED = {"int8": 0.04, "int16x8": 0.01}
rng = np.random.default_rng(0)
SCORES = rng.uniform(-3, 3, (100, 8)).astype("float32")
KEPT = (rng.random((100, 8)) > 0.3).astype("float32")
KEPT[:, 0] = 1
KEPT[:60] = 1  # These samples have nothing masked.
SEQUENCES = rng.normal(size=(100, 6, 8)).astype("float32")
IDS = rng.integers(1, 20, (100, 6)).astype("int32")
IDS[np.arange(6) >= rng.integers(2, 7, 100)[:, None]] = 0


def exported(model, x, quantization):
    return kpk.export_tflite(model, quantization=quantization, representative_data=x)


def largest_error(model, x, quantization, samples=None):
    file = exported(model, x if samples is None else samples, quantization)
    return np.abs(file.predict(x) - model.predict(x, verbose=0)).max()


def masked(K, softmax):
    """A model of scores and of what is kept, and data for it."""
    scores, kept = K.Input((8,), name="scores"), K.Input((8,), name="kept")
    return K.Model([scores, kept], softmax(scores, kept)), [SCORES, KEPT]


def where(K):
    return keras.ops.where if K is keras else tf.where


def softmax_of(K):
    return keras.ops.softmax if K is keras else tf.nn.softmax


FORMS = {
    "layer": lambda K: lambda s, k: K.layers.Softmax()(s, k),
    "added": lambda K: lambda s, k: softmax_of(K)(s + (1 - k) * -1e9),
    "added, less": lambda K: lambda s, k: softmax_of(K)(s + (1 - k) * -1e4),
    "added, little": lambda K: lambda s, k: softmax_of(K)(s + (1 - k) * -100),
    "taken off": lambda K: lambda s, k: softmax_of(K)(s - 1e9 * (1 - k)),
    "difference": lambda K: lambda s, k: softmax_of(K)(s + (k - 1) * 1e9),
    "scaled": lambda K: lambda s, k: softmax_of(K)((s + (1 - k) * -1e9) / 2),
    "chosen": lambda K: lambda s, k: softmax_of(K)(where(K)(k > 0, s, -1e9)),
    "infinite": lambda K: lambda s, k: softmax_of(K)(where(K)(k > 0, s, -np.inf)),
    "two masks": lambda K: (
        lambda s, k: softmax_of(K)((s + (1 - k) * -1e4) + (1 - k) * -1e9)
    ),
}


@pytest.mark.each_value
@pytest.mark.parametrize("quantization", CALIBRATED)
@pytest.mark.parametrize("form", FORMS)
def test_a_masked_softmax(K, form, quantization):
    model, x = masked(K, FORMS[form](K))
    assert largest_error(model, x, quantization) < CALIBRATED[quantization]


@pytest.mark.parametrize("quantization", CALIBRATED)
@pytest.mark.parametrize("form", ["layer", "added"])
def test_samples_that_have_nothing_masked(K, form, quantization):
    model, x = masked(K, FORMS[form](K))
    file = exported(model, [array[:60] for array in x], quantization)
    assert file.predict(x)[KEPT == 0].max() < 1 / 256


def test_rows_that_are_masked_as_a_whole(K):
    """Keras gives all keys the same probability, as the scores are lost in -1e9."""
    model, (scores, kept) = masked(K, FORMS["added"](K))
    kept = np.concatenate([kept[:-5], np.zeros((5, 8), "float32")])
    for quantization, error in CALIBRATED.items():
        assert largest_error(model, [scores, kept], quantization) < error


def attention(K, kind):
    """A model with attention of some kind, and data for it."""
    layers = K.layers
    if kind.endswith("causal"):
        inputs = K.Input((6, 8))
        hidden = inputs
    else:
        inputs = K.Input((6,), dtype="int32")
        wide = K.initializers.RandomNormal()
        hidden = layers.Embedding(20, 8, wide, mask_zero=True)(inputs)
    causal = {"use_causal_mask": True} if kind.endswith("causal") else {}
    if kind.startswith("attention"):
        outputs = layers.Attention()([hidden, hidden], **causal)
    elif kind == "additive":
        outputs = layers.AdditiveAttention()([hidden, hidden])
    elif kind == "grouped, causal":
        outputs = layers.GroupQueryAttention(4, 4, 2)(hidden, hidden, **causal)
    else:
        outputs = layers.MultiHeadAttention(2, 4)(hidden, hidden, **causal)
        if kind == "twice":
            outputs = layers.MultiHeadAttention(2, 4)(hidden, outputs)
    return K.Model(inputs, outputs), SEQUENCES if causal else IDS


ATTENTION = ["padding", "causal", "twice", "attention", "attention, causal", "additive"]


@pytest.mark.each_value
@pytest.mark.parametrize("kind", ATTENTION)
def test_masked_attention(K, kind):
    """The error is that of any attention in int8: 2 % of the largest value, at 99 %."""
    model, x = attention(K, kind)
    expected = model.predict(x, verbose=0)
    errors = np.abs(exported(model, x, "int8").predict(x) - expected)
    assert np.quantile(errors, 0.99) < 0.02 * np.abs(expected).max()


def test_grouped_attention():
    test_masked_attention(keras, "grouped, causal")


def test_a_masked_maximum(K):
    scores, kept = K.Input((6, 8)), K.Input((6, 1))
    highest = keras.ops.max if K is keras else tf.reduce_max
    pooled = highest(scores + (1 - kept) * -1e9, axis=1)
    model = K.Model([scores, kept], pooled)
    x = [SEQUENCES, (IDS > 0)[..., None].astype("float32")]
    # Three roundings of half a step of 0.027 each.
    assert largest_error(model, x, "int8") < 0.05
    assert largest_error(model, x, "int16x8") < 0.001


def test_large_numbers_that_mask_nothing(K):
    inputs = K.Input((8,))
    layer = K.layers.Normalization(mean=[2e5] * 8, variance=[1e8] * 8)
    model = K.Model(inputs, softmax_of(K)(layer(inputs) * 100.0))
    x = (2e5 + 1e3 * SCORES).astype("float32")
    file = exported(model, x, "int16x8")
    assert np.abs(file.predict(x) - model.predict(x, verbose=0)).max() < 0.35
    hard = K.Model(inputs, softmax_of(K)(inputs * 1e4))
    x = rng.random((100, 8)).astype("float32")
    chosen = exported(hard, x, "int16x8").predict(x).argmax(1)
    assert np.mean(chosen == x.argmax(1)) > 0.98


def test_what_was_done_is_told(K, caplog):
    model, x = masked(K, FORMS["added"](K))
    with caplog.at_level("INFO", "keras_prune_kit.tflite.telling"):
        exported(model, x, "int8")
    assert "were reduced" in caplog.text
    assert "-1e+09 became -" in caplog.text


def test_constants_beyond_half_precision(K):
    inputs = K.Input((4,))
    layer = K.layers.Normalization(mean=[2e5] * 4, variance=[1.0] * 4)
    model = K.Model(inputs, layer(inputs))
    x = 2e5 + np.arange(8, dtype="float32").reshape(2, 4)
    file = kpk.export_tflite(model, quantization="float16")
    np.testing.assert_allclose(file.predict(x), model.predict(x, verbose=0), 1e-3)


def test_rows_masked_as_a_whole_in_half_precision(K):
    model, (scores, _) = masked(K, FORMS["added"](K))
    kept = np.zeros_like(scores)
    file = kpk.export_tflite(model, quantization="float16")
    np.testing.assert_allclose(file.predict([scores, kept]), 1 / 8, 1e-6)


@pytest.mark.each_value
@pytest.mark.parametrize("form", ["layer", "added", "chosen"])
def test_masks_of_models_that_train_quantized(form):
    """The quantized model weighs as the float one does, but for what is beyond a range
    that follows batches; and its file as it does."""
    rows, kept = keras.Input((8, 4)), keras.Input((8,))
    scores = keras.layers.Flatten()(keras.layers.Dense(1)(rows))
    model = keras.Model([rows, kept], FORMS[form](keras)(scores, kept))
    model.compile(keras.optimizers.SGD(0.0), "mse")
    x = [rng.normal(size=(100, 8, 4)).astype("float32"), KEPT]
    quantized, report = kpk.quantize_aware(model)
    quantized.fit(x, KEPT, epochs=2, verbose=0)
    file = kpk.export_tflite(quantized, quantization="int8")
    expected = model.predict(x, verbose=0)
    given = quantized.predict(x, verbose=0)
    assert np.abs(given - expected).max() < 0.1
    assert np.abs(file.predict(x) - given).max() < 0.01
    assert form == "chosen" or "masked scores have no usable range" in str(report)


def test_a_masked_pooling_of_a_model_that_trains_quantized():
    rows, kept = keras.Input((6, 8)), keras.Input((6, 1))
    hidden = keras.layers.Dense(4)(rows)
    pooled = keras.layers.GlobalMaxPooling1D()(keras.ops.where(kept > 0, hidden, -1e9))
    model = keras.Model([rows, kept], keras.layers.Dense(2)(pooled))
    model.compile(keras.optimizers.SGD(0.0), "mse")
    x = [SEQUENCES, (IDS > 0)[..., None].astype("float32")]
    quantized, _ = kpk.quantize_aware(model)
    quantized.fit(x, np.zeros((100, 2)), epochs=2, verbose=0)
    file = kpk.export_tflite(quantized, quantization="int8")
    expected = model.predict(x, verbose=0)
    assert np.abs(file.predict(x) - expected).mean() < 0.03 * np.abs(expected).max()
    assert np.abs(file.predict(x) - quantized.predict(x, verbose=0)).max() < 0.03


def test_half_of_the_smallest_mask_is_masked_still():
    sites = [
        finding.Site(number, 0, np.array([0.0, size]), ((0, 2.0),), is_added=True)
        for number, size in enumerate((-10.0, -1000.0))
    ]
    assert finding.Masked(0, None, None, tuple(sites)).limit == -10.0


@pytest.mark.parametrize(
    ("new", "holds"),
    [
        ([1.0, -5.0], True),
        ([1.5, -5.0], False),  # a score that is not masked has changed
        ([1.0, -4.0], False),  # a masked one is not low enough
        ([1.5, -4.0], False),
    ],
)
def test_a_bound_holds_if_it_changes_what_is_masked_alone(new, holds):
    site = finding.Site(0, 0, np.array([0.0, -1e9]), ((0, 1.0),), is_added=True)
    masked = finding.Masked(0, None, None, (site,))
    bound = bounding._Bound(masked, floor=-5.0, push=6.0, is_seen=True)
    assert bound.holds(np.array([1.0, -1e9]), np.array(new)) is holds
