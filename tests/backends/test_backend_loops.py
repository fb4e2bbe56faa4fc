"""Hand-written loops on each backend."""

import inspect
import re

import keras
import numpy as np
import pytest
from contract import (
    BACKEND,
    STEPS,
    EachStep,
    classifier,
    data,
    every_step,
    fit,
    kernels,
)

import keras_prune_kit as kpk


def batches(steps):
    x, y = data()
    for step in range(steps):
        rows = slice(16 * (step % STEPS), 16 * (step % STEPS) + 16)
        yield x[rows], y[rows]


def tensorflow_step(model, optimizer, loss):
    import tensorflow as tf

    @tf.function
    def step(x, y):
        with tf.GradientTape() as tape:
            value = loss(y, model(x, training=True))
        optimizer.apply(tape.gradient(value, model.trainable_weights))
        return value

    return step


def torch_step(model, optimizer, loss):
    import torch

    def step(x, y):
        model.zero_grad()
        value = loss(y, model(x, training=True))
        value.backward()
        gradients = [v.value.grad for v in model.trainable_weights]
        with torch.no_grad():
            optimizer.apply(gradients, model.trainable_weights)
        return value

    return step


@pytest.mark.skipif(BACKEND == "jax", reason="its loops keep the state outside")
def test_a_loop():
    model, look = classifier(), EachStep()
    optimizer = keras.optimizers.Adam(0.01)
    optimizer.build(model.trainable_variables)
    make = tensorflow_step if BACKEND == "tensorflow" else torch_step
    step = make(model, optimizer, keras.losses.SparseCategoricalCrossentropy())
    with kpk.Pruner(model, every_step(), optimizer=optimizer) as pruner:
        for x, y in batches(20):
            loss = step(x, y)
            pruner.step()
            pruner.check_loss(loss)
            look.look(model)
    assert look.seen == 20


def stateless_step(model, optimizer, traces):
    """A jitted train step in JAX, which notes each time that it is compiled."""
    import jax

    loss = keras.losses.SparseCategoricalCrossentropy()
    rest = [v.value for v in model.non_trainable_variables]

    def loss_of(weights, x, y):
        outputs, _ = model.stateless_call(weights, rest, x, training=True)
        return loss(y, outputs)

    @jax.jit
    def step(weights, state, x, y):
        traces.append(1)
        value, gradients = jax.value_and_grad(loss_of)(weights, x, y)
        weights, state = optimizer.stateless_apply(state, gradients, weights)
        return value, weights, state

    return step


def stateless_loop(model, optimizer, engine, steps, each=lambda weights: None):
    """A jitted loop in JAX; returns how often its step was compiled."""
    traces = []
    step = stateless_step(model, optimizer, traces)
    weights = [v.value for v in model.trainable_variables]
    state = [v.value for v in optimizer.variables]
    for x, y in batches(steps):
        value, weights, state = step(weights, state, x, y)
        weights, state = engine.stateless_step(weights, state)
        if hasattr(engine, "check_loss"):
            engine.check_loss(value)
        each(weights)
    return len(traces)


@pytest.mark.skipif(BACKEND != "jax", reason="the state is in the model elsewhere")
@pytest.mark.parametrize("is_averaged", [False, True])
def test_a_jitted_loop_with_its_state_outside_of_the_model(is_averaged):
    model, look = classifier(), EachStep()
    optimizer = keras.optimizers.Adam(0.01, use_ema=is_averaged)
    optimizer.build(model.trainable_variables)

    class Outside:
        """The weights of the loop, in the form that the watcher looks at."""

        def __init__(self, weights):
            by_variable = zip(model.trainable_variables, weights, strict=True)
            values = {id(variable): value for variable, value in by_variable}
            self.layers = [Layer(values[id(ly.kernel)]) for ly in model.layers]

    class Layer:
        def __init__(self, kernel):
            self.kernel = kernel

    with kpk.Pruner(model, every_step(), optimizer=optimizer) as pruner:
        compiled = stateless_loop(
            *(model, optimizer, pruner, 20), each=lambda w: look.look(Outside(w))
        )
        report = pruner.report()  # Of the weights of the loop, not of stale ones.
    assert look.seen == 20
    assert compiled == 1
    assert report.sparsity == pytest.approx(0.8, abs=0.01)
    for kernel, last in zip(kernels(model), look.before, strict=True):
        assert (kernel == last).all()  # The block has written them into the model.
    assert len(optimizer.variables) == 2 + 6 * (3 if is_averaged else 2)


@pytest.mark.skipif(BACKEND != "jax", reason="the state is in the model elsewhere")
def test_inputs_of_a_jitted_loop_are_made_by_its_weights():
    """Also at an update before which nothing else looks at the model."""
    model, (x, _), seen, given = classifier(), data(), [], {}
    optimizer = keras.optimizers.Adam(0.01)
    optimizer.build(model.trainable_variables)

    @kpk.needs_inputs("squares")
    def noting(weights, squares):
        if weights.shape == (24, 8):
            seen.append(squares)
        return abs(weights)

    class Loop:
        def stateless_step(self, weights, state):
            given[len(given) + 1] = [np.asarray(value) for value in weights[:2]]
            return pruner.stateless_step(weights, state)

    ramp = kpk.PolynomialDecay(0.0, 0.8, end_step=12, frequency=4)
    policy = kpk.PrunePolicy(ramp, criterion=noting)
    with kpk.Pruner(model, policy, optimizer=optimizer, data=x) as pruner:
        stateless_loop(model, optimizer, Loop(), 12)
    for step, squares in zip((4, 8, 12), seen[1:], strict=True):
        kernel, bias = given[step]
        hidden = np.maximum(x @ kernel + bias, 0)
        np.testing.assert_allclose(squares, np.square(hidden).mean(0), rtol=1e-4)


@pytest.mark.skipif(BACKEND != "jax", reason="the state is in the model elsewhere")
def test_the_example_of_stateless_step():
    model, optimizer = classifier(), keras.optimizers.Adam(0.01)
    step = stateless_step(model, optimizer, [])
    names = {
        "batches": list(batches(STEPS)),
        "kpk": kpk,
        "model": model,
        "n": STEPS,
        "optimizer": optimizer,
        "train_step": lambda *given: step(*given)[1:],
    }
    (code,) = re.findall(
        "```python\n(.*?)```", inspect.getdoc(kpk.Pruner.stateless_step), re.DOTALL
    )

    exec(code, names)

    for kernel in kernels(model):
        assert np.mean(kernel == 0) == pytest.approx(0.8, abs=0.01)


@pytest.mark.skipif(BACKEND != "jax", reason="the state is in the model elsewhere")
def test_jax_needs_the_optimizer():
    model = classifier()
    bare = keras.Model(model.inputs, model.outputs)
    before = kernels(bare)
    with pytest.raises(ValueError, match="optimizer=..."):
        kpk.Pruner(bare, kpk.ConstantSparsity(0.5)).start()
    for kernel, same in zip(kernels(bare), before, strict=True):
        assert (kernel == same).all()
    assert all(layer.kernel.constraint is None for layer in model.layers)


@pytest.mark.skipif(BACKEND != "jax", reason="the state is in the model elsewhere")
def test_a_state_without_the_masks_is_refused():
    model = classifier()
    optimizer = keras.optimizers.SGD(0.1)
    optimizer.build(model.trainable_variables)
    early = [v.value for v in optimizer.variables]
    weights = [v.value for v in model.trainable_variables]
    pruner = kpk.Pruner(model, kpk.ConstantSparsity(0.5), optimizer=optimizer)
    pruner.start()
    with pytest.raises(ValueError, match="Take optimizer.variables after the pruner"):
        pruner.stateless_step(weights, early)
    pruner.detach()
    assert len(optimizer.variables) == len(early)


@pytest.mark.skipif(BACKEND != "torch", reason="torch.compile is torch's")
def test_a_compiled_step_of_torch():
    """With a compiler that runs the graph as it is: others need much longer."""
    import torch

    graphs, first = [], 0
    model, look = classifier(), EachStep()
    optimizer = keras.optimizers.SGD(0.05)
    optimizer.build(model.trainable_variables)
    loss = keras.losses.SparseCategoricalCrossentropy()

    def apply(gradients):
        with torch.no_grad():
            optimizer.apply(gradients, model.trainable_weights)

    step = torch.compile(apply, backend=lambda g, _: graphs.append(1) or g.forward)
    with kpk.Pruner(model, every_step(), optimizer=optimizer) as pruner:
        for x, y in batches(14):
            model.zero_grad()
            loss(y, model(x, training=True)).backward()
            step([v.value.grad for v in model.trainable_weights])
            pruner.step()
            look.look(model)
            first = first or len(graphs)
    assert look.seen == 14
    assert len(graphs) == first  # Nothing was compiled after the first step.


@pytest.mark.slow  # the compiler of torch takes half a minute
@pytest.mark.filterwarnings("ignore")  # of the compiler, about Keras' own code
@pytest.mark.skipif(BACKEND != "torch", reason="torch.compile is torch's")
def test_fit_with_the_compiler_of_torch():
    model, look = classifier(jit_compile=True), EachStep()
    fit(model, kpk.PruningCallback(every_step()), look)
    assert look.seen == 3 * STEPS
