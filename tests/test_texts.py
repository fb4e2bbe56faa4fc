"""Models that take texts: no .tflite does, and what is said must help."""

import re

import numpy as np
import pytest
import tensorflow as tf

import keras_prune_kit as kpk

TEXTS = np.array(["good film", "bad film", "good good plot", "bad plot"] * 8, object)
LABELS = np.array([1, 0, 1, 0] * 8)


def vectorization(K, **options):
    layer = K.layers.TextVectorization(20, output_sequence_length=4, **options)
    layer.adapt(tf.constant(TEXTS))
    return layer


def head(K):
    layers = K.layers
    pooling = layers.GlobalAveragePooling1D()
    return [layers.Embedding(20, 4), pooling, layers.Dense(1, "sigmoid")]


def compiled(model):
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    return model


def classifier(K):
    text = K.layers.Input((), dtype="string")
    return compiled(
        K.Sequential([text, vectorization(K, name="to_numbers"), *head(K)])
    ), tf.constant(TEXTS)


def words_and_numbers(K):
    word = K.layers.Input((1,), dtype="string", name="word")
    number = K.layers.Input((2,), name="number")
    lookup = K.layers.StringLookup(vocabulary=["good", "bad"], name="words")
    embedded = K.layers.Flatten()(K.layers.Embedding(4, 3)(lookup(word)))
    joined = K.layers.Concatenate()([number, embedded])
    model = K.Model({"word": word, "number": number}, K.layers.Dense(1)(joined))
    x = {
        "word": tf.constant([["good"], ["bad"], ["new"]]),
        "number": np.ones((3, 2), "float32"),
    }
    return model, x


def whole_numbers(K):
    number = K.layers.Input((4,), dtype="int64")
    lookup = K.layers.IntegerLookup(vocabulary=[5, 70, 900], name="rare")
    model = K.Sequential([number, lookup, *head(K)])
    return model, np.array([[5, 70, 900, 1], [900, 900, 5, 5]])


@pytest.mark.each_value
@pytest.mark.parametrize("quantization", ["none", "int8"])
@pytest.mark.parametrize("build", [classifier, words_and_numbers, whole_numbers])
def test_the_error_has_the_line_that_exports_the_rest(K, build, quantization):
    model, x = build(K)
    options = {"representative_data": x} if quantization == "int8" else {}

    with pytest.raises(kpk.ExportError) as caught:
        kpk.export_tflite(model, quantization=quantization, **options)

    pattern = r"integers: (.*), which shares.* outputs of (.*)\.$"
    lines = re.search(pattern, str(caught.value))
    names = {"model": model, K.__name__: K}
    rest, front = (eval(line, names) for line in lines.groups())
    numbers = front.predict(x, verbose=0)
    if options:
        options = {"representative_data": numbers}
    file = kpk.export_tflite(rest, quantization=quantization, **options)
    error = np.abs(file.predict(numbers) - model.predict(x, verbose=0)).max()
    assert error < (1e-5 if quantization == "none" else 0.05)


def subclassed(K):
    class Classifier(K.Model):
        def __init__(self):
            super().__init__()
            self.to_numbers = vectorization(K, name="to_numbers")
            self.head = K.Sequential(head(K))

        def call(self, texts):
            return self.head(self.to_numbers(texts))

    model = Classifier()
    model(tf.constant(TEXTS))
    return model


def nested(K):
    text = K.layers.Input((), dtype="string")
    first = K.Sequential([text, vectorization(K, name="to_numbers")], name="first")
    hidden = first(text)
    for layer in head(K):
        hidden = layer(hidden)
    return K.Model(text, hidden)


def back_to_texts(K):
    number = K.layers.Input((4,), dtype="int64")
    options = {"invert": True, "name": "to_numbers"}
    return K.Sequential([number, K.layers.StringLookup(vocabulary=["a"], **options)])


def without_a_table(K):
    text = K.layers.Input((2,), dtype="string", name="to_numbers")
    function = lambda s: tf.cast(tf.strings.length(s), "float32")  # noqa: E731
    return K.Model(text, K.layers.Lambda(function, output_shape=(2,))(text))


@pytest.mark.parametrize("build", [subclassed, nested, back_to_texts, without_a_table])
def test_what_cannot_be_cut_in_one_line_is_named(K, build):
    with pytest.raises(kpk.ExportError, match=r"'[a-z/]*to_numbers'.*\. Export "):
        kpk.export_tflite(build(K))


def test_nothing_trains_before_it_is_said(K, monkeypatch):
    model, x = classifier(K)
    monkeypatch.setattr(type(model), "fit", None)
    data = (x, LABELS)
    for job in (
        lambda: kpk.compress(model, data, validation_data=data),
        lambda: kpk.compress(model, data, validation_data=data, target="smallest"),
        lambda: kpk.quantize_aware(model),
    ):
        with pytest.raises(kpk.ExportError, match="'to_numbers'"):
            job()


def test_no_search_begins(K):
    model, x = classifier(K)
    model.fit(x, LABELS, verbose=0)
    with pytest.raises(kpk.ExportError, match="'to_numbers'"):
        kpk.CompressionHyperModel(model, quantization=("none",))


def test_without_a_file_it_is_pruned_and_compared(K):
    model, x = classifier(K)
    batches = tf.data.Dataset.from_tensor_slices((x, LABELS)).batch(8)
    model.fit(
        batches,
        epochs=2,
        verbose=0,
        shuffle=False,
        callbacks=[kpk.PruningCallback(0.5)],
    )
    accuracy = model.evaluate(x, LABELS, verbose=0, return_dict=True)["accuracy"]

    assert kpk.sparsity_report(model).sparsity == pytest.approx(0.5, abs=0.01)
    for data in ((x, LABELS), (TEXTS, LABELS), (batches,)):
        (row,) = kpk.compare({"model": model}, *data, latency_runs=0).measurements
        assert row.scores == {"accuracy": pytest.approx(accuracy)}
