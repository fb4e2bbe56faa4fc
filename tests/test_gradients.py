"""Criteria that need gradients: the numbers by hand, then in training."""

import numpy as np
import pytest

import keras_prune_kit as kpk
from keras_prune_kit import _keras

CRITERIA = [kpk.random_scores(3), kpk.taylor, kpk.optimal_brain_damage, kpk.movement]


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


@pytest.mark.each_value
@pytest.mark.parametrize("criterion", CRITERIA)
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
