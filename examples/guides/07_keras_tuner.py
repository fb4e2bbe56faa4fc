# %% [markdown]
# # KerasTuner: let a search find the sparsity
#
# **At the end you have** two searches: the ready one, which compresses *copies of a
# model that you have*; and your own hypermodel, with `build(hp)` and `fit(hp)`, that
# searches the architecture and the pruning together and has the size of the file in its
# objective. Twenty trials each take some minutes on the digits that come with the
# package; `QUICK=1` in the environment tries three.

# %%
import os

import keras
import keras_tuner
import numpy as np

import keras_prune_kit as kpk
from keras_prune_kit.digits import load_digits

trials = 3 if "QUICK" in os.environ else 20
keras.utils.set_random_seed(0)

# %% [markdown]
# ## 1. Data, and the model to compress
#
# The validation data judge every trial. The more trials, the luckier the winner: a test
# set that no trial has seen tells the truth.

# %%
(x, y), test = load_digits()
held = np.arange(len(x)) % 5 == 0
train, validation = (x[~held], y[~held]), (x[held], y[held])


def build(units, learning_rate=1e-3):
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(16, 3, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(units, activation="relu"),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(
        keras.optimizers.Adam(learning_rate),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


baseline = build(64)
baseline.fit(*train, epochs=15, verbose=0)
reference = baseline.evaluate(*validation, verbose=0)[1]
print(f"baseline: {reference:.4f} on validation")

# %% [markdown]
# ## 2. The ready search
#
# Each trial copies the baseline, prunes the copy while it fine-tunes it, exports a
# .tflite and measures *that file*. Without an objective of yours, the smallest file
# wins among those that lose at most `max_accuracy_drop`.
#
# It does not begin anywhere: the model is pruned at once, further and further, and
# repaired without training, to see how far training can follow. `kpk.CompressionTuner`
# begins there, with any oracle of KerasTuner; KerasTuner's own tuners accept the
# hypermodel, too, and do so after their first trial. Later trials go on from the
# weights of milder ones.

# %%
hypermodel = kpk.CompressionHyperModel(
    baseline,
    representative_data=train[0][:200],
    max_accuracy_drop=0.02,
)
oracle = keras_tuner.oracles.BayesianOptimizationOracle(
    max_trials=trials, num_initial_points=6, seed=0
)
tuner = kpk.CompressionTuner(
    oracle, hypermodel, directory="search", project_name="ready"
)
tuner.search(*train, validation_data=validation, epochs=5, verbose=0)
front = kpk.pareto_front(tuner)
print(front)

# %% [markdown]
# ## 3. Take a file from it
#
# The front has every trial that no other beats in both accuracy and size. Choose by the
# drop that you accept, or by the bytes that you have. The folder of a trial holds the
# Keras model, the .tflite and a record of how it was made.

# %%
chosen = front.smallest_within(accuracy_drop=0.05)
print(f"trial {chosen.name}: {front.size_ratio(chosen):.1f}x smaller")
print(sorted(path.name for path in chosen.folder.iterdir()))
file = kpk.TFLiteModel(chosen.folder / "model.tflite")
print(f"on the test images {file.evaluate(*test):.4f}")

# %% [markdown]
# ## 4. An objective with bytes in it
#
# The rest is for a hypermodel of your own. First say what you want, as one number:
#
# - `Objective("gzip_bytes", "min")` alone finds the smallest file, and the worst:
#   nothing keeps it from losing all accuracy.
# - A list of two objectives is no way out, because KerasTuner *adds* them: beside ten
#   thousand bytes, an accuracy of 0.97 is nothing.
#
# `kpk.smallest_within` is such a number: the size in doublings, and a file that loses
# more than the drop that you allow counts as at least four doublings more.

# %%
smallest = kpk.smallest_within(0.02)


def measures(accuracy, size):
    """What a trial returns: its measures, and the objective, the lower the better."""
    found = {
        "tflite_accuracy": accuracy,
        "gzip_bytes": size,
        "accuracy_drop": reference - accuracy,
    }
    return {**found, smallest.name: smallest.get_value(found)}


# %% [markdown]
# ## 5. Your own hypermodel
#
# The width is searched, too, so there is no trained baseline to copy. Four things make
# it work:
#
# - Every hyperparameter is named in `build`. One that `fit` names first is unknown
#   until the first trial has run, which then takes its lowest value.
# - The pruning callback is made *in* `fit`, from `hp`: each trial has its own.
# - The callbacks that the tuner passes are kept, or it saves nothing.
# - `fit` *returns* the measures of the finished file. From the logs alone, the tuner
#   would take those of the epoch that is best by the objective, which may not be at the
#   target yet.


# %%
class SmallAndGood(keras_tuner.HyperModel):
    """A network whose width, learning rate, zeros and bits are searched together."""

    def build(self, hp):
        hp.Float("sparsity", 0.5, 0.95)
        hp.Choice("quantization", ["dynamic", "int8"])
        units = hp.Int("units", 16, 64, step=16)
        return build(units, hp.Float("learning_rate", 1e-3, 1e-2, sampling="log"))

    def fit(self, hp, model, x, y, validation_data, callbacks, **arguments):
        pruning = kpk.PruningCallback(hp.get("sparsity"))
        callbacks = [*callbacks, pruning]
        model.fit(
            x, y, validation_data=validation_data, callbacks=callbacks, **arguments
        )
        file = kpk.export_tflite(
            model, quantization=hp.get("quantization"), representative_data=x[:200]
        )
        return measures(file.evaluate(*validation_data), file.gzip_bytes)


own = keras_tuner.BayesianOptimization(
    SmallAndGood(),
    objective=smallest,
    max_trials=trials,
    seed=0,
    directory="search",
    project_name="own",
)
epochs = 8 if "QUICK" in os.environ else 20
own.search(*train, validation_data=validation, epochs=epochs, verbose=0)

# %% [markdown]
# ## 6. Look at the front, then take one
#
# The trials have a front, too: say which metric decides. Without a ready search there
# is no baseline in it, so drops and ratios are those from the most accurate trial.

# %%
metric = keras_tuner.Objective("tflite_accuracy", "max")
own_front = kpk.pareto_front(own, objective=metric)
print(own_front)
for point in own_front.points:
    print(point.name, point.settings)

# %% [markdown]
# `own_front.smallest_within(accuracy_drop=...)` selects a trial by another drop. The
# tuner's best is that of the objective. KerasTuner saves the weights of the last epoch,
# as the objective is in no epoch's logs. That is the epoch that was exported, so the
# model that it gives back makes the same file. (Keras warns that it skips the
# optimizer's variables: the export needs none.)

# %%
best = own.get_best_models(1)[0]
values = own.get_best_hyperparameters(1)[0]
again = kpk.export_tflite(
    best,
    "own.tflite",
    quantization=values["quantization"],
    representative_data=train[0][:200],
)
print(f"{kpk.sparsity_report(best).sparsity:.1%} zeros, {again.gzip_bytes:,} bytes,")
print(f"on the test images {again.evaluate(*test):.4f}")

# %% [markdown]
# ## What can go wrong
#
# - **All trials look alike.** The range of `sparsity` is too tame. Go up to 0.98 or
#   0.99.
# - **The winner is not pruned.** The objective was `val_accuracy` and KerasTuner kept
#   the best epoch, an early one. Return the measures from `fit`, as in step 5.
# - **A callback made once, outside of `fit`.** KerasTuner copies it for each trial, so
#   it works, but each trial has the same sparsity.
# - **The search fails after three trials.** KerasTuner gives up after three failures in
#   a row. Return a bad score for a bad file; do not raise.
# - **A second run does nothing.** It found the folder of the first, finished. Use
#   another `project_name`, or `overwrite=True`.
# - **`tf_keras`.** KerasTuner refuses its models; `kpk.CompressionTuner` does not.
#
# ## Next
#
# [What the figures mean](10_what_the_figures_mean.ipynb): why the winner of a search
# looks better than it is. Reference: `help(kpk.CompressionHyperModel)`,
# `help(kpk.pareto_front)`, `help(kpk.smallest_within)`.
