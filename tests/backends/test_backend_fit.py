"""Pruning in `fit` on each backend of Keras 3: exact at every step."""

import keras
import numpy as np
import pytest
from contract import (
    BACKEND,
    STEPS,
    EachStep,
    classifier,
    data,
    due,
    every_step,
    fit,
    kernels,
)

import keras_prune_kit as kpk

HALF = ("mixed_bfloat16", "mixed_float16")


OPTIMIZERS = {
    "adam": lambda: keras.optimizers.Adam(0.01),
    "momentum": lambda: keras.optimizers.SGD(0.05, momentum=0.9),
    "decay": lambda: keras.optimizers.AdamW(0.01, weight_decay=0.1),
    "average": lambda: keras.optimizers.Adam(0.01, use_ema=True),
    "overwritten by the average": lambda: keras.optimizers.Adam(
        0.01, use_ema=True, ema_overwrite_frequency=3
    ),
}


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_every_step_has_the_zeros_that_are_due(make):
    model = classifier(make())
    look, pruning = EachStep(), kpk.PruningCallback(every_step())
    logs = fit(model, pruning, look).history
    assert look.seen == 3 * STEPS
    assert [np.mean(k == 0) for k in kernels(model)] == pytest.approx(
        [0.8] * 3, abs=0.02
    )
    assert logs["sparsity"] == pytest.approx([due(8), 0.8, 0.8], abs=0.01)
    assert not pruning.report.unmet
    assert all(layer.kernel.constraint is None for layer in model.layers)


def test_steps_are_those_of_a_numpy_reference():
    """Two steps of SGD under a mask, and an independent evaluation of them."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, use_bias=False)])
    model.compile(keras.optimizers.SGD(0.1), "mse")
    weight = np.arange(1, 9, dtype="float32").reshape(4, 2) / 10
    model.set_weights([weight])
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(8, 4)).astype("f"), rng.normal(size=(8, 2)).astype("f")
    mask = weight > 0.41  # half of the weights are below
    policy = kpk.ConstantSparsity(0.5)
    model.fit(
        *(x, y),
        **{"batch_size": 4, "epochs": 1, "shuffle": False, "verbose": 0},
        callbacks=[kpk.PruningCallback(policy)],
    )
    expected = weight * mask
    for part in (slice(0, 4), slice(4, 8)):
        error = x[part] @ expected - y[part]
        expected = (expected - 0.1 * 2 * x[part].T @ error / error.size) * mask
    np.testing.assert_allclose(kernels(model)[0], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", HALF)
def test_half_precision(dtype):
    keras.config.set_dtype_policy(dtype)
    try:
        model = classifier(keras.optimizers.Adam(0.01))
    finally:
        keras.config.set_dtype_policy("float32")
    look = EachStep()
    # The first steps of a float16 run may be skipped, until the scale of the loss fits.
    model.optimizer.initial_scale = 256.0
    fit(model, kpk.PruningCallback(every_step()), look)
    assert look.seen == 3 * STEPS


def test_accumulated_gradients():
    """Weights move at every second batch only; zeros come at every one."""
    model = classifier(keras.optimizers.Adam(0.01, gradient_accumulation_steps=2))
    look = EachStep(is_trained=lambda step: step > 12 and step % 2 == 0)
    fit(model, kpk.PruningCallback(every_step()), look)
    assert look.seen == 3 * STEPS


@pytest.mark.skipif(BACKEND == "torch", reason="Keras refuses it on torch")
def test_several_steps_in_one_execution():
    model = classifier(steps_per_execution=4)
    look = EachStep(steps_per_call=4)
    fit(model, kpk.PruningCallback(every_step()), look)
    assert look.seen == 3 * STEPS


def test_a_change_of_masks_compiles_nothing():
    traces = []

    class Counting(keras.layers.Layer):
        def call(self, x):
            traces.append(1)
            return x

    def traced(*callbacks):
        keras.utils.set_random_seed(1)
        layers = [keras.Input((8,)), keras.layers.Dense(24), Counting()]
        model = keras.Sequential([*layers, keras.layers.Dense(3)])
        model.compile("adam", keras.losses.SparseCategoricalCrossentropy(True))
        traces.clear()
        fit(model, *callbacks, epochs=1)
        first = len(traces)
        fit(model, *callbacks, epochs=2)
        return first, len(traces)

    if BACKEND == "torch":
        pytest.skip("every step runs the Python code of the layers")
    plain, pruned = traced(), traced(kpk.PruningCallback(every_step(end=8)))
    assert pruned == plain


def test_train_on_batch():
    model, look = classifier(), EachStep()
    x, y = data()
    with kpk.Pruner(model, every_step()) as pruner:
        for step in range(20):
            rows = slice(16 * (step % STEPS), 16 * (step % STEPS) + 16)
            model.train_on_batch(x[rows], y[rows])
            pruner.step()
            look.look(model)
    assert look.seen == 20


@pytest.mark.parametrize("structure", [kpk.NofM(2, 4), kpk.Block((2, 3))])
def test_structures(structure):
    model = classifier()
    policy = kpk.PrunePolicy(kpk.ConstantSparsity(0.5), structure=structure)
    fit(model, kpk.PruningCallback(policy), epochs=1)
    for kernel in kernels(model):
        if isinstance(structure, kpk.NofM):
            whole = kernel[: len(kernel) // 4 * 4].reshape(-1, 4, kernel.shape[1])
            assert (np.sum(whole == 0, axis=1) == 2).all()
        else:
            blocks = kernel[: len(kernel) // 2 * 2, :3].reshape(-1, 2, 3)
            assert set(np.sum(blocks == 0, axis=(1, 2)).tolist()) <= {0, 6}


def test_channels_leave_together_with_their_biases():
    model = classifier()
    policy = kpk.PrunePolicy(kpk.ConstantSparsity(0.5), structure=kpk.Channel())
    fit(model, kpk.PruningCallback(policy), epochs=2)
    hidden = kernels(model)[0]
    gone = (hidden == 0).all(axis=0)
    assert gone.sum() == 12
    bias = keras.ops.convert_to_numpy(model.layers[0].bias)
    assert (bias[gone] == 0).all() and (bias[~gone] != 0).any()


def test_one_ranking_of_all_layers():
    model = classifier()
    policy = kpk.PrunePolicy(kpk.ConstantSparsity(0.5), scope="global")
    initial = np.concatenate([k.ravel() for k in kernels(model)])
    border = np.sort(np.abs(initial))[initial.size // 2]
    masks = [np.abs(k) >= border for k in kernels(model)]
    fit(model, kpk.PruningCallback(policy), epochs=1)
    for kernel, mask in zip(kernels(model), masks, strict=True):
        assert ((kernel != 0) == mask).all()


def test_zeros_are_kept_in_later_training():
    model = classifier()
    fit(model, kpk.PruningCallback(0.7), epochs=2)
    zeros = [k == 0 for k in kernels(model)]
    fit(model, kpk.PruningCallback(kpk.KeepZeros()), epochs=1)
    for kernel, was_zero in zip(kernels(model), zeros, strict=True):
        assert ((kernel == 0) == was_zero).all()
    fit(model, epochs=1)  # The control: without the callback they grow back.
    assert not (kernels(model)[0] == 0).any()


def test_a_nan_loss_restores_the_last_good_weights():
    model = classifier()
    # Not the crossentropy, which TensorFlow clips so that NaN gives a finite loss.
    model.compile("adam", lambda y, outputs: keras.ops.mean(outputs**2, -1))
    x, y = data()
    pruning = kpk.PruningCallback(kpk.ConstantSparsity(0.5))
    fit(model, pruning, epochs=1)
    good = kernels(model)
    x[64:80] = np.nan
    # Where oneDNN computes it, as on some processors, TensorFlow's relu makes zeros of
    # NaN: there it is the weights that show it.
    told = "batch 5 of epoch 1"
    if BACKEND == "tensorflow":
        told = rf"{told}\. The loss is nan|hidden/kernel holds NaN"
    with pytest.raises(kpk.DivergedError, match=told):
        model.fit(x, y, batch_size=16, shuffle=False, verbose=0, callbacks=[pruning])
    for kernel, before in zip(kernels(model), good, strict=True):
        assert np.isfinite(kernel).all()
        assert np.mean(kernel == 0) == pytest.approx(0.5, abs=0.02)
        assert ((kernel == 0) == (before == 0)).all()
    # The model trains on, without traces of the pruner.
    assert all(layer.kernel.constraint is None for layer in model.layers)
    fit(model, epochs=1)
    assert np.isfinite(kernels(model)[0]).all()


def test_only_the_student_of_a_distiller_is_pruned():
    if not hasattr(keras, "distillation"):
        pytest.skip("this version of Keras has no distillation")
    teacher, student = classifier(), classifier()
    whole = kernels(teacher)
    distiller = keras.distillation.Distiller(
        teacher, student, keras.distillation.LogitsDistillation()
    )
    distiller.compile("adam", "sparse_categorical_crossentropy")
    look = EachStep()
    look.on_train_batch_end = lambda batch, logs=None: look.look(look.model.student)
    fit(distiller, kpk.PruningCallback(every_step()), look)
    assert look.seen == 3 * STEPS
    for kernel, before in zip(kernels(teacher), whole, strict=True):
        assert (kernel == before).all()
