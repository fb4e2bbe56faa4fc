"""How fast networks get when channels leave, at the accuracy they had.

Ours: masks zero whole channels step by step while the network trains
(`PrunePolicy(..., structure=Channel(multiple_of=8))`), `remove_zero_channels` takes
them out, and the smaller network is trained on; targets are softened by the whole
network. The control: as many channels of each group are cut at once, by the L2 norm of
what makes and reads them, and trained for as many epochs on the same targets. Adam's
rate follows the same cosine in both. The epoch is the best on the data held out of the
training set; the test data choose nothing.

Latency: one sample, one thread, all files of a row in turns in one process, float32 and
int8. Accuracy: on the test set, from the .tflite by its interpreter.

    python examples/benchmarks/speed_table.py --data FOLDER --out results.jsonl
        [--rows mnist_cnn ...] [--seeds 0 1 2] [--picture FILE]

FOLDER holds mnist.npz, trashnet224/ and mobilenet_2_5_224_tf_no_top.h5. A line of JSON
is added for each row and seed; what the file holds already is not run again. A table of
means is printed at the end; the picture has those of the first row.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import tensorflow as tf

import keras_prune_kit as kpk
from keras_prune_kit.reports import render_table
from keras_prune_kit.reports.plots import plot_latency

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))
import compression_table
from compression_table import classifier, load_mnist, load_trashnet

_RUNS = 200
_CALIBRATION = 300


@dataclass(frozen=True)
class Recipe:
    """How a network is trained and made faster.

    Attributes:
        epochs: Epochs of the baseline, of masks, and after the removal.
        rates: Peak rates of Adam for the three.
        fraction: The fraction of the channels that leave.
        shift: How far MNIST's training pictures are moved, in parts of their size.
        soft: How much of a target is the whole network's.
        pictures: The number of training pictures of MNIST; all if it is `None`.
    """

    epochs: tuple[int, int, int]
    rates: tuple[float, float, float]
    fraction: float
    shift: float = 0.036
    soft: float = 0.5
    pictures: int | None = None


@dataclass(frozen=True)
class Row:
    """A network, its recipe, and what there is to beat.

    Attributes:
        build: Makes it, untrained; takes the world and the folder of data.
        recipe: How it is made faster.
        goal: In words.
    """

    build: Callable
    recipe: Recipe
    goal: str


def resnet(K, folder, shape=(28, 28, 1), classes=10, is_published=False):
    """Three stages of one residual block each, 16 to 64 filters.

    As published for MLPerf Tiny (Banbury et al. 2021), convolutions have biases and
    decay, and shortcuts no normalization; otherwise it is the reverse.
    """
    layers = K.layers
    options = {"use_bias": is_published}
    if is_published:
        decay = K.regularizers.L2(1e-4)
        options |= {"kernel_initializer": "he_normal", "kernel_regularizer": decay}

    def convolution(x, filters, strides=1, size=3):
        return layers.Conv2D(filters, size, strides, padding="same", **options)(x)

    def normalized(*args):
        return layers.BatchNormalization()(convolution(*args))

    shortcut = convolution if is_published else normalized
    inputs = layers.Input(shape)
    x = layers.ReLU()(normalized(inputs, 16))
    for filters, strides in ((16, 1), (32, 2), (64, 2)):
        branch = layers.ReLU()(normalized(x, filters, strides))
        branch = normalized(branch, filters)
        if strides > 1:
            x = shortcut(x, filters, strides, 1)
        x = layers.ReLU()(layers.Add()([x, branch]))
    x = layers.GlobalAveragePooling2D()(x)
    return K.Model(inputs, layers.Dense(classes, activation="softmax")(x))


def encoder(K, folder):
    """A Transformer encoder of two blocks that reads the rows of a picture."""
    layers = K.layers
    inputs = layers.Input((28, 28, 1))
    x = layers.Dense(64)(layers.Reshape((28, 28))(inputs))
    places = layers.Embedding(28, 64)(np.arange(28)[None])
    x = x + places
    for _ in range(2):
        x = encoder_block(K, x)
    x = layers.GlobalAveragePooling1D()(layers.LayerNormalization()(x))
    return K.Model(inputs, layers.Dense(10, activation="softmax")(x))


def encoder_block(K, x):
    """Attention of eight heads, then two dense layers, for 64 values at each place."""
    layers = K.layers
    normal = layers.LayerNormalization()(x)
    x = layers.Add()([x, layers.MultiHeadAttention(8, 16)(normal, normal)])
    hidden = layers.LayerNormalization()(x)
    hidden = layers.Dense(256, activation="relu")(hidden)
    return layers.Add()([x, layers.Dense(64)(hidden)])


ROWS = {
    "mnist_cnn": Row(
        classifier([(32, 3), (64, 3)], [256]),
        Recipe((8, 8, 10), (1e-3, 1e-3, 2e-3), 0.75, pictures=20000),
        "3x in int8, 4x in float32, no accuracy lost",
    ),
    "lenet_5": Row(
        classifier([(20, 5), (50, 5)], [500]),
        Recipe((8, 8, 10), (1e-3, 1e-3, 2e-3), 0.7),
        "3x at 0.9926",
    ),
    "resnet8": Row(
        resnet,
        Recipe((10, 8, 10), (2e-3, 1e-3, 2e-3), 0.5, pictures=10000),
        "2x, 2.5x fewer MACs, 0.005 lost at most",
    ),
    "encoder": Row(
        encoder,
        Recipe((12, 6, 12), (1e-3, 1e-3, 2e-3), 0.65, pictures=12000),
        "1.8x, 0.005 lost at most",
    ),
    "trashnet": Row(
        compression_table.mobilenet,
        Recipe((10, 8, 12), (3e-3, 3e-3, 3e-3), 0.6),
        "2x in int8, no accuracy lost",
    ),
}


def train(model, data, epochs, rate, *callbacks, targets=None, masked=False):
    """Trains, and leaves the best epoch on the validation data in the model."""
    with tempfile.TemporaryDirectory() as scratch:
        best = Path(scratch) / "best.weights.h5"
        options = {"monitor": "val_accuracy", "save_weights_only": True}
        checkpoint = (
            kpk.TargetSparsityCheckpoint(best, **options)
            if masked
            else keras.callbacks.ModelCheckpoint(best, save_best_only=True, **options)
        )
        added = (*callbacks, checkpoint)
        compression_table.fit(keras, model, data, epochs, rate, *added, train=targets)
        model.load_weights(best)


def thinned(baseline, recipe, data, targets):
    """Ours: gradual masks by group, then the removal, then more training."""
    student = keras.models.clone_model(baseline)
    student.set_weights(baseline.get_weights())
    ramp = kpk.PolynomialDecay(0.0, recipe.fraction, end_step=kpk.Fraction(0.6))
    policy = kpk.PrunePolicy(ramp, structure=kpk.Channel(multiple_of=8))
    pruning = kpk.PruningCallback(policy)
    _, masked, after = recipe.epochs
    train(student, data, masked, recipe.rates[1], pruning, targets=targets, masked=True)
    small = kpk.remove_zero_channels(student)
    train(small, data, after, recipe.rates[2], targets=targets)
    return small


def squared(weights):
    """The criterion of the control: mean squares rank as the L2 norm does."""
    return np.square(weights)


def cut_at_once(baseline, recipe, data, targets):
    """The control: as many channels leave at once, and all epochs follow."""
    small = kpk.remove_channels(
        baseline, recipe.fraction, criterion=squared, multiple_of=8
    )
    epochs = recipe.epochs[1] + recipe.epochs[2]
    train(small, data, epochs, recipe.rates[2], targets=targets)
    return small


def load(name, folder, recipe):
    if name == "trashnet":
        return load_trashnet(folder, recipe)
    data = load_mnist(folder, recipe)
    if recipe.pictures:
        steps = recipe.pictures // compression_table.BATCH
        data.train, data.steps = data.train.take(steps), steps
    return data


def run(name, seed, folder):
    """One line of the results."""
    row, started = ROWS[name], time.perf_counter()
    recipe = row.recipe
    keras.utils.set_random_seed(seed)
    data = load(name, folder, recipe)
    baseline = row.build(keras, folder)
    train(baseline, data, recipe.epochs[0], recipe.rates[0])
    targets = kpk.soft_targets(baseline, data.train, weight=recipe.soft)
    models = {"baseline": baseline}
    for way, make in (("ours", thinned), ("control", cut_at_once)):
        keras.utils.set_random_seed(seed)
        models[way] = make(baseline, recipe, data, targets)
    samples = np.concatenate([x for x, _ in data.train.take(8)])[:_CALIBRATION]
    files = {}
    for way, model in models.items():
        files[f"{way} float32"] = kpk.export_tflite(model)
        files[f"{way} int8"] = kpk.export_tflite(
            model, quantization="int8", representative_data=samples
        )
    x, y = data.test
    compared = kpk.compare(files, x, y.argmax(-1), latency_runs=_RUNS)
    found = {m.name: m for m in compared.measurements}
    line = {"row": name, "seed": seed, "recipe": as_json(recipe)}
    for way in models:
        for numbers in ("float32", "int8"):
            measured = found[f"{way} {numbers}"]
            whole = found[f"baseline {numbers}"]
            line[f"{way} {numbers}"] = {
                "accuracy": round(measured.score, 4),
                "ms": round(measured.latency_ms, 4),
                "times": round(whole.latency_ms / measured.latency_ms, 2),
                "macs": measured.macs,
                "fewer": round(whole.macs / measured.macs, 2),
                "gzip_bytes": measured.gzip_bytes,
            }
    line["machine"] = compared.environment.processor
    line["seconds"] = round(time.perf_counter() - started)
    return line


def as_json(recipe):
    """As a line of the results holds it."""
    return json.loads(json.dumps(asdict(recipe)))


def summary(lines):
    """A table of means over the seeds."""
    rows = []
    for name in ROWS:
        own = [line for line in lines if line["row"] == name]
        if not own:
            continue
        for way in ("baseline", "ours", "control"):

            def mean(numbers, key, own=own, way=way):
                return statistics.mean(line[f"{way} {numbers}"][key] for line in own)

            rows.append(
                [
                    name if way == "baseline" else f"  {way}",
                    str(len(own)),
                    f"{mean('float32', 'fewer'):.2f}x",
                    f"{mean('float32', 'times'):.2f}x",
                    f"{mean('int8', 'times'):.2f}x",
                    f"{mean('float32', 'accuracy'):.4f}",
                    f"{mean('int8', 'accuracy'):.4f}",
                ]
            )
    columns = ["network", "runs", "MACs", "float32", "int8", "accuracy", "in int8"]
    title = "Fewer multiplications, measured speed, test accuracy: means"
    goals = [f"goal of {name}: {row.goal}" for name, row in ROWS.items()]
    return "\n".join([render_table(title, columns, rows), "", *goals])


def picture(lines, name, path):
    """Accuracy against latency: means of one row."""
    own = [line for line in lines if line["row"] == name]
    points = [
        SimpleNamespace(
            name=f"{way} {numbers}",
            metric="accuracy",
            score=statistics.mean(line[f"{way} {numbers}"]["accuracy"] for line in own),
            latency_ms=statistics.mean(line[f"{way} {numbers}"]["ms"] for line in own),
        )
        for way in ("baseline", "ours", "control")
        for numbers in ("float32", "int8")
    ]
    plot_latency(points, path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="a .jsonl file")
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--picture", type=Path, help="a .png of the first row")
    options = parser.parse_args()
    text = options.out.read_text() if options.out.exists() else ""
    lines = [json.loads(line) for line in text.splitlines()]
    recipes = {name: as_json(row.recipe) for name, row in ROWS.items()}
    lines = [line for line in lines if line["recipe"] == recipes[line["row"]]]
    done = {(line["row"], line["seed"]) for line in lines}
    for seed in options.seeds:
        for name in options.rows:
            if (name, seed) in done:
                continue
            line = run(name, seed, options.data)
            print(json.dumps(line), flush=True)
            with options.out.open("a") as file:
                file.write(json.dumps(line) + "\n")
            lines.append(line)
    print(summary(lines))
    if options.picture:
        picture(lines, options.rows[0], options.picture)


if __name__ == "__main__":
    tf.get_logger().setLevel("ERROR")
    main()
