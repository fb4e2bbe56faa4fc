# %% [markdown]
# # Prune while `fit` trains
#
# **At the end you have** a network with 80 % zeros in every kernel, the epoch that was
# best among those with all the zeros, saved as an ordinary Keras model, and a table of
# what it weighs. It takes half a minute on the digits that come with the package.

# %%
import keras
import numpy as np

import keras_prune_kit as kpk
from keras_prune_kit.digits import load_digits

keras.utils.set_random_seed(0)

# %% [markdown]
# ## 1. Data: one part trains, one chooses, one is only measured
#
# You will choose an epoch. The data that choose cannot also judge, so keep a third
# part.

# %%
(x, y), test = load_digits()
held = np.arange(len(x)) % 5 == 0  # Every fifth: neighbours look alike.
train, validation = (x[~held], y[~held]), (x[held], y[held])

# %% [markdown]
# ## 2. A trained model
#
# Prune a model that is good already: the magnitude of a weight tells how much it
# matters only once the weight has been trained.

# %%
model = keras.Sequential(
    [
        keras.Input((8, 8, 1)),
        keras.layers.Conv2D(16, 3, activation="relu", name="edges"),
        keras.layers.Flatten(),
        keras.layers.Dense(64, activation="relu", name="hidden"),
        keras.layers.Dense(10, activation="softmax", name="classifier"),
    ]
)
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(*train, validation_data=validation, epochs=20, verbose=0)
model.save("dense.keras")
dense_accuracy = model.evaluate(*test, verbose=0)[1]
print(f"dense: {dense_accuracy:.4f} on the test images")

# %% [markdown]
# ## 3. Say how many zeros, and look before you train
#
# `PrunePolicy(0.8)` means: from no zeros to 80 % over the first three quarters of the
# run, then a quarter to recover. `plan` lists every weight and changes nothing. Read
# it: a layer that you expected and do not see is listed below with the reason.

# %%
policy = kpk.PrunePolicy(0.8)
print(policy.plan(model))

# %% [markdown]
# Layers can differ. The first convolution and the classifier are small and sensitive,
# so people often spare them. The last rule that matches wins:

# %%
policy = kpk.PrunePolicy(
    0.85,
    rules=[
        kpk.Rule("edges", 0.5),  # a layer's path, as a regular expression
        kpk.Rule("classifier", None),  # stays dense
    ],
)
print(policy.plan(model))

# %% [markdown]
# ## 4. Add the callback
#
# The model keeps its layers, its optimizer and its `compile`. Two more callbacks help:
# `GzipSizeLogger` writes the compressed size into the logs, and
# `TargetSparsityCheckpoint` saves the best epoch *among those that have all the zeros*.
# A plain `ModelCheckpoint(save_best_only=True)` would keep an early epoch, which is
# better only because it is not pruned yet.

# %%
policy = kpk.PrunePolicy(0.8)
pruning = kpk.PruningCallback(policy)
best = kpk.TargetSparsityCheckpoint("pruned.keras", monitor="val_accuracy")
history = model.fit(
    *train,
    validation_data=validation,
    epochs=20,
    verbose=0,
    callbacks=[pruning, kpk.GzipSizeLogger(), best],
)
for epoch in (0, 4, 9, 14, 19):
    logs = {key: values[epoch] for key, values in history.history.items()}
    print(
        f"epoch {epoch + 1:2}: {logs['sparsity']:.1%} zeros, "
        f"val_accuracy {logs['val_accuracy']:.4f}, {logs['gzip_bytes']:,} bytes gzipped"
    )

# %% [markdown]
# The zeros rise fast at first and slowly towards the end, and stay from epoch 15 on.
# The size falls with them.
#
# ## 5. Check the result
#
# Each kernel has exactly the share of zeros that was asked for. Biases are not pruned:
# they are few.

# %%
print(pruning.report)

# %% [markdown]
# ## 6. Train it further, without losing the zeros
#
# `pruned.keras` is an ordinary model, with no trace of the pruning but the zeros. So an
# ordinary `fit` would let them grow back. `KeepZeros` holds what is zero:

# %%
pruned = keras.models.load_model("pruned.keras")
keep = kpk.PruningCallback(kpk.KeepZeros())
pruned.fit(*train, epochs=2, verbose=0, callbacks=[keep])
sparsity = kpk.sparsity_report(pruned).sparsity
print(f"{sparsity:.1%} zeros after two more epochs")

# %% [markdown]
# ## 7. Measure it on data that chose nothing
#
# Both models and a .tflite of the pruned one, side by side. `ratio` compares gzipped
# sizes with the first row. A Keras model counts by its weights alone: its *file* also
# has the state of the optimizer, twice the weights more, which would flatter the ratio.
# The guide on [figures](10_what_the_figures_mean.ipynb) explains every column.

# %%
file = kpk.export_tflite(pruned, "pruned.tflite", quantization="dynamic")
comparison = kpk.compare(
    {"dense": "dense.keras", "pruned": pruned, "pruned + dynamic": file}, *test
)
print(comparison)

# %% [markdown]
# ## What can go wrong
#
# - **The accuracy drops and does not come back.** Train longer: the last quarter of the
#   run is for recovery. Start from a learning rate at which the model still moves; the
#   last rate of a decayed schedule is too small. Or ask for fewer zeros.
# - **The zeros grow back.** A later `fit` had no callback. Use `KeepZeros`, as in step
#   6.
# - **"Pruning is incomplete".** The run ended before the schedule did: it was stopped,
#   or a step number in the schedule is beyond the run. `end_step=kpk.Fraction(0.75)` is
#   right for a run of any length.
# - **The file is as large as before.** Zeros take as many bytes as other numbers until
#   something compresses them: gzip, zip, an app store. See the
#   [figures](10_what_the_figures_mean.ipynb).
# - **It is no faster.** Zeros alone make no runtime faster. Take out whole channels:
#   `kpk.compress(..., speedup=2.0)`.
#
# ## Next
#
# [Your own training loop](02_custom_loops.ipynb), or [a pretrained
# base](03_transfer_learning.ipynb). Reference: `help(kpk.PrunePolicy)`,
# `help(kpk.PruningCallback)`, `help(kpk.TargetSparsityCheckpoint)`.
