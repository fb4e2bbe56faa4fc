"""How small five networks get at the accuracy they had, beside TFMOT's pipeline.

Ours: train; then `quantize_aware` and `PruningCallback` together, with one ranking of
all layers and targets softened by the dense network; before that, channels leave three
of the five; export to int8. TFMOT: train; prune each layer from 50 % to what the
published tutorials ask for, strip; export with dynamic range. Both see the same
pictures for as many epochs, and Adam's rate follows the same cosine. Ours keeps the
epoch at the target that is best on the data held out of the training set, TFMOT's the
last. Accuracy: on the test set, from the .tflite by its interpreter. Size: the .tflite
in gzip level 9 and by Zopfli (`pip install keras-prune-kit[zopfli]`), against the
weights of the baseline as deflated .h5 or as plain float32. Latency: one sample, one
thread, files in turns. The test data choose no epoch.

    python examples/benchmarks/compression_table.py --data FOLDER --out results.jsonl
        [--rows lenet_300_100 ...] [--methods kpk tfmot] [--seeds 0 1 2]

FOLDER holds mnist.npz, trashnet224/ and mobilenet_2_5_224_tf_no_top.h5. A line of JSON
is added for each row, method and seed; what the file holds already, by the recipe as it
is now, is not run again. A table of means and spreads is printed at the end.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
import tf_keras

import keras_prune_kit as kpk
from keras_prune_kit.reports import render_table

sys.path.insert(0, str(Path(__file__).parents[1]))
import trashnet_mobilenet as trashnet

BATCH = 128
RUNS = 200  # of a file, to take its time


@dataclass(frozen=True)
class Recipe:
    """How a network is trained and made smaller.

    Attributes:
        epochs: Epochs of the baseline, of taking channels out, and of pruning while
            weights are rounded; TFMOT's pipeline prunes for as many as the last two.
        rates: Peak rates of Adam for the three; TFMOT's has the highest of the last
            two.
        sparsity: What ours is pruned to.
        weight_bits: Bits of a weight in ours, of all layers or by their names.
        tfmot_sparsity: What TFMOT's pipeline prunes to.
        ramps: The part of the last two, in ours, in which sparsity rises.
        criterion: What ours ranks all weights of the network by.
        channels: What part of all layers' channels leaves the network before weights
            are rounded. `sparsity` is of what then is left. Fewer and fuller channels
            have shorter runs of zeros to code.
        shift: How far MNIST's training pictures are moved, in parts of their size.
        soft: How much of a target is the dense network's, in ours.
    """

    epochs: tuple[int, int, int]
    rates: tuple[float, float, float]
    sparsity: float
    weight_bits: int | dict[str, int]
    tfmot_sparsity: float
    ramps: tuple[float, float] = (0.4, 0.6)
    criterion: str = "magnitude"
    channels: float = 0.0
    shift: float = 0.0
    soft: float = 0.5


@dataclass(frozen=True)
class Row:
    """A network, its recipe, and what there is to beat.

    Attributes:
        build: Makes it, untrained, of a world's layers; takes the folder of data too.
        recipe: How it is made smaller.
        is_float32: Whether sizes are compared with the baseline's weights as float32,
            or as deflated .h5.
        goal: The ratio and the test accuracy to reach; `None` is the baseline's.
    """

    build: Callable
    recipe: Recipe
    is_float32: bool
    goal: tuple[float, float | None]


@dataclass
class Data:
    """Batches to train on, how many there are, and arrays with one-hot labels."""

    train: tf.data.Dataset
    steps: int
    validation: tuple
    test: tuple


def classifier(convolutions, units):
    """A network for MNIST, from (filters, kernel size) and the sizes of its layers."""

    def build(K, folder):
        layers = [K.layers.Input((28, 28, 1))]
        for filters, size in convolutions:
            layers.append(K.layers.Conv2D(filters, size, activation="relu"))
            layers.append(K.layers.MaxPooling2D())
        layers.append(K.layers.Flatten())
        for i, size in enumerate(units):
            layers.append(K.layers.Dense(size, activation="relu", name=f"hidden_{i}"))
        return K.Sequential([*layers, K.layers.Dense(10, activation="softmax")])

    return build


def mobilenet(K, folder):
    return trashnet.build(6, folder / "mobilenet_2_5_224_tf_no_top.h5", K)


tutorial_cnn = classifier([(32, 3), (64, 3)], [256])
TUTORIAL_CNN = Recipe(
    *((10, 8, 32), (1e-3, 1e-3, 2e-3), 0.75, 3, 0.7),
    ramps=(0.6, 0.6),
    channels=0.7,
    shift=0.036,
)
ROWS = {
    "mnist_cnn": Row(tutorial_cnn, TUTORIAL_CNN, False, (200, 0.9935)),
    "mnist_cnn_2_bits": Row(
        tutorial_cnn,
        replace(TUTORIAL_CNN, sparsity=0.715, weight_bits={".*": 3, "hidden_0": 2}),
        False,
        (200, 0.9935),
    ),
    "tiny_cnn": Row(
        classifier([(12, 3)], []),
        Recipe((10, 0, 50), (1e-3, 0, 2e-3), 0.855, 3, 0.8, shift=0.036),
        False,
        (20, None),
    ),
    "lenet_5": Row(
        classifier([(20, 5), (50, 5)], [500]),
        Recipe(
            *((10, 12, 30), (1e-3, 1e-3, 2e-3), 0.86, 3, 0.92),
            ramps=(0.6, 0.6),
            channels=0.7,
            shift=0.036,
        ),
        True,
        (220, 0.9926),
    ),
    "lenet_300_100": Row(
        classifier([], [300, 100]),
        Recipe((10, 0, 50), (1e-3, 0, 2e-3), 0.971, 4, 0.92, shift=0.07),
        True,
        (80, 0.9842),
    ),
    "trashnet": Row(
        mobilenet,
        Recipe(
            *((10, 14, 30), (3e-3, 5e-3, 2e-3), 0.88, 4, 0.9),
            ramps=(0.6, 0.5),
            criterion="lamp",
            channels=0.25,
        ),
        False,
        (26, None),
    ),
}


def load_mnist(folder, recipe):
    """MNIST; the last 6,000 training pictures are held out to choose by."""
    with np.load(folder / "mnist.npz") as file:
        x, y = file["x_train"][..., None] / np.float32(255), file["y_train"]
        x_test, y_test = file["x_test"][..., None] / np.float32(255), file["y_test"]
    y, y_test = keras.utils.to_categorical(y), keras.utils.to_categorical(y_test)
    train = tf.data.Dataset.from_tensor_slices((x[:54000], y[:54000]))
    train = train.shuffle(54000).batch(BATCH)
    if recipe.shift:
        move = keras.layers.RandomTranslation(
            recipe.shift, recipe.shift, fill_mode="constant", interpolation="nearest"
        )
        train = train.map(lambda x, y: (move(x, training=True), y), 2)
    return Data(train, -(-54000 // BATCH), (x[54000:], y[54000:]), (x_test, y_test))


def load_trashnet(folder, recipe):
    x, y, _ = trashnet.load(folder / "trashnet224")
    train, *rest = trashnet.split(x, y)
    validation, test = ((x, keras.utils.to_categorical(y)) for x, y in rest)
    steps = -(-len(train[0]) // trashnet.BATCH)
    return Data(trashnet.batches(*train), steps, validation, test)


def fit(K, model, data, epochs, rate, *callbacks, train=None):
    """Trains along half a cosine, after an epoch of warming up."""
    trashnet.compile_for(model, data.steps, epochs, rate, K)
    model.fit(
        train or data.train,
        validation_data=data.validation,
        epochs=epochs,
        callbacks=callbacks,
        shuffle=False,
        verbose=0,
    )


def train_baseline(K, row, data, folder):
    """The dense network, at its best epoch on the validation data."""
    model = row.build(K, folder)
    with tempfile.TemporaryDirectory() as scratch:
        best = Path(scratch) / "best.weights.h5"
        checkpoint = K.callbacks.ModelCheckpoint(
            best, monitor="val_accuracy", save_best_only=True, save_weights_only=True
        )
        epochs, rate = row.recipe.epochs[0], row.recipe.rates[0]
        fit(K, model, data, epochs, rate, checkpoint)
        model.load_weights(best)
    return model


def compress(row, baseline, data):
    """Ours: pruned and quantized in one training, perhaps after channels have left."""
    recipe = row.recipe
    targets = kpk.soft_targets(baseline, data.train, weight=recipe.soft)
    student = keras.models.clone_model(baseline)
    student.set_weights(baseline.get_weights())
    if recipe.channels:
        prune(student, of_channels(recipe), recipe, 1, targets, data)
        student = kpk.remove_zero_channels(student)
    begin = kpk.sparsity_report(student).sparsity
    model, _ = kpk.quantize_aware(student, weight_bits=recipe.weight_bits)
    prune(model, of_weights(recipe, begin), recipe, 2, targets, data)
    return kpk.export_tflite(model, quantization="int8")


def of_channels(recipe):
    """Prunes whole channels of all layers, whatever is tied to them with them."""
    ramp = kpk.PolynomialDecay(
        0.0, recipe.channels, end_step=kpk.Fraction(recipe.ramps[0])
    )
    return kpk.PrunePolicy(ramp, structure=kpk.Channel(multiple_of=8))


def of_weights(recipe, begin):
    """Prunes weights of all layers, ranked together."""
    return kpk.PrunePolicy(
        kpk.PolynomialDecay(
            begin, recipe.sparsity, end_step=kpk.Fraction(recipe.ramps[1])
        ),
        criterion=getattr(kpk, recipe.criterion),
        scope="global",
    )


def prune(model, policy, recipe, phase, targets, data):
    """Trains and prunes; leaves the best epoch at the target in the model."""
    with tempfile.TemporaryDirectory() as scratch:
        best = Path(scratch) / "best.weights.h5"
        checkpoint = kpk.TargetSparsityCheckpoint(
            best, monitor="val_accuracy", save_weights_only=True
        )
        pruning = kpk.PruningCallback(policy)
        epochs, rate = recipe.epochs[phase], recipe.rates[phase]
        fit(keras, model, data, epochs, rate, pruning, checkpoint, train=targets)
        model.load_weights(best)


def compress_with_tfmot(row, baseline, data):
    """TFMOT's wrappers and callback, each layer from 50 %, then dynamic range."""
    recipe = row.recipe
    epochs, rate = sum(recipe.epochs[1:]), max(recipe.rates[1:])
    model, _ = kpk.tfmot.wrap(
        baseline,
        kpk.PolynomialDecay(0.5, recipe.tfmot_sparsity),
        steps_per_epoch=data.steps,
        epochs=epochs,
    )
    fit(tf_keras, model, data, epochs, rate, *kpk.tfmot.callbacks())
    return kpk.export_tflite(kpk.tfmot.strip(model), quantization="dynamic")


def run(name, method, seed, folder):
    """One line of the results."""
    row, K = ROWS[name], keras if method == "kpk" else tf_keras
    K.utils.set_random_seed(seed)
    load = load_trashnet if name == "trashnet" else load_mnist
    data = load(folder, row.recipe)
    baseline = train_baseline(K, row, data, folder)
    make_smaller = compress if method == "kpk" else compress_with_tfmot
    started = time.perf_counter()
    tflite = make_smaller(row, baseline, data)
    seconds = round(time.perf_counter() - started)
    line = {"row": name, "method": method, "seed": seed, "seconds": seconds}
    measured = measure(baseline, tflite, data, row.is_float32)
    return line | measured | {"recipe": as_json(row.recipe)}


def measure(baseline, tflite, data, is_float32=False):
    """Sizes, test accuracies and latencies of the dense network and the small file.

    Ratios are to the dense weights as plain float32, or as deflated .h5; "times" are
    to the latency of the dense network's float file. "fast" is the file that has the
    weights of convolutions in a byte each.
    """
    x, y = data.test
    fast = tflite.unpacked()
    files = {"dense": kpk.export_tflite(baseline), "small": tflite, "fast": fast}
    compared = kpk.compare(files, x, y.argmax(-1), latency_runs=RUNS)
    whole, small, unpacked = compared.measurements
    size, packed = tflite.gzip_bytes, kpk.compressed_bytes(tflite, "zopfli")
    weights = 4 * baseline.count_params() if is_float32 else kpk.gzip_bytes(baseline)
    bound = kpk.entropy_bound(tflite)
    x_held, y_held = data.validation
    return {
        "ratio": round(weights / size, 2),
        "zopfli_ratio": round(weights / packed, 2),
        "accuracy": round(small.score, 4),
        "baseline_accuracy": round(whole.score, 4),
        "validation_accuracy": round(tflite.evaluate(x_held, y_held.argmax(-1)), 4),
        "gzip_bytes": size,
        "zopfli_bytes": packed,
        "dense_bytes": weights,
        "dense_file_gzip_bytes": files["dense"].gzip_bytes,
        "entropy_bound_bytes": round(bound.bound_bytes),
        "over_bound": round(bound.ratio, 3),
        "sparsity": round(kpk.sparsity_report(tflite).sparsity, 4),
        "ms": round(small.latency_ms, 4),
        "times": round(whole.latency_ms / small.latency_ms, 2),
        "fast_times": round(whole.latency_ms / unpacked.latency_ms, 2),
        "fast_accuracy": round(unpacked.score, 4),
        "fast_gzip_bytes": fast.gzip_bytes,
        "fast_zopfli_bytes": kpk.compressed_bytes(fast, "zopfli"),
        "machine": compared.environment.processor,
    }


def as_json(recipe):
    """As a line of the results holds it."""
    return json.loads(json.dumps(asdict(recipe)))


def is_current(line):
    """True of a line that the recipe, as it is now, has made."""
    return line["recipe"] == as_json(ROWS[line["row"]].recipe)


def spread(values, digits):
    """Their mean, with half the distance between the extremes."""
    half = (max(values) - min(values)) / 2
    return f"{statistics.mean(values):.{digits}f} ± {half:.{digits}f}"


def summary(lines):
    """A table of means, with half the distance between the extremes."""
    rows = []
    for name, row in ROWS.items():
        for method in ("kpk", "tfmot"):
            found = [a for a in lines if (a["row"], a["method"]) == (name, method)]
            if found:
                ratio, accuracy = row.goal
                goal = f"{ratio}x at {accuracy or 'baseline'}"
                columns = [
                    [a[key] for a in found]
                    for key in ("ratio", "accuracy", "baseline_accuracy")
                ]
                figures = map(spread, columns, (1, 4, 4))
                rows.append([name, method, str(len(found)), *figures, goal])
    return render_table(
        "Test accuracy and size of the .tflite: mean ± half the range",
        ["network", "", "runs", "smaller", "accuracy", "baseline", "goal"],
        rows,
    )


def run_missing(options, run, is_current):
    """The lines of all runs: those that the file has, and those that it gets here.

    `run` makes a line for a row, a method and a seed; `is_current` is true of a line
    that need not be made again.
    """
    text = options.out.read_text() if options.out.exists() else ""
    lines = [json.loads(line) for line in text.splitlines()]
    lines = [line for line in lines if is_current(line)]
    done = {(line["row"], line["method"], line["seed"]) for line in lines}
    for seed in options.seeds:
        for name in options.rows:
            for method in options.methods:
                if (name, method, seed) in done:
                    continue
                line = run(name, method, seed)
                print(json.dumps(line), flush=True)
                with options.out.open("a") as file:
                    file.write(json.dumps(line) + "\n")
                lines.append(line)
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="a .jsonl file")
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--methods", nargs="+", default=["kpk", "tfmot"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    options = parser.parse_args()
    lines = run_missing(
        options,
        lambda name, method, seed: run(name, method, seed, options.data),
        is_current,
    )
    print(summary(lines))


if __name__ == "__main__":
    main()
