"""Few different values in each weight, in every way that Keras can train."""

import models
import numpy as np
import pytest
import tensorflow as tf
from marks import slow
from modes import MODES, build, legacy, set_dtype_policy

import keras_prune_kit as kpk


def distinct(model):
    """Different values of each kernel."""
    return [np.unique(w).size for w in model.get_weights() if w.ndim > 1]


def zeros(model):
    return [np.count_nonzero(w == 0) for w in model.get_weights() if w.ndim > 1]


def pruned(model, sparsity=0.8):
    """The same model, pruned at once."""
    pruner = kpk.Pruner(model, kpk.ConstantSparsity(sparsity))
    pruner.start()
    pruner.finalize()
    return model


def fit(model, data, *callbacks, epochs=2):
    return model.fit(
        *data, epochs=epochs, batch_size=16, verbose=0, callbacks=list(callbacks)
    )


SLOW = ("mirrored mixed_float16", "mixed_bfloat16")  # as mirrored, and mixed_float16


@pytest.mark.each_value
@pytest.mark.parametrize("mode", [slow(m) if m in SLOW else m for m in MODES])
def test_no_more_values_than_clusters(K, mode, data):
    precision = next((p for p in mode.split() if p.startswith("mixed")), "float32")
    set_dtype_policy(K, precision)
    model = pruned(MODES[mode](K))
    before = model.get_weights()
    clustering = kpk.ClusteringCallback(6)
    fit(model, data, clustering)
    assert max(distinct(model)) <= 6
    assert zeros(model) == [102, 38]
    assert [weight.zeros for weight in clustering.report.weights] == [102, 38]
    assert not np.array_equal(model.get_weights()[1], before[1])  # It has trained.


@pytest.mark.each_value
@pytest.mark.parametrize("mode", ["plain", "jit_compile", "steps_per_execution"])
def test_a_model_that_was_trained_before(K, mode, data):
    """The train function traced before does not know the clusters."""
    model = MODES[mode](K)
    fit(model, data)
    fit(model, data, kpk.ClusteringCallback(4))
    assert distinct(model) == [4, 4]
    fit(model, data)
    assert min(distinct(model)) > 4


def test_every_step_has_few_values_whoever_looks(K, data):
    seen = []

    class Look(K.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append(max(distinct(self.model)))

    fit(build(K), data, Look(), kpk.ClusteringCallback(4))
    assert set(seen) == {4}


def test_a_cluster_moves_by_the_mean_of_its_members_steps(K):
    model = models.sequential(K)
    optimizer = K.optimizers.SGD(0.1)
    x = tf.constant(np.random.default_rng(0).normal(size=(16, 8)), tf.float32)
    variables = model.trainable_variables

    @tf.function
    def train_step():
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((model(x, training=True) - 1) ** 2)
        gradients = tape.gradient(loss, variables)
        optimizer.apply_gradients(zip(gradients, variables, strict=True))
        return gradients[0]

    with kpk.Clusterer(model, 4):
        before = model.get_weights()[0]
        gradient = train_step().numpy()
        after = model.get_weights()[0]
    for value in np.unique(before):
        members = before == value
        expected = value - 0.1 * gradient[members].mean()
        assert after[members] == pytest.approx(expected, rel=1e-5)


def test_values_that_no_gradient_reaches_stay_bit_equal(K):
    """A sum of many equal values in float32 would drift."""
    inputs = K.layers.Input((300,))
    model = K.Model(inputs, K.layers.Dense(200)(inputs))
    model.compile(K.optimizers.SGD(0.1), "mse")
    with kpk.Clusterer(model, 3):
        before = model.get_weights()[0]
        data = np.zeros((8, 300), "float32"), np.zeros((8, 200), "float32")
        model.fit(*data, epochs=20, batch_size=8, verbose=0)
    assert np.array_equal(model.get_weights()[0], before)


@pytest.mark.each_value
@pytest.mark.parametrize("first", ["pruning", "clustering"])
def test_masks_hold_at_the_same_time(K, data, first):
    model = build(K)
    pruning = kpk.PruningCallback(kpk.ConstantSparsity(0.8))
    callbacks = [pruning, kpk.ClusteringCallback(5)]
    fit(model, data, *(callbacks if first == "pruning" else callbacks[::-1]))
    assert zeros(model) == [102, 38]
    assert distinct(model) == [5, 5]
    assert all(v.constraint is None for v in model.trainable_variables)


def test_masks_that_still_change_are_refused_before_a_step(K, data):
    model = build(K)
    before = model.get_weights()[1]
    with pytest.raises(ValueError, match="Prune first, then cluster"):
        fit(model, data, kpk.PruningCallback(0.8), kpk.ClusteringCallback(5))
    assert np.array_equal(model.get_weights()[1], before)


def test_a_pruner_that_starts_later_is_refused(K):
    model = models.sequential(K)
    pruner = kpk.Pruner(model, kpk.ConstantSparsity(0.5))
    with pytest.raises(ValueError, match="start a pruner with ConstantSparsity first"):
        with kpk.Clusterer(model, 5) as clusterer:
            pruner.start()
            clusterer.step()


def test_the_users_own_constraint_applies_and_is_there_afterwards(K, data):
    own = K.constraints.NonNeg()
    model = K.Sequential(
        [K.layers.Input((8,)), K.layers.Dense(3, kernel_constraint=own, name="only")]
    )
    model.compile("sgd", "mse")
    clustering = kpk.ClusteringCallback(4)
    fit(model, (data[0], -data[0][:, :3]), clustering)
    kernel = model.get_weights()[0]
    assert kernel.min() >= 0
    assert np.unique(kernel).size <= 4
    assert model.layers[-1].kernel.constraint is own


def test_embeddings_under_a_legacy_optimizer(K, data):
    model = K.Sequential(
        [
            K.layers.Input((6,), dtype="int32"),
            K.layers.Embedding(20, 8),
            K.layers.GlobalAveragePooling1D(),
            K.layers.Dense(3, activation="softmax"),
        ]
    )
    model.compile(legacy(K), "sparse_categorical_crossentropy")
    tokens = np.random.default_rng(0).integers(0, 20, (128, 6))
    fit(model, (tokens, data[1]), kpk.ClusteringCallback(4))
    assert distinct(model) == [4, 4]


def test_averages_are_clustered_while_training(K, data):
    seen = []

    class Look(K.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            averages = self.model.optimizer._model_variables_moving_average
            seen.append(np.unique(averages[0].numpy()).size)

    fit(MODES["ema"](K), data, kpk.ClusteringCallback(4), Look())
    assert seen == [4, 4]


@pytest.mark.parametrize("name", models.ZOO)
def test_every_kind_of_model(K, name):
    model = models.ZOO[name](K)
    with kpk.Clusterer(model, 3) as clusterer:
        pass
    report = clusterer.report()
    assert {weight.distinct for weight in report.weights} == {3}
    covered = {weight.path for weight in kpk.PrunePolicy(0.5).plan(model).weights}
    assert {weight.path for weight in report.weights} == covered


def test_a_run_goes_on_from_its_values_alone(K, data):
    model = pruned(build(K))
    fit(model, data, kpk.ClusteringCallback(6))
    before = model.get_weights()
    clusterer = kpk.Clusterer(model, 6)
    clusterer.start()
    assert all(map(np.array_equal, model.get_weights(), before))
    fit(model, data, epochs=1)
    after = model.get_weights()
    clusterer.finalize()
    for old, new in zip(before[::2], after[::2], strict=True):
        for value in np.unique(old):
            assert np.unique(new[old == value]).size == 1


def test_a_fit_that_was_cut_off_does_not_harm_the_next(K, data):
    class Stop(K.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            raise KeyboardInterrupt

    model, clustering = build(K), kpk.ClusteringCallback(4)
    with pytest.raises(KeyboardInterrupt):
        fit(model, data, clustering, Stop())
    fit(model, data, clustering)
    fit(model, data, kpk.ClusteringCallback(3))
    assert distinct(model) == [3, 3]
    assert all(v.constraint is None for v in model.trainable_variables)


def test_a_step_traced_before_is_noticed_and_made_up_for(K):
    model = models.sequential(K)
    optimizer = K.optimizers.SGD(0.1)
    x = tf.ones((4, 8))

    @tf.function
    def train_step():
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((model(x) - 1) ** 2)
        variables = model.trainable_variables
        gradients = tape.gradient(loss, variables)
        optimizer.apply_gradients(zip(gradients, variables, strict=True))

    train_step()
    clusterer = kpk.Clusterer(model, 4)
    clusterer.start()
    train_step()
    with pytest.warns(kpk.ClustersNotAppliedWarning, match="compiled before"):
        report = clusterer.finalize()
    assert {weight.distinct for weight in report.weights} == {4}


@pytest.mark.each_value
@pytest.mark.parametrize("match", ["hidden", ["hidden/kernel"], slow("by function")])
def test_some_layers(K, mlp, data, match):
    if match == "by function":
        match = lambda layer: layer.name == "hidden"  # noqa: E731
    model = mlp()
    clustering = kpk.ClusteringCallback(4, match=match)
    fit(model, data, clustering)
    assert [weight.path for weight in clustering.report.weights] == ["hidden/kernel"]
    assert distinct(model)[0] == 4
    assert distinct(model)[1] > 4


def test_the_report_prints_as_a_table(K):
    with kpk.Clusterer(pruned(models.unknown_layer(K), 0.5), 4) as clusterer:
        pass
    text = str(clusterer.report())
    assert "4 of 4" in text and "50.00 %" in text
    assert "skipped mystery: Mystery names no prunable weights" in text
    assert clusterer.report().to_dict()["weights"][0]["distinct"] == 4


@pytest.mark.parametrize("clusters", [1, 0, -3, 257, 2.0, "16", True, None])
def test_bad_numbers_of_clusters(K, clusters):
    for build_one in (
        lambda: kpk.ClusteringCallback(clusters),
        lambda: kpk.Clusterer(models.sequential(K), clusters),
    ):
        with pytest.raises(ValueError, match=f"2 to 256. Received.*{clusters!r}"):
            build_one()


def test_what_cannot_be_clustered_is_said_before_a_step(K, mlp, data):
    with pytest.raises(ValueError, match="'nowhere' covers no prunable weight"):
        fit(mlp(), data, kpk.ClusteringCallback(4, match="nowhere"))
    with pytest.raises(TypeError, match="match is a regex"):
        kpk.ClusteringCallback(4, match=3)
    with pytest.raises(ValueError, match="not built"):
        kpk.Clusterer(K.Sequential([K.layers.Dense(3)]), 4)
    with pytest.raises(TypeError, match="keras"):
        kpk.Clusterer("model", 4)
    nothing = K.Sequential([K.layers.Input((8,)), K.layers.ReLU()])
    with pytest.raises(ValueError, match="no weights to compress"):
        kpk.Clusterer(nothing, 4)
    broken = mlp()
    broken.set_weights([np.full_like(w, np.nan) for w in broken.get_weights()])
    with pytest.raises(ValueError, match="hidden/kernel holds NaN"):
        kpk.Clusterer(broken, 4)


def test_wrong_order_is_told(K):
    clusterer = kpk.Clusterer(models.sequential(K), 4)
    for call in (clusterer.step, clusterer.finalize):
        with pytest.raises(RuntimeError, match="not active"):
            call()


def wide(K):
    return K.Sequential(
        [
            K.layers.Input((64,)),
            K.layers.Dense(128, activation="relu"),
            K.layers.Dense(32),
        ]
    )


def kernels(exported):
    found = kpk.tflite.constants(exported.bytes)
    return [constant for constant in found if constant.is_weight]


@pytest.mark.quick_in("tf_keras")
def test_a_float_file_gzips_to_a_fraction(K):
    model = wide(K)
    before = kpk.export_tflite(model).gzip_bytes
    with kpk.Clusterer(model, 16):
        pass
    exported = kpk.export_tflite(model)
    assert {np.unique(kernel.stored).size for kernel in kernels(exported)} == {16}
    # 4 of 32 bits a value, and what is not weights.
    assert exported.gzip_bytes < before / 4


@pytest.mark.parametrize("quantization", ["dynamic", "int8"])
def test_a_quantized_file_keeps_the_clusters(K, quantization):
    """Each output channel has a scale of its own, and so levels of its own."""
    model = pruned(wide(K), 0.5)
    with kpk.Clusterer(model, 8):
        pass
    x = np.random.default_rng(0).normal(size=(50, 64)).astype("float32")
    exported = kpk.export_tflite(
        model,
        quantization=quantization,
        representative_data=x if quantization == "int8" else None,
    )
    for kernel in kernels(exported):
        assert kernel.dtype == "int8"
        assert max(np.unique(row).size for row in kernel.stored) <= 8
        assert np.count_nonzero(kernel.stored == 0) >= kernel.size // 2
