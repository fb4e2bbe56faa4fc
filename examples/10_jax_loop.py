"""Prune in a jitted loop of JAX, whose state is outside of the model.

The masks travel in the optimizer's variables, so the step is compiled once, however
often they change. Expect 90 % zeros, a test accuracy of about 0.97 on the digits of the
package, and "compiled 1 time".

    pip install jax
    python examples/10_jax_loop.py
"""

import importlib.util
import os
import sys

os.environ["KERAS_BACKEND"] = "jax"
if importlib.util.find_spec("jax") is None:
    print("This example needs JAX: pip install jax")
    sys.exit()

import jax
import keras
import numpy as np

import keras_prune_kit as kpk
from keras_prune_kit.digits import load_digits

BATCH, EPOCHS = 32, 30

(x, y), (x_test, y_test) = load_digits()
keras.utils.set_random_seed(0)
model = keras.Sequential(
    [
        keras.Input(x.shape[1:]),
        keras.layers.Flatten(),
        keras.layers.Dense(128, activation="relu"),
        keras.layers.Dense(10, activation="softmax"),
    ]
)
model.compile(metrics=["accuracy"], loss="sparse_categorical_crossentropy")
optimizer = keras.optimizers.Adam(2e-3)
optimizer.build(model.trainable_variables)
loss = keras.losses.SparseCategoricalCrossentropy()
rest = [variable.value for variable in model.non_trainable_variables]
compiled = []


def loss_of(weights, x, y):
    outputs, _ = model.stateless_call(weights, rest, x, training=True)
    return loss(y, outputs)


@jax.jit
def train_step(weights, state, x, y):
    compiled.append(1)  # Python runs this line only while JAX compiles.
    value, gradients = jax.value_and_grad(loss_of)(weights, x, y)
    weights, state = optimizer.stateless_apply(state, gradients, weights)
    return value, weights, state


steps = len(x) // BATCH
pruner = kpk.Pruner(
    model, 0.9, steps_per_epoch=steps, epochs=EPOCHS, optimizer=optimizer
)
with pruner:
    # Here, not before: the masks are among the optimizer's variables now.
    weights = [variable.value for variable in model.trainable_variables]
    state = [variable.value for variable in optimizer.variables]
    rng = np.random.default_rng(0)
    for _ in range(EPOCHS):
        order = rng.permutation(len(x))[: steps * BATCH]
        for rows in order.reshape(steps, BATCH):
            value, weights, state = train_step(weights, state, x[rows], y[rows])
            weights, state = pruner.stateless_step(weights, state)
            pruner.check_loss(value)

# The block has written the last weights into the model.
print(kpk.sparsity_report(model))
accuracy = model.evaluate(x_test, y_test, verbose=0)[1]
print(f"test accuracy {accuracy:.3f}, compiled {len(compiled)} time")
