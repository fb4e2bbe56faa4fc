"""The report and the warnings speak of the model that `fit` leaves behind."""

import copy
import warnings

import numpy as np
import pytest

import keras_prune_kit as kpk

RAMP = kpk.PolynomialDecay(0.0, 0.75, end_step=kpk.Fraction(0.6))


def zeros_of(model):
    kernels = [w for w in model.get_weights() if w.ndim == 2]
    return sum(int((w == 0).sum()) for w in kernels) / sum(w.size for w in kernels)


def target_of(model):
    """Three quarters of each kernel, to the value."""
    sizes = [w.size for w in model.get_weights() if w.ndim == 2]
    return sum(round(0.75 * size) for size in sizes) / sum(sizes)


@pytest.fixture(params=["pruning first", "pruning last"])
def in_order(request):
    """Puts the callback that prunes before or after others."""

    def order(pruning, *others):
        callbacks = [pruning, *others]
        return callbacks if request.param == "pruning first" else callbacks[::-1]

    return order


def overfitting(K, mlp, data):
    """A model that only gets worse: its first epoch is the best."""
    x, y = data
    model = mlp(optimizer=K.optimizers.Adam(0.05))
    model.fit(x, y, epochs=10, verbose=0)
    return model, (x, y), (x, np.roll(y, 1))


@pytest.mark.each_value
def test_early_stopping_brings_back_an_epoch_at_the_target(K, mlp, data, in_order):
    model, (x, y), held_out = overfitting(K, mlp, data)
    stop = K.callbacks.EarlyStopping("val_loss", patience=9, restore_best_weights=True)
    pruning = kpk.PruningCallback(RAMP)
    look = K.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: seen.append((logs["val_loss"], epoch))
    )
    seen = []

    model.fit(
        x,
        y,
        validation_data=held_out,
        epochs=8,
        verbose=0,
        callbacks=in_order(pruning, stop, look),
    )

    assert zeros_of(model) == target_of(model) == pruning.report.sparsity
    at_target = seen[4:]  # The ramp ends within the fifth epoch of eight.
    loss = model.evaluate(*held_out, verbose=0, return_dict=True)["loss"]
    assert loss == pytest.approx(min(at_target)[0], rel=1e-4)
    assert loss > min(seen)[0]


@pytest.mark.quick_in("tf_keras")
def test_early_stopping_waits_for_the_target(K, mlp, data):
    """Without patience it would stop in the second epoch, at half the zeros."""
    model, (x, y), held_out = overfitting(K, mlp, data)
    stop = K.callbacks.EarlyStopping("val_loss", patience=0)

    history = model.fit(
        x,
        y,
        validation_data=held_out,
        epochs=10,
        verbose=0,
        callbacks=[kpk.PruningCallback(RAMP), stop],
    )

    assert zeros_of(model) == target_of(model)
    assert len(history.epoch) < 10


def test_the_callbacks_of_the_user_are_left_as_they_are(K, mlp, data):
    stop = K.callbacks.EarlyStopping("loss", patience=9)
    callbacks = [kpk.PruningCallback(0.75), stop]
    mlp().fit(*data, epochs=2, verbose=0, callbacks=callbacks)
    assert callbacks[1] is stop and len(callbacks) == 2
    assert "on_epoch_end" not in vars(stop)


class Dense:
    """Builds a callback of either world that brings dense weights back."""

    def __new__(cls, K):
        class BringsBack(K.callbacks.Callback):
            def on_train_begin(self, logs=None):
                self.weights = self.model.get_weights()

            def on_train_end(self, logs=None):
                self.model.set_weights(self.weights)

        return BringsBack()


@pytest.mark.each_value
def test_weights_that_a_callback_writes_at_the_end_are_told(K, mlp, data, in_order):
    model = mlp()
    pruning, own = kpk.PruningCallback(RAMP), Dense(K)

    with pytest.warns(kpk.IncompletePruningWarning, match="were replaced") as caught:
        model.fit(*data, epochs=4, verbose=0, callbacks=in_order(pruning, own))

    assert len(caught) == 1
    assert zeros_of(model) == pruning.report.sparsity == 0  # They are not chopped.
    assert {w.path for w in pruning.report.unmet} == {
        "hidden/kernel",
        "classifier/kernel",
    }


@pytest.mark.quick_in("tf_keras")
def test_weights_that_are_replaced_can_be_an_error(K, mlp, data):
    pruning = kpk.PruningCallback(RAMP, on_incomplete="raise")
    with pytest.raises(kpk.IncompletePruningError, match="were replaced"):
        mlp().fit(*data, epochs=4, verbose=0, callbacks=[pruning, Dense(K)])


def test_a_checkpoint_of_the_target_may_be_loaded_at_the_end(K, mlp, data, tmp_path):
    class Loads(K.callbacks.Callback):
        def on_train_end(self, logs=None):
            self.model.load_weights(tmp_path / "best.weights.h5")

    best = kpk.TargetSparsityCheckpoint(
        tmp_path / "best.weights.h5", "loss", save_weights_only=True
    )
    model, pruning = mlp(), kpk.PruningCallback(RAMP)

    model.fit(*data, epochs=6, verbose=0, callbacks=[best, pruning, Loads()])

    assert zeros_of(model) == pruning.report.sparsity == target_of(model)


@pytest.mark.quick_in("tf_keras")
def test_the_report_speaks_of_the_model_in_hand(mlp, data):
    model, pruning = mlp(), kpk.PruningCallback(0.75)
    model.fit(*data, epochs=2, verbose=0, callbacks=[pruning])
    assert pruning.report.sparsity == target_of(model)

    model.fit(*data, epochs=1, verbose=0)  # Without it zeros grow back.

    assert pruning.report.sparsity == zeros_of(model) < 0.1
    assert len(pruning.report.unmet) == 2


@pytest.mark.quick_in("tf_keras")
def test_a_copy_of_a_used_callback_has_no_report(mlp, data):
    pruning = kpk.PruningCallback(0.75)
    mlp().fit(*data, epochs=1, verbose=0, callbacks=[pruning])
    copied = copy.deepcopy(pruning)
    assert copied.report is None
    model = mlp()
    model.fit(*data, epochs=2, verbose=0, callbacks=[copied])
    assert copied.report.sparsity == target_of(model)


def test_keep_zeros_keeps_each_of_them_and_adds_none(mlp, data):
    model = mlp()
    model.fit(*data, epochs=2, verbose=0, callbacks=[kpk.PruningCallback(0.75)])
    before = [w == 0 for w in model.get_weights()]
    pruning = kpk.PruningCallback(kpk.KeepZeros())

    model.fit(*data, epochs=3, verbose=0, callbacks=[pruning])

    after = [w == 0 for w in model.get_weights()]
    for was, now in zip(before[::2], after[::2], strict=True):
        np.testing.assert_array_equal(now, was)
    assert pruning.report.sparsity == target_of(model)
    assert pruning.report.unmet == ()
    targets = [weight.target for weight in pruning.report.weights]
    assert targets == pytest.approx([0.75, 0.75])


def test_keep_zeros_leaves_what_was_initialized_to_zeros_free(K, data):
    model = K.Sequential(
        [
            K.layers.Input((8,)),
            K.layers.Dense(16, activation="relu"),
            K.layers.Dense(3, activation="softmax", kernel_initializer="zeros"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(
        *data, epochs=2, verbose=0, callbacks=[kpk.PruningCallback(kpk.KeepZeros())]
    )
    assert np.count_nonzero(model.get_weights()[2]) == 48


@pytest.mark.quick_in("tf_keras")
def test_keep_zeros_in_a_rule_beside_a_global_ranking(mlp, data):
    model = mlp()
    first = kpk.PrunePolicy(0.0, [kpk.Rule("classifier", 0.5)])
    model.fit(*data, epochs=2, verbose=0, callbacks=[kpk.PruningCallback(first)])
    before = model.get_weights()[2] == 0

    policy = kpk.PrunePolicy(
        0.75, [kpk.Rule("classifier", kpk.KeepZeros())], scope="global"
    )
    model.fit(*data, epochs=3, verbose=0, callbacks=[kpk.PruningCallback(policy)])

    np.testing.assert_array_equal(model.get_weights()[2] == 0, before)
    assert int((model.get_weights()[0] == 0).sum()) == 96


def test_a_policy_with_keep_zeros_can_be_written_down():
    policy = kpk.PrunePolicy(kpk.KeepZeros(), include_frozen=True)
    assert kpk.PrunePolicy.from_dict(policy.to_dict()) == policy


@pytest.mark.quick_in("tf_keras")
def test_zeros_that_will_grow_back_are_told(mlp, data):
    model = mlp()
    model.fit(*data, epochs=2, verbose=0, callbacks=[kpk.PruningCallback(0.75)])
    pruning = kpk.PruningCallback(0.25)

    with pytest.warns(kpk.ZerosGrowBackWarning, match=r"0\.75.*asks for 0\.25.*Keep"):
        model.fit(*data, epochs=2, verbose=0, callbacks=[pruning])

    assert pruning.report.sparsity == 0.25


@pytest.mark.quick_in("tf_keras")
def test_as_many_zeros_as_there_are_lose_none(mlp, data):
    model = mlp()
    for _ in range(2):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            model.fit(*data, epochs=1, verbose=0, callbacks=[kpk.PruningCallback(0.75)])
    assert zeros_of(model) == target_of(model)


def frozen_base(K):
    base = K.Sequential([K.layers.Input((8,)), K.layers.Dense(16)], name="base")
    base.trainable = False
    model = K.Sequential([K.layers.Input((8,)), base, K.layers.Dense(3, name="head")])
    model.compile("adam", K.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model, base


def test_what_does_not_train_is_not_pruned(K, data):
    model, base = frozen_base(K)
    before = base.get_weights()

    pruning = kpk.PruningCallback(0.5)
    model.fit(*data, epochs=2, verbose=0, callbacks=[pruning])

    np.testing.assert_array_equal(base.get_weights()[0], before[0])
    assert [w.path for w in pruning.report.weights] == ["head/kernel"]
    assert pruning.report.sparsity == 0.5
    plan = str(kpk.PrunePolicy(0.5).plan(model))
    assert "base/dense" in plan and "include_frozen=True" in plan


def test_a_layer_of_a_trainable_base_can_be_frozen_alone(K, data):
    model, base = frozen_base(K)
    base.trainable = True
    model.layers[-1].trainable = False
    plan = kpk.PrunePolicy(0.5).plan(model)
    assert [weight.path.split("/")[0] for weight in plan.weights] == ["base"]
    assert [item.path for item in plan.skipped] == ["head/kernel"]


def test_what_does_not_train_is_pruned_on_demand(K, data):
    model, base = frozen_base(K)
    policy = kpk.PrunePolicy(0.5, include_frozen=True)
    model.fit(*data, epochs=2, verbose=0, callbacks=[kpk.PruningCallback(policy)])
    assert int((base.get_weights()[0] == 0).sum()) == 64


def test_what_does_not_train_is_not_clustered(K, data):
    model, base = frozen_base(K)
    before = base.get_weights()
    clustering = kpk.ClusteringCallback(4)
    model.fit(*data, epochs=1, verbose=0, callbacks=[clustering])
    np.testing.assert_array_equal(base.get_weights()[0], before[0])
    assert len(np.unique(model.layers[-1].get_weights()[0])) == 4


def unbuilt(K, kind):
    class Net(K.Model):
        def __init__(self):
            super().__init__()
            self.hidden = K.layers.Dense(16, activation="relu")
            self.head = K.layers.Dense(3)

        def call(self, inputs):
            return self.head(self.hidden(inputs))

    if kind == "subclassed":
        return Net()
    layers = [K.layers.Dense(16, activation="relu"), K.layers.Dense(3)]
    return K.Sequential(layers)


@pytest.mark.each_value
@pytest.mark.parametrize("kind", ["subclassed", "sequential"])
def test_a_model_that_fit_builds_is_pruned_exactly(K, data, kind):
    model = unbuilt(K, kind)
    model.compile("adam", K.losses.SparseCategoricalCrossentropy(from_logits=True))
    steps = []
    look = K.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: steps.append(round(logs["sparsity"], 4))
    )
    pruning = kpk.PruningCallback(kpk.PolynomialDecay(0, 0.75, 0, 8, power=1))

    model.fit(*data, epochs=3, verbose=0, callbacks=[pruning, look])

    assert zeros_of(model) == target_of(model) == pruning.report.sparsity
    # Four steps an epoch, counted from the first one on: half of the ramp after four.
    assert steps == [pytest.approx(0.375, abs=0.01), 0.75, 0.75]


def test_a_model_that_fit_builds_is_clustered(K, data):
    model = unbuilt(K, "sequential")
    model.compile("adam", K.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(*data, epochs=2, verbose=0, callbacks=[kpk.ClusteringCallback(4)])
    assert len(np.unique(model.get_weights()[0])) == 4


def test_a_plan_needs_a_built_model(K):
    with pytest.raises(ValueError, match="not built"):
        kpk.PrunePolicy(0.5).plan(unbuilt(K, "sequential"))


def test_the_list_of_callbacks_is_as_it_was_when_fit_has_ended(K, mlp, data):
    model = mlp()
    stopping = K.callbacks.EarlyStopping(monitor="loss", patience=9)
    pruning = kpk.PruningCallback(kpk.ConstantSparsity(0.5))
    callbacks = K.callbacks.CallbackList(
        [stopping, pruning], add_history=True, model=model, epochs=2, verbose=0
    )
    before = list(callbacks.callbacks)
    model.fit(*data, epochs=2, verbose=0, callbacks=callbacks)
    assert callbacks.callbacks == before and stopping in before
