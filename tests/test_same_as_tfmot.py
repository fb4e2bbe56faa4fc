"""The schedules and masks of TFMOT, number by number."""

import numpy as np
import pytest

import keras_prune_kit as kpk


@pytest.mark.parametrize("step", range(0, 130, 3))
def test_same_sparsity_as_tfmot(step):
    import tensorflow_model_optimization as tfmot

    theirs = tfmot.sparsity.keras
    for arguments in ((0.1, 0.8, 10, 110), (0.5, 0.92, 0, 100, 2)):
        ours = kpk.PolynomialDecay(*arguments)(step)
        assert ours == pytest.approx(
            float(theirs.PolynomialDecay(*arguments)(step)[1]), abs=1e-6
        )
    constant = theirs.ConstantSparsity(0.7, 10)(step)
    assert kpk.ConstantSparsity(0.7, 10)(step) == pytest.approx(float(constant[1]))


@pytest.mark.parametrize(
    "use",
    [
        kpk.PrunePolicy,
        kpk.PruningCallback,
        lambda schedule: kpk.Rule("dense", schedule),
        lambda schedule: kpk.PrunePolicy(0.5, [kpk.Rule("dense", schedule)]),
    ],
)
def test_a_schedule_of_tfmot_is_refused_with_the_one_to_write(use):
    import tensorflow_model_optimization as tfmot

    schedule = tfmot.sparsity.keras.PolynomialDecay(0.1, 0.8, 0, 100)
    with pytest.raises((TypeError, ValueError), match=r"kpk\.PolynomialDecay.* same"):
        use(schedule)


def tfmot_mask(weights, sparsity, block=(1, 1), pooling="AVG", m_by_n=None):
    import tensorflow as tf
    from tensorflow_model_optimization.python.core.sparsity.keras import (
        pruning_impl,
        pruning_schedule,
    )

    pruning = pruning_impl.Pruning(
        training_step_fn=lambda: tf.constant(0),
        pruning_vars=[],
        pruning_schedule=pruning_schedule.ConstantSparsity(sparsity, 0),
        block_size=list(block),
        block_pooling_type=pooling,
        sparsity_m_by_n=m_by_n,
    )
    _, mask = pruning._maybe_update_block_mask(tf.constant(weights))
    return mask.numpy().astype(bool)


def random_weights(*shape):
    return np.random.default_rng(7).normal(size=shape).astype("float32")


@pytest.mark.parametrize("sparsity", [0.1, 0.5, 0.8, 0.92])
@pytest.mark.parametrize("shape", [(64, 50), (3, 3, 16, 32)])
def test_same_masks_as_tfmot_unstructured(sparsity, shape):
    weights = random_weights(*shape)
    ours = kpk.Unstructured().mask(kpk.magnitude(weights), sparsity)
    assert (ours == tfmot_mask(weights, sparsity)).all()


@pytest.mark.parametrize("pooling", ["avg", "max"])
@pytest.mark.parametrize("block", [(1, 4), (4, 1), (8, 2)])
def test_same_masks_as_tfmot_block(block, pooling):
    # Blocks that divide the kernel: otherwise TFMOT pads on both sides when it pools
    # but not when it expands, and scores other weights than it removes.
    weights = random_weights(64, 52)
    ours = kpk.Block(block, pooling=pooling).mask(kpk.magnitude(weights), 0.7)
    assert (ours == tfmot_mask(weights, 0.7, block, pooling.upper())).all()


@pytest.mark.parametrize("shape", [(64, 50), (3, 3, 16, 32)])
def test_same_masks_as_tfmot_two_of_four(shape):
    weights = random_weights(*shape)
    ours = kpk.NofM(2, 4).mask(kpk.magnitude(weights), 0.5)
    assert (ours == tfmot_mask(weights, 0.5, m_by_n=(2, 4))).all()
