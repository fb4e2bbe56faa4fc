# %% [markdown]
# # Without training
#
# **At the end you have** four ways to make a model smaller from some hundred inputs,
# with no labels and no `fit`: zeros at once with a repair of what is left, a model that
# others pruned repaired, few bits, and the whole job in one call. A minute or two on
# the digits that come with the package.
#
# Use it if you have the model but not its training set, its loss or the time. With
# them, [`fit`](01_pruning_with_fit.ipynb) gets further.

# %%
import os

import keras
import numpy as np

import keras_prune_kit as kpk
from keras_prune_kit.digits import load_digits

quick = "QUICK" in os.environ  # A part of each step, to see that everything runs.
keras.utils.set_random_seed(0)

# %% [markdown]
# ## 1. A model, and inputs without labels
#
# 512 inputs are plenty, but they must look like those in use: the repair makes the
# model right *there*.

# %%
(x, y), test = load_digits()
model = keras.Sequential(
    [
        keras.Input((8, 8, 1)),
        keras.layers.Conv2D(16, 3, activation="relu"),
        keras.layers.Conv2D(32, 3, activation="relu"),
        keras.layers.Flatten(),
        keras.layers.Dense(64, activation="relu"),
        keras.layers.Dense(10, activation="softmax"),
    ]
)
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(x, y, epochs=20, verbose=0)
inputs = x[np.random.default_rng(0).permutation(len(x))[:512]]


def accuracy(model):
    return model.evaluate(*test, verbose=0, return_dict=True)["accuracy"]


print(f"dense {accuracy(model):.4f}")

# %% [markdown]
# ## 2. Zeros, and a repair
#
# `prune_at_once` ranks the weights of all layers together, zeroes the least important,
# and solves each layer's remaining weights anew, so that its outputs are those of the
# dense model. It takes a second. The last column has the zeros alone, without the
# repair.


# %%
def only_zeros(sparsity):
    """The same masks, and nothing made up for."""
    copy = kpk.copy_model(model)
    policy = kpk.PrunePolicy(
        kpk.ConstantSparsity(sparsity), criterion=kpk.lamp, scope="global"
    )
    pruner = kpk.Pruner(copy, policy, steps_per_epoch=1, epochs=1)
    pruner.start()
    pruner.finalize()
    return copy


for sparsity in (0.9,) if quick else (0.7, 0.8, 0.9, 0.95):
    repaired = kpk.prune_at_once(model, sparsity, data=inputs)
    print(
        f"{sparsity:.0%} zeros: {accuracy(repaired):.4f} repaired, "
        f"{accuracy(only_zeros(sparsity)):.4f} zeros alone"
    )

# %% [markdown]
# ## 3. Repair what was pruned elsewhere
#
# `reconstruct` takes any pruned model with its dense original: the zeros are the mask,
# whoever made them. It changes the pruned model in place, and returns the error of each
# kernel's outputs before and after.

# %%
pruned = only_zeros(0.9)
print(kpk.reconstruct(pruned, model, data=inputs))

# %% [markdown]
# ## 4. A little more, by distillation
#
# `distill` trains what is left towards the *outputs* of the dense model, so it needs no
# labels either. It holds an eighth of the inputs out, keeps the best epoch by those,
# and tells if that was any better.

# %%
before = accuracy(pruned)
changed = kpk.distill(pruned, model, data=inputs, epochs=4 if quick else 40)
print(f"changed: {changed}; {before:.4f} before, {accuracy(pruned):.4f} after")

# %% [markdown]
# ## 5. Few bits
#
# Rounding comes last: each kernel is rounded, and the weights after it make up for it.
# With a policy of 0.0 nothing is zeroed but what rounds to zero. The model stays one of
# floats; the int8 file holds exactly these values for 8 and 2 bits, and is off by at
# most 0.4 % of the largest for the others.

# %%
for bits in (3,) if quick else (4, 3, 2):
    rounded = kpk.prune_at_once(model, 0.0, data=inputs, weight_bits=bits)
    file = kpk.export_tflite(rounded, quantization="int8", representative_data=inputs)
    print(
        f"{bits} bits: {file.evaluate(*test):.4f}, {file.gzip_bytes:6,} bytes gzipped"
    )

# %% [markdown]
# ## 6. All of it in one call
#
# `epochs=0` tries six settings, exports each and measures the files. The validation
# data have labels, to choose by; here a part of the training images. The same on the
# command line: `keras-prune-kit compress MODEL --calibrate DATA --out DIR`.

# %%
report = kpk.compress(
    model, inputs, epochs=0, validation_data=(x[::3], y[::3]), verbose=0
)
print(report)
print(f"on the test images {report.tflite.evaluate(*test):.4f}")

# %% [markdown]
# ## What can go wrong
#
# - **The inputs are not typical.** Random noise, or one class only, makes a model that
#   is right on noise or on that class. A hundred real inputs beat a thousand synthetic
#   ones.
# - **Images that the model was trained on flatter the result.** In step 6 the
#   validation images were training images too, and the dense model knows them by heart.
#   Measure on others before you publish.
# - **It falls off a cliff.** Beyond some sparsity no repair helps. `surgery_rounds=4`
#   chooses the zeros anew and holds a little longer; training holds much longer.
# - **Rounded, then trained.** Training moves the weights off their few values. For bits
#   that survive training: [QAT](06_qat_and_low_bits.ipynb).
# - **Memory.** Large pictures all at once take gigabytes: `batch_size=32`.
#
# ## Next
#
# [Deploying](09_deploying.ipynb). Reference: `help(kpk.prune_at_once)`,
# `help(kpk.reconstruct)`, `help(kpk.distill)`, `help(kpk.compress)`.
