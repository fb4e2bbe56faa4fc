"""Layers that say themselves what can be pruned."""

import importlib

import keras
import numpy as np
import pytest

import keras_prune_kit as kpk


def biased(units=10, **arguments):
    layer = kpk.PrunableDense(units, prune_bias=True, name="own", **arguments)
    model = keras.Sequential([keras.layers.Input((8,)), layer])
    rng = np.random.default_rng(0)
    model.set_weights([rng.normal(size=w.shape) for w in model.get_weights()])
    return model


def make_scale(K):
    class Scale(K.layers.Layer):
        def build(self, input_shape):
            self.scale = self.add_weight(name="scale", shape=(input_shape[-1],))
            self.other = self.add_weight(name="other", shape=(input_shape[-1],))

        def call(self, inputs):
            return inputs * self.scale + self.other

        def get_prunable_weights(self):
            return [self.scale]

    return Scale


def test_a_layer_follows_the_protocol_by_its_method_alone(K):
    assert isinstance(make_scale(K)(), kpk.PrunableLayer)
    assert isinstance(kpk.PrunableDense(1), kpk.PrunableLayer)
    assert not isinstance(K.layers.Dense(1), kpk.PrunableLayer)


def test_a_custom_layer_loses_what_it_names_and_nothing_else(K):
    model = K.Sequential([K.layers.Input((8,)), make_scale(K)(name="own")])
    model.set_weights([np.arange(1.0, 9.0), np.ones(8)])
    with kpk.Pruner(model, kpk.ConstantSparsity(0.5)):
        pass
    scale, other = model.get_weights()
    assert scale.tolist() == [0, 0, 0, 0, 5, 6, 7, 8]
    assert other.all()


@pytest.mark.parametrize(
    ("layer", "paths"),
    [
        (kpk.PrunableDense(4, name="own"), ["own/kernel"]),
        (
            kpk.PrunableDense(4, prune_bias=True, name="own"),
            ["own/kernel", "own/bias"],
        ),
        (kpk.PrunableDense(4, use_bias=False, name="own"), ["own/kernel"]),
    ],
)
def test_prunable_dense_names_its_kernel_and_its_bias_if_asked(layer, paths):
    model = keras.Sequential([keras.layers.Input((8,)), layer])
    plan = kpk.PrunePolicy(0.5).plan(model)
    assert [weight.path for weight in plan.weights] == paths


@pytest.mark.parametrize(("sparsity", "zeros"), [(0.5, (40, 5)), (0.97, (78, 9))])
def test_kernel_and_bias_get_exactly_sparse_in_fit(data, sparsity, zeros):
    model = biased()
    model.compile("adam", "sparse_categorical_crossentropy")
    before = model.get_weights()[1]
    pruning = kpk.PruningCallback(kpk.ConstantSparsity(sparsity))
    model.fit(*data, epochs=2, verbose=0, callbacks=[pruning])
    kernel, bias = model.get_weights()
    assert ((kernel == 0).sum(), (bias == 0).sum()) == zeros
    smallest = np.argsort(abs(before))[: zeros[1]]
    assert set(np.flatnonzero(bias == 0)) == set(smallest)


@pytest.mark.parametrize(
    "structure", [kpk.Block((1, 2)), kpk.NofM(2, 4), kpk.Channel()]
)
def test_a_bias_takes_no_other_structure_and_says_so(structure):
    policy = kpk.PrunePolicy(0.5, structure=structure)
    with pytest.raises(ValueError, match=r"own/bias: .* of shape \(10,\).*Rule"):
        policy.plan(biased())
    if structure == kpk.Channel():
        return  # The outputs of a model keep their channels.
    own = kpk.Rule(".*/bias", 0.5, structure=kpk.Unstructured())
    policy = kpk.PrunePolicy(kpk.ConstantSparsity(0.5), own, structure=structure)
    model = biased()
    with kpk.Pruner(model, policy):
        pass
    kernel, bias = model.get_weights()
    assert structure.sparsity(kernel) == pytest.approx(0.5)
    assert (bias == 0).sum() == 5


def test_it_comes_back_from_a_file_and_from_its_config(tmp_path):
    model = biased(activation="relu")
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert isinstance(loaded.layers[0], kpk.PrunableDense)
    assert loaded.layers[0].get_config() == model.layers[0].get_config()
    assert all(map(np.array_equal, model.get_weights(), loaded.get_weights()))
    assert len(kpk.PrunePolicy(0.5).plan(loaded).weights) == 2


def test_a_kernel_that_is_computed_is_skipped_with_a_reason():
    class Doubled(keras.layers.Dense):
        def get_prunable_weights(self):
            return [self.kernel * 2]

    model = keras.Sequential(
        [keras.layers.Input((8,)), Doubled(4), keras.layers.Dense(4)]
    )
    plan = kpk.PrunePolicy(0.5).plan(model)
    assert len(plan.weights) == 1
    assert "not a plain float variable" in str(plan)


def test_the_base_under_an_adapter_is_pruned():
    model = keras.Sequential([keras.layers.Input((8,)), kpk.PrunableDense(4)])
    model.layers[0].enable_lora(2)
    policy = kpk.PrunePolicy(kpk.ConstantSparsity(0.5))
    with pytest.warns(kpk.LoraMergeWarning), kpk.Pruner(model, policy):
        pass
    assert (np.asarray(model.layers[0]._kernel) == 0).sum() == 16


def test_a_bias_that_is_not_there_cannot_be_pruned():
    with pytest.raises(ValueError, match="use_bias=False"):
        kpk.PrunableDense(4, use_bias=False, prune_bias=True)


def test_names_in_saved_models_stay():
    """Keras finds a layer in a file of an older version by this name alone."""
    importlib.import_module("keras_prune_kit.quantization.keras_3")
    names = {
        *("Barrier", "FakeQuantize", "PrunableDense", "QuantizeAverage"),
        *("QuantizeKernel", "QuantizeOutput", "QuantizeScale"),
    }
    known = set(keras.saving.get_custom_objects())
    assert {f"keras_prune_kit>{name}" for name in names} <= known
