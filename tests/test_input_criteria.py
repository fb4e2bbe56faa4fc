"""Criteria that need inputs: the numbers by hand, then in training."""

import models
import numpy as np
import pytest
from random_values import random, randomize

import keras_prune_kit as kpk
from keras_prune_kit.layer_inputs import kernels, means

CRITERIA = [kpk.wanda, kpk.optimal_brain_surgeon]


def one_layer(K, layer, shape):
    return randomize(K.Sequential([K.layers.Input(shape), layer]))


def noting(statistic, seen):
    """A criterion that keeps what it is called with, and ranks by magnitude."""

    @kpk.needs_inputs(statistic)
    def criterion(weights, inputs):
        seen.append((np.array(weights), np.array(inputs)))
        return np.abs(weights)

    return criterion


def mask_at_once(K, model, x, sparsity=0.5, **options):
    policy = kpk.PrunePolicy(kpk.ConstantSparsity(sparsity), **options)
    with kpk.Pruner(model, policy, data=x, optimizer=K.optimizers.SGD()):
        pass
    return model


def patches(x, size):
    """All patches of pictures, flat in the order of a kernel's axes."""
    high, wide = x.shape[1] - size + 1, x.shape[2] - size + 1
    found = [
        x[:, i : i + size, j : j + size].reshape(len(x), -1)
        for i in range(high)
        for j in range(wide)
    ]
    return np.concatenate(found).astype("float64")


def test_a_dense_layer_shows_its_inputs(K):
    model = one_layer(K, K.layers.Dense(4, use_bias=False), (6,))
    x, seen = random(50, 6) + 1, []
    mask_at_once(K, model, x, criterion=noting("products", seen))
    ((weights, products),) = seen
    assert weights.shape == (6, 4)
    expected = x.T.astype(float) @ x / 50
    expected += 0.01 * np.trace(expected) / 6 * np.eye(6)
    np.testing.assert_allclose(products, expected, rtol=1e-6)


def test_a_bias_makes_up_for_the_means(K):
    model = one_layer(K, K.layers.Dense(4), (6,))
    x, seen = random(50, 6) + 3, []
    mask_at_once(K, model, x, criterion=noting("products", seen))
    (_, products) = seen[0]
    energy = np.square(x).mean()
    expected = np.cov(x.T, bias=True) + 0.01 * energy * np.eye(6)
    np.testing.assert_allclose(products, expected, rtol=1e-5)


def test_few_rows_are_damped_more(K):
    model = one_layer(K, K.layers.Dense(4, use_bias=False), (6,))
    x, seen = random(5, 6), []
    mask_at_once(K, model, x, criterion=noting("products", seen))
    expected = x.T.astype(float) @ x / 5
    expected += 0.1 * np.trace(expected) / 6 * np.eye(6)
    np.testing.assert_allclose(seen[0][1], expected, rtol=1e-5)


def test_wanda_of_a_convolution_in_the_layout_of_its_kernel(K):
    model = one_layer(K, K.layers.Conv2D(5, 3, use_bias=False), (6, 6, 2))
    x = random(20, 6, 6, 2) * [1, 5]
    (kernel,) = (w.copy() for w in model.get_weights())
    squares = np.square(patches(x, 3)).mean(0).reshape(3, 3, 2)
    scores = np.abs(kernel) * np.sqrt(squares)[..., None]
    mask_at_once(K, model, x, criterion=kpk.wanda)
    expected = scores > np.sort(scores, axis=None)[scores.size // 2 - 1]
    np.testing.assert_array_equal(model.get_weights()[0] != 0, expected)


def surgeon_scores(weights, rows):
    """Each weight's error, by a solution of the others that is held back a little."""
    inputs = weights.shape[0]
    strength = 0.01 * np.square(rows).mean() * len(rows)
    held = np.vstack([rows, np.sqrt(strength) * np.eye(inputs)])
    scores = np.empty(weights.shape)
    for row in range(inputs):
        left = np.arange(inputs) != row
        # The others take over what the removed weight gave.
        gave = np.outer(held[:, row], weights[row])
        solved = np.linalg.lstsq(held[:, left], gave, rcond=None)[0]
        scores[row] = np.square(held[:, left] @ solved - gave).sum(0)
    return scores


def test_surgeon_of_a_convolution_is_least_squares_for_each_weight(K):
    model = one_layer(K, K.layers.Conv2D(4, 2, use_bias=False), (5, 5, 2))
    x = random(20, 5, 5, 2)
    x = x + x[:, ::-1]  # Neighbours resemble each other.
    (kernel,) = (w.copy() for w in model.get_weights())
    scores = surgeon_scores(kernel.reshape(8, 4).astype(float), patches(x, 2))
    mask_at_once(K, model, x, criterion=kpk.optimal_brain_surgeon)
    expected = (scores > np.sort(scores, axis=None)[15]).reshape(kernel.shape)
    np.testing.assert_array_equal(model.get_weights()[0] != 0, expected)


def test_each_group_of_a_convolution_is_scored_by_its_own_inputs(K):
    layer = K.layers.Conv2D(4, 2, groups=2, use_bias=False)
    model, x, seen = one_layer(K, layer, (5, 5, 4)), random(9, 5, 5, 4), []
    mask_at_once(K, model, x, criterion=noting("squares", seen))
    (kernel,) = model.get_weights()
    assert [weights.shape for weights, _ in seen] == [(8, 2)] * 2
    for number, (weights, squares) in enumerate(seen):
        some = patches(x[..., 2 * number : 2 * number + 2], 2)
        np.testing.assert_allclose(squares, np.square(some).mean(0), rtol=1e-5)
        ours = kernel[..., 2 * number : 2 * number + 2].reshape(8, 2)
        kept = ours != 0
        np.testing.assert_array_equal(weights[kept], ours[kept])


def test_a_large_kernel_is_scored_in_parts(K, monkeypatch):
    monkeypatch.setattr(means, "_MOST_INPUTS", 4)
    model = one_layer(K, K.layers.Dense(3, use_bias=False), (10,))
    x, seen = random(60, 10) + 1, []
    before = model.get_weights()[0].copy()
    mask_at_once(K, model, x, criterion=noting("products", seen))
    assert [weights.shape for weights, _ in seen] == [(4, 3), (4, 3), (2, 3)]
    np.testing.assert_array_equal(np.vstack([w for w, _ in seen]), before)
    energy = np.square(x).mean()
    for start, (_, products) in zip((0, 4, 8), seen, strict=True):
        some = x[:, start : start + 4].astype(float)
        expected = some.T @ some / 60 + 0.01 * energy * np.eye(some.shape[1])
        np.testing.assert_allclose(products, expected, rtol=1e-5)


def test_a_shared_layer_is_scored_by_all_of_its_calls(K):
    model = randomize(models.shared(K))
    left, right, seen = random(30, 8), random(30, 8, seed=1) * 4, []
    rule = kpk.Rule(
        "twin", kpk.ConstantSparsity(0.5), criterion=noting("squares", seen)
    )
    mask_at_once(K, model, [left, right], rules=[rule])
    both = np.concatenate([left, right]).astype(float)
    np.testing.assert_allclose(seen[0][1], np.square(both).mean(0), rtol=1e-6)


def test_inputs_are_those_that_the_layers_before_give(K):
    model = randomize(models.nested(K))
    x, seen = random(40, 8), []
    inside = model.get_layer("encoder").get_layer("inside")
    kernel, bias = (w.copy() for w in inside.get_weights())
    rule = kpk.Rule(
        "outside", kpk.ConstantSparsity(0.5), criterion=noting("squares", seen)
    )
    mask_at_once(K, model, x, rules=[kpk.Rule(".*", None), rule])
    hidden = (x @ kernel + bias).astype(float)
    np.testing.assert_allclose(seen[0][1], np.square(hidden).mean(0), rtol=1e-5)


@pytest.mark.each_value
@pytest.mark.parametrize("criterion", CRITERIA)
@pytest.mark.parametrize("scope", ["layer", "global"])
@pytest.mark.parametrize("form", ["inputs", "labels", "dataset"])
def test_inputs_decide_in_fit(mlp, data, criterion, scope, form):
    x, y = data[0] * 4.0 ** np.arange(8), data[1]
    sample = {"inputs": x[:64], "labels": (x[:64], y[:64]), "dataset": [(x[:64], y)]}
    ramp = kpk.PolynomialDecay(0, 0.75, frequency=4)
    policy = kpk.PrunePolicy(ramp, criterion=criterion, scope=scope)
    pruning = kpk.PruningCallback(policy, data=sample[form])
    model = mlp()
    model.fit(x, y, epochs=3, verbose=0, callbacks=[pruning])
    assert pruning.report.zeros == 96 + 36
    kernel = model.get_weights()[0]
    # Inputs of a thousandth of the scale go first.
    assert (kernel[:2] == 0).mean() > (kernel[-2:] == 0).mean()
    again = kpk.PruningCallback(kpk.KeepZeros())
    model.fit(x, y, verbose=0, callbacks=[again])
    assert again.report.zeros == 96 + 36


def test_inputs_are_current_at_each_update(mlp, data):
    (x, y), seen, hidden = data, [], []
    model = mlp()

    @kpk.needs_inputs("squares")
    def criterion(weights, squares):
        if weights.shape == (16, 3):
            seen.append(squares)
            kernel, bias, *_ = model.get_weights()
            hidden.append(np.square(np.maximum(x @ kernel + bias, 0)).mean(0))
        return np.abs(weights)

    ramp = kpk.PolynomialDecay(0, 0.5, end_step=6, frequency=1)
    policy = kpk.PrunePolicy(ramp, criterion=criterion)
    pruning = kpk.PruningCallback(policy, data=x)
    model.fit(x, y, batch_size=16, verbose=0, callbacks=[pruning])
    assert len(seen) == 7
    np.testing.assert_allclose(seen, hidden, rtol=1e-4)
    assert not np.allclose(seen[0], seen[-1])


def test_layers_are_left_without_a_mark(mlp, data):
    model = mlp()
    pruning = kpk.PruningCallback(
        kpk.PrunePolicy(0.5, criterion=kpk.wanda), data=data[0]
    )
    model.fit(*data, verbose=0, callbacks=[pruning])
    assert not any("call" in vars(layer) for layer in model.layers)


def of_many_kinds(K):
    inputs = K.layers.Input((6,), dtype="int32")
    hidden = K.layers.Embedding(20, 8, name="table")(inputs)
    hidden = K.layers.LSTM(8, name="memory")(hidden)
    return K.Model(inputs, K.layers.Dense(4, name="head")(hidden))


def test_the_plan_says_what_has_no_score_and_what_to_do(K):
    model = of_many_kinds(K)
    plan = kpk.PrunePolicy(0.5, criterion=kpk.wanda).plan(model)
    assert [weight.path for weight in plan.weights] == [
        *("memory/kernel", "memory/recurrent_kernel", "head/kernel")
    ]
    ((path, reason),) = [(item.path, item.reason) for item in plan.skipped]
    assert path == "table/embeddings"
    assert "so wanda cannot score it; Rule(..., criterion=magnitude)" in reason
    assert "cannot score it" in " ".join(str(plan).split())
    rule = kpk.Rule("table", 0.5, criterion=kpk.magnitude)
    whole = kpk.PrunePolicy(0.5, [rule], criterion=kpk.wanda).plan(model)
    assert len(whole.weights) == 4 and not whole.skipped


def test_a_model_without_anything_to_score_says_so(K):
    model = K.Sequential(
        [K.layers.Input((6,), dtype="int32"), K.layers.Embedding(9, 4)]
    )
    with pytest.raises(ValueError, match="(?s)would be pruned.*wanda cannot score it"):
        kpk.PrunePolicy(0.5, criterion=kpk.wanda).plan(model)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({}, ValueError, "pass data=x"),
        ({"data": 5}, TypeError, "some hundred inputs"),
        ({"data": ()}, TypeError, "some hundred inputs|without labels"),
        ({"data": random(9, 7)}, ValueError, r"shape \(n, 8\)"),
        ({"data": random(9, 8) * np.nan}, ValueError, "finite"),
    ],
)
def test_a_sample_that_does_not_fit_is_named(mlp, arguments, error, message):
    policy = kpk.PrunePolicy(0.5, criterion=kpk.wanda)
    model = mlp()
    before = model.get_weights()
    with pytest.raises(error, match=message):
        kpk.Pruner(model, policy, **arguments)
    assert all(map(np.array_equal, before, model.get_weights()))


class Forgetful:
    """Builds a model with a layer that it does not call any more."""

    def __new__(cls, K):
        class Net(K.Model):
            def __init__(self):
                super().__init__()
                self.is_whole = True
                self.first, self.last = K.layers.Dense(8), K.layers.Dense(8)

            def call(self, inputs):
                hidden = self.first(inputs)
                return self.last(hidden) if self.is_whole else hidden

        net = Net()
        net(np.zeros((1, 8), "float32"))
        net.is_whole = False
        return net


def test_a_layer_whose_inputs_are_not_seen_is_named(K):
    model = Forgetful(K)
    before = model.get_weights()
    policy = kpk.PrunePolicy(kpk.ConstantSparsity(0.5), criterion=kpk.wanda)
    pruner = kpk.Pruner(model, policy, data=random(9, 8), optimizer=K.optimizers.SGD())
    with pytest.raises(ValueError, match="cannot be seen.*criterion=kpk.magnitude"):
        pruner.start()
    assert all(map(np.array_equal, before, model.get_weights()))
    assert model.first.kernel.constraint is None


def test_activations_that_are_not_finite_are_named(K):
    inputs = K.layers.Input((6,))
    hidden = K.layers.Activation(lambda v: v / 0.0)(K.layers.Dense(5)(inputs))
    model = randomize(K.Model(inputs, K.layers.Dense(3, name="second")(hidden)))
    before = model.get_weights()
    with pytest.raises(ValueError, match="inputs of second/kernel must be finite"):
        mask_at_once(K, model, random(20, 6), criterion=kpk.wanda)
    assert all(map(np.array_equal, before, model.get_weights()))


def difference(a, b, x):
    given, wanted = a.predict(x, verbose=0), b.predict(x, verbose=0)
    return float(np.square(given - wanted).mean() / wanted.var())


STRUCTURES = {
    "n of m": {"structure": kpk.NofM(2, 4)},
    "block": {"structure": kpk.Block((1, 4))},
    "global": {"scope": "global"},
    "channel": {"structure": kpk.Channel()},
}


@pytest.mark.parametrize("criterion", CRITERIA)
@pytest.mark.parametrize("name", STRUCTURES)
def test_prune_at_once_by_inputs(K, criterion, name):
    inputs = K.layers.Input((12,))
    hidden = K.layers.Dense(16, activation="relu", name="first")(inputs)
    dense = randomize(K.Model(inputs, K.layers.Dense(4, name="second")(hidden)))
    x = random(200, 12) @ random(12, 12, seed=5)
    rules = [kpk.Rule("second", None)] if name == "channel" else []
    policy = kpk.PrunePolicy(0.5, rules, criterion=criterion, **STRUCTURES[name])
    pruned = kpk.prune_at_once(dense, policy, data=x)
    found = kpk.sparsity_report(pruned)
    wanted = 96 if name == "channel" else 128
    assert sum(weight.zeros for weight in found.weights) == wanted
    by_chance = kpk.PrunePolicy(
        0.5, rules, criterion=kpk.random_scores(), **STRUCTURES[name]
    )
    control = kpk.prune_at_once(dense, by_chance, data=x)
    assert difference(pruned, dense, x) < difference(control, dense, x)


def test_two_of_four_by_the_surgeon_loses_less_than_by_magnitude(K):
    """On inputs that neither the masks nor the repair have seen."""
    inputs = K.layers.Input((16,))
    hidden = K.layers.Dense(32, use_bias=False, name="first")(inputs)
    hidden = K.layers.BatchNormalization()(hidden)
    hidden = K.layers.Activation("relu")(hidden)
    dense = randomize(K.Model(inputs, K.layers.Dense(4, name="second")(hidden)))
    x = random(600, 16) @ random(16, 16, seed=5)
    pruned = [
        kpk.prune_at_once(
            dense,
            kpk.PrunePolicy(0.5, structure=kpk.NofM(2, 4), criterion=criterion),
            data=x[:300],
        )
        for criterion in (kpk.optimal_brain_surgeon, kpk.magnitude)
    ]
    surgeon, magnitude = (difference(model, dense, x[300:]) for model in pruned)
    assert surgeon < 0.8 * magnitude


def test_channels_are_ranked_by_inputs(K):
    inputs = K.layers.Input((6,))
    hidden = K.layers.Dense(8, activation="relu", name="hidden")(inputs)
    model = randomize(K.Model(inputs, K.layers.Dense(3, name="head")(hidden)))
    x = random(50, 6) * 10.0 ** np.arange(6)
    kernel, _, head, _ = model.get_weights()
    made = np.abs(kernel) * np.sqrt(np.square(x).mean(0))[:, None]
    read = np.maximum(x @ kernel + model.get_weights()[1], 0)
    read = np.abs(head) * np.sqrt(np.square(read).mean(0))[:, None]
    scores = made.mean(0) / made.mean() + read.mean(1) / read.mean()
    small = kpk.remove_channels(model, 0.5, criterion=kpk.wanda, data=x)
    kept = np.sort(np.argsort(scores)[4:])
    np.testing.assert_array_equal(small.get_weights()[0], kernel[:, kept])
    with pytest.raises(ValueError, match="needs inputs.*data=x"):
        kpk.remove_channels(model, 0.5, criterion=kpk.wanda)


def test_channels_without_a_score_are_refused(K, monkeypatch):
    monkeypatch.delitem(kernels._SOLVED, "LSTMCell")
    inputs = K.layers.Input((5,), dtype="int32")
    hidden = K.layers.Embedding(9, 6, name="table")(inputs)
    hidden = K.layers.LSTM(8, name="memory")(hidden)
    model = K.Model(inputs, K.layers.Dense(3, name="head")(hidden))
    x = np.arange(45).reshape(9, 5) % 9
    arguments = {"criterion": kpk.wanda, "data": x}
    with pytest.raises(ValueError, match="table, whose channels none of them"):
        kpk.remove_channels(model, 0.5, **arguments)
    # The kernel that reads them has a score.
    small = kpk.remove_channels(model, 0.5, layers="memory", **arguments)
    assert small.get_layer("memory").units == 4
