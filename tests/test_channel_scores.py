"""Which channels `remove_channels` takes: scores, scopes, floors, and refusals."""

import numpy as np
import pytest
from channel_models import MODELS
from models import subclassed

import keras_prune_kit as kpk
from keras_prune_kit.channels.choosing import removable
from keras_prune_kit.channels.groups import traced
from keras_prune_kit.channels.removing import chooser_for
from keras_prune_kit.channels.scores import channel_scores


def two_layers(K, first, second):
    """Two kernels given by hand, `(2, 4)` and `(4, 2)`, without biases."""
    layers = [
        K.layers.Dense(4, use_bias=False, name="first"),
        K.layers.Dense(2, use_bias=False, name="head"),
    ]
    model = K.Sequential([K.layers.Input((2,)), *layers])
    model.set_weights([np.array(first, "float32"), np.array(second, "float32")])
    return model


FIRST = [[1, 2, 3, 2], [-1, 2, -3, 2]]
SECOND = [[8, 8], [1, 1], [0, 0], [3, -3]]


def scores_of(model, criterion=kpk.magnitude, data=None):
    found = traced(model)
    return channel_scores(found, removable(found), criterion, data)


def test_scores_are_means_relative_to_each_kernel(K):
    """Columns 1, 2, 3, 2 of mean 2, and rows 8, 1, 0, 3 of mean 3."""
    (scores,) = scores_of(two_layers(K, FIRST, SECOND))
    expected = [1 / 2 + 8 / 3, 2 / 2 + 1 / 3, 3 / 2 + 0, 2 / 2 + 3 / 3]
    np.testing.assert_allclose(scores, expected, rtol=1e-6)


def test_the_lowest_leave_and_the_others_keep_their_order(K):
    model = two_layers(K, FIRST, SECOND)
    small = kpk.remove_channels(model, 0.5)
    kernels = small.get_weights()
    np.testing.assert_array_equal(kernels[0], np.array(FIRST)[:, [0, 3]])
    np.testing.assert_array_equal(kernels[1], np.array(SECOND)[[0, 3]])


def test_the_scale_of_a_layer_does_not_count(K):
    (scores,) = scores_of(two_layers(K, FIRST, SECOND))
    (scaled,) = scores_of(two_layers(K, 1000 * np.array(FIRST), SECOND))
    np.testing.assert_allclose(scores, scaled, rtol=1e-6)


def test_a_block_of_rows_counts_as_one_channel(K):
    """A Flatten of 3 places: each channel is read by 3 rows."""
    conv = K.layers.Conv1D(2, 1, use_bias=False)
    head = K.layers.Dense(1, use_bias=False)
    layers = [K.layers.Input((3, 1)), conv, K.layers.Flatten(), head]
    model = K.Sequential(layers)
    rows = [[1.0], [6.0], [2.0], [6.0], [3.0], [6.0]]
    model.set_weights([np.ones((1, 1, 2)), np.array(rows)])
    (scores,) = scores_of(model)
    np.testing.assert_allclose(scores, [1 + 2 / 4, 1 + 6 / 4])


def test_own_criterion_and_gradients(K, data, mlp):
    x, y = data
    model = mlp()
    with pytest.raises(ValueError, match=r"pass data=\(x, y\)"):
        kpk.remove_channels(model, 0.5, criterion=kpk.taylor)
    small = kpk.remove_channels(model, 0.5, criterion=kpk.taylor, data=(x, y))
    assert small.get_layer("hidden").units == 8
    reverse = kpk.remove_channels(
        two_layers(K, FIRST, SECOND), 0.25, criterion=lambda w: -np.abs(w)
    )
    np.testing.assert_array_equal(
        reverse.get_weights()[0], np.array(FIRST)[:, [1, 2, 3]]
    )
    with pytest.raises(ValueError, match="one score per weight"):
        kpk.remove_channels(model, 0.5, criterion=lambda w: w.sum())


def test_gammas(K):
    L = K.layers
    layers = [L.Input((8, 8, 3)), L.Conv2D(4, 3), L.BatchNormalization()]
    model = K.Sequential([*layers, L.Conv2D(2, 1, name="head"), L.Flatten()])
    gammas = np.array([0.5, -2.0, 0.1, 1.0])
    model.layers[1].gamma.assign(gammas)
    small = kpk.remove_channels(model, 0.5, criterion="batch_norm")
    np.testing.assert_array_equal(np.array(small.layers[1].gamma), gammas[[1, 3]])
    with pytest.raises(ValueError, match="dense.*have none. Use another criterion"):
        dense = [L.Input((3,)), L.Dense(4), L.Dense(2)]
        kpk.remove_channels(K.Sequential(dense), 0.5, criterion="batch_norm")


def three(K, *widths):
    layers = [K.layers.Dense(n, name=f"d{i}") for i, n in enumerate(widths)]
    return K.Sequential([K.layers.Input((4,)), *layers, K.layers.Dense(2, name="head")])


def widths(model):
    return [layer.units for layer in model.layers[:-1]]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [10, 15]),
        ({"multiple_of": 8}, [8, 16]),
        ({"multiple_of": 4}, [8, 16]),
        ({"multiple_of": 32}, [10, 15]),
        ({"least": 12}, [12, 15]),
        ({"layers": "d0"}, [10, 30]),
        ({"layers": "d[01]"}, [10, 15]),
    ],
)
@pytest.mark.quick_in("keras")
def test_scopes_multiples_and_floors(K, options, expected):
    assert widths(kpk.remove_channels(three(K, 20, 30), 0.5, **options)) == expected


def test_global_ranks_together_but_each_keeps_a_tenth(K):
    model = three(K, 20, 30)
    model.layers[0].kernel.assign(np.full((4, 20), 1.0))
    # All relative scores are near 1: those of the second layer are made lower.
    kernel = np.full((20, 30), 1e-3)
    kernel[:, 0] = 100
    model.layers[1].kernel.assign(kernel)
    model.layers[2].kernel.assign(np.full((30, 2), 1e-3))
    small = kpk.remove_channels(model, 0.5, scope="global")
    assert sum(widths(small)) == pytest.approx(25, abs=4)
    most = kpk.remove_channels(model, 0.95, scope="global")
    assert widths(most) == [2, 3]


def test_more_leaves_with_a_larger_fraction(K):
    chooser = chooser_for(MODELS["residual"](K))
    shares = [0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99]
    costs = [chooser.costs(share) for share in shares]
    for kind in ("macs", "parameters"):
        sizes = [getattr(cost, kind) for cost in costs]
        assert sizes == sorted(sizes, reverse=True)
    stays = [chooser.stays(share) for share in shares]
    for more, fewer in zip(stays[1:], stays, strict=False):
        assert not (more & ~fewer).any()
    share = chooser.fraction_for(0.5)
    assert chooser.costs(share).macs <= 0.5 * costs[0].macs
    with pytest.raises(ValueError, match="macs=0.0001 cannot be reached"):
        chooser.fraction_for(0.0001)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"fraction": 0}, ValueError, "fraction is above 0 and below 1.*fraction=0"),
        ({"fraction": 1}, ValueError, "above 0 and below 1.*fraction=1"),
        ({"fraction": 1.5}, ValueError, "above 0 and below 1.*fraction=1.5"),
        ({"fraction": float("nan")}, ValueError, "above 0 and below 1.*fraction=nan"),
        ({"fraction": True}, TypeError, "fraction is a number.*fraction=True"),
        ({"fraction": "x"}, TypeError, "fraction is a number.*fraction='x'"),
        ({"criterion": "magnitude"}, TypeError, "criterion is a function such as"),
        ({"scope": "layer"}, ValueError, "scope is one of.*scope='layer'"),
        ({"multiple_of": 0}, ValueError, "multiple_of is a whole number"),
        ({"least": 0.5}, ValueError, "least is a whole number.*least=0.5"),
        ({"least": 100}, ValueError, "least=100.* removes nothing from groups of 6"),
        ({"layers": "typo"}, ValueError, "'typo' matches no layer.*Their paths are"),
        ({"layers": "("}, ValueError, "layers is a regex.*layers='\\('"),
        ({"layers": 3}, ValueError, "layers is a regex.*layers=3"),
        ({"layers": "nobody"}, ValueError, "layers='nobody' "),
        ({"layers": "head"}, ValueError, r"head \(an output of the model\)"),
    ],
)
@pytest.mark.quick_in("keras")
def test_bad_arguments_say_so_and_change_nothing(K, arguments, error, message):
    model = three(K, 6)
    before = model.get_weights()
    with pytest.raises(error, match=message):
        kpk.remove_channels(model, **{"fraction": 0.5} | arguments)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


FUNCTIONS = [
    lambda model: kpk.remove_channels(model, 0.5),
    kpk.remove_zero_channels,
    kpk.channel_groups,
]


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.quick_in("keras")
def test_models_that_cannot_be_followed(K, function):
    with pytest.raises(ValueError, match="layers are called by code. Rebuild it as"):
        function(subclassed(K))
    with pytest.raises(ValueError, match="is not built, so it has no weights yet"):
        function(K.Sequential([K.layers.Dense(3)]))
    with pytest.raises(TypeError, match="A model of keras .* Received: builtins.int"):
        function(3)
    with pytest.raises(FileNotFoundError, match="no such file: missing.keras"):
        function("missing.keras")


def test_a_call_of_its_own_is_not_followed(K):
    """The graph of a functional subclass says nothing of what `call` does."""

    class Own(K.Model):
        def call(self, inputs, training=None, mask=None):
            return K.activations.softmax(self.layers[1](inputs))

    inputs = K.layers.Input((6,))
    model = Own(inputs, K.layers.Dense(3)(K.layers.Dense(8)(inputs)))
    with pytest.raises(ValueError, match="layers are called by code"):
        kpk.remove_channels(model, 0.5)


def test_files_are_read(K, tmp_path):
    three(K, 6).save(tmp_path / "model.keras")
    assert widths(kpk.remove_channels(tmp_path / "model.keras", 0.5)) == [3]
    assert len(kpk.channel_groups(str(tmp_path / "model.keras"))) == 2


def test_quantized_and_adapted_kernels_are_left_alone():
    import keras

    def dense_model():
        layers = [keras.layers.Dense(8, name="a"), keras.layers.Dense(8, name="b")]
        head = keras.layers.Dense(3)
        return keras.Sequential([keras.layers.Input((6,)), *layers, head])

    model = dense_model()
    model.get_layer("b").enable_lora(2)
    reasons = {g.layers: g.kept_because for g in kpk.channel_groups(model)}
    assert "LoRA" in (reasons["a",] or "")
    inputs = keras.layers.Input((5, 8))
    mha = keras.layers.MultiHeadAttention(2, 4)
    x = mha(*[keras.layers.Dense(6, name="a")(inputs)] * 2)
    model = keras.Model(inputs, keras.layers.Dense(3)(x))
    mha._query_dense.enable_lora(2)
    (group, _) = kpk.channel_groups(model)
    assert "LoRA" in (group.kept_because or "")


def test_groups_print_as_a_table(K):
    text = str(kpk.channel_groups(MODELS["residual"](K)))
    rows = [" ".join(line.split()) for line in text.splitlines()]
    assert any(" filters " in row and "12" in row and "yes" in row for row in rows)
    assert any(row.endswith("an output of the model") for row in rows)
