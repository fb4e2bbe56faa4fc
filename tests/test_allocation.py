"""Where the sparsity of a model goes."""

import itertools

import models
import numpy as np
import pytest

import keras_prune_kit as kpk
from keras_prune_kit.reports import WeightSensitivity

METHODS = ("erk", "global", "sensitivity")


def convolutional(K):
    model = K.Sequential(
        [
            K.layers.Input((8, 8, 1)),
            K.layers.Conv2D(6, 3, activation="relu", name="conv"),
            K.layers.Flatten(),
            K.layers.Dense(12, activation="relu", name="hidden"),
            K.layers.Dense(3, activation="softmax", name="classifier"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def prune(model, policy):
    pruner = kpk.Pruner(model, policy)
    pruner.start()
    return pruner.finalize()


@pytest.fixture
def images():
    rng = np.random.default_rng(0)
    return rng.random((64, 8, 8, 1), dtype="float32"), rng.integers(0, 3, 64)


@pytest.mark.each_value
@pytest.mark.parametrize("sparsity", [0.3, 0.9, 0.99])
@pytest.mark.parametrize("method", METHODS)
def test_the_model_gets_exactly_what_was_asked_for(K, images, method, sparsity):
    model = convolutional(K)
    data = images if method == "sensitivity" else None
    before = model.get_weights()
    at_once = kpk.ConstantSparsity(sparsity)
    policy = kpk.allocate(model, sparsity, method, data=data, schedule=at_once)
    assert all(map(np.array_equal, model.get_weights(), before))
    report = prune(model, policy)
    size = 54 + 6 * 36 * 12 + 36
    assert report.zeros == round(sparsity * size)
    assert len({weight.sparsity for weight in report.weights}) > 1
    assert kpk.PrunePolicy.from_dict(policy.to_dict()) == policy


def test_erk_on_a_model(K):
    """By hand: of 3 + 3 + 1 + 6 = 13, 216 + 12 = 228 and 12 + 3 = 15 parts, 256."""
    model = convolutional(K)
    plan = kpk.allocate(model, 0.95).plan(model)
    kept = {
        weight.path: round((1 - weight.schedule.final_sparsity) * np.prod(weight.shape))
        for weight in plan.weights
    }
    # 134 of 2682 are kept.
    assert kept == {"conv/kernel": 7, "hidden/kernel": 119, "classifier/kernel": 8}


def test_sensitivity_measures_each_weight_alone(K, images):
    model = convolutional(K)
    report = kpk.sensitivity(model, images, levels=(0.9, 0.5))
    assert [weight.path for weight in report.weights] == [
        "conv/kernel",
        "hidden/kernel",
        "classifier/kernel",
    ]
    dense = model.evaluate(*images, verbose=0, return_dict=True)["loss"]
    assert report.loss == pytest.approx(dense, rel=1e-5)
    others = kpk.Rule(["conv", "classifier"], None)
    prune(model, kpk.PrunePolicy(kpk.ConstantSparsity(0.9), others))
    expected = model.evaluate(*images, verbose=0, return_dict=True)["loss"]
    assert report.weights[1].sparsities == (0.5, 0.9)
    assert report.weights[1].losses[1] == pytest.approx(expected, rel=1e-5)


def test_penalties_on_weights_do_not_count(K, images):
    """They fall as weights are pruned, whatever that does to the predictions."""
    model = convolutional(K)
    plain = kpk.sensitivity(model, images, levels=(0.9,))
    penalized = K.Sequential(
        [
            K.layers.Input((8, 8, 1)),
            K.layers.Conv2D(6, 3, activation="relu", kernel_regularizer="l2"),
            K.layers.Flatten(),
            K.layers.Dense(12, activation="relu", kernel_regularizer="l2"),
            K.layers.Dense(3, activation="softmax", kernel_regularizer="l2"),
        ]
    )
    penalized.compile("adam", "sparse_categorical_crossentropy")
    penalized.set_weights(model.get_weights())
    report = kpk.sensitivity(penalized, images, levels=(0.9,))
    for one, other in zip(plain.weights, report.weights, strict=True):
        assert one.losses == pytest.approx(other.losses)


def test_zeros_go_where_they_cost_nothing(K, images):
    """The second half of the inputs is always zero, and so is its use."""
    x = images[0].reshape(64, 64).copy()
    x[:, 32:] = 0
    model = K.Sequential(
        [
            K.layers.Input((64,)),
            K.layers.Dense(8, name="wasteful"),
            K.layers.Dense(64, name="busy"),
        ]
    )
    model.compile("adam", "mse")
    kernel = np.ones((64, 8), "float32")
    kernel[32:] = 0.1
    model.layers[-2].kernel.assign(kernel)
    data = (x, model.predict(x, verbose=0))
    policy = kpk.allocate(model, 0.25, "sensitivity", data=data)
    got = {w.path: w.schedule.final_sparsity for w in policy.plan(model).weights}
    assert got == {"wasteful/kernel": 0.5, "busy/kernel": 0.0}


@pytest.mark.parametrize("name", ["two_in_two_out", "subclassed"])
def test_models_of_other_kinds(K, name):
    model = models.ZOO[name](K)
    model.compile("adam", "mse")
    rng = np.random.default_rng(0)
    x = rng.random((300, 8))
    if name == "two_in_two_out":
        x = [x, rng.random((300, 4))]
    data = (x, model.predict(x, verbose=0))
    report = kpk.sensitivity(model, data, levels=(0.5, 1.0))
    assert report.loss == pytest.approx(0, abs=1e-6)
    assert min(weight.losses[1] for weight in report.weights) > 0
    policy = kpk.allocate(model, 0.8, "sensitivity", data=report)
    weights = policy.plan(model).weights
    zeros = [w.schedule.final_sparsity * np.prod(w.shape) for w in weights]
    total = sum(np.prod(w.shape) for w in weights)
    assert sum(zeros) == pytest.approx(round(0.8 * total))


def test_the_timing_is_that_of_the_schedule(K):
    model = models.sequential(K)
    schedule = kpk.CosineDecay(0.7, 0.8, begin_step=10, end_step=20)
    weights = kpk.allocate(model, 0.75, schedule=schedule).plan(model).weights
    assert all(isinstance(w.schedule, kpk.CosineDecay) for w in weights)
    assert {w.schedule.end_step for w in weights} == {20}
    # One ends below where the ramp would start.
    assert weights[1].schedule.final_sparsity < 0.7


def test_other_layers_stay_dense(K):
    model = convolutional(K)
    policy = kpk.allocate(model, 0.5, match=["conv", "hidden"])
    weights = policy.plan(model).weights
    assert [w.path for w in weights] == ["conv/kernel", "hidden/kernel"]
    zeros = sum(w.schedule.final_sparsity * np.prod(w.shape) for w in weights)
    assert zeros == pytest.approx(0.5 * (54 + 2592))


def test_the_model_is_as_it_was_after_an_error(K, images, monkeypatch):
    model = convolutional(K)
    before = model.get_weights()
    calls = itertools.count()

    def predict_on_batch(x):
        if next(calls) == 3:
            raise KeyboardInterrupt
        return type(model).predict_on_batch(model, x)

    monkeypatch.setattr(model, "predict_on_batch", predict_on_batch)
    with pytest.raises(KeyboardInterrupt):
        kpk.sensitivity(model, images)
    assert all(map(np.array_equal, model.get_weights(), before))


@pytest.mark.quick_in("keras")
def test_the_report_prints_plots_and_turns_into_plain_data(K, images, tmp_path):
    report = kpk.sensitivity(convolutional(K), images)
    text = str(report)
    assert "hidden/kernel" in text and "99 %" in text
    assert max(map(len, text.splitlines())) <= 80
    report.plot(tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert report.to_dict()["weights"][0]["shape"] == [3, 3, 1, 6]


@pytest.mark.quick_in("keras")
def test_bad_values_are_named(K, images, mlp):
    model = convolutional(K)
    for arguments, error, message in [
        ({"sparsity": 80}, ValueError, "write 0.8"),
        ({"method": "magic"}, ValueError, "method='magic'"),
        ({"method": "sensitivity"}, ValueError, r"needs data=\(x, y\)"),
        ({"data": images}, ValueError, "uses no data"),
        ({"schedule": 0.5}, TypeError, "schedule=0.5"),
        ({"match": "nowhere"}, ValueError, "'nowhere' covers no"),
        ({"method": "sensitivity", "data": images[0]}, ValueError, r"\(x, y\)"),
    ]:
        with pytest.raises(error, match=message):
            kpk.allocate(model, **{"sparsity": 0.8, **arguments})
    for levels in [(), (0.0,), (1.2,), (0.5, float("nan"))]:
        with pytest.raises(ValueError, match="levels are sparsities"):
            kpk.sensitivity(model, images, levels=levels)
    with pytest.raises(TypeError, match="levels is an array of numbers"):
        kpk.sensitivity(model, images, levels="high")
    report = kpk.sensitivity(model, images, levels=(0.5,))
    with pytest.raises(ValueError, match="of the same model"):
        kpk.allocate(mlp(), 0.8, "sensitivity", data=report)
    with pytest.raises(ValueError, match="reach a sparsity of 0.5, .* 0.8001"):
        kpk.allocate(model, 0.8, "sensitivity", data=report)
    with pytest.raises(ValueError, match="compiled with a loss"):
        kpk.sensitivity(models.sequential(K), images)
    with pytest.raises(ValueError, match="loss on the sample is nan"):
        model.layers[-1].bias.assign(np.full(3, np.nan))
        kpk.sensitivity(model, images)


def test_what_counts_is_the_rise_of_the_loss(K):
    """The first weight costs more for its first zeros, less for all of them."""
    model = K.Sequential([K.layers.Input((10,)), K.layers.Dense(10, name="first")])
    model.add(K.layers.Dense(10, name="second"))
    weights = tuple(
        WeightSensitivity(f"{name}/kernel", (10, 10), (0.5, 0.9), losses)
        for name, losses in (("first", (5.2, 5.3)), ("second", (5.1, 5.9)))
    )
    report = kpk.SensitivityReport(5.0, weights)
    policy = kpk.allocate(model, 0.5, "sensitivity", data=report)
    # Along the hulls: 0.1 for 50 of the second, then 0.3 for 90 of the first.
    finals = [w.schedule.final_sparsity for w in policy.plan(model).weights]
    assert finals == [0.5, 0.5]
