"""`compress(epochs=0)`: masks at once and a repair, without labels and training."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from trained import trained_once

import keras_prune_kit as kpk
from keras_prune_kit.digits import load_digits


@pytest.fixture(scope="module")
def digits():
    (x, y), (x_test, y_test) = load_digits()
    return (x[:400], y[:400]), (x_test[:100], y_test[:100])


@pytest.fixture
def trained(K, digits):
    return trained_once(normalized, K, digits[0], epochs=8)


def normalized(K):
    layers = [
        K.layers.Input((8, 8, 1)),
        K.layers.Conv2D(16, 3, use_bias=False),
        K.layers.BatchNormalization(momentum=0.8),
        K.layers.ReLU(),
        K.layers.Flatten(),
        K.layers.Dense(32, activation="relu"),
        K.layers.Dense(10, activation="softmax"),
    ]
    model = K.Sequential(layers)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def at_once(model, digits, data=None, **arguments):
    data = digits[0][0] if data is None else data
    defaults = {"validation_data": digits[1], "quantization": "none", "epochs": 0}
    return kpk.compress(model, data, **{**defaults, **arguments})


def same(a, b):
    pairs = zip(a.get_weights(), b.get_weights(), strict=True)
    return all(np.array_equal(*pair) for pair in pairs)


@pytest.mark.parametrize("policy", [0.9, kpk.PrunePolicy(0.8)])
def test_the_weights_are_those_of_prune_at_once(trained, digits, policy):
    before = trained.get_weights()
    report = at_once(trained, digits, policy=policy)
    x = digits[0][0]
    expected = kpk.prune_at_once(trained, policy, data=x)
    kpk.reestimate_batch_norm(expected, trained, data=x)
    assert same(report.model, expected)
    assert all(map(np.array_equal, before, trained.get_weights()))
    accuracy = expected.evaluate(*digits[1], verbose=0, return_dict=True)["accuracy"]
    assert report.stages[2].score == pytest.approx(accuracy)
    assert report.final.score == pytest.approx(accuracy, abs=0.011)
    assert report.settings["epochs"] == 0


def test_a_number_ranks_all_weights_and_most_of_the_accuracy_stays(trained, digits):
    report = at_once(trained, digits, policy=0.8)
    sizes = (144, 576 * 32, 320)
    assert report.sparsity_report.zeros == round(0.8 * sum(sizes))
    assert report.settings["policy"]["criterion"] == {"name": "lamp"}
    assert report.settings["policy"]["scope"] == "global"
    assert report.final.score > report.baseline.score - 0.03
    # The default is the same.
    assert same(at_once(trained, digits).model, report.model)


@pytest.mark.quick_in("keras")
def test_labels_are_ignored_and_inputs_come_in_any_form(trained, digits):
    x, y = digits[0]
    wrong = np.full(len(y), 99)
    expected = at_once(trained, digits)
    batches = tf.data.Dataset.from_tensor_slices
    for data in (
        (x, wrong),
        (x,),
        [x],
        batches(x).batch(100),
        batches((x, wrong)).batch(100),
        iter([x[:200], x[200:]]),
    ):
        assert same(at_once(trained, digits, data).model, expected.model)


def test_fewer_samples_are_not_taken_twice(trained, digits):
    x = digits[0][0][:60]
    report = at_once(trained, digits, x, policy=0.9)
    expected = kpk.prune_at_once(trained, 0.9, data=x)
    kpk.reestimate_batch_norm(expected, trained, data=x)
    assert same(report.model, expected)


def test_several_inputs(K):
    import models

    model = models.two_in_two_out(K)
    model.compile("adam", loss="mse", metrics={"kind": ["mae"], "place": ["mse"]})
    rng = np.random.default_rng(0)
    left, right = (rng.normal(size=(64, n)).astype("float32") for n in (8, 4))
    y = {"kind": np.zeros((64, 3)), "place": np.zeros((64, 2))}
    held_out = {"validation_data": ({"left": left, "right": right}, y)}
    options = {**held_out, "epochs": 0, "policy": 0.5, "quantization": "none"}
    expected = kpk.prune_at_once(model, 0.5, data=[left, right])
    for data in ([left, right], {"left": left, "right": right}, ((left, right), y)):
        report = kpk.compress(model, data, **options)
        assert same(report.model, expected)
    with pytest.raises(ValueError, match="one array for each input"):
        kpk.compress(model, left, **options)


@pytest.mark.quick_in("keras")
def test_zero_channels_are_repaired_and_leave(trained, digits):
    policy = kpk.PrunePolicy(0.5, structure=kpk.Channel())
    report = at_once(trained, digits, policy=policy)
    masked = kpk.prune_at_once(trained, policy, data=digits[0][0])
    kpk.reestimate_batch_norm(masked, trained, data=digits[0][0])
    small = report.model
    assert small.count_params() < 0.4 * trained.count_params()
    x = digits[1][0]
    np.testing.assert_allclose(
        small.predict(x, verbose=0), masked.predict(x, verbose=0), atol=1e-5
    )
    assert report.final.score > 0.85


def test_a_file_of_four_bits_has_the_weights_that_the_repair_rounded(trained, digits):
    pytest.importorskip("litert_quantizer")
    x = digits[0][0]
    report = at_once(trained, digits, policy=0.5, quantization="int4")
    expected = kpk.prune_at_once(trained, 0.5, data=x, weight_bits=4)
    kpk.reestimate_batch_norm(expected, trained, data=x)
    assert same(report.model, expected)
    plain = kpk.prune_at_once(trained, 0.5, data=x)
    kpk.reestimate_batch_norm(plain, trained, data=x)
    nearest = kpk.export_tflite(plain, quantization="int4", representative_data=x)
    wanted = trained.predict(x, verbose=0)

    def error(file):
        return float(np.square(file.predict(x) - wanted).mean())

    assert error(report.tflite) < 0.7 * error(nearest)
    values = report.tflite.predict(x), report.model.predict(x, verbose=0)
    assert np.abs(values[0] - values[1]).max() < 0.05  # activations of 8 bits


@pytest.mark.quick_in("keras")
def test_a_budget_of_multiplications_is_met(trained, digits):
    report = at_once(trained, digits, macs=0.5, policy=0.5)
    assert report.stages[2].macs <= 0.5 * report.baseline.macs
    assert report.sparsity_report.sparsity == pytest.approx(0.5, abs=0.01)
    assert report.final.score > 0.85


@pytest.mark.quick_in("keras")
def test_the_smallest_is_searched_without_an_epoch(trained, digits):
    arguments = {"target": "smallest", "max_accuracy_drop": 0.03}
    report = at_once(trained, digits, quantization=None, **arguments)
    dense, *attempts = report.search.attempts
    assert {attempt.epochs for attempt in report.search.attempts} == {0}
    assert all(
        attempt.setting.endswith("at once, 4 bits in int8") for attempt in attempts
    )
    assert len({attempt.setting for attempt in attempts}) == 6
    held = [attempt for attempt in attempts if attempt.holds]
    assert held
    assert report.search.attempts[report.search.chosen] == min(
        held, key=lambda attempt: attempt.gzip_bytes
    )
    least = report.baseline.score - 0.03 - 1e-6
    assert all((attempt.score >= least) == attempt.holds for attempt in attempts)
    sparsity = round(report.sparsity_report.sparsity, 3)
    expected = kpk.prune_at_once(
        trained, _sparsity(report.search), data=digits[0][0], weight_bits=4
    )
    kpk.reestimate_batch_norm(expected, trained, data=digits[0][0])
    assert same(report.model, expected), sparsity


def _sparsity(search):
    name = search.attempts[search.chosen].setting
    return round(float(name.partition(" ")[0]) / 100, 4)


@pytest.mark.slow
def test_the_fastest_is_searched_without_an_epoch(K, trained, digits):
    report = at_once(trained, digits, target="fastest", max_accuracy_drop=0.1)
    attempts = report.search.attempts
    assert {attempt.epochs for attempt in attempts} == {0}
    assert report.search.chosen > 0
    assert report.stages[2].macs < report.baseline.macs


@pytest.mark.each_value
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"epochs": -1}, "at least 0. Received: epochs=-1"),
        ({"epochs": 3, "target": "smallest"}, "0 to search without training"),
        ({"policy": kpk.PrunePolicy(0.5, criterion=kpk.taylor)}, "gradients"),
        ({"data": np.full((20, 8, 8, 1), np.nan, "float32")}, "finite"),
        ({"data": np.zeros((20, 9, 9, 1), "float32")}, "shape"),
        ({"data": np.zeros((0, 8, 8, 1), "float32")}, "at least one"),
        ({"epochs": 2}, "labels to train with.*epochs=0"),
    ],
)
def test_bad_values_are_one_sentence(trained, digits, arguments, message):
    before = trained.get_weights()
    with pytest.raises(ValueError, match=message):
        at_once(trained, digits, **arguments)
    assert all(map(np.array_equal, before, trained.get_weights()))


@pytest.mark.parametrize("form", ["tuple", "dataset"])
def test_training_needs_labels(trained, digits, form):
    x = digits[0][0]
    data = (x,) if form == "tuple" else tf.data.Dataset.from_tensor_slices(x).batch(9)
    with pytest.raises(ValueError, match="labels to train with.*epochs=0"):
        at_once(trained, digits, data, epochs=1)


def test_what_are_no_inputs_is_named(digits):
    model = trained_once(normalized, keras, digits[0], epochs=8)
    for data in ("inputs", 3, None):
        with pytest.raises(TypeError, match="Received"):
            at_once(model, digits, data=data if data is not None else object())
