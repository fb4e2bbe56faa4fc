"""Numbers stay numbers: half precision, empty kernels, ties, both ends of the scale."""

import models
import numpy as np
import pytest
from modes import set_dtype_policy

import keras_prune_kit as kpk
from keras_prune_kit import _keras
from keras_prune_kit.criteria import gradients_needed

# The smallest numbers that float16 has, below its normal ones; all squares are 0.
TINY = np.arange(1, 33, dtype=np.float16).reshape(8, 4) * np.float16(6e-8)
CRITERIA = [
    *(kpk.magnitude, kpk.lamp, kpk.taylor),
    *(kpk.optimal_brain_damage, kpk.movement),
]
STRUCTURES = [
    *(kpk.Unstructured(), kpk.Block((1, 4)), kpk.Block((2, 2), pooling="max")),
    *(kpk.NofM(2, 4), kpk.Channel(), kpk.Channel(-2)),
]


def one_layer(K, kernel, *after, **options):
    inputs, outputs = kernel.shape
    layer = K.layers.Dense(outputs, use_bias=False, **options)
    model = K.Sequential([K.layers.Input((inputs,)), layer, *after])
    layer.set_weights([kernel])
    return model


def pruned(model, policy, steps=4):
    with kpk.Pruner(model, policy, steps_per_epoch=steps, epochs=1) as pruner:
        for _ in range(steps):
            pruner.step()
    return pruner.report()


@pytest.mark.parametrize("criterion", CRITERIA)
def test_scores_tell_tiny_weights_apart(criterion):
    assert not (TINY * TINY).any()  # What makes it difficult.
    looked_at = [TINY]
    if gradients_needed(criterion) is not None:
        sign = -1 if criterion is kpk.movement else 1
        looked_at.append(np.full_like(TINY, sign * 1e-3))
    scores = criterion(*looked_at)
    assert (np.diff(scores.ravel()) > 0).all()
    assert scores.ravel()[0] > 0


@pytest.mark.parametrize("structure", STRUCTURES)
def test_structures_tell_tiny_scores_apart(structure):
    """They are the same scores, only smaller, so the masks are the same."""
    large = TINY.astype(np.float64) * 2**24
    assert (structure.mask(TINY, 0.5) == structure.mask(large, 0.5)).all()


def test_a_single_tiny_weight_in_a_block_or_channel_counts():
    scores = np.zeros((4, 8), np.float16)
    scores[0, 5] = np.float16(6e-8)  # A quarter of it is 0 in float16.
    assert kpk.Block((1, 4)).mask(scores, 0.8)[0, 5]
    assert kpk.Channel().mask(scores, 0.8)[:, 5].all()


@pytest.mark.parametrize("structure", STRUCTURES)
def test_large_scores_of_half_precision_do_not_overflow(structure):
    scores = np.array([[6e4, 1e4, 6e4, 6e4], [1e4, 6e4, 5e4, 6e4]] * 4, np.float16)
    expected = structure.mask(scores.astype(np.float64), 0.5)
    assert (structure.mask(scores, 0.5) == expected).all()


def test_kernels_of_half_precision_lose_their_smallest_weights(K):
    model = one_layer(K, TINY, dtype="float16")
    report = pruned(model, kpk.PrunePolicy(0.5))
    assert report.zeros == 16
    (kernel,) = model.get_weights()
    assert kernel.dtype == np.float16
    assert np.array_equal(kernel, np.where(np.arange(32).reshape(8, 4) < 16, 0, TINY))


def test_small_gradients_of_half_precision_are_not_lost(K):
    model = one_layer(K, np.full((2, 1), 0.5, np.float16), dtype="float16")
    model.compile("sgd", "mse")
    x = np.full((4, 2), 0.01, np.float16)
    y = np.zeros((4, 1), np.float16)
    probe = _keras.GradientProbe(model, (x, y), model.trainable_variables)
    (signed,) = probe.mean("signed", 1)
    (squared,) = probe.mean("squared", 1)
    assert 0 < signed[0, 0] < 2.4e-4  # Its square is 0 in float16.
    np.testing.assert_allclose(squared, signed.astype(np.float64) ** 2, rtol=1e-3)


@pytest.mark.parametrize("scope", ["layer", "global"])
def test_an_empty_kernel_is_skipped(K, scope):
    layers = [K.layers.Dense(4, name="empty"), K.layers.Dense(5, name="full")]
    model = K.Sequential([K.layers.Input((0,)), *layers])
    report = pruned(model, kpk.PrunePolicy(0.5, scope=scope))
    assert [(weight.path, weight.zeros) for weight in report.weights] == [
        ("full/kernel", 10)
    ]
    (skipped,) = report.skipped
    assert (skipped.path, skipped.reason) == ("empty", "its kernel is empty")


def test_a_model_of_empty_kernels_alone_says_so(K):
    model = K.Sequential([K.layers.Input((0,)), K.layers.Dense(4)])
    with pytest.raises(ValueError, match="Nothing in model .* would be pruned"):
        kpk.Pruner(model, 0.5)


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("shape", [(0, 4), (8, 0)])
def test_nothing_has_an_empty_mask_and_no_zeros(structure, shape):
    assert structure.mask(np.empty(shape), 0.5).shape == shape
    assert structure.sparsity(np.empty(shape)) == 0


@pytest.mark.parametrize("scope", ["layer", "global"])
@pytest.mark.parametrize("value", [0.25, -1.0])
def test_equal_weights_go_in_the_number_that_is_asked_for(K, scope, value):
    model = one_layer(K, np.full((8, 4), value, "float32"))
    assert pruned(model, kpk.PrunePolicy(0.7, scope=scope)).zeros == round(0.7 * 32)
    (kernel,) = model.get_weights()
    assert set(np.unique(kernel)) == {0, value}


@pytest.mark.filterwarnings("ignore:Zeros will grow back")  # of 90 %, to 60 %
@pytest.mark.parametrize("scope", ["layer", "global"])
@pytest.mark.parametrize("there", [0.3, 0.6, 0.9])
def test_a_model_that_is_sparse_already_ends_where_it_should(K, scope, there):
    kernel = np.random.default_rng(0).normal(size=(10, 10)).astype("float32")
    kernel.ravel()[: round(there * 100)] = 0
    model = one_layer(K, kernel)
    report = pruned(model, kpk.PrunePolicy(0.6, scope=scope))
    # What is let go of stays zero here, as nothing trains it.
    assert report.zeros == max(60, round(there * 100))
    (after,) = model.get_weights()
    assert set(after[after != 0]) <= set(kernel.ravel())


@pytest.mark.parametrize("scope", ["layer", "global"])
def test_a_sparsity_of_zero_changes_nothing(K, scope):
    model = models.sequential(K)
    before = model.get_weights()
    assert pruned(model, kpk.PrunePolicy(0.0, scope=scope)).zeros == 0
    assert all(map(np.array_equal, before, model.get_weights()))


@pytest.mark.parametrize("dtype", ["float32", "float16", "mixed_float16"])
@pytest.mark.parametrize(
    ("options", "least"),
    [
        ({"scope": "global"}, 1),
        ({"structure": kpk.Unstructured()}, 1),
        ({"structure": kpk.Block((1, 4))}, 4),
        ({"structure": kpk.Block((2, 2), pooling="max")}, 4),
        ({"structure": kpk.Channel()}, 8),
        ({"structure": kpk.Channel(-2)}, 4),
    ],
)
def test_one_weight_block_or_channel_always_stays(K, options, least, dtype):
    set_dtype_policy(K, dtype)
    # The outputs of a model would keep their channels.
    head = K.layers.Dense(2, name="head")
    model = one_layer(K, np.random.default_rng(0).normal(size=(8, 4)), head)
    pruned(model, kpk.PrunePolicy(0.999, kpk.Rule("head", None), **options))
    assert np.count_nonzero(model.get_weights()[0]) == least
