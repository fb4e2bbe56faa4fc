"""LoRA: the frozen base is pruned, and its zeros survive merging and saving."""

import keras
import numpy as np
import pytest

import keras_prune_kit as kpk

rng = np.random.default_rng(0)
X = rng.normal(size=(64, 8)).astype("float32")
Y = rng.normal(size=(64, 4)).astype("float32")
TOKENS = rng.integers(0, 20, (64, 6))
ADAPTED = {"embedding": "embeddings", "einsum": "kernel", "dense": "kernel"}


def adapted_model(rank=2):
    """All kinds of layers that Keras adapts, and one that is not adapted."""
    model = keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Embedding(20, 8, name="embedding"),
            keras.layers.EinsumDense("abc,cd->abd", (None, 8), name="einsum"),
            keras.layers.GlobalAveragePooling1D(),
            keras.layers.Dense(12, activation="relu", name="dense"),
            keras.layers.Dense(4, name="head"),
        ]
    )
    for name in ADAPTED:
        model.get_layer(name).enable_lora(rank)
    model.compile(keras.optimizers.Adam(0.01), "mse")
    return model


def base(model, name):
    return np.asarray(getattr(model.get_layer(name), f"_{ADAPTED[name]}"))


class ZerosAtEveryStep(keras.callbacks.Callback):
    """Counts the zeros of all bases after each step."""

    def on_train_begin(self, logs=None):
        self.counts = []

    def on_train_batch_end(self, batch, logs=None):
        self.counts.append([int((base(self.model, n) == 0).sum()) for n in ADAPTED])


def trained(structure=None):
    model, zeros = adapted_model(), ZerosAtEveryStep()
    policy = kpk.PrunePolicy(
        kpk.ConstantSparsity(0.5), structure=structure or kpk.Unstructured()
    )
    pruning = kpk.PruningCallback(policy)
    with pytest.warns(kpk.LoraMergeWarning, match="merge_lora"):
        model.fit(TOKENS, Y, 16, epochs=2, verbose=0, callbacks=[pruning, zeros])
    return model, zeros.counts


def test_plans_prune_the_base_although_it_is_frozen():
    model = adapted_model()
    plan = kpk.PrunePolicy(0.5).plan(model)
    paths = [weight.path for weight in plan.weights]
    assert paths == [
        *("embedding/embeddings", "einsum/kernel", "dense/kernel", "head/kernel")
    ]
    assert not model.get_layer("dense")._kernel.trainable


def test_a_frozen_layer_is_skipped_with_its_adapter():
    model = adapted_model()
    model.get_layer("dense").trainable = False
    plan = kpk.PrunePolicy(0.5).plan(model)
    assert "dense/kernel" not in [weight.path for weight in plan.weights]
    assert "skipped dense/kernel: not trainable" in str(plan)


def test_each_base_is_exact_at_every_step():
    model, counts = trained()
    assert counts == [[80, 32, 48]] * 8
    for name in ADAPTED:
        layer = model.get_layer(name)
        total = np.asarray(getattr(layer, ADAPTED[name]))
        assert (total != 0).mean() > 0.95  # A @ B fills what the layer computes with.


def test_a_base_takes_other_structures():
    model, _ = trained(kpk.NofM(2, 4))
    groups = base(model, "dense").reshape(2, 4, 12)
    assert ((groups != 0).sum(axis=1) == 2).all()


def test_zeros_vanish_when_keras_saves_them(tmp_path):
    model, _ = trained()
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert (base(loaded, "dense") == 0).sum() < 5


def test_merging_keeps_the_zeros(tmp_path):
    model, _ = trained()
    before = {name: base(model, name).copy() for name in ADAPTED}
    totals = {
        name: np.asarray(getattr(model.get_layer(name), ADAPTED[name]))
        for name in ADAPTED
    }
    report = kpk.merge_lora(model)
    assert dict(report.layers)["dense/kernel"] == "merged, 48 of 96 zero"
    for name in ADAPTED:
        expected = np.where(before[name] == 0, 0, totals[name])
        np.testing.assert_array_equal(base(model, name), expected)
        computed = np.asarray(getattr(model.get_layer(name), ADAPTED[name]))
        np.testing.assert_array_equal(computed, expected)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert (base(loaded, "dense") == 0).sum() == 48
    file = kpk.export_tflite(model)
    np.testing.assert_allclose(
        file.predict(TOKENS.astype("float32")),
        model.predict(TOKENS, verbose=0),
        0,
        1e-5,
    )
    assert file.sparsity_report().zeros == 80 + 32 + 48 + 24


def test_without_zeros_merging_changes_nothing_that_is_computed():
    model = adapted_model()
    model.fit(TOKENS, Y, verbose=0)
    before = model.predict(TOKENS, verbose=0)
    kpk.merge_lora(model)
    np.testing.assert_allclose(model.predict(TOKENS, verbose=0), before, 0, 1e-6)


def test_what_is_merged_trains_further():
    model, _ = trained()
    kpk.merge_lora(model)
    policy = kpk.PrunePolicy(kpk.KeepZeros())
    before = model.evaluate(TOKENS, Y, verbose=0)
    with pytest.warns(kpk.LoraMergeWarning):
        model.fit(TOKENS, Y, 16, 20, 0, callbacks=[kpk.PruningCallback(policy)])
    assert model.evaluate(TOKENS, Y, verbose=0) < before
    assert (base(model, "dense") == 0).sum() == 48


def test_a_model_without_adapters_has_nothing_to_merge(mlp):
    with pytest.raises(ValueError, match="enable_lora"):
        kpk.merge_lora(mlp())


def test_clusters_are_not_made_under_adapters():
    clusterer = kpk.Clusterer(adapted_model(), 4)
    assert [weight.path for weight in clusterer._weights] == ["head/kernel"]
    assert "merge_lora" in str(clusterer.report())


def test_criteria_that_need_gradients_see_the_base():
    """Magnitudes would keep the last three weights; their inputs are 0 here."""
    layer = keras.layers.Dense(1, use_bias=False)
    model = keras.Sequential([keras.Input((6,)), layer])
    layer.enable_lora(1)
    layer._kernel.assign(np.arange(1.0, 7.0)[:, None])
    model.compile("sgd", "mse")
    x = rng.normal(size=(64, 6)).astype("float32") * [1, 1, 1, 0, 0, 0]
    policy = kpk.PrunePolicy(kpk.ConstantSparsity(0.5), criterion=kpk.taylor)
    pruner = kpk.Pruner(model, policy, data=(x, np.zeros((64, 1))), steps_per_epoch=1)
    with pytest.warns(kpk.LoraMergeWarning), pruner:
        pass
    assert np.asarray(layer._kernel)[:, 0].tolist() == [1, 2, 3, 0, 0, 0]
