"""In training, layers whose channels are tied lose the same ones, and all can leave."""

import numpy as np
import pytest
from channel_models import MODELS
from channel_tools import outputs, randomize, samples, spread
from models import subclassed

import keras_prune_kit as kpk
from keras_prune_kit.channels.groups import members_of, traced
from keras_prune_kit.channels.silent import Silence

HALF = kpk.ConstantSparsity(0.5)


def channels(schedule=HALF, *rules):
    return kpk.PrunePolicy(schedule, *rules, structure=kpk.Channel())


def residual(K, **options):
    """Two layers that are added, depthwise ones, and normalizations with shifts."""
    L = K.layers
    inputs = L.Input((6, 6, 3))
    x = L.Conv2D(8, 3, padding="same", name="first")(inputs)
    branch = L.BatchNormalization(name="norm", **options)(x)
    branch = L.DepthwiseConv2D(3, padding="same", name="depthwise")(L.ReLU()(branch))
    branch = L.Conv2D(8, 1, name="second")(branch)
    x = L.BatchNormalization(name="last_norm")(L.Add()([x, branch]))
    x = L.Conv2D(6, 3, activation="relu", name="third")(x)
    x = L.Dense(3, name="head")(L.GlobalAveragePooling2D()(x))
    return randomize(K.Model(inputs, x))


def fitted(model, policy, optimizer="adam", epochs=2):
    rng = np.random.default_rng(0)
    shape = (32, *model.inputs[0].shape[1:])
    x, y = rng.normal(size=shape).astype("float32"), rng.integers(0, 3, 32)
    loss = "sparse_categorical_crossentropy"
    model.compile(optimizer, loss)
    pruning = kpk.PruningCallback(policy, on_incomplete="raise")
    model.fit(x, y, 8, epochs=epochs, verbose=0, callbacks=[pruning])
    return model


def check_all_leave(model, share=0.5):
    """All of what is zero leaves, each group loses its share, and nothing changes."""
    found = traced(model)
    silent = Silence(found).roots()
    for members in members_of(found):
        group = members.group
        if not (group.kept_because or group.coupled_because):
            gone = np.isin(members.roots, silent).sum()
            assert gone == round(share * group.channels), group
    for cut in found.cuts.values():
        if cut.makes is not None and cut.axes[cut.makes] is not None:
            value = np.moveaxis(np.array(cut.variable), cut.makes, 0)
            is_zero = (value.reshape(len(value), -1) == 0).all(1)
            roots = found.ties.roots(cut.axes[cut.makes])
            assert (is_zero >= np.isin(roots, silent)).all(), cut
    x = samples(model)
    expected = outputs(model, x)
    small = kpk.remove_zero_channels(model)
    assert abs(outputs(small, x) - expected).max() < 1e-4 * spread(expected)
    assert small.count_params() < model.count_params()
    return small


def test_all_that_is_zero_leaves(K):
    small = check_all_leave(fitted(residual(K), channels()))
    assert small.get_layer("first").filters == 4
    assert small.get_layer("second").filters == 4
    assert small.get_layer("third").filters == 3


@pytest.mark.slow
def test_gradually_in_steps(K):
    schedule = kpk.PolynomialDecay(0.0, 0.5, end_step=6, frequency=1)
    check_all_leave(fitted(residual(K), channels(schedule)))


@pytest.mark.quick_in("keras")
def test_biases_and_normalizations_are_zero_too(K):
    model = fitted(residual(K), channels())
    gone = np.array(model.get_layer("first").bias) == 0
    assert gone.sum() == 4
    for name in ("norm", "last_norm"):
        for attribute in ("gamma", "beta", "moving_mean"):
            value = np.array(getattr(model.get_layer(name), attribute))
            assert ((value == 0) == gone).all(), (name, attribute)
        assert (np.array(model.get_layer(name).moving_variance) > 0).all()
    for name in ("depthwise", "second"):
        assert ((np.array(model.get_layer(name).bias) == 0) == gone).all()


@pytest.mark.parametrize("name", ["recurrent", "transformer", "grouped", "masked_text"])
@pytest.mark.quick_in("keras")
def test_units_and_heads_leave(K, name):
    model = randomize(MODELS[name](K))
    with kpk.Pruner(model, channels()):
        pass
    x = samples(model)
    expected = outputs(model, x)
    small = kpk.remove_zero_channels(model)
    assert small.count_params() < 0.7 * model.count_params()
    assert abs(outputs(small, x) - expected).max() < 1e-5 * max(spread(expected), 0.1)
    silent = Silence(traced(model)).roots()
    for members in members_of(traced(model)):
        group = members.group
        if group.kind in ("units", "heads", "filters", "embedding"):
            gone = np.isin(members.roots, silent).sum()
            expected = 0 if group.kept_because else round(0.5 * group.channels)
            assert gone == expected, group


@pytest.mark.quick_in("keras")
def test_one_that_stays_keeps_those_tied_to_it(K):
    plan = channels(HALF, kpk.Rule("second", None)).plan(residual(K))
    reasons = {item.path: item.reason for item in plan.skipped}
    assert reasons["first/kernel"] == "tied to second/kernel, which keeps its channels"
    model = fitted(residual(K), channels(HALF, kpk.Rule("second", None)))
    small = kpk.remove_zero_channels(model)
    assert (small.get_layer("first").filters, small.get_layer("third").filters) == (
        8,
        3,
    )


@pytest.mark.quick_in("keras")
def test_outputs_keep_theirs(K):
    plan = channels().plan(residual(K))
    reasons = {item.path: item.reason for item in plan.skipped}
    expected = "its channels must stay: an output of the model"
    assert reasons["head/kernel"] == expected


@pytest.mark.quick_in("keras")
def test_normalized_channels_keep_theirs(K):
    L = K.layers
    layers = [L.Dense(8, name="wide"), L.LayerNormalization(), L.Dense(6, name="next")]
    model = K.Sequential([L.Input((6,)), *layers, L.Dense(3)])
    reasons = {item.path: item.reason for item in channels().plan(model).skipped}
    assert "its channels must stay: normalized with" in reasons["wide/kernel"]


@pytest.mark.quick_in("keras")
def test_tied_layers_need_one_schedule(K):
    rule = kpk.Rule("second", kpk.ConstantSparsity(0.25))
    model = residual(K)
    before = model.get_weights()
    with pytest.raises(ValueError, match="first/kernel and second/kernel lose their"):
        kpk.Pruner(model, channels(HALF, rule))
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.slow
def test_other_layers_may_have_others(K):
    rule = kpk.Rule("third", kpk.ConstantSparsity(0.25))
    model = fitted(residual(K), channels(HALF, rule))
    small = kpk.remove_zero_channels(model)
    assert small.get_layer("first").filters == 4
    assert small.get_layer("third").filters == 4  # round(0.25 * 6) leave


@pytest.mark.quick_in("keras")
def test_a_frozen_normalization_is_zeroed(K):
    model = fitted(residual(K, trainable=False), channels())
    assert not model.get_layer("norm").trainable
    check_all_leave(model)


@pytest.mark.each_value
@pytest.mark.parametrize("overwrites", [None, 3])
def test_averaged_weights_are_zero_too(K, overwrites):
    optimizer = K.optimizers.Adam(
        0.01, use_ema=True, ema_momentum=0.9, ema_overwrite_frequency=overwrites
    )
    check_all_leave(fitted(residual(K), channels(), optimizer))


@pytest.mark.slow
def test_what_is_zero_stays_zero_in_a_second_run(K):
    """A resumed run has only the zeros to go by."""
    model = fitted(residual(K), channels())
    zero = np.array(model.get_layer("first").bias) == 0
    fitted(model, channels())
    assert ((np.array(model.get_layer("first").bias) == 0) == zero).all()
    check_all_leave(model)


def train(K, model, first, last, policy):
    """Steps `first` to `last` of a loop of 12, without an optimizer's state."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(12, 16, 6, 6, 3)).astype("float32")
    y = rng.integers(0, 3, (12, 16))
    if getattr(model, "optimizer", None) is None:
        model.compile(K.optimizers.SGD(0.01), "sparse_categorical_crossentropy")
    with kpk.Pruner(
        model, policy, steps_per_epoch=12, epochs=1, initial_step=first
    ) as pruner:
        for step in range(first, last):
            model.train_on_batch(x[step], y[step])
            pruner.step()
    return model


@pytest.mark.filterwarnings("ignore::keras_prune_kit.IncompletePruningWarning")
@pytest.mark.quick_in("keras")
def test_a_resumed_run_ends_with_the_same_weights(K, tmp_path):
    schedule = kpk.PolynomialDecay(0.0, 0.5, end_step=10, frequency=1)
    policy = channels(schedule)
    whole = train(K, residual(K), 0, 12, policy)
    part = train(K, residual(K), 0, 6, policy)
    part.save(tmp_path / "part.keras")
    resumed = train(K, K.models.load_model(tmp_path / "part.keras"), 6, 12, policy)
    for a, b in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        assert a.tobytes() == b.tobytes()
    check_all_leave(resumed)


@pytest.mark.quick_in("keras")
def test_subclassed_models_have_masks_by_layer(K):
    model = subclassed(K)
    with kpk.Pruner(model, channels(kpk.ConstantSparsity(0.5))):
        pass
    zero = (np.array(model.first.kernel) == 0).all(0)
    assert zero.sum() == 8


@pytest.mark.quick_in("keras")
def test_input_channels_are_ranked_by_layer(K):
    """`Channel(axis=-2)` ties nothing: what is read by zeros leaves."""
    model = residual(K)
    policy = kpk.PrunePolicy(
        HALF, kpk.Rule("(?!third).*", None), structure=kpk.Channel(axis=-2)
    )
    with kpk.Pruner(model, policy):
        pass
    x = samples(model)
    expected = outputs(model, x)
    small = kpk.remove_zero_channels(model)
    # Those of the sum are also read by the normalization of the branch.
    assert small.get_layer("third").filters == 6
    assert abs(outputs(small, x) - expected).max() < 1e-4 * spread(expected)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["MobileNetV2", "ResNet50"])
def test_all_leaves_of_an_application(K, name):
    model = getattr(K.applications, name)(
        weights=None, input_shape=(32, 32, 3), classes=3
    )
    randomize(model)
    with kpk.Pruner(model, channels()) as pruner:
        assert pruner.sparsity > 0.4
    found = traced(model)
    silent = Silence(found).roots()
    for members in members_of(found):
        if not members.group.kept_because:
            gone = np.isin(members.roots, silent).sum()
            assert gone == round(0.5 * members.group.channels), members.group
    small = kpk.remove_zero_channels(model)
    assert small.count_params() < 0.3 * model.count_params()
