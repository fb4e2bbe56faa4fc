"""Inputs and outputs belong together by name, from the Keras model to the file."""

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from marks import slow

import keras_prune_kit as kpk
from keras_prune_kit import _keras
from keras_prune_kit._tools.names import keys_of, labels_by_output, plain_names, unique
from keras_prune_kit.measuring.evaluation import Evaluation
from keras_prune_kit.tflite.naming import rename

SPARSE = "sparse_categorical_crossentropy"


@pytest.fixture
def x():
    return np.random.default_rng(0).normal(size=(40, 6)).astype("float32")


def labels():
    """Of a class and two numbers; the numbers are far from each other."""
    rng = np.random.default_rng(1)
    kinds = rng.integers(0, 3, 40)
    return kinds, *(rng.normal(size=(40, 1)).astype("float32") + k for k in (10, 99))


def heads(K):
    data = K.layers.Input((6,), name="data")
    return data, (
        K.layers.Dense(3, activation="softmax", name="kind")(data),
        K.layers.Dense(1, name="width")(data),
        K.layers.Dense(1, name="area")(data),
    )


def dict_of_kinds(K):
    data, (kind, width, area) = heads(K)
    # No key is a layer's own but one, which is another layer's.
    model = K.Model(data, {"zebra": kind, "area": width, "cat": area})
    model.compile(
        "sgd",
        loss={"zebra": SPARSE, "area": "mse", "cat": "mse"},
        metrics={"zebra": ["accuracy"], "area": ["mae"], "cat": ["mae"]},
    )
    kinds, one, other = labels()
    return model, {"zebra": kinds, "area": one, "cat": other}


def dict_of_one(K):
    data, (_, width, _) = heads(K)
    model = K.Model(data, {"score": width})
    model.compile("sgd", loss={"score": "mse"}, metrics={"score": ["mae"]})
    return model, {"score": labels()[1]}


def list_with_a_dict_of_labels(K):
    data, (kind, width, area) = heads(K)
    model = K.Model(data, [width, kind, area])
    model.compile(
        "sgd",
        loss={"kind": SPARSE, "area": "mse", "width": "mse"},
        metrics={"kind": ["accuracy"], "area": ["mae"], "width": ["mae"]},
    )
    kinds, one, other = labels()
    return model, {"kind": kinds, "area": one, "width": other}


def one_tensor_twice(K):
    data, (_, width, area) = heads(K)
    model = K.Model(data, [width, area, width])
    metrics = [["mae"], ["mae"], ["mse"]]
    model.compile("sgd", loss=["mse", "mse", "mae"], metrics=metrics)
    _, one, other = labels()
    return model, (one, other, one - 50)


def names_with_signs(K):
    data, (_, width, area) = heads(K)
    model = K.Model(data, {"b/score": width, "a.score": area})
    loss = dict.fromkeys(("b/score", "a.score"), "mse")
    model.compile("sgd", loss=loss, metrics=dict.fromkeys(loss, ["mae"]))
    return model, dict(zip(loss, labels()[1:], strict=True))


def subclassed(K, pack, loss, metrics):
    class Heads(K.Model):
        def __init__(self):
            super().__init__()
            self.kind = K.layers.Dense(3, activation="softmax")
            self.width = K.layers.Dense(1)

        def call(self, inputs):
            return pack(self.kind(inputs), self.width(inputs))

    model = Heads()
    model(np.zeros((1, 6), "float32"))
    model.compile("sgd", loss=loss, metrics=metrics)
    return model, pack(*labels()[:2])


def subclassed_dict(K):
    return subclassed(
        K,
        lambda kind, width: {"zebra": kind, "ape": width},
        {"zebra": SPARSE, "ape": "mse"},
        {"zebra": ["accuracy"], "ape": ["mae"]},
    )


def subclassed_list(K):
    metrics = [["accuracy"], ["mae"]]
    return subclassed(K, lambda *tensors: tensors, [SPARSE, "mse"], metrics)


MODELS = [
    dict_of_kinds,
    dict_of_one,
    list_with_a_dict_of_labels,
    one_tensor_twice,
    names_with_signs,
    subclassed_dict,
    subclassed_list,
]


# Scores are those that Keras itself gives for the same data.


@pytest.mark.each_value
@pytest.mark.parametrize("build", MODELS)
def test_a_file_gets_the_scores_that_keras_gives_the_model(K, build, x):
    model, y = build(K)
    data = tf.data.Dataset.from_tensor_slices((x, y)).batch(16)
    truth = model.evaluate(data, verbose=0, return_dict=True)

    compared = kpk.compare(
        {"model": model, "file": kpk.export_tflite(model)}, data, latency_runs=0
    )

    of_model, of_file = (row.scores for row in compared.measurements)
    expected = {name: value for name, value in truth.items() if "loss" not in name}
    assert of_model == pytest.approx(expected, rel=1e-4)
    assert of_file == pytest.approx(expected, rel=1e-4)


@pytest.mark.each_value
@pytest.mark.parametrize("build", [MODELS[0], *map(slow, MODELS[1:-1]), MODELS[-1]])
def test_the_loss_of_each_output_is_that_of_its_labels(K, build, x):
    model, y = build(K)
    y = list(y) if isinstance(y, tuple) else y
    truth = model.evaluate(x, y, verbose=0, return_dict=True)["loss"]

    assert _keras.LossProbe(model, (x, y))() == pytest.approx(truth, rel=1e-4)


def test_weights_of_samples_stay_with_their_output(K, x):
    data, (kind, width, _) = heads(K)
    model = K.Model(data, {"zebra": kind, "ape": width})
    model.compile(
        "sgd",
        loss={"zebra": SPARSE, "ape": "mse"},
        weighted_metrics={"zebra": ["accuracy"], "ape": ["mae"]},
    )
    y = dict(zip(("zebra", "ape"), labels(), strict=False))
    first = np.linspace(0.1, 2, 40).astype("float32")
    weight = {"zebra": first, "ape": first[::-1].copy()}
    truth = model.evaluate(x, y, sample_weight=weight, verbose=0, return_dict=True)

    scores = Evaluation((x, y, weight), model).tflite(kpk.export_tflite(model))

    assert len(scores) == 2
    assert scores == pytest.approx({name: truth[name] for name in scores}, rel=1e-4)


def test_a_file_whose_outputs_have_other_names_is_not_scored_by_guess(K, x):
    model, y = dict_of_kinds(K)
    data, (kind, width, area) = heads(K)
    other = kpk.export_tflite(K.Model(data, {"a": kind, "b": width, "c": area}))
    with pytest.raises(ValueError, match=r"by name.*'zebra'.*'a', 'b', 'c'"):
        kpk.compare({"model": model, "other": other}, x, y, latency_runs=0)


@pytest.mark.quick_in("keras")
def test_compress_reports_each_output_under_its_name(K, x):
    model, y = dict_of_kinds(K)

    report = kpk.compress(
        model, (x, y), validation_data=(x, y), quantization="none", epochs=1, verbose=0
    )

    truth = report.model.evaluate(x, y, verbose=0, return_dict=True)
    file = report.comparison.measurements[-1].scores
    assert file == pytest.approx({name: truth[name] for name in file}, rel=1e-3)
    assert len(file) == 3


# Names with signs in them.

SIGNS = [("user-id", "item.price"), ("sequence/ids", "länge"), ("a b", "a-b")]


def two_inputs(K, names):
    # Keras 3 has no layers with a slash in their names, and warns where keys differ.
    inputs = {name: K.layers.Input((4,), name=name.replace("/", "|")) for name in names}
    first, second = inputs.values()
    hidden = K.layers.Dense(8, activation="relu")(first)
    joined = K.layers.Concatenate()([hidden, second])
    model = K.Model(inputs, K.layers.Dense(1, activation="sigmoid")(joined))
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    rng = np.random.default_rng(0)
    x = {name: rng.normal(size=(50, 4)).astype("float32") for name in names}
    return model, x


@pytest.mark.filterwarnings("ignore:When providing `inputs` as a dict")
@pytest.mark.parametrize("names", SIGNS)
def test_a_file_takes_the_dict_that_keras_takes(K, names):
    model, x = two_inputs(K, names)

    exported = kpk.export_tflite(model)

    assert [item.name for item in exported.inputs] == list(names)
    given = dict(reversed(x.items()), unused=np.zeros(3))
    expected = model.predict(x, verbose=0)
    np.testing.assert_allclose(exported.predict(given), expected, atol=1e-5)
    assert exported.latency(given, runs=1) > 0


@pytest.mark.slow  # dict_inputs of test_differential.py is quick.
def test_compress_takes_names_with_signs(K):
    names = SIGNS[0]
    model, x = two_inputs(K, names)
    y = (x["user-id"][:, 0] > 0).astype("float32")

    report = kpk.compress(model, (x, y), validation_data=(x, y), epochs=1, verbose=0)

    probabilities = np.asarray(report.tflite.predict(x))[:, 0]
    accuracy = float(np.mean((probabilities > 0.5) == y))
    assert report.comparison.measurements[-1].scores["accuracy"] == pytest.approx(
        accuracy
    )


@pytest.mark.filterwarnings("ignore:When providing `inputs` as a dict")
def test_the_signature_has_the_names_of_keras(K):
    model, x = two_inputs(K, SIGNS[1])
    runner = Interpreter(
        model_content=kpk.export_tflite(model).bytes
    ).get_signature_runner()

    one = {name: array[:1] for name, array in x.items()}
    (given,) = runner(**one).values()

    np.testing.assert_allclose(given, model.predict(one, verbose=0), atol=1e-5)


def test_plain_names_stand_for_those_with_signs(K):
    model, x = two_inputs(K, SIGNS[0])
    exported = kpk.export_tflite(model)
    # As earlier versions and other programs write them.
    old = kpk.TFLiteModel(
        rename(
            exported.bytes,
            {"user-id": "user_id", "item.price": "item_price"},
            {"output_0": "output_0"},
        )
    )
    plain = {"item_price": x["item.price"], "user_id": x["user-id"]}
    expected = exported.predict(x)

    for file in (exported, old):
        for given in (x, plain):
            np.testing.assert_array_equal(file.predict(given), expected)
    with pytest.raises(ValueError, match=r"'user-id', 'item.price'\]. Received.*'id'"):
        exported.predict({"id": x["user-id"], "item_price": x["item.price"]})


# One tensor as several outputs.


def repeated(K):
    data, (kind, width, area) = heads(K)
    model = K.Model(data, [width, kind, width, data, area, data])
    # The converter makes one tensor of what is computed twice.
    model.get_layer("area").set_weights(model.get_layer("width").get_weights())
    return model


def under_two_names(K):
    data, (kind, width, _) = heads(K)
    return K.Model(data, {"zebra": width, "kind": kind, "ape": width})


@pytest.mark.each_value
@pytest.mark.parametrize(
    ("build", "quantization", "io_dtype"),
    [
        (repeated, "none", "float32"),
        (repeated, "float16", "float32"),
        (repeated, "dynamic", "float32"),
        (repeated, "int8", "float32"),
        (repeated, "int8", "int8"),
        (repeated, "int16x8", "float32"),
        (repeated, "int16x8", "int16"),
        (under_two_names, "none", "float32"),
        (under_two_names, "int8", "float32"),
    ],
)
def test_each_output_is_there_as_often_as_the_model_gives_it(
    K, x, build, quantization, io_dtype
):
    model = build(K)
    exported = kpk.export_tflite(
        model,
        quantization=quantization,
        io_dtype=io_dtype,
        representative_data=x if quantization.startswith("int") else None,
    )

    expected = _keras.named_outputs(model, model.predict(x, verbose=0))
    given = exported.predict(x)
    assert [item.name for item in exported.outputs] == list(expected)
    for got, wanted in zip(given, expected.values(), strict=True):
        assert got.shape == wanted.shape
        error = 1e-5 if quantization == "none" else 0.05 * np.abs(wanted).max()
        np.testing.assert_allclose(got, wanted, atol=error)
    assert kpk.TFLiteModel(exported.bytes).outputs == exported.outputs
    assert exported.latency(x, runs=1) > 0


def test_repeated_outputs_have_names_of_their_own(K):
    names = [item.name for item in kpk.export_tflite(repeated(K)).outputs]
    assert names == ["width", "kind", "width_1", "data", "area", "data_1"]


# Files with several outputs and no model beside them.


def test_labels_of_several_outputs(x):
    import keras

    data, (kind, width, _) = heads(keras)
    file = kpk.export_tflite(keras.Model(data, {"zebra": kind, "ape": width}))
    zebra, ape = file.predict(x)
    right, half = zebra.argmax(-1), (ape[:, 0] > 0.5).astype(int)
    half[:20] = 1 - half[:20]
    expected = {"zebra_accuracy": 1.0, "ape_accuracy": 0.5}
    by_name = {"ape": half, "zebra": right}

    for y in ([right, half], by_name):
        assert file.evaluate(x, y) == [1.0, 0.5]
        (row,) = kpk.compare({"file": file}, x, y, latency_runs=0).measurements
        assert row.scores == expected
    batches = tf.data.Dataset.from_tensor_slices((x, by_name)).batch(16)
    (row,) = kpk.compare({"file": file}, batches, latency_runs=0).measurements
    assert row.scores == expected


@pytest.mark.parametrize("y", [np.zeros(40), {"a": np.zeros(40)}, [np.zeros(40)]])
def test_labels_that_no_output_can_be_told_by(x, y):
    import keras

    data, (kind, width, _) = heads(keras)
    file = kpk.export_tflite(keras.Model(data, [kind, width]))
    rule = r"each of the outputs \['kind', 'width'\]: a list of 2.*or a dict.*Received"
    with pytest.raises(ValueError, match=rule):
        kpk.compare({"file": file}, x, y, latency_runs=0)
    with pytest.raises(ValueError, match=rule):
        file.evaluate(x, y)


# The rules by themselves.


@pytest.mark.parametrize(
    ("names", "given", "keys"),
    [
        (["b", "a"], ["a", "b"], ["b", "a"]),
        (["user-id"], ["user_id", "other"], ["user_id"]),
        (["user_id"], ["user-id"], ["user-id"]),
        (["a-b", "a.b"], ["a.b", "a-b"], ["a-b", "a.b"]),
        (["a_b", "a-b"], ["a-b"], None),
        (["a_b"], ["a-b", "a.b"], None),
        (["a"], [], None),
    ],
)
def test_keys_that_stand_for_names(names, given, keys):
    assert keys_of(names, dict.fromkeys(given)) == keys


def test_labels_by_output():
    assert labels_by_output("y", ["a"]) == ["y"]
    assert labels_by_output({"b": 2, "a": 1}, ["a", "b"]) == [1, 2]
    assert labels_by_output((1, 2), ["a", "b"]) == [1, 2]


def test_names_to_trace_with():
    assert plain_names(["user-id", "b"], "input") == ["user_id", "b"]
    assert plain_names(["a-b", "a.b"], "input") == ["input_0", "input_1"]
    assert unique(["b", "b_1", "b", "a"]) == ["b", "b_1", "b_2", "a"]
