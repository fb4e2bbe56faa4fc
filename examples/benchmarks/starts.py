"""Where should a fine-tuning start: from the dense model, or from a repaired one?

ResNet8 at 80 % and the CNN of the MNIST tutorial at 98 %, trained on with Adam for half
an epoch, two and five, at equal steps, data and optimizer. "gradual" starts dense and
prunes step by step, "repaired" starts from `prune_at_once` on 512 training pictures,
with its mask held. Each is done for each layer by itself and in one ranking of all.
Adds a JSON line per run: test accuracy, and that after `reestimate_batch_norm`. What
--out holds already is not run again.

    python examples/benchmarks/starts.py --data FOLDER --models FOLDER --out FILE

--data has mnist.npz and trashnet224/; the dense networks are kept in --models.
"""

import argparse
import functools
import json
import sys
import time
from pathlib import Path

import keras
import numpy as np

import keras_prune_kit as kpk

sys.path.insert(0, str(Path(__file__).parents[1]))
from one_shot_models import NETWORKS, trained

BATCH, SAMPLES, RATE = 128, 512, 1e-3
SPARSITIES = {"resnet8": 0.8, "mnist_cnn": 0.98}
EPOCHS = (0.5, 2, 5)
STARTS = ("gradual", "repaired")
SCOPES = {"layer": kpk.magnitude, "global": kpk.lamp}


def policy_of(schedule, scope):
    return kpk.PrunePolicy(schedule, criterion=SCOPES[scope], scope=scope)


def started(dense, start, scope, sparsity, samples):
    """The model to train, and the schedule that it is trained with."""
    if start == "gradual":
        copied = keras.models.clone_model(dense)
        copied.set_weights(dense.get_weights())
        return copied, kpk.PolynomialDecay(0.0, sparsity)
    held = kpk.ConstantSparsity(sparsity)
    return kpk.prune_at_once(dense, policy_of(held, scope), data=samples), held


def run(dense, data, setting):
    """Train for a number of steps and measure."""
    epochs, start, scope, sparsity, seed = setting
    keras.utils.set_random_seed(seed)
    order = np.random.default_rng(seed).permutation(len(data.train[0]))
    samples = data.train[0][order[:SAMPLES]]
    began = time.perf_counter()
    model, schedule = started(dense, start, scope, sparsity, samples)
    seconds = time.perf_counter() - began
    line = {"start_s": round(seconds, 2), "before": accuracy(model, data.test)}
    # Half an epoch is one of half the pictures.
    count = len(order) if epochs >= 1 else int(len(order) * epochs)
    x, y = (part[order[:count]] for part in data.train)
    model.compile(
        keras.optimizers.Adam(RATE),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    pruning = kpk.PruningCallback(policy_of(schedule, scope))
    rounds = max(1, int(epochs))
    model.fit(x, y, batch_size=BATCH, epochs=rounds, callbacks=[pruning], verbose=0)
    line |= {
        "sparsity": round(pruning.report.sparsity, 4),
        "accuracy": accuracy(model, data.test),
    }
    kept = kpk.reestimate_batch_norm(model, dense, data=samples)
    return line | {"is_reestimated": kept, "reestimated": accuracy(model, data.test)}


def accuracy(model, test):
    x, y = test
    classes = model.predict(x, batch_size=500, verbose=0).argmax(-1)
    return round(float((classes == y).mean()), 4)


def settings(options):
    """The settings of all runs: the seeds last, so that any time gives a table."""
    for seed in options.seeds:
        for name in options.rows:
            for epochs in options.epochs:
                for scope in options.scopes:
                    for start in options.starts:
                        yield name, epochs, start, scope, seed


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rows", nargs="+", choices=SPARSITIES, default=[*SPARSITIES])
    parser.add_argument("--starts", nargs="+", choices=STARTS, default=STARTS)
    parser.add_argument("--scopes", nargs="+", choices=SCOPES, default=[*SCOPES])
    parser.add_argument("--epochs", nargs="+", type=float, default=EPOCHS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    options = parser.parse_args()
    text = options.out.read_text() if options.out.exists() else ""
    names = ("row", "epochs", "start", "scope", "seed")
    done = {tuple(json.loads(line)[n] for n in names) for line in text.splitlines()}
    load = functools.cache(lambda name: NETWORKS[name].load(options.data))
    for setting in settings(options):
        if setting in done:
            continue
        name, epochs, start, scope, seed = setting
        data = load(name)
        dense = trained(name, seed, data, options.data, options.models)
        line = dict(zip(names, setting, strict=True))
        line["dense"] = accuracy(dense, data.test)
        line |= run(dense, data, (epochs, start, scope, SPARSITIES[name], seed))
        with options.out.open("a") as file:
            file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
