# %% [markdown]
# # Quantization-aware training and low bits
#
# **At the end you have** one network in 8, 4, 3 and 2 bits a weight, pruned or not, a
# table of what each costs, and a rule of thumb for when quantization needs training at
# all. A minute on the digits that come with the package. It needs TensorFlow, as
# backend or as `tf_keras`.

# %%
import os

import keras
import numpy as np

import keras_prune_kit as kpk
from keras_prune_kit.digits import load_digits

keras.utils.set_random_seed(0)
epochs = 5 if "QUICK" in os.environ else 15

# %% [markdown]
# ## 1. A trained float model

# %%
(x, y), test = load_digits()
held = np.arange(len(x)) % 5 == 0
train, validation = (x[~held], y[~held]), (x[held], y[held])
model = keras.Sequential(
    [
        keras.Input((8, 8, 1)),
        keras.layers.Conv2D(16, 3, activation="relu", name="edges"),
        keras.layers.Conv2D(32, 3, activation="relu", name="shapes"),
        keras.layers.Flatten(),
        keras.layers.Dense(64, activation="relu", name="hidden"),
        keras.layers.Dense(10, activation="softmax", name="classifier"),
    ]
)
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(*train, epochs=15, verbose=0)

# %% [markdown]
# ## 2. First without training
#
# Most networks lose next to nothing in int8 after training. Try that first: it takes
# seconds. Only if the table shows a loss, or you want fewer bits, go on.

# %%
files = {
    "int8": kpk.export_tflite(
        model, quantization="int8", representative_data=train[0][:200]
    )
}
before = model.evaluate(*test, verbose=0, return_dict=True)["accuracy"]
print(f"float {before:.4f}, int8 {files['int8'].evaluate(*test):.4f}")

# %% [markdown]
# ## 3. Fewer bits, by training
#
# `quantize_aware` returns a copy whose kernels are rounded in each forward pass, so
# that training finds weights that are good *when rounded*; and a report of what was
# done to each layer. Train it for a few epochs at a lower rate than the first training.
# It has learned the ranges of its activations by then, so the export needs no
# representative data.

# %%
aware, report = kpk.quantize_aware(model, weight_bits=4)
print(report)


def train_on(aware, *callbacks):
    aware.compile(
        keras.optimizers.Adam(5e-4),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    aware.fit(*train, epochs=epochs, verbose=0, callbacks=callbacks)
    return kpk.export_tflite(aware, quantization="int8")


files["QAT, 4 bits"] = train_on(aware)

# %% [markdown]
# ## 4. Bits and zeros together
#
# The copy has the same layer names, so policies and rules apply as they are. The
# schedule ramps up early here: the rounding needs the rest of the run.

# %%
policy = kpk.PrunePolicy(kpk.PolynomialDecay(0.3, 0.8, end_step=kpk.Fraction(0.5)))
aware, _ = kpk.quantize_aware(model, weight_bits=4)
files["QAT, 4 bits, 80 % zeros"] = train_on(aware, kpk.PruningCallback(policy))

# %% [markdown]
# ## 5. Two bits
#
# Two bits are three values: minus, zero, plus, times a scale that is learned. A .tflite
# has no room for less than four bits a weight, so `bytes` stay those of four bits;
# `gzipped` shows the gain. Half of the weights become zero by themselves.

# %%
aware, _ = kpk.quantize_aware(model, weight_bits=2)
files["QAT, 2 bits"] = train_on(aware)

# %% [markdown]
# ## 6. Each layer its own
#
# The first and the last layer have few weights, and often need more bits than all
# others. A mapping says so: a regex (or a class, or a function) for layers, and their
# bits. The last one that covers a layer wins; layers that none covers have eight. The
# report has the bits of each. `prune_at_once` and `reconstruct` take the same mapping:
# with `for_quantize_aware=True`, training begins with the weights that they rounded.

# %%
bits = {".*": 2, "edges|classifier": 4}
aware, report = kpk.quantize_aware(model, weight_bits=bits)
files["QAT, 2 and 4 bits"] = train_on(aware)
print(report)
print(kpk.compare({"dense": model, **files}, *test))

# %% [markdown]
# Look at `accuracy` with its noise in mind: on 445 images one standard error is 0.007.
# Look at `ms`, too: LiteRT unpacks the four bits of convolutions in each run, so these
# files are smaller and often *slower* than eight bits. `unpacked` stores the weights of
# convolutions in a byte each, which makes the file as fast as one of eight bits and,
# compressed, little larger. [What the figures mean](10_what_the_figures_mean.ipynb) has
# the rest.

# %%
small = files["QAT, 4 bits, 80 % zeros"]
print(kpk.compare({"packed": small, "in bytes": small.unpacked()}, *test))

# %% [markdown]
# ## 7. Back to floats
#
# `strip_quantization` gives an ordinary model whose kernels keep their few values: for
# another export, or to look at them.

# %%
plain = kpk.strip_quantization(aware)
kernel = np.asarray(plain.get_layer("hidden").kernel)
print(f"the kernel of 'hidden' has {len(np.unique(kernel))} values")

# %% [markdown]
# ## Which one?
#
# | you want | take |
# |---|---|
# | int8 on any device | `export_tflite(..., quantization="int8")`, no training |
# | int8, and it lost accuracy | `quantize_aware(model)`, a few epochs |
# | half the size of int8 | `weight_bits=4` |
# | the smallest download | `weight_bits=4` and pruning, or `target="smallest"` |
# | nearly as small, and fast | the same, then `tflite.unpacked()` |
# | few bits, but for some layers | `weight_bits={".*": 2, "classifier": 4}` |
# | few bits, no training data | [`prune_at_once`](11_without_training.ipynb) |
#
# ## What can go wrong
#
# - **Accuracy collapses in the first epoch.** The learning rate is that of a fresh
#   training. Take a tenth.
# - **`weight_bits=6` is as large as 8.** The file stores 8 or 4 bits, and 6 or 5 only
#   compress better.
# - **You exported with `"dynamic"`.** A quantization-aware model has learned int8;
#   export it so.
# - **Many normalizations and few bits.** Prune first, then quantize the pruned model:
#   its zeros are kept.
# - **One layer does not stand it.** Give it eight bits:
#   `weight_bits={".*": 4, "classifier": 8}`. `skip=["classifier"]` leaves it float: the
#   file then computes that layer in float, and the export says so.
# - **Layers stayed float.** The report in step 3 has the reason for each.
# - **`tf_keras`.** TFMOT does it there, in 8 bits only.
#
# ## Next
#
# [KerasTuner](07_keras_tuner.ipynb): the bits as one of its choices. Reference:
# `help(kpk.quantize_aware)`, `help(kpk.strip_quantization)`.
