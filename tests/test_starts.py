"""Where the trainings of `compress` start, and the averages that they end with."""

import logging

import numpy as np
import pytest
from test_without_training import normalized
from trained import trained_once

import keras_prune_kit as kpk
from keras_prune_kit.compression import repairing
from keras_prune_kit.compression.fine_tuning import FineTuning
from keras_prune_kit.digits import load_digits


@pytest.fixture(scope="module")
def digits():
    (x, y), (x_test, y_test) = load_digits()
    return (x[:400], y[:400]), (x_test[:100], y_test[:100])


@pytest.fixture
def trained(K, digits):
    return trained_once(normalized, K, digits[0], epochs=8)


def compress(K, model, digits, **arguments):
    """The report, and the weights that the training began with."""
    begun = []

    def remember(logs):
        begun.append(look.model.get_weights())

    look = K.callbacks.LambdaCallback(on_train_begin=remember)
    options = {"policy": 0.8, "epochs": 1, "quantization": "none", "verbose": 0}
    options |= {"validation_data": digits[1], "callbacks": [look], **arguments}
    data = options.pop("train_data", digits[0])
    return kpk.compress(model, data, **options), begun[0]


def of_training(digits, epochs=1):
    arguments = {"x": digits[0][0], "y": digits[0][1], "epochs": epochs}
    arguments |= {"validation_data": digits[1], "verbose": 0}
    return FineTuning(arguments, "accuracy", "max")


def same(a, b):
    return all(np.array_equal(*pair) for pair in zip(a, b, strict=True))


@pytest.mark.quick_in("keras")
def test_a_short_training_starts_from_the_repaired_model(K, trained, digits):
    report, begun = compress(K, trained, digits)
    assert report.settings["start"] == "repaired"
    expected = kpk.prune_at_once(trained, 0.8, data=digits[0][0])
    kpk.reestimate_batch_norm(expected, trained, data=digits[0][0])
    # Pruning has begun, and no zero of it is another.
    assert same(begun, expected.get_weights())
    zeros = [array == 0 for array in expected.get_weights() if array.ndim > 1]
    kernels = [array for array in report.model.get_weights() if array.ndim > 1]
    assert same(zeros, [array == 0 for array in kernels])


@pytest.mark.quick_in("keras")
def test_a_long_one_starts_from_the_dense_model(K, trained, digits, monkeypatch):
    monkeypatch.setattr(repairing, "_FEW_STEPS", 12)  # An epoch has 13.
    report, begun = compress(K, trained, digits)
    assert report.settings["start"] == "dense"
    assert same(begun, trained.get_weights())


@pytest.mark.quick_in("keras")
def test_what_lost_too_much_is_no_start(K, trained, digits, caplog):
    training = of_training(digits)
    with caplog.at_level(logging.DEBUG, "keras_prune_kit"):
        start, name = repairing.start_of(trained, kpk.PrunePolicy(0.99), training)
    assert name == "dense"
    assert start is trained
    assert "its outputs lose" in caplog.text


@pytest.mark.quick_in("keras")
@pytest.mark.parametrize(
    "policy",
    [
        kpk.PrunePolicy(0.5, criterion=kpk.taylor),
        kpk.PrunePolicy(0.5, structure=kpk.Channel()),
        None,
    ],
)
def test_what_cannot_be_repaired_starts_dense(trained, digits, policy):
    training = of_training(digits)
    assert repairing.start_of(trained, policy, training) == (trained, "dense")


@pytest.mark.quick_in("keras")
@pytest.mark.filterwarnings("ignore:.*shuffle=True", "ignore:Your input ran out")
def test_data_of_one_pass_are_all_for_the_training(K, trained, digits):
    x, y = digits[0]
    seen = []

    def once():
        for start in range(0, 400, 50):
            seen.append(start)
            yield x[start : start + 50], y[start : start + 50]

    options = {"train_data": once(), "representative_data": x[:50]}
    report, begun = compress(K, trained, digits, **options)
    assert report.settings["start"] == "dense"
    assert seen == list(range(0, 400, 50))
    assert same(begun, trained.get_weights())


@pytest.mark.quick_in("keras")
def test_large_samples_are_fewer(K, monkeypatch):
    model = K.Sequential([K.layers.Input((1000,)), K.layers.Dense(2)])
    x = np.arange(600, dtype="float32")[:, None] * np.ones((1, 1000), "float32")
    assert repairing.repair_samples(model, (x,)).shape == (512, 1000)
    monkeypatch.setattr(repairing, "_MOST_BYTES", 4000 * 100)
    few = repairing.repair_samples(model, (x,))
    assert few.shape == (100, 1000)
    assert few[0, 0] == 0
    assert few[-1, 0] == 599
    monkeypatch.setattr(repairing, "_MOST_BYTES", 1)
    assert len(repairing.repair_samples(model, (x,))) == 32


def spoiled(K, trained):
    """A copy whose batch normalization has averages that are far off."""
    copied = K.models.clone_model(trained)
    copied.set_weights(trained.get_weights())
    copied.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    layer = next(each for each in copied.layers if hasattr(each, "moving_mean"))
    gamma, beta, mean, variance = layer.get_weights()
    layer.set_weights([gamma, beta, mean + 3, 9 * variance])
    return copied, layer


@pytest.mark.quick_in("keras")
def test_averages_that_lag_are_renewed(K, trained, digits):
    copied, layer = spoiled(K, trained)
    training = of_training(digits)
    before = training.score(copied)
    score = repairing.renew_averages(copied, trained, training, before)
    assert score > before + 0.3
    accuracy = copied.evaluate(*digits[1], verbose=0, return_dict=True)["accuracy"]
    assert score == pytest.approx(accuracy)
    inputs = trained.layers[0](digits[0][0])
    _, _, mean, variance = layer.get_weights()
    np.testing.assert_allclose(mean, np.mean(inputs, (0, 1, 2)), atol=1e-4)
    np.testing.assert_allclose(variance, np.var(inputs, (0, 1, 2)), rtol=1e-3)


@pytest.mark.quick_in("keras")
def test_averages_stay_unless_the_score_rises(K, trained, digits):
    copied, _ = spoiled(K, trained)
    before = copied.get_weights()
    assert repairing.renew_averages(copied, trained, of_training(digits), 1.0) == 1.0
    assert same(before, copied.get_weights())
    none = repairing.renew_averages(copied, trained, of_training(digits), None)
    assert none is None
    assert same(before, copied.get_weights())
