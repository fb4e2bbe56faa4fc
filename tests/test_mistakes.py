"""The commonest mistakes: each is answered by one message with the way out.

A message has the rule, what was received and what to do. A row of the table is a
mistake: what a person writes, the type of the error, and words that the message must
have. The model is afterwards as it was.
"""

import os
import warnings

import models
import numpy as np
import pytest
import tensorflow as tf

import keras_prune_kit as kpk
from keras_prune_kit._tools.spelling import did_you_mean, listed
from keras_prune_kit.cli.options import read_options
from keras_prune_kit.measuring.evaluation import warn_of_few_samples

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 8)).astype("float32")
Y = np.arange(60) % 3
DATA = X, Y


def uncompiled(K):
    return models.sequential(K)


def unbuilt(K):
    return K.Sequential([K.layers.Dense(4)])


def of_texts(K):
    words = K.layers.TextVectorization(9, output_sequence_length=4)
    words.adapt(tf.constant(["a b", "c"]))
    layers = [K.layers.Input((), dtype="string"), words, K.layers.Embedding(9, 2)]
    return K.Sequential([*layers, K.layers.Flatten(), K.layers.Dense(1)])


def frozen(K):
    model = models.classifier(K)
    model.trainable = False
    model.compile("adam", model.loss)
    return model


def other(K):
    """The other Keras."""
    import keras
    import tf_keras

    return tf_keras if K is keras else keras


def fit(model, policy=0.8, *, callbacks=None, x=X, y=Y, **options):
    callbacks = [kpk.PruningCallback(policy)] if callbacks is None else callbacks
    model.fit(x, y, epochs=1, verbose=0, callbacks=callbacks, **options)


def compress(model, train=DATA, **options):
    options = {"validation_data": DATA, "epochs": 1, "verbose": 0, **options}
    kpk.compress(model, train, **options)


def export(model, data=None, **options):
    options.setdefault("quantization", "int8")
    kpk.export_tflite(model, representative_data=data, **options)


def plan(model, *rules, **options):
    kpk.PrunePolicy(0.5, rules, **options).plan(model)


def search(model, **options):
    kpk.CompressionHyperModel(model, representative_data=X, **options)


def generator():
    while True:
        yield X[:20], Y[:20]


def dataset():
    return tf.data.Dataset.from_tensor_slices(DATA).batch(20)


MODEL = models.classifier

# What is wrong: a model, what is done with it, the error, and words of the message.
MISTAKES = {
    # Numbers.
    "80 for 0.8": (
        MODEL,
        lambda m, _: fit(m, 80),
        ValueError,
        ["at least 0 and below 1", "80", "write 0.8"],
    ),
    "80 for 0.8 in a schedule": (
        MODEL,
        lambda m, _: kpk.PolynomialDecay(0, 80),
        ValueError,
        ["at least 0 and below 1", "80", "write 0.8"],
    ),
    "a negative sparsity": (
        MODEL,
        lambda m, _: fit(m, -0.5),
        ValueError,
        ["at least 0 and below 1", "-0.5"],
    ),
    "sparsity as a text": (
        MODEL,
        lambda m, _: fit(m, "80%"),
        TypeError,
        ["0.8", "80%"],
    ),
    "begin after end": (
        MODEL,
        lambda m, _: kpk.PolynomialDecay(0, 0.8, begin_step=100, end_step=50),
        ValueError,
        ["begin_step", "100", "50"],
    ),
    "no epochs of a fraction": (
        MODEL,
        lambda m, _: compress(m, epochs=1.5),
        ValueError,
        ["epochs", "whole number", "1.5"],
    ),
    "an accepted drop in percent": (
        MODEL,
        lambda m, _: compress(m, max_accuracy_drop=1),
        ValueError,
        ["max_accuracy_drop", "below 1", "0.01"],
    ),
    # Names.
    "a mistyped quantization": (
        MODEL,
        lambda m, _: export(m, X, quantization="int-8"),
        ValueError,
        ["int-8", "Did you mean 'int8'?"],
    ),
    "a mistyped quantization in compress": (
        MODEL,
        lambda m, _: compress(m, quantization="dynamc"),
        ValueError,
        ["dynamc", "Did you mean 'dynamic'?"],
    ),
    "a mistyped quantization in a search": (
        MODEL,
        lambda m, _: search(m, quantization=("in8",)),
        ValueError,
        ["in8", "Did you mean 'int8'?"],
    ),
    "a mistyped target": (
        MODEL,
        lambda m, _: compress(m, target="smalest"),
        ValueError,
        ["smalest", "Did you mean 'smallest'?"],
    ),
    "a mistyped metric": (
        MODEL,
        lambda m, _: compress(m, objective="acuracy"),
        ValueError,
        ["acuracy", "Did you mean 'accuracy'?"],
    ),
    "a mistyped layer": (
        MODEL,
        lambda m, _: plan(m, kpk.Rule("hiden", None)),
        ValueError,
        ["'hiden'", "covers no prunable weight", "Did you mean 'hidden'?"],
    ),
    "a class by its name": (
        MODEL,
        lambda m, _: plan(m, kpk.Rule("Dense", None)),
        ValueError,
        ["'Dense'", "match=layers.Dense"],
    ),
    "a class of the other Keras": (
        MODEL,
        lambda m, K: plan(m, kpk.Rule(other(K).layers.Dense, None)),
        ValueError,
        ["Dense", "own Keras"],
    ),
    "a glob for a regex": (
        MODEL,
        lambda m, _: plan(m, kpk.Rule("*hidden", None)),
        ValueError,
        ["regex", "'*hidden'"],
    ),
    "a criterion by its name": (
        MODEL,
        lambda m, _: plan(m, criterion="lamp"),
        TypeError,
        ["'lamp'", "the function kpk.lamp"],
    ),
    "a structure by its name": (
        MODEL,
        lambda m, _: plan(m, structure="channel"),
        TypeError,
        ["'channel'", "kpk.Channel(...)"],
    ),
    # Models.
    "an unbuilt model": (
        unbuilt,
        lambda m, _: plan(m),
        ValueError,
        ["not built", "build"],
    ),
    "an uncompiled model": (
        uncompiled,
        lambda m, _: compress(m),
        ValueError,
        ["compile"],
    ),
    "an uncompiled model in a search": (
        uncompiled,
        lambda m, _: search(m),
        ValueError,
        ["model.compile(optimizer, loss, metrics)"],
    ),
    "a path that does not exist": (
        MODEL,
        lambda m, _: compress("mdoel.keras"),
        OSError,
        ["no such file", "mdoel.keras", "Did you mean 'model.keras'?"],
    ),
    "a file of weights": (
        MODEL,
        lambda m, _: export("just.weights.h5", X),
        ValueError,
        ["just.weights.h5", "weights", "model.save"],
    ),
    "a file of another kind": (
        MODEL,
        lambda m, _: kpk.sparsity_report("notes.keras"),
        ValueError,
        ["notes.keras"],
    ),
    "an array for a model": (
        MODEL,
        lambda m, _: export(X, X),
        TypeError,
        ["keras (Keras 3)", "ndarray"],
    ),
    "a frozen model": (
        frozen,
        lambda m, _: fit(m),
        ValueError,
        ["Nothing in model", "frozen", "include_frozen"],
    ),
    "texts as inputs": (of_texts, lambda m, _: export(m), kpk.ExportError, ["string"]),
    # Callbacks and policies.
    "a callback's class": (
        MODEL,
        lambda m, _: compress(m, callbacks=[kpk.GzipSizeLogger]),
        TypeError,
        ["callbacks", "GzipSizeLogger", "GzipSizeLogger()"],
    ),
    "one callback for a list": (
        MODEL,
        lambda m, _: compress(m, callbacks=kpk.GzipSizeLogger()),
        TypeError,
        ["callbacks", "list"],
    ),
    "two pruning callbacks": (
        MODEL,
        lambda m, _: fit(
            m, callbacks=[kpk.PruningCallback(0.5), kpk.PruningCallback(0.8)]
        ),
        ValueError,
        ["one PruningCallback", "2", "rules of one policy"],
    ),
    "a list for a policy": (
        MODEL,
        lambda m, _: fit(m, [kpk.Rule("hidden", 0.8)]),
        TypeError,
        ["policy", "PrunePolicy(", "rules"],
    ),
    # Data.
    "labels missing": (
        MODEL,
        lambda m, _: compress(m, X),
        ValueError,
        ["labels", "(x, y)", "epochs=0"],
    ),
    "labels first": (
        MODEL,
        lambda m, _: compress(m, (Y, X)),
        ValueError,
        ["train_data are (x, y)", "(n, 8)"],
    ),
    "lengths that differ": (
        MODEL,
        lambda m, _: compress(m, (X, Y[:-1])),
        ValueError,
        ["train_data", "60", "59"],
    ),
    "a wrong shape": (
        MODEL,
        lambda m, _: compress(m, (X[:, :5], Y)),
        ValueError,
        ["train_data", "(n, 8)", "5)"],
    ),
    "a generator read twice": (
        MODEL,
        lambda m, _: compress(m, validation_data=generator()),
        ValueError,
        ["validation_data", "once"],
    ),
    "int8 without data": (
        MODEL,
        lambda m, _: export(m),
        ValueError,
        ["representative_data", "dynamic"],
    ),
    "calibration of a wrong shape": (
        MODEL,
        lambda m, _: export(m, X[:, :5]),
        ValueError,
        ["representative_data", "8", "5"],
    ),
    "calibration of one sample": (
        MODEL,
        lambda m, _: export(m, X[0]),
        ValueError,
        ["representative_data", "8"],
    ),
    "calibration with NaN": (
        MODEL,
        lambda m, _: export(m, X * np.nan),
        ValueError,
        ["representative_data", "NaN"],
    ),
    "calibration with texts": (
        MODEL,
        lambda m, _: export(m, np.full((9, 8), "a")),
        (TypeError, ValueError),
        ["representative_data"],
    ),
    "int8 inputs of a float file": (
        MODEL,
        lambda m, _: export(m, quantization="dynamic", io_dtype="int8"),
        ValueError,
        ["io_dtype", "float32", "dynamic"],
    ),
}


@pytest.fixture
def files(K, tmp_path, monkeypatch):
    """A folder with files that are easily mistaken for others."""
    monkeypatch.chdir(tmp_path)
    model = models.classifier(K)
    model.save("model.keras")
    model.save_weights("just.weights.h5")
    (tmp_path / "notes.keras").write_text("no model")


@pytest.mark.each_value
@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_answered_by_the_way_out(K, name, files):
    make, mistake, kind, words = MISTAKES[name]
    model = make(K)
    weights = model.get_weights() if model.built else []
    with pytest.raises(kind) as caught:
        mistake(model, K)
    message = str(caught.value)
    missing = [word for word in words if word not in message]
    assert not missing, f"{message!r} lacks {missing}"
    assert "\n" not in message.strip() or "\nskipped " in message
    assert len(message) < 500
    assert all(map(np.array_equal, weights, model.get_weights() if model.built else []))


@pytest.mark.parametrize("count", [30, 49])
def test_few_validation_samples_are_warned_of(count):
    few = tuple(array[:count] for array in DATA)
    batches = tf.data.Dataset.from_tensor_slices(few).batch(8)
    for data in few, batches:
        with pytest.warns(UserWarning, match=f"have {count} samples") as caught:
            warn_of_few_samples(data, "validation_data")
        assert f"worth {1 / count:.2g} of" in str(caught[0].message)


@pytest.mark.parametrize("data", [DATA, (X[:50], Y[:50]), dataset()])
def test_enough_validation_samples_are_not(data):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_few_samples(data, "validation_data")


@pytest.mark.filterwarnings("default:validation_data have")
def test_jobs_warn_of_few_validation_samples(K):
    few = X[:20], Y[:20]
    model = models.classifier(K)
    with pytest.warns(UserWarning, match="validation_data have 20 samples"):
        compress(model, validation_data=few, policy=0.5)
    model.fit(*DATA, verbose=0)
    searched = kpk.CompressionHyperModel(model, quantization=("none",))
    with pytest.warns(UserWarning, match="validation_data have 20 samples"):
        searched._baseline.scored_on(few)


def test_the_closest_name_is_suggested_or_none():
    known = ["none", "float16", "int8", 3]
    assert did_you_mean("INT8", known) == " Did you mean 'int8'?"
    assert did_you_mean("flot16", known, "kpk.{}") == " Did you mean kpk.float16?"
    assert did_you_mean("bfloat", []) == did_you_mean("x", known) == ""
    assert did_you_mean(3, known) == did_you_mean(["int8"], known) == ""


def test_long_lists_of_names_are_cut():
    assert listed("abc", most=3) == "a, b, c"
    assert listed("abcde", most=3) == "a, b, c and 2 more"
    assert listed([]) == ""


# On the command line, before any work.
JOB = "compress model.keras --train data.npz --out out"
WORDS = {
    "compres m.keras": "Did you mean 'compress'?",
    "inspect modl.keras": "no such file: modl.keras. Did you mean 'model.keras'?",
    "inspect notes.txt": ".keras or .h5 or .hdf5 or .tflite file is needed",
    "compress model.keras --trian x": "no option --trian. Did you mean '--train'?",
    "compress model.keras --train dta.npz": "Did you mean 'data.npz'?",
    "compress model.keras --train data.npz": "are required: --out",
    f"{JOB} --sparsity 80": "such as 0.8",
    f"{JOB} --quantize in8": "Did you mean 'int8'?",
    f"{JOB} --target smalest": "Did you mean 'smallest'?",
    f"{JOB} --max-drop 1": "below 1",
    f"{JOB} --epochs 1.5": "whole number",
    "search m.keras --quantize int8,flot16": "no such file: m.keras",
    "search model.keras --quantize int8,flot16": "Did you mean 'float16'?",
    "compare model.keras model.keras --data data.npz": "one is given twice",
    "export model.keras --quantize int8 --out m.tflite": "--representative DATA",
    "export model.keras --out m.tflit": ".tflite file is needed, not m.tflit",
    "compress model.keras --train data.npz --out .": "not empty",
}


@pytest.mark.parametrize("words", WORDS)
def test_a_mistake_on_the_command_line(words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name in ("model.keras", "notes.txt", "data.npz"):
        (tmp_path / name).touch()
    with pytest.raises(SystemExit) as ended:
        read_options(words.split())
    (message,) = capsys.readouterr().err.splitlines()
    assert ended.value.code == 2
    assert message.startswith("error: ") and WORDS[words] in message
    assert sorted(os.listdir()) == ["data.npz", "model.keras", "notes.txt"]
