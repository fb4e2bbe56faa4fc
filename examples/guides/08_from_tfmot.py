# %% [markdown]
# # From tensorflow-model-optimization
#
# **At the end you have** TFMOT's pruning guide in its own form and in this package's,
# side by side on one model, and the list of what else carries over. Half a minute on
# the digits that come with the package.
#
# TFMOT accepts `tf_keras` (Keras 2) alone, so this notebook uses it. The last step
# moves to Keras 3.

# %%
import keras
import numpy as np
import tf_keras

import keras_prune_kit as kpk
from keras_prune_kit.digits import load_digits

tf_keras.utils.set_random_seed(0)
EPOCHS, BATCH = 10, 32

# %% [markdown]
# ## 1. A trained `tf_keras` model

# %%
(x, y), test = load_digits()
steps = -(-len(x) // BATCH)
layers = tf_keras.layers
model = tf_keras.Sequential(
    [
        layers.Input((8, 8, 1)),
        layers.Rescaling(2.0, offset=-1.0),
        layers.Conv2D(16, 3, activation="relu", name="edges"),
        layers.Flatten(),
        layers.Dense(64, activation="relu", name="hidden"),
        layers.Dense(10, activation="softmax", name="classifier"),
    ]
)
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(x, y, epochs=EPOCHS, verbose=0)
model.save("tfmot.keras")
print(f"dense {model.evaluate(*test, verbose=0)[1]:.4f}")

# %% [markdown]
# ## 2. As it was: wrap, compile, callback, strip
#
# ```python
# import tensorflow_model_optimization as tfmot
#
# schedule = tfmot.sparsity.keras.PolynomialDecay(
#     initial_sparsity=0.3, final_sparsity=0.8, begin_step=0, end_step=steps * 7
# )
# wrapped = tfmot.sparsity.keras.prune_low_magnitude(model, pruning_schedule=schedule)
# wrapped.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
# wrapped.fit(x, y, epochs=10, callbacks=[tfmot.sparsity.keras.UpdatePruningStep()])
# stripped = tfmot.sparsity.keras.strip_pruning(wrapped)
# ```
#
# On this model it stops at the second line: `Rescaling` is not among the layers that
# TFMOT knows, and it then refuses the whole model.
#
# ## 3. As it is here: one callback
#
# The schedule has the same name, the same arguments and the same meaning, so that line
# carries over. No wrapper, so nothing to compile again and nothing to strip.

# %%
schedule = kpk.PolynomialDecay(
    initial_sparsity=0.3, final_sparsity=0.8, begin_step=0, end_step=steps * 7
)
pruning = kpk.PruningCallback(kpk.PrunePolicy(schedule))
model.fit(x, y, epochs=EPOCHS, verbose=0, callbacks=[pruning])
print(pruning.report)
print(f"\npruned {model.evaluate(*test, verbose=0)[1]:.4f}")

# %% [markdown]
# `end_step=steps * 7` is a number that somebody has to get right: if it is beyond the
# end of the run, TFMOT ends short of the target, in silence. Here you are warned;
# better, say `end_step=kpk.Fraction(0.7)` and need not compute it.
#
# ## 4. If the wrappers must stay
#
# Your code may rely on `PruneLowMagnitude`, or on files with it. `kpk.tfmot` uses
# TFMOT's own wrappers, without its rites: `wrap` clones, compiles, goes into nested
# models, and leaves what TFMOT does not know as it is, with a reason.

# %%
dense = tf_keras.models.load_model("tfmot.keras")
wrapped = kpk.tfmot.wrap(dense, kpk.PrunePolicy(schedule))
print(wrapped.report)
wrapped.model.fit(x, y, epochs=EPOCHS, verbose=0, callbacks=kpk.tfmot.callbacks())
stripped = kpk.tfmot.strip(wrapped.model)
stripped.compile(loss="sparse_categorical_crossentropy", metrics=["accuracy"])
zeros = kpk.sparsity_report(stripped).sparsity
print(f"{zeros:.1%} zeros, {stripped.evaluate(*test, verbose=0)[1]:.4f}")

# %% [markdown]
# ## 5. Some layers only
#
# TFMOT: `clone_model` with a function that wraps some layers. Here: rules.

# %%
policy = kpk.PrunePolicy(
    0.8,
    rules=[
        kpk.Rule(layers.Conv2D, 0.5),
        kpk.Rule("classifier", None),
        kpk.Rule("hidden", 0.5, structure=kpk.NofM(2, 4)),
    ],
)
print(policy.plan(dense))

# %% [markdown]
# ## 6. What is what
#
# | TFMOT | here |
# |---|---|
# | its `PolynomialDecay(...)` | `kpk.PolynomialDecay(...)`, same arguments |
# | `prune_low_magnitude(model, pruning_schedule=s)` | `PrunePolicy(s)`, `s` from kpk |
# | `UpdatePruningStep()` | `PruningCallback(policy)` |
# | `PruningSummaries(log_dir)` | `SparsitySummaries(log_dir)` |
# | `strip_pruning(model)` | nothing |
# | `sparsity_m_by_n=(2, 4)`: zeros of 4 | `NofM(2, 4)`: kept of 4 |
# | `block_size=(1, 4), block_pooling_type="AVG"` | `Block((1, 4), pooling="avg")` |
# | `PrunableLayer.get_prunable_weights()` | the same method, on any layer |
# | `ConstantSparsity(0.5, 0, -1)` | the same |
# | `quantize_model(model)` | `quantize_aware(model)`, Keras 3 too |
# | `cluster_weights(model, ...)` | `ClusteringCallback(16)`, Keras 3 too |
#
# ## 7. To Keras 3
#
# Build the same architecture with `keras` and hand the weights over. The order of the
# weights is the same; the optimizer's state stays behind. Then compare the outputs.

# %%
new = keras.Sequential(
    [
        keras.Input((8, 8, 1)),
        keras.layers.Rescaling(2.0, offset=-1.0),
        keras.layers.Conv2D(16, 3, activation="relu", name="edges"),
        keras.layers.Flatten(),
        keras.layers.Dense(64, activation="relu", name="hidden"),
        keras.layers.Dense(10, activation="softmax", name="classifier"),
    ]
)
new.set_weights(model.get_weights())
old_outputs, new_outputs = (m.predict(test[0], verbose=0) for m in (model, new))
print(f"outputs differ by {np.abs(old_outputs - new_outputs).max():.1g}")
print(f"{kpk.sparsity_report(new).sparsity:.1%} zeros came along")

# %% [markdown]
# To train it on, hold the zeros: `kpk.PruningCallback(kpk.KeepZeros())`.
#
# ## What can go wrong
#
# - **`tf.keras` has become Keras 2.** `import tensorflow_model_optimization` sets
#   `TF_USE_LEGACY_KERAS` for the whole process. `kpk` undoes that when it imports
#   TFMOT; import TFMOT through `kpk.tfmot` alone.
# - **A layer counts as unsupported.** TFMOT knows layers by their exact class; a
#   subclass of `Dense` is unknown to it. The report of `wrap` lists them;
#   `PruningCallback` prunes them.
# - **`sparsity_m_by_n=(1, 4)`.** The two packages count the opposite: that is `NofM(3,
#   4)` here.
# - **The wrapped model trains the original, too.** TFMOT's wrappers share the layers;
#   `kpk.tfmot.wrap` copies.
#
# ## Next
#
# [Prune while `fit` trains](01_pruning_with_fit.ipynb), and then the rest. Reference:
# `help(kpk.tfmot)`, `help(kpk.Rule)`.
