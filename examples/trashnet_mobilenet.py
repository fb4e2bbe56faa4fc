"""Six kinds of rubbish told apart by a MobileNet, in a file eleven times smaller.

MobileNet (alpha 0.25, ImageNet weights) with a dense layer of six classes is trained on
the 2,527 pictures of TrashNet, pruned from 50 to 90 % with one LAMP ranking of all
layers, exported to .tflite, and every file is measured on test pictures that chose
nothing: 70 % of each class train, 15 % choose the epochs, 15 % are the test.

    python examples/trashnet_mobilenet.py [--data FOLDER] [--weights FILE] [--out DIR]

FOLDER has one folder of pictures a class, FILE the ImageNet weights without the top;
without them Keras downloads the original archive and its own weights. `--synthetic`
takes 120 drawn pictures and random weights instead, to see that everything runs.
Beside what is installed with the package it needs scikit-learn.

One run of 10 and 20 epochs on two cores, test accuracy of the 380 pictures and gzipped
bytes; an epoch took 37 to 51 s on a machine that had other work too:

    baseline .h5               0.8368   1,112,575
    pruned .h5                 0.8553     239,468   4.65x smaller
    pruned + float32 .tflite   0.8553     196,705   5.66x
    pruned + dynamic .tflite   0.8500      93,076  11.95x
    pruned + int8 .tflite      0.8421      97,304  11.43x

One picture more or less is 0.0026, so read these as: nothing was lost. On the same
data and network TFMOT's wrappers fell from 0.723 to 0.444 at 11.0x, in 10 + 10 epochs.
"""

import argparse
import time
from pathlib import Path

import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf
from sklearn.metrics import classification_report
from sklearn.model_selection import train_test_split

import keras_prune_kit as kpk

ARCHIVE = "https://github.com/garythung/trashnet/raw/master/data/dataset-resized.zip"
SIZE = 224
MARGIN = 20
BATCH = 32


def download():
    """The original archive's folder of classes."""
    archive = keras.utils.get_file("trashnet.zip", ARCHIVE, extract=True)
    return next(Path(archive).rglob("cardboard")).parent


def load(folder):
    """All pictures, decoded once: uint8 `(n, 224, 224, 3)`, class numbers and names."""
    files = keras.utils.image_dataset_from_directory(
        folder, image_size=(SIZE, SIZE), batch_size=BATCH, shuffle=False
    )
    pictures, labels = zip(*files, strict=True)
    x = np.concatenate([tf.cast(batch, tf.uint8) for batch in pictures])
    return x, np.concatenate(labels), files.class_names


def draw():
    """Pictures of two classes, dark and bright, in place of the real ones."""
    rng = np.random.default_rng(0)
    y = np.arange(120) % 2
    x = rng.integers(0, 128, size=(120, SIZE, SIZE, 3)) + 127 * y[:, None, None, None]
    return x.astype("uint8"), y, ["dark", "bright"]


def split(x, y):
    """Training, validation and test data: 70, 15 and 15 % of each class."""
    train, rest = train_test_split(
        np.arange(len(y)), test_size=0.3, stratify=y, random_state=0
    )
    validation, test = train_test_split(
        rest, test_size=0.5, stratify=y[rest], random_state=0
    )
    return [(x[part].astype("float32"), y[part]) for part in (train, validation, test)]


def augment(x, y):
    """One picture, mirrored and moved at random."""
    x = tf.image.random_flip_left_right(tf.image.random_flip_up_down(x))
    x = tf.pad(x, ((MARGIN, MARGIN), (MARGIN, MARGIN), (0, 0)), "REFLECT")
    return tf.image.random_crop(x, (SIZE, SIZE, 3)), y


def batches(x, y):
    """Training data, different in each epoch."""
    data = tf.data.Dataset.from_tensor_slices((x, keras.utils.to_categorical(y)))
    data = data.shuffle(len(x), seed=0).map(augment, num_parallel_calls=2)
    return data.batch(BATCH).prefetch(2)


def build(classes, weights, K=keras):
    """MobileNet, pictures of 0 to 255 in, probabilities out."""
    layers = K.layers
    is_file = weights not in (None, "imagenet")
    body = K.applications.MobileNet(
        input_shape=(SIZE, SIZE, 3),
        alpha=0.25,
        include_top=False,
        weights=None if is_file else weights,
    )
    if is_file:
        body.load_weights(weights)
    for layer in body.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = 0.9  # Few steps: the averages have to follow.
    outputs = [
        layers.Rescaling(1 / 127.5, offset=-1),
        body,
        layers.Flatten(),
        layers.Dense(classes, activation="softmax"),
    ]
    return K.Sequential([layers.Input((SIZE, SIZE, 3)), *outputs])


def compile_for(model, steps, epochs, rate, K=keras):
    """Adam, warmed up for an epoch, then along half a cosine."""
    rate = K.optimizers.schedules.CosineDecay(
        0.0, steps * max(epochs - 1, 1), warmup_target=rate, warmup_steps=steps
    )
    optimizer = K.optimizers.Adam(rate)
    model.compile(
        optimizer,
        "categorical_crossentropy",
        metrics=["accuracy"],
        jit_compile=False,  # On a CPU XLA is slow at depthwise convolutions.
    )


def fit(model, data, validation, epochs, *callbacks):
    start = time.perf_counter()
    history = model.fit(
        data,
        validation_data=validation,
        epochs=epochs,
        callbacks=callbacks,
        shuffle=False,  # The data are shuffled.
        verbose=2,
    )
    print(f"{(time.perf_counter() - start) / epochs:.1f} s an epoch")
    return history


def plot_predictions(model, x, y, names, path):
    """Twelve pictures, what they are taken for, and what they are if that differs."""
    chosen = np.random.default_rng(0).choice(len(x), 12, replace=False)
    figure, axes = plt.subplots(3, 4, figsize=(8, 6.6), layout="constrained")
    for axis, index in zip(axes.flat, chosen, strict=True):
        scores = model.predict(x[index : index + 1])[0]
        found, true = names[scores.argmax()], names[y[index]]
        text = found if found == true else f"{found}, is {true}"
        color = "black" if found == true else "#b3261e"
        axis.imshow(x[index].astype("uint8"))
        axis.set_title(f"{text} ({scores.max():.0%})", color=color, fontsize=10)
        axis.axis("off")
    figure.savefig(path, dpi=100)
    plt.close(figure)


def train_baseline(model, data, steps, validation, epochs, out):
    """The network at its best epoch."""
    compile_for(model, steps, epochs, rate=3e-3)
    best = keras.callbacks.ModelCheckpoint(
        out / "baseline.keras", monitor="val_accuracy", save_best_only=True
    )
    fit(model, data, validation, epochs, best)
    return keras.models.load_model(out / "baseline.keras")


def prune(baseline, data, steps, validation, epochs, out):
    """A copy of the network with a tenth of its kernels' weights, at its best epoch."""
    pruned = keras.models.clone_model(baseline)
    pruned.set_weights(baseline.get_weights())
    compile_for(pruned, steps, epochs, rate=5e-3)
    policy = kpk.PrunePolicy(
        kpk.PolynomialDecay(0.5, 0.9, end_step=kpk.Fraction(0.4)),
        criterion=kpk.lamp,
        scope="global",
    )
    history = fit(
        pruned,
        kpk.soft_targets(baseline, data),
        validation,
        epochs,
        kpk.PruningCallback(policy),
        kpk.TargetSparsityCheckpoint(out / "pruned.keras", monitor="val_accuracy"),
    )
    kpk.plot_sparsity(history, out / "run.png")
    return keras.models.load_model(out / "pruned.keras")


def measure(baseline, pruned, samples, test, names, out):
    """Exports the pruned network, scores everything on the test data, draws it."""
    x, y = test
    exported = {}
    for quantization in ("none", "dynamic", "int8"):
        name = quantization.replace("none", "float32")
        exported[f"pruned + {name}"] = kpk.export_tflite(
            pruned,
            out / f"{name}.tflite",
            quantization=quantization,
            representative_data=samples if quantization == "int8" else None,
        )
    comparison = kpk.compare(
        {"baseline": baseline, "pruned": pruned, **exported},
        x,
        keras.utils.to_categorical(y),
        class_names=names,
    )
    print(comparison)
    comparison.plot_sizes(out / "sizes.png")
    comparison.plot_accuracy(out / "accuracy.png")
    comparison.plot_tradeoff(out / "tradeoff.png")
    comparison.to_html(out / "report.html")
    shipped = exported["pruned + dynamic"]
    plot_predictions(shipped, x, y, names, out / "predictions.png")
    found = shipped.predict(x).argmax(axis=-1)
    print(classification_report(y, found, target_names=names, zero_division=0))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="folder with one folder of pictures a class")
    parser.add_argument(
        "--weights", default="imagenet", help="its weights, without the top"
    )
    parser.add_argument("--out", type=Path, default="trashnet", help="results go here")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--pruning-epochs", type=int, default=20)
    parser.add_argument("--synthetic", action="store_true")
    options = parser.parse_args()
    out = options.out
    out.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(0)

    x, y, names = draw() if options.synthetic else load(options.data or download())
    train, validation, test = split(x, y)
    validation = (validation[0], keras.utils.to_categorical(validation[1]))
    run = batches(*train), -(-len(train[0]) // BATCH), validation
    model = build(len(names), None if options.synthetic else options.weights)
    baseline = train_baseline(model, *run, options.epochs, out)
    pruned = prune(baseline, *run, options.pruning_epochs, out)
    print(kpk.sparsity_report(pruned))
    measure(baseline, pruned, train[0][:200], test, names, out)
    print(f"All of it is in {out}.")


if __name__ == "__main__":
    main()
