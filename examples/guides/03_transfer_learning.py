# %% [markdown]
# # Transfer learning: a frozen base, augmentation, early stopping, checkpoints
#
# **At the end you have** the usual recipe (a pretrained base, a new head, then
# fine-tuning) with pruning in the place where it belongs, an `EarlyStopping` and a
# checkpoint that cannot bring back an unpruned epoch, and a run that goes on after it
# was killed. Half a minute on the digits that come with the package.
#
# So that nothing is downloaded, the base is a small network that step 1 trains on the
# digits 0 to 4; the new task is to tell 5 to 9 apart. With a base from
# `keras.applications`, all else stays as it is ([an example with
# MobileNet](../trashnet_mobilenet.py)).

# %%
import keras
import numpy as np

import keras_prune_kit as kpk
from keras_prune_kit.digits import load_digits

layers = keras.layers
keras.utils.set_random_seed(0)

# %% [markdown]
# ## 1. A pretrained base

# %%
(x, y), (x_test, y_test) = load_digits()
base = keras.Sequential(
    [
        keras.Input((8, 8, 1)),
        layers.Conv2D(16, 3, padding="same", use_bias=False),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.Conv2D(32, 3, padding="same", activation="relu"),
        layers.MaxPooling2D(),
    ],
    name="base",
)
old_task = keras.Sequential([base, layers.Flatten(), layers.Dense(5, "softmax")])
old_task.compile("adam", "sparse_categorical_crossentropy")
old_task.fit(x[y < 5], y[y < 5], epochs=8, verbose=0)

new = y >= 5
x, y = x[new], y[new] - 5
test = x_test[y_test >= 5], y_test[y_test >= 5] - 5
held = np.arange(len(x)) % 4 == 0
train, validation = (x[~held], y[~held]), (x[held], y[held])
print(f"{len(train[0])} images train, {len(validation[0])} choose, {len(test[0])} test")

# %% [markdown]
# ## 2. The head first, the base frozen
#
# The augmentation is in the model: random in training, nothing otherwise. The base is
# called with `training=False`, so that its batch normalization keeps its averages also
# when it is unfrozen later; a few hundred images have none better.

# %%
base.trainable = False
inputs = keras.Input((8, 8, 1))
h = layers.RandomTranslation(0.1, 0.1, fill_mode="constant")(inputs)
h = base(h, training=False)
h = layers.Flatten()(h)
h = layers.Dense(32, activation="relu", name="hidden")(h)
model = keras.Model(inputs, layers.Dense(5, activation="softmax", name="head")(h))


def compile_with(learning_rate):
    optimizer = keras.optimizers.Adam(learning_rate)
    loss = "sparse_categorical_crossentropy"
    model.compile(optimizer, loss, metrics=["accuracy"])


compile_with(2e-3)
model.fit(*train, epochs=15, verbose=0)
print(f"head only: {model.evaluate(*validation, verbose=0)[1]:.4f} on validation")

# %% [markdown]
# ## 3. Do not prune yet: what is frozen cannot recover
#
# Look at the plan while the base is frozen. Its kernels are skipped, with the reason: a
# weight that does not train cannot make up for a zero beside it.

# %%
print(kpk.PrunePolicy(0.7).plan(model))

# %% [markdown]
# ## 4. Unfreeze, compile again, fine-tune gently
#
# Keras notices a changed `trainable` only when you compile. A tenth of the learning
# rate keeps what the base knows. This is the model that pruning starts from.

# %%
base.trainable = True
compile_with(5e-4)
model.fit(*train, epochs=10, verbose=0)
model.save("tuned.keras")
before = model.evaluate(*test, verbose=0)[1]
policy = kpk.PrunePolicy(
    kpk.PolynomialDecay(0.3, 0.7, end_step=kpk.Fraction(0.5)),
    rules=[kpk.Rule("head", None)],
)
print(policy.plan(model))

# %% [markdown]
# ## 5. Prune, with early stopping and checkpoints that know of it
#
# - `EarlyStopping` in the same `fit` counts only epochs *at the target sparsity*, so it
#   neither stops during the ramp nor restores an epoch from before. You need do
#   nothing.
# - `TargetSparsityCheckpoint` saves the best of those epochs. Keras' own
#   `ModelCheckpoint` would save the best of all epochs, an unpruned one.
# - `BackupAndRestore` is for a machine that may be taken away: run the same script
#   again, and this `fit` goes on after the last whole epoch, at the sparsity where it
#   was; `best.keras` stays until an epoch is better.
#
# The ramp ends at half of the run, after 20 epochs, so that early stopping has
# something to choose from.

# %%
compile_with(1e-3)
pruning = kpk.PruningCallback(policy)
history = model.fit(
    *train,
    validation_data=validation,
    epochs=40,
    verbose=0,
    callbacks=[
        kpk.BackupAndRestore("backup"),
        pruning,
        keras.callbacks.EarlyStopping(
            "val_loss", patience=4, restore_best_weights=True
        ),
        kpk.TargetSparsityCheckpoint("best.keras", monitor="val_loss"),
    ],
)
print(f"{len(history.epoch)} of 40 epochs")
print(pruning.report)

# %% [markdown]
# ## 6. The checkpoint and the restored model agree
#
# Both are the same epoch, and have all the zeros: 70 % of the kernels that the policy
# covers, 69.5 % with the dense head. Compare them with `predict`: in a bare call,
# `model(x)`, Keras' augmentation layers are random.

# %%
best = keras.models.load_model("best.keras")
outputs = [m.predict(test[0], verbose=0) for m in (best, model)]
apart = np.abs(outputs[0] - outputs[1]).max()
print(f"outputs differ by {apart:.1g}; {kpk.sparsity_report(best).sparsity:.1%} zeros")

# %% [markdown]
# ## 7. Export
#
# The augmentation does nothing in inference, so the file has no trace of it; the batch
# normalization is folded into the convolution before it.

# %%
file = kpk.export_tflite(
    best, "transfer.tflite", quantization="int8", representative_data=train[0][:200]
)
tuned = keras.models.load_model("tuned.keras")
print(kpk.compare({"tuned": tuned, "pruned": best, "int8": file}, *test))

# %% [markdown]
# ## What can go wrong
#
# - **The base stays dense.** It was frozen, or unfrozen after `compile`. Look at the
#   plan right before `fit`.
# - **The base must stay frozen, yet be smaller.** `PrunePolicy(0.5,
#   include_frozen=True)` prunes it all the same;
#   [`prune_at_once`](11_without_training.ipynb) also repairs it.
# - **Accuracy jumps in training, not in validation.** The base runs in training mode
#   and its batch normalization learns from small batches: call it with
#   `training=False`.
# - **Early stopping before the target.** `PruningCallback` was missing in that `fit`,
#   or it is a `ReduceLROnPlateau` or a callback of your own: these count every epoch.
# - **After a kill, early stopping has forgotten.** It compares the epochs since then
#   only, so it may restore a worse one. `TargetSparsityCheckpoint` remembers the best:
#   load `best.keras`.
# - **Augmentation after the split.** Augment the training part only. In the model, as
#   here, that takes care of itself; in a `tf.data` pipeline map it over the training
#   data alone, and calibrate int8 with pictures as they are in use, not with augmented
#   ones.
#
# ## Next
#
# [Text and attention](04_text_and_attention.ipynb). Reference:
# `help(kpk.PruningCallback)`, `help(kpk.TargetSparsityCheckpoint)`,
# `help(kpk.BackupAndRestore)`.
