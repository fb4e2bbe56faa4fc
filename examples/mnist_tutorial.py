# %% [markdown]
# # Make an MNIST network fourteen times smaller
#
# A convolutional network is trained, pruned while it is trained on, and exported to
# .tflite; then every file is measured: accuracy on the 10,000 test images by the
# runtime that ships, bytes, bytes after gzip, zeros.
#
# Ten epochs and five of pruning take about four minutes on two cores. Expect 0.991
# before, 0.991 from the file that ships, and that file 14 times smaller than the
# weights of the baseline, both gzipped.
#
#     python examples/mnist_tutorial.py [--data mnist.npz] [--out DIR] [--quick]
#
# Without `--data` Keras downloads MNIST. `--quick` takes the small digits that come
# with the package instead, and one epoch each, to see that everything runs. In a
# notebook, set the environment variables `MNIST_NPZ`, `OUT` and `QUICK` for these.

# %%
import argparse
import os
from pathlib import Path

import keras
import numpy as np

import keras_prune_kit as kpk
from keras_prune_kit.digits import load_digits

parser = argparse.ArgumentParser()
parser.add_argument("--data", default=os.environ.get("MNIST_NPZ"), help="mnist.npz")
parser.add_argument("--out", default=os.environ.get("OUT", "mnist_tutorial"))
parser.add_argument("--quick", action="store_true", default="QUICK" in os.environ)
options, _ = parser.parse_known_args()  # A notebook has arguments of its own.
out = Path(options.out)
out.mkdir(parents=True, exist_ok=True)
keras.utils.set_random_seed(0)

# %% [markdown]
# ## Data
#
# The last tenth of the training images chooses; the test images are only measured.

# %%
if options.quick:
    (x, y), (x_test, y_test) = load_digits()
    # 24x24 pixels instead of 8x8: the network needs the room.
    x, x_test = (images.repeat(3, axis=1).repeat(3, axis=2) for images in (x, x_test))
elif options.data:
    with np.load(options.data) as file:
        x, y, x_test, y_test = (
            file[key] for key in ("x_train", "y_train", "x_test", "y_test")
        )
else:
    (x, y), (x_test, y_test) = keras.datasets.mnist.load_data()
if x.ndim == 3:
    x, x_test = x[..., None] / np.float32(255), x_test[..., None] / np.float32(255)
cut = len(x) * 9 // 10
train, validation, test = (x[:cut], y[:cut]), (x[cut:], y[cut:]), (x_test, y_test)
epochs, pruning_epochs = (1, 1) if options.quick else (10, 5)

# %% [markdown]
# ## The baseline

# %%
layers = keras.layers
model = keras.Sequential(
    [
        layers.Input(x.shape[1:]),
        layers.Conv2D(32, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Conv2D(64, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Flatten(),
        layers.Dense(256, activation="relu"),
        layers.Dense(10, activation="softmax"),
    ]
)
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(*train, validation_data=validation, batch_size=128, epochs=epochs, verbose=2)

# %% [markdown]
# ## Prune while training on
#
# A policy says how sparse each layer gets, and when. `plan` shows it beforehand.

# %%
policy = kpk.PrunePolicy(kpk.PolynomialDecay(0.5, 0.85))
print(policy.plan(model))

# %% [markdown]
# The callback does the rest. Nothing is wrapped, so nothing has to be stripped. The
# checkpoint keeps the best epoch among those that are at the target.

# %%
pruned = keras.models.clone_model(model)
pruned.set_weights(model.get_weights())
pruned.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
best = out / "pruned.keras"
history = pruned.fit(
    *train,
    validation_data=validation,
    batch_size=128,
    epochs=pruning_epochs,
    verbose=2,
    callbacks=[
        kpk.PruningCallback(policy),
        kpk.TargetSparsityCheckpoint(best, monitor="val_accuracy"),
    ],
)
kpk.plot_sparsity(history, out / "run.png")
pruned = keras.models.load_model(best)
print(kpk.sparsity_report(pruned))

# %% [markdown]
# ## Export, and measure what came out

# %%
exported = {
    "pruned + float32": kpk.export_tflite(pruned, out / "pruned.tflite"),
    "pruned + dynamic": kpk.export_tflite(
        pruned, out / "dynamic.tflite", quantization="dynamic"
    ),
    "pruned + int8": kpk.export_tflite(
        pruned,
        out / "int8.tflite",
        quantization="int8",
        representative_data=train[0][:200],
    ),
}
comparison = kpk.compare({"baseline": model, "pruned": pruned, **exported}, *test)
print(comparison)
comparison.plot_sizes(out / "sizes.png")
comparison.plot_accuracy(out / "accuracy.png")
comparison.plot_tradeoff(out / "tradeoff.png")
comparison.to_html(out / "report.html")
print(f"All of it is in {out}.")

# %% [markdown]
# `kpk.compress(model, train, validation_data=validation, policy=policy)` does all of
# this in one call.
