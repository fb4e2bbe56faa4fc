"""`compress(target="smallest")`: which settings are tried, and what comes of them."""

import dataclasses
import json
import math
from unittest.mock import Mock

import keras
import models
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

import keras_prune_kit as kpk
from keras_prune_kit._keras.datasets import fit_arguments
from keras_prune_kit.compression import descent
from keras_prune_kit.compression.bisection import (
    Densities,
    attempts_in,
    ramp_to,
    shares,
)
from keras_prune_kit.compression.distilled_training import DistilledTraining
from keras_prune_kit.compression.recipe import Recipe
from keras_prune_kit.compression.sounding import Sounding, first_density
from keras_prune_kit.compression.tried import Tried
from keras_prune_kit.digits import load_digits
from keras_prune_kit.measuring.evaluation import Evaluation
from keras_prune_kit.reports import Attempt, Search
from keras_prune_kit.tflite.constants import constants

EPOCHS, DROP = 8, 0.1
WORLDS = {"keras": keras, "tf_keras": tf_keras}


@pytest.fixture(scope="module")
def digits():
    (x, y), (x_test, y_test) = load_digits()
    return (x[:600], y[:600]), (x_test[:200], y_test[:200])


@pytest.fixture(scope="module", params=WORLDS)
def trained(request, digits):
    K = WORLDS[request.param]
    K.utils.set_random_seed(1)
    model = K.Sequential(
        [
            K.layers.Input((8, 8, 1)),
            K.layers.Conv2D(8, 3, activation="relu"),
            K.layers.Flatten(),
            K.layers.Dense(32, activation="relu"),
            K.layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(*digits[0], epochs=12, verbose=0)
    return model


@pytest.fixture(scope="module")
def searched(trained, digits):
    """A whole search, and the weights of the model before it."""
    weights = [weight.copy() for weight in trained.get_weights()]
    report = search(trained, digits, max_accuracy_drop=DROP)
    return report, weights


def search(model, digits, **arguments):
    defaults = {"validation_data": digits[1], "epochs": EPOCHS, "verbose": 0}
    arguments = {**defaults, "target": "smallest", **arguments}
    return kpk.compress(model, digits[0], **arguments)


def training_of(model, data, metric="accuracy"):
    recipe = Recipe(model, data, data, None, EPOCHS, 32, (), 0)
    return DistilledTraining.of(recipe, metric)


# Which settings are tried: no model.


def tried(densities, least, attempts=4):
    """The densities that a search tries if those from some density on hold."""
    found = []
    for _ in range(attempts):
        density = densities.next()
        found.append(density)
        densities.tell(density, holds=density >= least)
    return found


def test_where_all_hold_it_goes_on():
    assert tried(Densities(0.1), least=0) == pytest.approx([0.1, 0.06, 0.036, 0.0216])


def test_the_kept_part_is_halved_between_what_held_and_what_did_not():
    between = math.sqrt(0.1 * 0.06)
    beside = math.sqrt(0.06 * between)
    found = tried(Densities(0.1), least=0.0601)
    assert found == pytest.approx([0.1, 0.06, between, beside])


def test_where_none_holds_it_comes_up_to_what_is_known_to():
    found = tried(Densities(0.02, held=0.32), least=0.32)
    assert found == pytest.approx([0.02, 0.08, 0.16, 0.226], abs=1e-3)


def test_the_ramp_begins_where_the_weights_are():
    assert ramp_to(0.98, begin=0.7).schedule.initial_sparsity == 0.7
    assert ramp_to(0.98, begin=0.99).schedule.initial_sparsity == 0.98


@pytest.mark.parametrize(
    ("soundings", "first"),
    [
        ([], 0.5),
        ([(0.6, 0.001), (0.36, 0.015)], 0.36),  # none is too far
        ([(0.6, 0.0), (0.36, 0.02)], 0.36),
        ([(0.6, 0.1)], 0.6),  # the mildest is too far
        # Where the divergence, a power of the density, is 0.02.
        ([(0.4, 0.002), (0.1, 0.2)], 0.2),
    ],
)
def test_training_begins_where_it_can_follow(soundings, first):
    found = [Sounding(density, lost, True) for density, lost in soundings]
    assert first_density(found) == pytest.approx(first)


@pytest.mark.parametrize(
    ("epochs", "attempts", "expected"),
    [(30, 4, [9, 7, 7, 7]), (8, 4, [2] * 4), (0, 2, [0, 0]), (5, 1, [5])],
)
def test_attempts_share_the_epochs(epochs, attempts, expected):
    assert shares(epochs, attempts) == expected


@pytest.mark.parametrize(
    ("epochs", "attempts"), [(0, 6), (4, 2), (8, 4), (16, 4), (20, 5), (60, 6)]
)
def test_the_more_epochs_the_more_attempts(epochs, attempts):
    assert attempts_in(epochs) == attempts


@pytest.mark.parametrize(("batch", "steps"), [(32, 4), (None, 4), (100, 1), (99, 2)])
def test_the_last_batch_of_an_epoch_is_a_step_too(batch, steps):
    data = (np.zeros((100, 8)), np.zeros(100))
    recipe = Recipe(None, data, data, None, EPOCHS, batch, (), 0)
    assert recipe.steps(1) == steps and recipe.steps(3) == 3 * steps


# What comes of it.


@pytest.mark.quick_in("keras")
def test_the_smallest_that_holds_ships(searched, digits):
    report, _ = searched
    found = report.search
    assert sum(attempt.epochs for attempt in found.attempts) == EPOCHS
    dense, *attempts = found.attempts
    assert not dense.epochs and "dense" in dense.setting
    # Untrained ones come first, until one holds.
    trained = [attempt.epochs > 0 for attempt in attempts]
    assert trained == sorted(trained) and sum(trained) == 4
    untrained = [attempt.holds for attempt in attempts if not attempt.epochs]
    assert untrained == [False] * (len(untrained) - 1) + [True]
    for attempt in found.attempts:
        held = attempt.score >= found.baseline_score - DROP - 1e-6
        assert attempt.holds == held
    held = [attempt for attempt in found.attempts if attempt.holds]
    chosen = found.attempts[found.chosen]
    assert chosen.setting.endswith("QAT")
    assert chosen.gzip_bytes == min(attempt.gzip_bytes for attempt in held)
    assert report.final.gzip_bytes == chosen.gzip_bytes == report.tflite.gzip_bytes
    assert chosen.score == pytest.approx(report.tflite.evaluate(*digits[1]))
    assert report.final.score == pytest.approx(chosen.score)


@pytest.mark.quick_in("keras")
def test_the_file_has_the_bits_and_the_zeros(trained, searched):
    report, _ = searched
    bits = 4 if trained.__module__.startswith("keras.") else 8
    setting = report.search.attempts[report.search.chosen].setting
    assert setting.endswith(f"{bits}-bit QAT")
    weights = [c for c in kpk.tflite.constants(report.tflite.bytes) if c.is_weight]
    assert {weight.dtype for weight in weights} == {f"int{bits}"}
    asked = float(setting.partition(" ")[0]) / 100
    assert report.sparsity_report.sparsity == pytest.approx(asked, abs=1e-3)
    assert report.final.sparsity >= report.sparsity_report.sparsity


@pytest.mark.quick_in("keras")
def test_the_model_of_the_report_is_a_plain_one_that_does_as_well(searched, digits):
    report, _ = searched
    score = report.model.evaluate(*digits[1], verbose=0, return_dict=True)["accuracy"]
    assert score == pytest.approx(report.final.score, abs=0.03)
    assert [layer.__class__.__name__ for layer in report.model.layers][-1] == "Dense"
    assert report.stages[2].name == "pruned"


@pytest.mark.quick_in("keras")
def test_the_model_that_was_given_is_left_as_it_was(trained, searched):
    _, weights = searched
    assert all(map(np.array_equal, weights, trained.get_weights()))


@pytest.mark.quick_in("keras")
def test_every_attempt_is_in_the_report(searched, tmp_path):
    report, _ = searched
    data = json.loads(json.dumps(report.to_dict()))
    assert len(data["search"]["attempts"]) == len(report.search.attempts)
    assert data["settings"]["max_accuracy_drop"] == DROP
    paths = report.save(tmp_path)
    text, page = (paths[name].read_text() for name in ("report.txt", "report.html"))
    for attempt in report.search.attempts:
        assert attempt.setting in text and attempt.setting in page
        assert f"<td>{attempt.gzip_bytes:,}<" in page
    assert max(map(len, str(report).splitlines())) <= 80
    assert "the smallest file tried whose accuracy" in " ".join(text.split())


@pytest.mark.quick_in("tf_keras")
def test_where_no_training_holds_what_is_repaired_without_it_ships(trained, digits):
    K = WORLDS[trained.__module__.partition(".")[0]]

    class Spoil(K.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            # Not the ranges of activations, without which there is no file.
            for weight in self.model.trainable_weights:
                weight.assign(0 * weight)

    options = {"epochs": 4, "max_accuracy_drop": DROP, "callbacks": [Spoil()]}
    report = search(trained, digits, **options)
    dense, *attempts = report.search.attempts
    at_once = report.search.attempts[report.search.chosen]
    assert at_once.setting.endswith("at once, 4 bits in int8")
    for attempt in attempts:
        assert attempt.holds == (attempt is at_once)
    assert sum(attempt.epochs > 0 for attempt in attempts) == 2
    assert report.settings["start"] == "repaired"
    assert at_once.gzip_bytes < dense.gzip_bytes / 2
    assert report.tflite.gzip_bytes == at_once.gzip_bytes


def judge(monkeypatch, rule):
    """Let files hold by a rule, whatever their scores."""
    add = Tried.add

    def judged(self, name, epochs, exported, latency_ms=None):
        add(self, name, epochs, exported, latency_ms)
        holds = rule(exported)
        self.attempts[-1] = dataclasses.replace(self.attempts[-1], holds=holds)
        return holds

    monkeypatch.setattr(Tried, "add", judged)


@pytest.mark.quick_in("keras")
def test_where_no_zeros_hold_weights_are_rounded_alone(trained, digits, monkeypatch):
    """What rounding makes zero is far less than the 40 % of the mildest pruning."""
    judge(monkeypatch, lambda file: kpk.sparsity_report(file).sparsity < 0.35)
    report = search(trained, digits, epochs=4)
    dense, *attempts = report.search.attempts
    chosen = report.search.attempts[report.search.chosen]
    assert chosen.setting == "0.00 %, at once, 4 bits in int8"
    assert [a for a in attempts if a.holds] == [chosen]
    assert chosen.gzip_bytes < 0.75 * dense.gzip_bytes
    assert chosen.score > dense.score - 0.05


@pytest.mark.quick_in("keras")
def test_the_report_says_what_the_first_of_the_attempts_started_from(
    trained, digits, monkeypatch
):
    """Each goes on from the weights of the one before, as all hold."""
    judge(monkeypatch, lambda file: True)
    refusal = Mock(side_effect=ValueError("These data cannot be read twice."))
    monkeypatch.setattr(descent, "repair_samples", refusal)
    report = search(trained, digits, epochs=4)
    trainings = [a for a in report.search.attempts if a.epochs]
    assert [each.epochs for each in trainings] == [2, 2]
    assert report.search.attempts[report.search.chosen] == trainings[-1]
    assert report.settings["start"] == "dense"


@pytest.mark.quick_in("tf_keras")
def test_where_none_holds_the_dense_file_ships_and_says_so(trained, digits):
    report = search(trained, digits, policy=0.995, epochs=4, max_accuracy_drop=0.0)
    attempts = report.search.attempts[1:]
    bits = (4, 8) if trained.__module__.startswith("keras.") else (8,)
    assert [a.setting for a in attempts] == [f"your policy, {b}-bit QAT" for b in bits]
    assert not any(attempt.holds for attempt in attempts)
    assert report.search.chosen == 0
    assert report.final.name == "baseline + int8"
    assert "There is no pruned file whose" in report.search.verdict
    assert "not pruned" in str(report)
    assert kpk.sparsity_report(report.model).sparsity == 0
    assert all(map(np.array_equal, report.model.get_weights(), trained.get_weights()))


def verdict(**changes):
    dense = Attempt("dense, int8", 0, 0.9, 9000, True)
    small = Attempt("80.00 %, int8", 5, 0.899, 4000, True)
    options = {"baseline_score": 0.9, "max_accuracy_drop": 0.005, **changes}
    return Search("accuracy", attempts=(dense, small), chosen=1, **options).verdict


def test_a_drop_that_is_finer_than_the_samples_tell_is_said():
    """One standard error of .9 on 900 samples is about sqrt(.09 / 900) = .01."""
    assert verdict(samples=900).endswith(
        "A drop of 0.005 is finer than 900 samples tell: one standard error is 0.01. "
        "Validate on more, or measure the file on data that have chosen nothing."
    )
    for fine in [
        {"samples": 3700},  # .0049
        {"samples": 900, "max_accuracy_drop": 0.011},
        {"samples": None},
        {"samples": 900, "baseline_score": 1.0},  # .0011
    ]:
        assert "finer" not in verdict(**fine)
    assert "finer than 50 samples" in verdict(samples=50, baseline_score=1.0)


@pytest.mark.quick_in("keras")
def test_the_search_knows_how_many_samples_its_accuracy_counts(trained, digits):
    validation_data = tuple(array[:50] for array in digits[1])
    options = {"validation_data": validation_data, "target": "smallest", "verbose": 0}
    report = kpk.compress(
        trained, digits[0], epochs=0, max_accuracy_drop=0.001, **options
    )
    assert report.search.samples == report.to_dict()["search"]["samples"] == 50
    assert "50 samples tell" in str(report)


CLASSES = np.arange(30) % 3


@pytest.mark.parametrize(
    ("loss", "metric", "y", "answers"),
    [
        ("sparse_categorical_crossentropy", "accuracy", CLASSES, 30),
        ("categorical_crossentropy", "accuracy", np.eye(3)[CLASSES], 30),
        ("categorical_crossentropy", "mae", np.eye(3)[CLASSES], None),
        # Several labels of a sample, and a label for each token.
        ("binary_crossentropy", "accuracy", np.ones((30, 3)), None),
        ("sparse_categorical_crossentropy", "accuracy", np.ones((30, 7)), None),
    ],
)
def test_only_single_answers_of_samples_are_counted(loss, metric, y, answers):
    shape = (7, 3) if y.shape == (30, 7) else (3,)
    inputs = keras.Input(shape)
    model = keras.Model(inputs, keras.layers.Softmax()(inputs))
    model.compile(loss=loss, metrics=[metric])
    x = np.random.default_rng(0).normal(size=(30, *shape)).astype("float32")
    for data in [(x, y), tf.data.Dataset.from_tensor_slices((x, y)).batch(8)]:
        evaluation = Evaluation(data, model)
        assert evaluation.answers is None
        evaluation.tflite(kpk.export_tflite(model))
        assert evaluation.answers == answers


@pytest.mark.quick_in("keras")
def test_what_is_given_is_not_searched(trained, digits):
    report = search(
        trained,
        digits,
        policy=0.5,
        quantization="dynamic",
        epochs=4,
        max_accuracy_drop=0.5,
    )
    (_, attempt) = report.search.attempts
    assert attempt.setting == "your policy, dynamic" and attempt.epochs == 4
    assert report.final.name == "pruned + dynamic"
    assert report.sparsity_report.sparsity == pytest.approx(0.5, abs=1e-3)


def test_layers_that_cannot_train_quantized_are_quantized_after_training(digits):
    (x, y), (x_test, y_test) = digits
    keras.utils.set_random_seed(0)
    layers = keras.layers
    inputs = layers.Input((8, 8))
    hidden = layers.Dense(32, activation="relu")(inputs)
    hidden = layers.Add()([hidden, layers.MultiHeadAttention(4, 16)(hidden, hidden)])
    outputs = layers.Dense(10, activation="softmax")(layers.Flatten()(hidden))
    model = keras.Model(inputs, outputs)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    rows = (x[..., 0], y), (x_test[..., 0], y_test)
    model.fit(*rows[0], epochs=25, verbose=0)
    report = search(model, rows, max_accuracy_drop=DROP)
    names = [attempt.setting for attempt in report.search.attempts]
    assert not any("QAT" in name for name in names)
    # In quantization-aware training attention stays float, and takes most of a file.
    weights = [each for each in constants(report.tflite.bytes) if each.is_weight]
    assert {each.dtype for each in weights} == {"int8"}
    # What was trained is rounded to 4 bits, too, and keeps its zeros.
    rounded = [name for name in names if "then 4 bits in int8" in name]
    assert rounded
    chosen = report.search.attempts[report.search.chosen]
    assert chosen.setting in rounded
    assert max(len(np.unique(each.stored)) for each in weights) == 15
    least = float(chosen.setting.partition(" ")[0]) / 100
    assert kpk.sparsity_report(report.model).sparsity >= least - 0.001
    assert report.tflite.evaluate(*rows[1]) == pytest.approx(chosen.score)
    # The same weights in the format that is faster on a CPU: as small, as good.
    fast = kpk.export_tflite(report.model, quantization="dynamic")
    assert fast.gzip_bytes < 1.1 * report.tflite.gzip_bytes
    assert fast.evaluate(*rows[1]) == pytest.approx(chosen.score, abs=0.02)


@pytest.mark.quick_in("keras")
def test_a_criterion_of_gradients_sees_the_labels_that_are_trained_on(trained, digits):
    # Its model has a loss for soft targets; class numbers do not fit that.
    policy = kpk.PrunePolicy(0.5, criterion=kpk.taylor)
    options = {"policy": policy, "quantization": "none", "max_accuracy_drop": 0.2}
    report = search(trained, digits, **options, epochs=4)
    assert report.sparsity_report.sparsity == pytest.approx(0.5, abs=1e-3)
    assert report.search.attempts[-1].score > 0.7


# What attempts learn.


def test_half_of_each_label_is_the_models(K, mlp, data):
    model = mlp()
    training = training_of(model, data)
    targets, labels = (
        training.arguments["y"],
        training.arguments["validation_data"][1],
    )
    expected = 0.5 * model.predict(data[0], verbose=0) + 0.5 * np.eye(3)[data[1]]
    np.testing.assert_allclose(targets, expected, atol=1e-5)
    np.testing.assert_array_equal(labels, np.eye(3)[data[1]])
    training.lasting(1).prepare(model)
    history = model.fit(**training.lasting(1).arguments).history
    assert history["val_accuracy"][-1] > 0
    assert float(model.optimizer.iterations) == 4


@pytest.mark.parametrize("kind", ["arrays", "dataset"])
def test_a_binary_classifier_of_logits(K, kind):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(256, 4)).astype("float32")
    y = (x[:, 0] > 0).astype("int64")
    model = K.Sequential([K.layers.Input((4,)), K.layers.Dense(1)])
    kernel = np.array([[9], [0], [0], [0]], "float32")
    model.set_weights([kernel, np.zeros(1, "float32")])
    loss = K.losses.BinaryCrossentropy(from_logits=True)
    model.compile("sgd", loss, metrics=["accuracy"])
    data = (x, y)
    if kind == "dataset":
        data = tf.data.Dataset.from_tensor_slices(data).batch(32)
    training = training_of(model, data)
    training.prepare(model)
    arguments = fit_arguments(training.arguments["validation_data"])
    scores = model.evaluate(**arguments, verbose=0, return_dict=True)
    assert scores["accuracy"] == pytest.approx(1, abs=0.01)  # the threshold is 0


def test_several_outputs_learn_from_their_labels(K):
    model = models.two_in_two_out(K)
    model.compile("adam", loss={"kind": "mse", "place": "mae"})
    data = ({"left": np.zeros((4, 8)), "right": np.zeros((4, 4))}, {"kind": 0})
    training = training_of(model, data, "kind_accuracy")
    assert training.arguments["x"] is data[0] and training.arguments["y"] is data[1]
    assert training.metric == "kind_accuracy"


@pytest.mark.parametrize(
    ("rate", "first"), [(1e-4, 1e-4), (0.1, 1e-3), (1e-9, 1e-3), (None, 1e-3)]
)
def test_a_small_rate_of_the_model_stays_small(K, mlp, data, rate, first):
    schedule = K.optimizers.schedules.CosineDecay(0.01, 10)
    model = mlp(optimizer=K.optimizers.Adam(schedule if rate is None else rate))
    training_of(model, data).prepare(model)
    found = model.optimizer.learning_rate
    found = found(0) if callable(found) else found
    assert float(found) == pytest.approx(first)


# Bad input.


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"target": "best"}, "'smallest', 'fastest' or None"),
        ({"max_accuracy_drop": -0.1}, "at least 0 and below 1"),
        ({"max_accuracy_drop": math.nan}, "at least 0 and below 1"),
        ({"max_accuracy_drop": 1.0}, "at least 0 and below 1"),
        ({"max_accuracy_drop": "1 %"}, "at least 0 and below 1"),
        ({"epochs": 3}, "at least 4 epochs"),
        ({"policy": 80}, "write 0.8"),
        ({"quantization": "int3"}, "quantization must be one of"),
    ],
)
def test_bad_values_are_found_before_training(trained, digits, arguments, message):
    weights = trained.get_weights()
    with pytest.raises(ValueError, match=message):
        search(trained, digits, **arguments)
    assert all(map(np.array_equal, weights, trained.get_weights()))


def test_a_model_without_accuracy_is_named(K, digits):
    model = K.Sequential(
        [K.layers.Input((8, 8, 1)), K.layers.Flatten(), K.layers.Dense(10)]
    )
    loss = K.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss)
    with pytest.raises(ValueError, match=r"metrics=\['accuracy'\]. Received"):
        search(model, digits)


def test_an_uncompiled_model_is_named(K, digits):
    model = K.Sequential([K.layers.Input((64,)), K.layers.Dense(3)])
    with pytest.raises(ValueError, match="must be compiled"):
        search(model, digits)


def test_data_that_run_dry_are_named(trained, digits):
    with pytest.raises(ValueError, match="several attempts"):
        kpk.compress(
            trained,
            iter([digits[0]]),
            validation_data=digits[1],
            target="smallest",
            epochs=4,
        )


def test_what_cannot_train_quantized_is_named(digits):
    class Net(keras.Model):
        def __init__(self):
            super().__init__()
            self.flat = keras.layers.Flatten()
            self.top = keras.layers.Dense(10, activation="softmax")

        def call(self, inputs):
            return self.top(self.flat(inputs))

        def get_config(self):
            return {}

        @classmethod
        def from_config(cls, config):
            return cls()

    model = Net()
    model(digits[0][0][:1])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    with pytest.raises(ValueError, match="Sequential or functional"):
        search(model, digits)
