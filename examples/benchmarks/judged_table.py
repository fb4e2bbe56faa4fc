"""How small do networks get that others are judged by, with no setting for any?

Ours: the dense network, then `compress(..., target="smallest", epochs=20,
max_accuracy_drop=0.005)`, the same call for all. TFMOT: a dense network of its own,
trained alike, pruned for as many epochs from 50 to the 80 % of its tutorial, exported
with dynamic range, as in `compression_table.py`. Networks, data and dense trainings:
`judged_models.py`.

Size: the .tflite in gzip level 9 and by Zopfli (`pip install keras-prune-kit[zopfli]`),
against the dense weights as deflated .h5. Accuracy: on the test set, from the .tflite
by its interpreter; of the dense network, too, in float32. Latency: one sample, one
thread, files in turns. The test data choose nothing.

    python examples/benchmarks/judged_table.py --data FOLDER --cache FOLDER
        --out results.jsonl [--rows ds_cnn ...] [--methods kpk tfmot] [--seeds 0 1 2]

FOLDER of --data holds trashnet224/ and, for the rows that are not run by default,
cifar-10-batches-py/ and speech_commands/. The other data are made, in a minute or two.
--cache keeps data and our dense networks. A line of JSON is added for each row, method
and seed; what the file holds already is not run again. `--small` runs the whole on a
slice, to see that it does.
"""

import argparse
import statistics
import sys
import time
from dataclasses import replace
from pathlib import Path

import keras
import tf_keras

import keras_prune_kit as kpk
from keras_prune_kit.reports import render_table

sys.path.insert(0, str(Path(__file__).parent))
import compression_table
import docstring_texts
from judged_models import NETWORKS, Splits, batches, splits

_ROWS = ("resnet8_trashnet", "ds_cnn", "text_encoder")  # Their data are at hand.
_MOST_LOST = 0.005  # of the validation accuracy, in ours
_SLICE, _SLICE_EPOCHS = 200, (1, 4)


def network_of(name, options):
    network = NETWORKS[name]
    if not options.small:
        return network
    return replace(network, recipe=replace(network.recipe, epochs=_SLICE_EPOCHS))


def data_of(name, network, options):
    made = splits(name, options.data, options.cache)
    if options.small:
        made = Splits(*((x[:_SLICE], y[:_SLICE]) for x, y in made))
    return batches(network, made)


def dense(name, network, seed, data, options):
    """Our dense network, from its file if there is one."""
    path = options.cache / f"{name}_{seed}{'_small' * options.small}.keras"
    if not path.exists():
        compression_table.train_baseline(keras, network, data, options.data).save(path)
    return keras.models.load_model(path)


def compress(network, baseline, data):
    """Ours: one call, the same for all networks."""
    report = kpk.compress(
        baseline,
        data.train,
        validation_data=data.validation,
        target="smallest",
        epochs=network.recipe.epochs[1],
        max_accuracy_drop=_MOST_LOST,
        verbose=0,
    )
    attempts = [
        [a.setting, a.epochs, round(a.score, 4), a.gzip_bytes, a.holds]
        for a in report.search.attempts
    ]
    chosen = attempts[report.search.chosen][0]
    return report.tflite, {"chosen": chosen, "attempts": attempts}


def compress_with_tfmot(network, baseline, data):
    return compression_table.compress_with_tfmot(network, baseline, data), {}


def run(name, method, seed, options):
    """One line of the results."""
    network = network_of(name, options)
    data = data_of(name, network, options)
    K = keras if method == "kpk" else tf_keras
    K.utils.set_random_seed(seed)
    if method == "kpk":
        baseline, make_smaller = dense(name, network, seed, data, options), compress
    else:
        baseline = compression_table.train_baseline(K, network, data, options.data)
        make_smaller = compress_with_tfmot
    K.utils.set_random_seed(seed)
    started = time.perf_counter()
    tflite, notes = make_smaller(network, baseline, data)
    seconds = round(time.perf_counter() - started)
    line = {"row": name, "method": method, "seed": seed, "seconds": seconds}
    if name == "text_encoder":
        notes["versions"] = docstring_texts.versions()
    measured = compression_table.measure(baseline, tflite, data)
    return (
        line | measured | notes | {"recipe": compression_table.as_json(network.recipe)}
    )


def summary(lines):
    """A table of means; of ratio and accuracy with half the range."""

    def spread(found, key, digits):
        return compression_table.spread([line[key] for line in found], digits)

    def mean(found, key, digits):
        return f"{statistics.mean(line[key] for line in found):.{digits}f}"

    rows = []
    for name, method in dict.fromkeys((a["row"], a["method"]) for a in lines):
        found = [a for a in lines if (a["row"], a["method"]) == (name, method)]
        figures = [
            spread(found, "ratio", 1),
            spread(found, "accuracy", 4),
            mean(found, "baseline_accuracy", 4),
            mean(found, "times", 2),
        ]
        rows.append([name, method, str(len(found)), *figures])
    return render_table(
        "Test accuracy and size of the .tflite: mean ± half the range",
        ["network", "", "runs", "smaller", "accuracy", "dense", "faster"],
        rows,
    )


def is_current(line, options):
    """True of a line that the recipe, as it is now, has made."""
    recipe = network_of(line["row"], options).recipe
    return line["recipe"] == compression_table.as_json(recipe)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="a .jsonl file")
    parser.add_argument("--rows", nargs="+", choices=NETWORKS, default=list(_ROWS))
    methods = ("kpk", "tfmot")
    parser.add_argument("--methods", nargs="+", choices=methods, default=methods)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--small", action="store_true", help="a slice, few epochs")
    options = parser.parse_args(arguments)
    lines = compression_table.run_missing(
        options,
        lambda name, method, seed: run(name, method, seed, options),
        lambda line: is_current(line, options),
    )
    print(summary(lines))


if __name__ == "__main__":
    main()
