# %% [markdown]
# # Tabular data with `Normalization`
#
# **At the end you have** a classifier of thirty measured columns that is pruned and
# exported with its normalization inside, so that the device feeds it raw values; and a
# regression searched by its error. All of it runs in half a minute, on two data sets
# that come with scikit-learn.

# %%
import keras
import numpy as np
from sklearn.datasets import load_breast_cancer, load_diabetes

import keras_prune_kit as kpk

keras.utils.set_random_seed(0)

# %% [markdown]
# ## 1. Columns of very different size
#
# The largest column is in thousands, the smallest in thousandths. Shuffle, then split;
# with 569 rows, each part must be a fair sample.

# %%
x, y = load_breast_cancer(return_X_y=True)
order = np.random.default_rng(0).permutation(len(x))
x, y = x[order].astype("float32"), y[order]
train, validation, test = [
    (x[rows], y[rows]) for rows in (slice(0, 369), slice(369, 469), slice(469, None))
]
print(f"largest mean of a column {x.mean(0).max():.0f}, smallest {x.mean(0).min():.4f}")

# %% [markdown]
# ## 2. The model, with the normalization inside
#
# `adapt` sees the training rows only. Mean and variance are weights of the layer that
# do not train; pruning leaves them alone, as the plan shows.

# %%
normalize = keras.layers.Normalization(name="normalize")
normalize.adapt(train[0])
model = keras.Sequential(
    [
        keras.Input((30,)),
        normalize,
        keras.layers.Dense(64, activation="relu"),
        keras.layers.Dense(64, activation="relu"),
        keras.layers.Dense(1, activation="sigmoid", name="malignant_or_benign"),
    ]
)
model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
model.fit(*train, epochs=20, verbose=0)
policy = kpk.PrunePolicy(0.8, rules=[kpk.Rule("malignant_or_benign", None)])
print(policy.plan(model))

# %% [markdown]
# ## 3. Copy it in the way that keeps the normalization
#
# `clone_model` and `set_weights` look like a copy and are none: what `adapt` found
# stays behind, in silence. Compare the outputs, which are probabilities, on the
# validation rows:

# %%
clone = keras.models.clone_model(model)
clone.set_weights(model.get_weights())
copied = kpk.copy_model(model)
rows = validation[0]
for name, copy in {"clone_model": clone, "kpk.copy_model": copied}.items():
    apart = np.abs(copy(rows).numpy() - model(rows).numpy()).max()
    print(f"{name}: outputs differ by {apart:.1g} at most")

# %% [markdown]
# Use `kpk.copy_model`, or save and load. (`compress` and the search copy by
# themselves.)
#
# ## 4. Prune
#
# With 369 rows there are twelve steps an epoch, so give it epochs.

# %%
best = kpk.TargetSparsityCheckpoint("tabular_pruned.keras", monitor="val_loss")
copied.fit(
    *train,
    validation_data=validation,
    epochs=40,
    verbose=0,
    callbacks=[kpk.PruningCallback(policy), best],
)
pruned = keras.models.load_model("tabular_pruned.keras")
print(kpk.sparsity_report(pruned))

# %% [markdown]
# ## 5. Export: `dynamic`, not `int8`, if the normalization is inside
#
# An int8 input has *one* scale for all columns. The largest column reaches 4,254, so a
# step is about 17 units, and columns that vary by less become constants. The export
# warns and names them. `dynamic` and `float16` keep float inputs.

# %%
files = {
    "dynamic": kpk.export_tflite(pruned, quantization="dynamic"),
    "int8": kpk.export_tflite(
        pruned, quantization="int8", representative_data=train[0]
    ),
}

# %% [markdown]
# If the device computes in integers only, normalize there, and export what follows the
# normalization:

# %%
inside = keras.Sequential([keras.Input((30,)), *pruned.layers[1:]])
scaled_train, scaled_test = (normalize(part[0]).numpy() for part in (train, test))
int8_inside = kpk.export_tflite(
    inside, quantization="int8", representative_data=scaled_train
)
accuracy = {name: file.evaluate(*test) for name, file in files.items()}
accuracy["int8, normalized before"] = int8_inside.evaluate(scaled_test, test[1])
for name, value in accuracy.items():
    print(f"{name:24} {value:.3f} on {len(test[1])} test rows")

# %% [markdown]
# With raw columns inside, int8 lost the model; with scaled ones it lost nothing. A
# hundred rows tell percents apart, not tenths of one: one row is 0.01.
#
# ## 6. Regression: let an error decide
#
# Compile with the error as a metric, and name it: `objective="mae"`. The best epoch is
# then the one of the lowest error, and in a search `max_accuracy_drop=0.05` allows 5 %
# *more* of it. Scale the target for the training, and remember the factor.

# %%
x, y = load_diabetes(return_X_y=True)
order = np.random.default_rng(0).permutation(len(x))
x, y = x[order].astype("float32"), (y[order, None] / 100).astype("float32")
train, validation, test = [
    (x[rows], y[rows]) for rows in (slice(0, 300), slice(300, 370), slice(370, None))
]
normalize = keras.layers.Normalization()
normalize.adapt(train[0])
regression = keras.Sequential(
    [
        keras.Input((10,)),
        normalize,
        keras.layers.Dense(64, activation="relu"),
        keras.layers.Dense(64, activation="relu"),
        keras.layers.Dense(1),
    ]
)
regression.compile("adam", "mse", metrics=["mae"])
regression.fit(*train, epochs=10, verbose=0)
report = kpk.compress(
    regression,
    train,
    validation_data=validation,
    policy=0.8,
    quantization="dynamic",
    epochs=20,
    objective="mae",
    verbose=0,
)
print(report)
before = regression.evaluate(*test, verbose=0, return_dict=True)["mae"]
after = float(np.abs(report.tflite.predict(test[0]) - test[1]).mean())
print(f"test error {before * 100:.1f} before, {after * 100:.1f} from the .tflite")

# %% [markdown]
# The error is of a score between 25 and 346. On 72 rows a difference of two is chance;
# the model is not *better* for its zeros.

# %% [markdown]
# ## What can go wrong
#
# - **`adapt` on all rows.** Then test rows have shaped the model. Adapt on the training
#   part.
# - **int8 with raw columns.** As in step 5: read the warning, use `dynamic`, or
#   normalize before the model.
# - **Text columns.** `StringLookup` and `TextVectorization` have no .tflite. The error
#   has the line that exports what is behind them.
# - **Small files.** A model of a few thousand weights is mostly file format: kernels of
#   fewer than 1,024 weights even stay float in `dynamic`. Do not expect 10x.
#
# ## Next
#
# [QAT and low bits](06_qat_and_low_bits.ipynb), or [the search](07_keras_tuner.ipynb).
# Reference: `help(kpk.compress)`, `help(kpk.export_tflite)`.
