"""Criteria that need gradients, and the allocation of sparsity, on each backend."""

import keras
import numpy as np
import pytest
from contract import BACKEND, classifier, data, fit, kernels

import keras_prune_kit as kpk


def linear(rows=6):
    """A model with a mean squared error, whose gradients are a line of numpy."""
    keras.utils.set_random_seed(0)
    layer = keras.layers.Dense(2, use_bias=False)
    model = keras.Sequential([keras.Input((4,)), layer])
    model.compile("sgd", "mse", metrics=["mae"])
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, 4)).astype("float32")
    y = rng.normal(size=(rows, 2)).astype("float32")
    weight = rng.normal(size=(4, 2)).astype("float32")
    model.set_weights([weight])
    each = np.stack(
        [2 * np.outer(a, a @ weight - b) / 2 for a, b in zip(x, y, strict=True)]
    )
    return model, (x, y), weight, each


CRITERIA = {
    "taylor": (kpk.taylor, lambda w, g: np.square(w * g.mean(0))),
    "obd": (kpk.optimal_brain_damage, lambda w, g: w**2 * np.square(g).mean(0) / 2),
    "movement": (kpk.movement, lambda w, g: -w * g.mean(0)),
}


def zeros_after(model, sample, criterion):
    policy = kpk.PrunePolicy(kpk.ConstantSparsity(0.5), criterion=criterion)
    with kpk.Pruner(model, policy, data=sample):
        return kernels(model)[0] == 0


@pytest.mark.parametrize("name", CRITERIA)
def test_gradient_criteria_rank_as_numpy_does(name):
    criterion, score = CRITERIA[name]
    model, sample, weight, each = linear()
    zeros = zeros_after(model, sample, criterion)
    scores = score(weight, each)
    assert set(np.flatnonzero(zeros)) == set(scores.ravel().argsort()[:4])


def test_gradients_leave_the_metrics_and_weights_as_they_were():
    model, sample, weight, _ = linear()
    model.evaluate(*sample, verbose=0)
    before = [keras.ops.convert_to_numpy(v) for m in model.metrics for v in m.variables]
    zeros_after(model, sample, kpk.taylor)
    after = [keras.ops.convert_to_numpy(v) for m in model.metrics for v in m.variables]
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(old, new)


def test_gradients_are_those_of_the_current_weights_at_each_update():
    """A value that a compiled function took in as a constant would be stale."""
    seen = []

    @kpk.needs_gradients("signed", 64)
    def noting(weights, gradients):
        seen.append((weights.copy(), gradients.copy()))
        return abs(weights)

    model, (x, y), _, _ = linear(rows=64)
    policy = kpk.PrunePolicy(
        kpk.PolynomialDecay(0.0, 0.5, end_step=6, frequency=1), criterion=noting
    )
    pruning = kpk.PruningCallback(policy, data=(x, y))
    model.fit(x, y, batch_size=8, epochs=1, verbose=0, callbacks=[pruning])
    assert len(seen) == 7
    for weights, gradients in seen:
        expected = x.T @ (x @ weights - y) * 2 / y.size
        np.testing.assert_allclose(gradients, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["wanda", "surgeon"])
def test_input_criteria_rank_as_numpy_does(name):
    model, (x, _), weight, _ = linear(rows=40)
    products = x.T.astype(float) @ x / 40
    if name == "wanda":
        criterion, scores = kpk.wanda, abs(weight) * np.sqrt(np.diag(products))[:, None]
    else:
        damped = products + 0.01 * np.trace(products) / 4 * np.eye(4)
        spans = np.diag(np.linalg.inv(damped))[:, None]
        criterion, scores = kpk.optimal_brain_surgeon, weight**2 / spans
    zeros = zeros_after(model, x, criterion)
    assert set(np.flatnonzero(zeros)) == set(scores.ravel().argsort()[:4])


def test_inputs_are_those_of_the_current_weights_at_each_update():
    """On JAX, the weights of a running epoch are outside of the model."""
    seen, hidden = [], []
    model, (x, _) = classifier(), data()

    @kpk.needs_inputs("squares")
    def noting(weights, squares):
        if weights.shape == (24, 8):
            seen.append(squares)
            first = model.layers[0]
            kernel, bias = map(keras.ops.convert_to_numpy, (first.kernel, first.bias))
            hidden.append(np.square(np.maximum(x @ kernel + bias, 0)).mean(0))
        return abs(weights)

    policy = kpk.PrunePolicy(
        kpk.PolynomialDecay(0.0, 0.5, end_step=6, frequency=1), criterion=noting
    )
    fit(model, kpk.PruningCallback(policy, data=x), epochs=1)
    assert len(seen) == 7
    np.testing.assert_allclose(seen, hidden, rtol=1e-4)
    assert not np.allclose(seen[0], seen[-1])


@pytest.mark.parametrize("scope", ["layer", "global"])
def test_surgeon_prunes_in_fit(scope):
    model, (x, y) = classifier(), data()
    policy = kpk.PrunePolicy(
        kpk.PolynomialDecay(0, 0.6, frequency=4),
        criterion=kpk.optimal_brain_surgeon,
        scope=scope,
    )
    fit(model, kpk.PruningCallback(policy, data=(x, y)), epochs=2)
    values = np.concatenate([k.ravel() for k in kernels(model)])
    assert np.mean(values == 0) == pytest.approx(0.6, abs=0.01)


def test_dropout_is_off_and_unused_weights_have_no_gradient():
    inputs = keras.Input((4,))
    hidden = keras.layers.Dropout(0.9)(keras.layers.Dense(8)(inputs))
    model = keras.Model(inputs, keras.layers.Dense(2)(hidden))
    model.compile("sgd", "mse")
    rng = np.random.default_rng(0)
    sample = rng.normal(size=(16, 4)), rng.normal(size=(16, 2))
    first, second = (
        kpk.Pruner(
            model, kpk.PrunePolicy(0.5, criterion=kpk.taylor), data=sample
        )._gradients._probe.mean("signed", 16)
        for _ in range(2)
    )
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)


def test_taylor_prunes_in_fit():
    model, (x, y) = classifier(), data()
    policy = kpk.PrunePolicy(0.6, criterion=kpk.taylor, scope="global")
    pruning = kpk.PruningCallback(policy, data=(x[:64], y[:64]))
    fit(model, pruning, epochs=2)
    values = np.concatenate([k.ravel() for k in kernels(model)])
    assert np.mean(values == 0) == pytest.approx(0.6, abs=0.01)


def test_sensitivity_and_allocation():
    model, (x, y) = classifier(), data()
    fit(model, epochs=2)
    before = kernels(model)
    curves = kpk.sensitivity(model, (x, y), levels=(0.5, 0.9))
    for kernel, same in zip(kernels(model), before, strict=True):
        np.testing.assert_array_equal(kernel, same)
    dense = model.evaluate(x, y, verbose=0)[0]
    assert curves.loss == pytest.approx(dense, rel=1e-4)
    # One of the losses by hand: the smallest half of the first kernel set to zero.
    first = before[0].copy()
    first[np.abs(first) < np.sort(np.abs(first), axis=None)[first.size // 2]] = 0
    model.layers[0].kernel.assign(first)
    by_hand = model.evaluate(x, y, verbose=0)[0]
    model.layers[0].kernel.assign(before[0])
    assert curves.weights[0].losses[0] == pytest.approx(by_hand, rel=1e-4)
    policy = kpk.allocate(model, 0.8, "sensitivity", data=curves)
    fit(model, kpk.PruningCallback(policy), epochs=2)
    values = np.concatenate([k.ravel() for k in kernels(model)])
    assert np.mean(values == 0) == pytest.approx(0.8, abs=0.01)


def test_soft_targets_of_arrays():
    teacher, (x, y) = classifier(), data()
    predicted = teacher.predict(x, verbose=0)
    _, mixed = kpk.soft_targets(teacher, (x, y), weight=0.25)
    np.testing.assert_allclose(
        mixed, 0.25 * predicted + 0.75 * np.eye(3)[y], rtol=1e-5, atol=1e-6
    )


def test_a_dataset_of_tensorflow_needs_a_teacher_there():
    if BACKEND == "tensorflow":
        pytest.skip("the control is in tests/test_distillation.py")

    class Dataset:
        element_spec = (np.zeros((4, 8)), np.zeros(4))

    with pytest.raises(ValueError, match=f"a teacher on {BACKEND}"):
        kpk.soft_targets(classifier(), Dataset())
