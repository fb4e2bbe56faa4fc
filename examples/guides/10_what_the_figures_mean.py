# %% [markdown]
# # What the figures mean
#
# **At the end you can** say of "28x smaller at the same accuracy" what was divided by
# what, on which data, and how much of it is luck; and you can work each column of
# `kpk.compare` out by hand. Half a minute on the digits that come with the package.

# %%
import gzip
import os
from pathlib import Path

import keras
import numpy as np

import keras_prune_kit as kpk
from keras_prune_kit.digits import load_digits

keras.utils.set_random_seed(0)
(x, y), test = load_digits()
held = np.arange(len(x)) % 5 == 0
train, validation = (x[~held], y[~held]), (x[held], y[held])
dense = keras.Sequential(
    [
        keras.Input((8, 8, 1)),
        keras.layers.Conv2D(16, 3, activation="relu"),
        keras.layers.Flatten(),
        keras.layers.Dense(64, activation="relu"),
        keras.layers.Dense(10, activation="softmax"),
    ]
)
dense.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
dense.fit(*train, epochs=15, verbose=0)
report = kpk.compress(
    dense,
    train,
    validation_data=validation,
    policy=0.9,
    quantization="int8",
    epochs=15,
    verbose=0,
)
print(report)

# %% [markdown]
# ## 1. Bytes: of which file?
#
# One and the same model has many sizes. Once it is compiled, its `.keras` and, on Keras
# 3, its `.weights.h5` also hold the state of Adam, two more numbers for each weight.
# This package counts a Keras model as its weights alone (`.h5` in the tables), so that
# no ratio is won by leaving the optimizer out.

# %%
dense.save("dense.keras")
dense.save_weights("dense.weights.h5")
float32 = kpk.export_tflite(dense, "dense.tflite")
report.tflite.save("small.tflite")
print(f"{dense.count_params():,} numbers of 4 bytes: {dense.count_params() * 4:,}")
for path in ("dense.keras", "dense.weights.h5", "dense.tflite", "small.tflite"):
    print(f"{path:17} {os.path.getsize(path):8,} {kpk.gzip_bytes(path):8,} gzipped")
print(f"weights alone: {kpk.gzip_bytes(dense):19,} gzipped")

# %% [markdown]
# ## 2. The ratio: gzipped by gzipped
#
# `ratio` is the gzipped weights of the *first row* divided by the gzipped file of this
# row. Gzip on both sides, because zeros take as much room as other numbers until they
# are compressed: without it, a pruned float32 file is no smaller than a dense one. An
# app store, a `.zip`, an HTTP server compress; a file that is mapped into memory, or
# sits in the flash of a microcontroller, does not. For those, look at `bytes`.

# %%
ratio = kpk.gzip_bytes(dense) / kpk.gzip_bytes("small.tflite")
by_hand = len(gzip.compress(Path("small.tflite").read_bytes(), 9, mtime=0))
print(f"{ratio:.1f}x, the report says {report.ratio:.1f}x; by hand {by_hand:,} bytes")
checkpoint = kpk.gzip_bytes("dense.keras")
print(f"from the .keras, gzipped: {checkpoint / by_hand:.1f}x")
print(f"both as .tflite, plain: {len(float32.bytes) / len(report.tflite.bytes):.1f}x")

# %% [markdown]
# The same model: 16x, 47x and 3.6x. The second counts the optimizer's state, which
# never ships. The first is right for a download, the third where nothing is compressed.
#
# ## 3. Where the ratio comes from
#
# Int8 alone, zeros alone, both:

# %%
pruned = report.model
files = {
    "dense, float32": float32,
    "dense, int8": kpk.export_tflite(
        dense, quantization="int8", representative_data=train[0][:200]
    ),
    "pruned, float32": kpk.export_tflite(pruned),
    "pruned, int8": report.tflite,
}
comparison = kpk.compare({"dense": dense, **files}, *test)
print(comparison)

# %% [markdown]
# Bits and zeros do not quite multiply: 3.7 times 7.0 would be 26, and it is 16. To say
# *where* the zeros are takes half a bit a weight at 90 %, and few bits make that no
# cheaper.
#
# `sparse` and `bound` tell how far gzip is from what is possible. `sparse` would store
# a bit for each weight and the values that are not zero; `bound` is what an ideal coder
# of the values needs, without the order that they are in. Of int8 files gzip reaches it
# within some 20 %.
#
# ## 4. Zeros: of what?
#
# "90 % sparse" is of the *kernels that the policy covers*. Biases and normalizations
# stay, so of all parameters it is a little less. In a .tflite, biases are not counted
# either.

# %%
kernels = [w for w in pruned.get_weights() if w.ndim > 1]
zeros = sum(int((w == 0).sum()) for w in kernels)
size = sum(w.size for w in kernels)
print(f"{zeros:,} of {size:,} kernel weights: {zeros / size:.2%}")
print(
    f"of all {pruned.count_params():,} parameters: {zeros / pruned.count_params():.2%}"
)
print(f"in the .tflite: {report.tflite.sparsity_report().sparsity:.2%}")

# %% [markdown]
# Quantization adds zeros: what is below half a step becomes one.
#
# ## 5. Accuracy: of what, on what?
#
# - **Of the file.** Rows of a `.tflite` were measured by its interpreter, not by the
#   Keras model that it came from.
# - **On validation data** in the report of `compress` and in a search: these data have
#   chosen the epoch or the trial. The best of many is partly the luckiest of many, so
#   its validation accuracy is too good.
# - **On test data** if you measure the file again, once, on data that have chosen
#   nothing. That is the figure to publish.
#
# And any accuracy on n samples has a standard error of sqrt(p (1 - p) / n):

# %%
accuracy = report.tflite.evaluate(*test)
error = np.sqrt(accuracy * (1 - accuracy) / len(test[1]))
print(f"validation {report.final.score:.4f}, test {accuracy:.4f} +- {error:.4f}")

# %% [markdown]
# Two models on the *same* images can be told apart more finely, because most images are
# right or wrong for both. Count where they disagree: one alone is right on b images,
# the other alone on c. While |b - c| is below 2 sqrt(b + c), the difference may be luck
# (McNemar's test).

# %%
right = {
    "dense": dense.predict(test[0], verbose=0).argmax(1) == test[1],
    "small": report.tflite.predict(test[0]).argmax(1) == test[1],
}
b = int((right["dense"] & ~right["small"]).sum())
c = int((right["small"] & ~right["dense"]).sum())
noise = 2 * np.sqrt(b + c)
print(f"only dense right: {b}, only small right: {c}; |b - c| = {abs(b - c)}, ", end="")
print(f"noise up to {noise:.1f}")

# %% [markdown]
# Here the difference is within the noise: these images show no loss at 90 % of zeros.
# Another seed moves the figures as well, so a claim of tenths of a percent takes
# several.
#
# ## 6. Milliseconds: on what?
#
# `ms` is the median of 50 runs of one sample on one thread of *this* machine, the files
# in turns, so that a busy moment hits all of them alike. Compare within a table, never
# between tables. A phone has other kernels and other ratios: measure there.
#
# `MACs` are multiplications for one sample, zeros included. Zeros do not lower either;
# channels that leave lower both. For them, compare the speed by its ratio:

# %%
thinner = kpk.remove_channels(dense, 0.5, multiple_of=8)
timed = kpk.compare(
    {
        "dense": float32,
        "90 % zeros": files["pruned, float32"],
        "half of the channels": kpk.export_tflite(thinner),
    },
    *test,
)
first = timed.measurements[0]
for row in timed.measurements:
    print(
        f"{row.name:21} {row.macs / first.macs:4.0%} of the MACs, "
        f"{first.latency_ms / row.latency_ms:.1f}x as fast"
    )

# %% [markdown]
# The thinner model was not trained after it lost its channels, so only its speed counts
# here. At microseconds a run, the overhead of the interpreter is much of it; the ratio
# of a large model comes closer to that of the MACs.
#
# ## What to write
#
# > *int8 .tflite, 90 % zeros in the kernels, N bytes gzipped, against N bytes for the
# > gzipped float32 weights of the same network: R times smaller. Test accuracy A of the
# > file, B of the network, on n images that chose nothing; mean of k seeds.*
#
# ## What can go wrong
#
# - **A ratio against the checkpoint**, with optimizer: three times too good.
# - **A pruned accuracy from an early epoch** that was not pruned yet: use
#   `TargetSparsityCheckpoint`; `compress` and the search do.
# - **The accuracy of the Keras model, the size of the .tflite.** Measure the file.
# - **A test set that chose.** Once you have changed something because of it, it is
#   validation data.
#
# ## Next
#
# [Without training](11_without_training.ipynb). Reference: `help(kpk.compare)`,
# `help(kpk.gzip_bytes)`, `help(kpk.entropy_bound)`.
