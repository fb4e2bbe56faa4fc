# %% [markdown]
# # Prune in a training loop of your own
#
# **At the end you have** a loop that you wrote yourself, in TensorFlow, JAX or torch,
# with three more lines in it, and a model that was exactly as sparse as the schedule
# says after every step. A quarter of a minute on the digits that come with the package.
#
# This notebook runs on the backend that Keras is set to. For JAX or torch, set
# `KERAS_BACKEND` *before* Keras is imported: `KERAS_BACKEND=jax python
# 02_custom_loops.py`.

# %%
import os

import keras
import numpy as np

import keras_prune_kit as kpk
from keras_prune_kit.digits import load_digits

backend = keras.backend.backend()
keras.utils.set_random_seed(0)
print(f"on {backend}")

# %% [markdown]
# ## 1. A model, an optimizer, a loss

# %%
EPOCHS, BATCH = 10 if "QUICK" in os.environ else 20, 32
(x, y), (x_test, y_test) = load_digits()
model = keras.Sequential(
    [
        keras.Input((8, 8, 1)),
        keras.layers.Flatten(),
        keras.layers.Dense(128, activation="relu", name="hidden"),
        keras.layers.Dense(10, name="classifier"),
    ]
)
optimizer = keras.optimizers.Adam(2e-3)
optimizer.build(model.trainable_variables)
loss_of = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def batches(epoch):
    """The training images in another order each epoch, whole batches only."""
    order = np.random.default_rng(epoch).permutation(len(x))
    for rows in order[: len(x) // BATCH * BATCH].reshape(-1, BATCH):
        yield x[rows], y[rows]


# %% [markdown]
# ## 2. The pruner
#
# It has to know how many steps the run has, because the default schedule counts in
# fractions of it. The three lines to add are the `with`, a `step` after each step of
# the optimizer, and, worth its price, `check_loss`: if the loss becomes NaN, it raises
# and restores the last good weights.
#
# The masks are *constraints* of the kernels, which Keras optimizers apply inside the
# compiled step. So begin the block before the step is compiled.

# %%
pruner = kpk.Pruner(
    model,
    kpk.PrunePolicy(0.8),
    steps_per_epoch=len(x) // BATCH,
    epochs=EPOCHS,
    optimizer=optimizer,
)

# %% [markdown]
# ## 3. TensorFlow: `GradientTape` in a `tf.function`

# %%
if backend == "tensorflow":
    import tensorflow as tf

    @tf.function
    def train_step(images, labels):
        with tf.GradientTape() as tape:
            loss = loss_of(labels, model(images, training=True))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply(gradients, model.trainable_variables)
        return loss

    with pruner:
        for epoch in range(EPOCHS):
            for images, labels in batches(epoch):
                loss = train_step(images, labels)
                pruner.step()
                pruner.check_loss(loss)

# %% [markdown]
# ## 4. JAX: `stateless_step`
#
# In a jitted loop the weights live outside of the model, and the masks travel with the
# optimizer's variables: read these *inside* the block, and hand both to
# `stateless_step`, which gives them back. The step is compiled once, however often the
# masks change. The end of the block writes the weights into the model.

# %%
if backend == "jax":
    import jax

    rest = [variable.value for variable in model.non_trainable_variables]

    def loss_from(weights, images, labels):
        logits, _ = model.stateless_call(weights, rest, images, training=True)
        return loss_of(labels, logits)

    @jax.jit
    def stateless_train_step(weights, state, images, labels):
        loss, gradients = jax.value_and_grad(loss_from)(weights, images, labels)
        weights, state = optimizer.stateless_apply(state, gradients, weights)
        return loss, weights, state

    with pruner:
        weights = [variable.value for variable in model.trainable_variables]
        state = [variable.value for variable in optimizer.variables]
        for epoch in range(EPOCHS):
            for images, labels in batches(epoch):
                loss, weights, state = stateless_train_step(
                    weights, state, images, labels
                )
                weights, state = pruner.stateless_step(weights, state)
                pruner.check_loss(loss)

# %% [markdown]
# ## 5. torch: `backward`, then the Keras optimizer

# %%
if backend == "torch":
    import torch

    with pruner:
        for epoch in range(EPOCHS):
            for images, labels in batches(epoch):
                model.zero_grad()
                loss = loss_of(labels, model(images, training=True))
                loss.backward()
                gradients = [v.value.grad for v in model.trainable_weights]
                with torch.no_grad():
                    optimizer.apply(gradients, model.trainable_weights)
                pruner.step()
                pruner.check_loss(loss)

# %% [markdown]
# ## 6. Check
#
# The same on every backend: 80 % zeros, and an accuracy of about 0.97.

# %%
print(pruner.report())
accuracy = float((model.predict(x_test, verbose=0).argmax(1) == y_test).mean())
print(f"\naccuracy {accuracy:.4f}")

# %% [markdown]
# ## 7. A run that was killed
#
# The zeros of the weights *are* the mask, so nothing of the pruner has to be saved.
# Load the weights of your last checkpoint and tell the pruner how far it was:
#
# ```python
# pruner = kpk.Pruner(
#     model, policy, steps_per_epoch=n, epochs=20, initial_step=steps_done
# )
# ```
#
# ## What can go wrong
#
# - **A warning that masks are not applied.** The step was compiled before the block
#   began, so it does not know them. The pruner then applies them itself after each
#   step, which is right but slower. Compile inside, or define the function again.
# - **Accumulated gradients.** Call `step()` after steps of the optimizer, not after
#   each batch, and count `steps_per_epoch` likewise.
# - **"Incomplete" at the end of the block.** The loop made fewer steps than
#   `steps_per_epoch * epochs`: often the last, partial batch.
# - **On JAX, stale weights.** Whatever you measure within the block must use `weights`;
#   the model has them only at its end.
# - **The zeros grow back in the next loop.** Begin it with `kpk.Pruner(model,
#   kpk.KeepZeros())`.
#
# ## Next
#
# [Transfer learning](03_transfer_learning.ipynb). Reference: `help(kpk.Pruner)`.
