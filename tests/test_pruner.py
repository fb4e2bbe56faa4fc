"""The pruner: exact zeros in every kind of model, and nothing left behind."""

import tracemalloc

import models
import numpy as np
import pytest
import tensorflow as tf

import keras_prune_kit as kpk
from keras_prune_kit.pruner import last_good


def batch(model, K, size=8):
    """Random inputs and targets of the shapes that a model wants."""
    rng = np.random.default_rng(0)

    def array(tensor):
        shape = (size, *tensor.shape[1:])
        name = getattr(tensor.dtype, "name", tensor.dtype)
        if "int" in name:
            return tf.constant(rng.integers(0, 20, shape), name)
        return tf.constant(rng.normal(size=shape), tf.float32)

    if not hasattr(model, "inputs") or model.inputs is None:
        x = tf.constant(rng.normal(size=(size, 8)), tf.float32)
    else:
        x = [array(tensor) for tensor in model.inputs]
        x = x[0] if len(x) == 1 else x
    return x


def train_steps(model, K, pruner, steps):
    """A custom loop: a compiled train step, then the pruner's."""
    x = batch(model, K)
    optimizer = K.optimizers.Adam(0.01)

    @tf.function
    def train_step():
        with tf.GradientTape() as tape:
            outputs = tf.nest.flatten(model(x, training=True))
            loss = tf.add_n([tf.reduce_mean((out - 1.0) ** 2) for out in outputs])
        variables = model.trainable_variables
        optimizer.apply_gradients(
            zip(tape.gradient(loss, variables), variables, strict=True)
        )

    for _ in range(steps):
        train_step()
        pruner.step()


def expected_zeros(sparsity, weight):
    return min(round(sparsity * weight.size), weight.size - 1)


@pytest.mark.each_value
@pytest.mark.parametrize("name", models.ZOO)
def test_every_kind_of_model_gets_exactly_sparse(K, name):
    model = models.ZOO[name](K)
    with kpk.Pruner(model, kpk.PrunePolicy(0.8), steps_per_epoch=4, epochs=2) as pruner:
        train_steps(model, K, pruner, 8)
    report = pruner.report()
    assert report.weights
    for weight in report.weights:
        assert weight.zeros == expected_zeros(0.8, weight), weight.path
    assert not report.unmet
    counted = kpk.sparsity_report(model)
    assert {w.path: w.zeros for w in counted.weights} | {
        w.path: w.zeros for w in report.weights
    } == {w.path: w.zeros for w in counted.weights}


@pytest.mark.each_value
@pytest.mark.parametrize(
    "structure",
    [kpk.Unstructured(), kpk.Block((2, 2)), kpk.NofM(2, 4), kpk.Channel()],
)
def test_every_structure_trains(K, structure):
    model = models.sequential(K)
    policy = kpk.PrunePolicy(0.5, structure=structure)
    with kpk.Pruner(model, policy, steps_per_epoch=6, epochs=1) as pruner:
        train_steps(model, K, pruner, 6)
    hidden, last = model.get_weights()[::2]
    assert structure.sparsity(hidden) == pytest.approx(0.5, abs=0.17)
    # Whole channels of the outputs must stay.
    final = 0 if structure == kpk.Channel() else 0.5
    assert structure.sparsity(last) == pytest.approx(final, abs=0.17)


def test_global_scope_ranks_all_layers_together(K):
    model = models.sequential(K)
    kernel, *rest = model.get_weights()
    model.set_weights([kernel * 0.01, *rest])
    policy = kpk.PrunePolicy(0.5, scope="global")
    with kpk.Pruner(model, policy, steps_per_epoch=4, epochs=1) as pruner:
        for _ in range(4):
            pruner.step()
    report = pruner.report()
    small, large = report.weights
    assert report.zeros == sum(round(0.5 * w.size) for w in report.weights)
    assert small.sparsity > large.sparsity
    assert not report.unmet


@pytest.mark.parametrize("kind", ["close", "few values", "equal", "signed"])
def test_global_scope_ranks_exactly(K, kind):
    """Weights too close to tell apart by half their bits, and all too many alike."""
    model = models.sequential(K)
    rng = np.random.default_rng(0)
    draw = {
        "close": lambda shape: 1 + rng.random(shape) * 1e-5,
        "few values": lambda shape: rng.integers(1, 4, shape),
        "equal": np.ones,
        "signed": rng.standard_normal,
    }[kind]
    model.set_weights([draw(weight.shape) for weight in model.get_weights()])
    criterion = np.asarray if kind == "signed" else kpk.criteria.magnitude
    policy = kpk.PrunePolicy(
        kpk.ConstantSparsity(0.7), criterion=criterion, scope="global"
    )
    before = model.get_weights()[::2]
    with kpk.Pruner(model, policy):
        pass
    kept = np.concatenate([weight.ravel() != 0 for weight in model.get_weights()[::2]])
    scores = [weight.ravel().copy() for weight in before]
    for part in scores:
        part[part.argmax()] = np.inf
    flat = np.concatenate(scores)
    order = np.lexsort((-np.arange(flat.size), flat))
    zeros = sum(round(0.7 * part.size) for part in scores)
    assert set(np.flatnonzero(~kept)) == set(order[:zeros])


def test_global_scope_leaves_no_layer_empty(K):
    model = models.sequential(K)
    kernel, *rest = model.get_weights()
    model.set_weights([kernel * 1e-6, *rest])
    policy = kpk.PrunePolicy(kpk.ConstantSparsity(0.9), scope="global")
    with kpk.Pruner(model, policy):
        pass
    assert all(np.count_nonzero(kernel) for kernel in model.get_weights()[::2])


def test_ranking_all_layers_copies_no_model(K):
    layers = [K.layers.Dense(500, use_bias=False) for _ in range(16)]
    model = K.Sequential([K.layers.Input((500,)), *layers])
    policy = kpk.PrunePolicy(kpk.ConstantSparsity(0.5, 1), scope="global")
    with kpk.Pruner(model, policy) as pruner:
        tracemalloc.start()
        pruner.step()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert pruner.report().zeros == model.count_params() // 2
    # A score is four bytes, and none but the open ones are kept; masks come one by one.
    assert peak < 4 * model.count_params()


def test_sparsity_follows_the_schedule_step_by_step(K):
    model = models.sequential(K)
    ramp = kpk.PolynomialDecay(0.2, 0.8, begin_step=2, end_step=6, frequency=1)
    seen = []
    with kpk.Pruner(model, kpk.PrunePolicy(ramp)) as pruner:
        for _ in range(8):
            pruner.step()
            seen.append(pruner.sparsity)
    sizes = [8 * 16, 16 * 3]
    wanted = [0.0] + [
        sum(round(ramp(step) * size) for size in sizes) / sum(sizes)
        for step in (2, 3, 4, 5, 6, 6, 6)
    ]
    assert seen == pytest.approx(wanted)


def test_a_constraint_of_the_users_own_still_applies_and_comes_back(K):
    model = K.Sequential(
        [K.layers.Input((8,)), K.layers.Dense(16, kernel_constraint="non_neg")]
    )
    own = model.layers[0].kernel.constraint
    with kpk.Pruner(model, kpk.PrunePolicy(kpk.ConstantSparsity(0.5))) as pruner:
        train_steps(model, K, pruner, 3)
        during = model.get_weights()[0]
    assert (during >= 0).all()
    assert (during == 0).sum() >= 64
    assert model.layers[0].kernel.constraint is own


def test_nothing_is_left_behind(K):
    model = models.convolutional(K)
    marks = [
        (set(vars(layer)), [v.name for v in layer.weights]) for layer in model.layers
    ]
    config = model.get_config()
    with kpk.Pruner(model, kpk.PrunePolicy(kpk.ConstantSparsity(0.5))) as pruner:
        train_steps(model, K, pruner, 2)
    assert marks == [
        (set(vars(layer)), [v.name for v in layer.weights]) for layer in model.layers
    ]
    assert model.get_config() == config
    assert all(v.constraint is None for v in model.trainable_variables)


def test_zeros_that_are_there_stay(K):
    """A second policy goes on where the first ended."""
    model = models.sequential(K)
    with kpk.Pruner(model, kpk.PrunePolicy(kpk.ConstantSparsity(0.5))):
        pass
    first = [kernel == 0 for kernel in model.get_weights()[::2]]
    with kpk.Pruner(model, kpk.PrunePolicy(0.8), steps_per_epoch=5, epochs=1) as pruner:
        assert pruner.sparsity == pytest.approx(0.5)
        train_steps(model, K, pruner, 5)
    for was_zero, kernel in zip(first, model.get_weights()[::2], strict=True):
        assert (kernel[was_zero] == 0).all()


def test_asking_for_less_than_there_is_lets_the_rest_grow_back(K):
    model = K.Sequential([K.layers.Input((8,)), K.layers.Dense(16)])
    with kpk.Pruner(model, kpk.PrunePolicy(kpk.ConstantSparsity(0.9))):
        pass
    pruner = kpk.Pruner(model, kpk.PrunePolicy(kpk.ConstantSparsity(0.5)))
    with pytest.warns(kpk.ZerosGrowBackWarning, match="at 0.8984.*asks for 0.5"):
        pruner.start()
    assert pruner.sparsity == pytest.approx(0.5)
    train_steps(model, K, pruner, 20)
    assert pruner.finalize().zeros == 64


def test_a_kernel_initialized_with_zeros_is_not_taken_for_pruned(K):
    model = K.Sequential(
        [K.layers.Input((8,)), K.layers.Dense(4, kernel_initializer="zeros")]
    )
    ramp = kpk.PolynomialDecay(0, 0.5, begin_step=3, end_step=6)
    with kpk.Pruner(model, kpk.PrunePolicy(ramp)) as pruner:
        assert pruner.sparsity == 0
        train_steps(model, K, pruner, 6)
    assert pruner.report().weights[0].zeros == 16


def test_a_step_traced_before_the_pruner_is_noticed_and_made_up_for(K):
    model = models.sequential(K)
    x, optimizer = batch(model, K), K.optimizers.SGD(0.1)

    @tf.function
    def train_step():
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((model(x) - 1.0) ** 2)
        variables = model.trainable_variables
        optimizer.apply_gradients(
            zip(tape.gradient(loss, variables), variables, strict=True)
        )

    train_step()
    with pytest.warns(kpk.MaskNotAppliedWarning, match="compiled before"):
        with kpk.Pruner(
            model, kpk.PrunePolicy(0.8), steps_per_epoch=10, epochs=1
        ) as pruner:
            for _ in range(10):
                train_step()
                pruner.step()
    for weight in pruner.report().weights:
        assert weight.zeros == expected_zeros(0.8, weight)


def test_a_custom_loop_under_a_strategy(K):
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    with strategy.scope():
        model = models.sequential(K)
        optimizer = K.optimizers.Adam(0.01)
        # Keras 3 cannot build its optimizer inside a distributed tf.function.
        optimizer.build(model.trainable_variables)
    x = tf.constant(np.random.default_rng(0).normal(size=(8, 8)), tf.float32)

    @tf.function
    def train_step():
        def replica_step():
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean((model(x, training=True) - 1.0) ** 2)
            variables = model.trainable_variables
            optimizer.apply_gradients(
                zip(tape.gradient(loss, variables), variables, strict=True)
            )

        strategy.run(replica_step)

    with kpk.Pruner(model, kpk.PrunePolicy(0.8), steps_per_epoch=5, epochs=1) as pruner:
        for _ in range(5):
            train_step()
            pruner.step()
    for weight in pruner.report().weights:
        assert weight.zeros == expected_zeros(0.8, weight)


def test_an_error_inside_takes_the_masks_off(K):
    model = models.sequential(K)
    policy = kpk.PrunePolicy(kpk.ConstantSparsity(0.5))
    with pytest.raises(KeyError), kpk.Pruner(model, policy):
        raise KeyError("the loop broke")
    assert all(v.constraint is None for v in model.trainable_variables)


def test_ending_early_warns_with_layer_target_and_reached_value(K):
    model = models.functional(K)
    with pytest.warns(
        kpk.IncompletePruningWarning, match=r"dense.*/kernel is at .* of 0.8"
    ):
        with kpk.Pruner(
            model, kpk.PrunePolicy(0.8), steps_per_epoch=10, epochs=2
        ) as pruner:
            for _ in range(5):
                pruner.step()
    assert len(pruner.report().unmet) == 2


def test_ending_early_can_be_an_error(K):
    model = models.functional(K)
    pruner = kpk.Pruner(model, kpk.PrunePolicy(0.8), steps_per_epoch=10, epochs=2)
    pruner.start()
    with pytest.raises(kpk.IncompletePruningError, match="Train longer"):
        pruner.finalize(on_incomplete="raise")
    assert all(v.constraint is None for v in model.trainable_variables)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_no_numbers_are_named_and_left(K, value):
    model = models.sequential(K)
    weights = model.get_weights()
    weights[2][0, 0] = value
    model.set_weights(weights)
    with pytest.raises(ValueError, match="/kernel holds NaN or infinite"):
        kpk.Pruner(model, kpk.PrunePolicy(0.8))
    assert all(map(np.array_equal, weights[:2], model.get_weights()[:2]))


def test_weights_that_break_on_the_way_end_the_pruning(K):
    model = models.sequential(K)
    pruner = kpk.Pruner(model, kpk.PrunePolicy(0.8), steps_per_epoch=4, epochs=1)
    pruner.start()
    weights = model.get_weights()
    weights[0][0, 0] = np.nan
    model.set_weights(weights)
    with pytest.raises(ValueError, match="NaN"):
        pruner.step()
    assert all(v.constraint is None for v in model.trainable_variables)


@pytest.mark.parametrize("broken", ["loss", "weights"])
def test_a_loop_that_diverges_gets_its_last_good_weights_back(
    K, mlp, data, broken, monkeypatch
):
    monkeypatch.setattr(last_good, "_REST", 0)
    model, policy = mlp(), kpk.PrunePolicy(kpk.ConstantSparsity(0.8, frequency=1))
    with pytest.raises(kpk.DivergedError) as info, kpk.Pruner(model, policy) as pruner:
        for _ in range(3):
            loss = model.train_on_batch(*data)[0]
            pruner.step()
            pruner.check_loss(loss)
        weights = [weight.copy() for weight in model.get_weights()]
        iterations = int(model.optimizer.iterations)
        model.train_on_batch(*data)
        model.set_weights([weight * np.nan for weight in model.get_weights()])
        if broken == "loss":
            pruner.check_loss(np.nan)
        pruner.step()
    found = "The loss is nan." if broken == "loss" else "holds NaN"
    assert found in str(info.value)
    assert info.value.restored_moment == "after step 3"
    assert "are restored to their state after step 3." in str(info.value)
    assert all(map(np.array_equal, model.get_weights(), weights))
    assert int(model.optimizer.iterations) == iterations
    assert kpk.sparsity_report(model).zeros == 140
    assert all(v.constraint is None for v in model.trainable_variables)


def test_a_step_outside_the_run_says_so(K):
    pruner = kpk.Pruner(
        models.sequential(K), kpk.PrunePolicy(kpk.ConstantSparsity(0.5))
    )
    with pytest.raises(RuntimeError, match="start"):
        pruner.step()
    pruner.start()
    pruner.finalize()
    with pytest.raises(RuntimeError, match="not active"):
        pruner.step()
    with pytest.raises(RuntimeError, match="not active"):
        pruner.finalize()


def test_a_second_pruner_ends_the_first(K):
    model = models.sequential(K)
    policy = kpk.PrunePolicy(kpk.ConstantSparsity(0.5))
    first, second = kpk.Pruner(model, policy), kpk.Pruner(model, policy)
    first.start()
    second.start()
    with pytest.raises(RuntimeError, match="Another pruner"):
        first.step()
    second.finalize()
    assert all(v.constraint is None for v in model.trainable_variables)


def test_an_unknown_run_length_is_asked_for(K):
    with pytest.raises(ValueError, match="steps_per_epoch"):
        with kpk.Pruner(models.sequential(K), kpk.PrunePolicy(0.8)):
            pass
    with pytest.raises(ValueError, match="steps_per_epoch"):
        kpk.Pruner(models.sequential(K), kpk.PrunePolicy(0.8), steps_per_epoch=0)


def test_a_criterion_of_the_wrong_shape_is_named(K):
    policy = kpk.PrunePolicy(kpk.ConstantSparsity(0.5), criterion=lambda w: w.sum())
    with pytest.raises(ValueError, match="one score per weight"):
        with kpk.Pruner(models.sequential(K), policy):
            pass


@pytest.mark.quick_in("keras")
def test_in_one_ranking_one_weight_may_have_more_zeros(K, recwarn):
    """As in a warm start: all together there are fewer than asked for."""
    model = models.sequential(K)
    hidden, *rest = model.get_weights()
    hidden[:6] = 0
    model.set_weights([hidden, *rest])
    policy = kpk.PrunePolicy(kpk.ConstantSparsity(0.6), scope="global")
    with kpk.Pruner(model, policy) as pruner:
        pruner.step()
    assert not [w for w in recwarn if w.category is kpk.ZerosGrowBackWarning]
    assert not model.get_weights()[0][:6].any()
    fewer = kpk.PrunePolicy(kpk.ConstantSparsity(0.3), scope="global")
    with pytest.warns(kpk.ZerosGrowBackWarning), kpk.Pruner(model, fewer):
        pass


def test_zeros_of_one_ranking_stay_although_a_layer_has_more_than_its_part(K):
    inputs = K.layers.Input((10,))
    hidden = K.layers.Dense(20, name="small")(inputs)
    model = K.Model(inputs, K.layers.Dense(5, name="large")(hidden))
    rng = np.random.default_rng(0)
    kernels = [rng.normal(size=(10, 20)) / 10, rng.normal(size=(20, 5)) * 10]
    # 150 of 300: all that is small is in the first.
    order = np.argsort(np.abs(kernels[0]), axis=None)
    kernels[0].ravel()[order[:150]] = 0
    model.set_weights([kernels[0], np.zeros(20), kernels[1], np.zeros(5)])
    model.compile("sgd", "mse")
    schedule = kpk.PolynomialDecay(0.0, 0.5, end_step=100)
    pruner = kpk.Pruner(model, kpk.PrunePolicy(schedule, scope="global"))
    pruner.start()
    x, y = rng.normal(size=(32, 10)), rng.normal(size=(32, 5))
    for _ in range(3):
        model.train_on_batch(x, y)
        pruner.step()
    kernel = np.asarray(model.get_weights()[0])
    np.testing.assert_array_equal(kernel == 0, kernels[0].astype("float32") == 0)
