"""What is left is a plain model: names, options and files are as they were."""

import subprocess
import sys

import numpy as np
import pytest
from channel_models import MODELS
from channel_tools import outputs, randomize, samples, spread, zero_channels

import keras_prune_kit as kpk


def picture_model(K, **options):
    L = K.layers
    x = inputs = L.Input((8, 8, 3), name="picture")
    x = L.Conv2D(
        8,
        3,
        kernel_regularizer=K.regularizers.L2(0.01),
        kernel_constraint=K.constraints.MaxNorm(2.0),
        name="conv",
        **options,
    )(x)
    x = L.BatchNormalization(name="bn", trainable=False, **options)(x)
    x = L.GlobalAveragePooling2D(**options)(L.ReLU(max_value=6.0, **options)(x))
    x = L.Dense(6, activity_regularizer=K.regularizers.L1(0.01), name="dense")(x)
    return K.Model(inputs, L.Dense(3, name="head")(x), name="pictures")


LOAD = """
import sys, numpy as np
import {world} as K
model = K.models.load_model(sys.argv[1] + "/model.keras")
arrays = np.load(sys.argv[1] + "/arrays.npz")
got = np.asarray(model(arrays["x"], training=False))
assert abs(got - arrays["y"]).max() < 1e-6, abs(got - arrays["y"]).max()
assert not any(name.startswith("keras_prune_kit") for name in sys.modules)
"""


@pytest.mark.quick_in("keras")
def test_a_file_loads_without_this_package(K, tmp_path):
    model = randomize(MODELS["residual"](K))
    zero_channels(model)
    small = kpk.remove_zero_channels(model)
    x = samples(model)
    small.save(tmp_path / "model.keras")
    np.savez(tmp_path / "arrays.npz", x=x, y=np.asarray(small(x, training=False)))
    script = LOAD.format(world=K.__name__)
    done = subprocess.run(
        [sys.executable, "-c", script, tmp_path], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


# Files hold no code.
OWN_CODE = {"lambdas", "own_layers", "own_masked"}


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(MODELS.keys() - OWN_CODE))
def test_all_reload(K, name, tmp_path):
    model = randomize(MODELS[name](K))
    zero_channels(model)
    small = kpk.remove_zero_channels(model)
    small.save(tmp_path / "model.keras")
    loaded = K.models.load_model(tmp_path / "model.keras")
    x = samples(model)
    np.testing.assert_allclose(outputs(loaded, x), outputs(small, x), atol=1e-6)


def test_options_are_carried(K):
    model = randomize(picture_model(K))
    small = kpk.remove_channels(model, 0.5)
    assert small.name == "pictures"
    assert [x.name for x in small.layers] == [x.name for x in model.layers]
    assert [x.trainable for x in small.layers] == [x.trainable for x in model.layers]
    conv, dense = small.get_layer("conv"), small.get_layer("dense")
    assert (conv.filters, dense.units) == (4, 3)
    assert float(np.ravel(conv.kernel_regularizer.l2)[0]) == pytest.approx(0.01)
    assert conv.kernel_constraint.max_value == 2
    assert dense.activity_regularizer is not None
    for layer, before in zip(small.layers, model.layers, strict=True):
        changed = {"filters", "units", "target_shape"}
        config, was = layer.get_config(), before.get_config()
        assert {k for k in was if config[k] != was[k]} <= changed, layer.name


@pytest.mark.parametrize("policy", ["mixed_float16", "float64"])
@pytest.mark.quick_in("keras")
def test_dtype_policies_are_carried(K, policy):
    if K.__name__ == "keras":
        K.config.set_dtype_policy(policy)
    else:
        K.mixed_precision.set_global_policy(policy)
    model = randomize(MODELS["residual"](K))
    zero_channels(model)
    small = kpk.remove_zero_channels(model)
    for layer, before in zip(small.layers, model.layers, strict=True):
        assert layer.get_config()["dtype"] == before.get_config()["dtype"]
        assert layer.compute_dtype == before.compute_dtype
    expected = outputs(model, samples(model))
    off = abs(outputs(small, samples(model)) - expected).max()
    assert off < (1e-9 if policy == "float64" else 1e-2) * spread(expected)


def test_compiled_alike_and_trains(K, mlp, data):
    model = mlp(optimizer=K.optimizers.SGD(0.05, momentum=0.5))
    x, y = data
    model.fit(x, y, epochs=1, verbose=0)
    small = kpk.remove_channels(model, 0.5)
    assert small.loss == model.loss
    assert small.optimizer is not model.optimizer
    assert small.optimizer.get_config()["momentum"] == 0.5
    before = small.evaluate(x, y, verbose=0, return_dict=True)
    assert set(before) == {"loss", "accuracy"}
    small.fit(x, y, epochs=5, verbose=0)
    assert small.evaluate(x, y, verbose=0, return_dict=True)["loss"] < before["loss"]
    assert not getattr(kpk.remove_channels(picture_model(K), 0.5), "optimizer", None)


@pytest.mark.quick_in("keras")
def test_the_original_is_unchanged(K, mlp, data):
    model = mlp()
    x, y = data
    model.fit(x, y, epochs=1, verbose=0)
    weights = model.get_weights()
    config, optimizer = model.get_config(), model.optimizer
    for small in (kpk.remove_channels(model, 0.5), kpk.remove_zero_channels(model)):
        small.fit(x, y, epochs=1, verbose=0)
    for old, new in zip(weights, model.get_weights(), strict=True):
        assert old.tobytes() == new.tobytes()
    assert model.get_config() == config
    assert model.optimizer is optimizer
    model.fit(x, y, epochs=1, verbose=0)


def test_a_sequential_stays_one(K):
    small = kpk.remove_channels(MODELS["mlp"](K), 0.5)
    assert type(small) is K.Sequential
    assert [x.units for x in small.layers] == [6, 5, 3]


def test_a_subclass_with_a_train_step_stays_one(K):
    class Own(K.Model):
        def train_step(self, data):
            return super().train_step(data)

    inputs = K.layers.Input((6,))
    x = K.layers.Dense(8, activation="relu")(inputs)
    model = Own(inputs, K.layers.Dense(3)(x))
    small = kpk.remove_channels(model, 0.5)
    assert type(small) is Own
    assert small.layers[1].units == 4


def test_sizes_that_only_happen_to_be_as_large_stay(K):
    model = MODELS["own_layers"](K)
    small = kpk.remove_channels(model, 0.5)
    last = [x for x in small.layers if hasattr(x, "steps")][-1]
    assert (last.units, last.steps) == (5, 9)


def test_a_weight_of_two_layers_is_refused():
    """Only Keras 2 lets a layer take the kernel of another one."""
    import tf_keras as K

    inputs = K.layers.Input((6,))
    first, second = K.layers.Dense(8), K.layers.Dense(8)
    x = K.layers.Dense(8)(inputs)
    model = K.Model(inputs, K.layers.Dense(3)(K.layers.Add()([first(x), second(x)])))
    second.kernel = first.kernel
    with pytest.raises(ValueError, match="uses a weight of another one"):
        kpk.remove_channels(model, 0.5)


def test_frozen_models_inside_stay_frozen(K):
    layers = [K.layers.Input((6,)), K.layers.Dense(8), K.layers.Dense(8)]
    inner = K.Sequential(layers, name="inner")
    inner.trainable = False
    inputs = K.layers.Input((6,))
    model = K.Model(inputs, K.layers.Dense(3)(inner(inputs)))
    small = kpk.remove_channels(model, 0.5)
    assert not small.get_layer("inner").trainable
    assert len(small.trainable_weights) == 2


def test_nothing_to_remove_gives_an_equal_copy(K):
    model = randomize(MODELS["mlp"](K))
    small = kpk.remove_zero_channels(model)
    assert small is not model
    for old, new in zip(model.get_weights(), small.get_weights(), strict=True):
        assert old.tobytes() == new.tobytes()


def test_a_model_of_one_layer_is_all_outputs(K):
    model = K.Sequential([K.layers.Input((6,)), K.layers.Dense(3, name="only")])
    assert kpk.remove_zero_channels(model).count_params() == 21
    with pytest.raises(ValueError, match=r"only \(an output of the model\)"):
        kpk.remove_channels(model, 0.5)


@pytest.mark.parametrize("value_dim", [None, 3])
def test_queries_follow_the_size_of_a_head(K, value_dim):
    """Attention divides by the root of `key_dim`, which becomes smaller."""
    inputs = K.layers.Input((5, 8))
    x = K.layers.MultiHeadAttention(1, 6, value_dim, name="mha")(inputs, inputs)
    model = randomize(K.Model(inputs, K.layers.Dense(3)(x)))
    layer = model.get_layer("mha")
    for dense in (layer._query_dense, layer._key_dense):
        kernel, bias = np.array(dense.kernel), np.array(dense.bias)
        kernel[..., [1, 4]], bias[..., [1, 4]] = 0, 0
        dense.kernel.assign(kernel)
        dense.bias.assign(bias)
    x = samples(model)
    expected = outputs(model, x)
    small = kpk.remove_zero_channels(model)
    assert small.get_layer("mha").get_config()["key_dim"] == 4
    assert abs(outputs(small, x) - expected).max() < 1e-5 * spread(expected)


def test_whole_heads_leave(K):
    small = kpk.remove_channels(MODELS["transformer"](K), 0.5)
    configs = [x.get_config() for x in small.layers if "num_heads" in x.get_config()]
    assert [c["num_heads"] for c in configs] == [2, 1]
    # With several heads, their sizes stay.
    assert [(c["key_dim"], c["value_dim"]) for c in configs] == [(5, 3), (4, 4)]


def test_normalized_channels_are_coupled(K):
    """Without a zero, the others have another mean: only asked for do they leave."""
    L = K.layers
    inputs = L.Input((6,))
    x = L.LayerNormalization()(L.Dense(8, name="wide")(inputs))
    model = randomize(K.Model(inputs, L.Dense(3)(x)))
    wide = model.get_layer("wide")
    wide.kernel.assign(np.array(wide.kernel) * ([0] * 4 + [1] * 4))
    wide.bias.assign(np.array(wide.bias) * ([0] * 4 + [1] * 4))
    (group, _) = kpk.channel_groups(model)
    assert group.kept_because is None
    assert "normalized with the others" in group.coupled_because
    assert kpk.remove_zero_channels(model).get_layer("wide").units == 8
    assert kpk.remove_channels(model, 0.5).get_layer("wide").units == 4
