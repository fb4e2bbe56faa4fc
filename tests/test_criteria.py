"""Criteria, and a contract that every one of them keeps."""

import numpy as np
import pytest

import keras_prune_kit as kpk
from keras_prune_kit import _keras
from keras_prune_kit.criteria import gradients_needed

CRITERIA = [
    kpk.magnitude,
    kpk.lamp,
    kpk.random_scores(3),
    kpk.taylor,
    kpk.optimal_brain_damage,
    kpk.movement,
]


def scores_of(criterion, weights):
    """The scores, with gradients of 0.5 for criteria that look at them."""
    if gradients_needed(criterion) is None:
        return criterion(weights)
    return criterion(weights, np.full(weights.shape, 0.5))


@pytest.mark.parametrize("criterion", CRITERIA)
def test_one_score_a_weight(criterion):
    assert scores_of(criterion, np.ones((2, 3, 4))).shape == (2, 3, 4)


@pytest.mark.parametrize("criterion", CRITERIA)
def test_what_is_zero_already_scores_lowest(criterion):
    weights = np.array([0.0, 1e-4, -2.0, 0.0])
    scores = scores_of(criterion, weights)
    assert scores[[0, 3]].max() < scores[[1, 2]].min()


@pytest.mark.parametrize("criterion", CRITERIA)
def test_weights_are_not_changed(criterion):
    weights = np.array([-1.0, 2.0])
    scores_of(criterion, weights)
    assert weights.tolist() == [-1.0, 2.0]


def test_magnitude_is_the_absolute_value():
    assert kpk.magnitude(np.array([-3.0, 2.0])).tolist() == [3.0, 2.0]


def test_lamp_is_the_share_in_what_is_left():
    weights = np.array([[2.0, -1.0], [0.0, 3.0]])
    assert np.allclose(kpk.lamp(weights), [[4 / 13, 1 / 14], [0, 1]])


def test_lamp_ranks_a_layer_by_magnitude():
    weights = np.random.default_rng(0).normal(size=(7, 5))
    ranks = [scores.ravel().argsort() for scores in (kpk.lamp(weights), abs(weights))]
    assert (ranks[0] == ranks[1]).all()


def test_lamp_does_not_depend_on_the_scale_of_a_layer():
    weights = np.random.default_rng(0).normal(size=20)
    assert np.allclose(kpk.lamp(weights), kpk.lamp(1e3 * weights))


def test_random_scores_repeat_with_their_seed_only():
    weights = np.ones(100)
    first = kpk.random_scores(1)(weights)
    assert (first == kpk.random_scores(1)(weights)).all()
    assert (first != kpk.random_scores(2)(weights)).any()


@pytest.mark.parametrize("seed", [-1, 0.5, "a", True])
def test_a_bad_seed_is_named(seed):
    with pytest.raises(ValueError, match="seed"):
        kpk.random_scores(seed)


@pytest.mark.parametrize("statistic", ["mean", None])
def test_unknown_gradients_are_named(statistic):
    with pytest.raises(ValueError, match="statistic is one of"):
        kpk.needs_gradients(statistic, 32)(lambda w, g: g)


@pytest.fixture
def quadratic(K):
    """One weight matrix whose gradients can be worked out by hand."""
    model = K.Sequential([K.layers.Input((2,)), K.layers.Dense(1, use_bias=False)])
    model.compile("sgd", "mse")
    model.set_weights([np.array([[1.0], [2.0]], "float32")])
    x = np.array([[1.0, 0.0], [0.0, 3.0], [0.0, 3.0], [1.0, 0.0]], "float32")
    return model, (x, np.zeros((4, 1), "float32"))


@pytest.mark.parametrize(
    ("statistic", "batch_size", "expected"),
    [
        # The loss of a sample is (x @ w) ** 2, its gradient 2 * (x @ w) * x.
        ("signed", 1, [1.0, 18.0]),
        ("squared", 1, [2.0, 648.0]),
        ("absolute", 2, [1.0, 18.0]),
        ("squared", 4, [1.0, 324.0]),
    ],
)
def test_gradients_by_hand(quadratic, statistic, batch_size, expected):
    model, data = quadratic
    probe = _keras.GradientProbe(model, data, model.trainable_variables)
    (mean,) = probe.mean(statistic, batch_size)
    assert mean.ravel().tolist() == pytest.approx(expected)


def test_looking_at_gradients_leaves_no_trace_in_the_metrics(quadratic):
    model, data = quadratic
    model.evaluate(*data, verbose=0)
    counters = [v.numpy() for metric in model.metrics for v in metric.variables]
    probe = _keras.GradientProbe(model, data, model.trainable_variables)
    probe.mean("signed", 2)
    after = [v.numpy() for metric in model.metrics for v in metric.variables]
    assert counters == after
    assert model.get_weights()[0].ravel().tolist() == [1.0, 2.0]


@pytest.mark.parametrize("criterion", CRITERIA[2:])
@pytest.mark.parametrize("scope", ["layer", "global"])
def test_gradients_decide_in_fit(mlp, data, criterion, scope):
    policy = kpk.PrunePolicy(
        kpk.PolynomialDecay(0, 0.75, frequency=4), criterion=criterion, scope=scope
    )
    pruning = kpk.PruningCallback(policy, data=(data[0][:64], data[1][:64]))
    model = mlp()
    model.fit(*data, epochs=3, verbose=0, callbacks=[pruning])
    assert pruning.report.zeros == 96 + 36
    by_magnitude = kpk.PruningCallback(kpk.PrunePolicy(0.75, scope=scope))
    other = mlp()
    other.fit(*data, epochs=3, verbose=0, callbacks=[by_magnitude])
    assert ((model.get_weights()[0] == 0) != (other.get_weights()[0] == 0)).any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({}, r"pass data=\(x, y\)"), ({"data": 5}, "sample of the training data")],
)
def test_a_criterion_without_its_data_says_so(mlp, arguments, message):
    policy = kpk.PrunePolicy(0.5, criterion=kpk.taylor)
    with pytest.raises(ValueError, match=message):
        kpk.Pruner(mlp(), policy, **arguments)


def test_a_criterion_without_a_loss_says_so(K, data):
    model = K.Sequential([K.layers.Input((8,)), K.layers.Dense(3)])
    policy = kpk.PrunePolicy(0.5, criterion=kpk.taylor)
    with pytest.raises(ValueError, match="compiled with a loss"):
        kpk.Pruner(model, policy, data=data)
