"""Where should the sparsity go? Ways to split it compared on the package's digits.

A small CNN is trained, then pruned and fine-tuned for ten epochs to the same overall
sparsity with each split; three seeds. Accuracy on the 445 test images, which choose
nothing. Prints a JSON line a run and a table of means at the end.

    python examples/benchmarks/allocate.py [--seeds 3]

Takes under two minutes on two idle cores.
"""

import argparse
import json
import statistics

import keras

import keras_prune_kit as kpk
from keras_prune_kit.digits import load_digits
from keras_prune_kit.reports import render_table

SPARSITIES = (0.9, 0.95)
METHODS = ("uniform", "erk", "global", "sensitivity", "global, ranked anew")


def build():
    layers = keras.layers
    model = keras.Sequential(
        [
            layers.Input((8, 8, 1)),
            layers.Conv2D(16, 3, activation="relu"),
            layers.Conv2D(32, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(64, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def policy_of(method, model, sparsity, sample):
    if method == "uniform":
        return kpk.PrunePolicy(sparsity)
    if method == "global, ranked anew":
        return kpk.PrunePolicy(sparsity, scope="global")
    data = sample if method == "sensitivity" else None
    return kpk.allocate(model, sparsity, method, data=data)


def accuracy(model, test):
    return model.evaluate(*test, verbose=0, return_dict=True)["accuracy"]


def measure(weights, method, sparsity, train, test):
    model = build()
    model.set_weights(weights)
    sample = tuple(array[:500] for array in train)
    policy = policy_of(method, model, sparsity, sample)
    pruning = kpk.PruningCallback(policy)
    model.fit(*train, batch_size=64, epochs=10, verbose=0, callbacks=[pruning])
    return accuracy(model, test), pruning.report


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    train, test = load_digits()
    scores = {method: {s: [] for s in SPARSITIES} for method in METHODS}
    for seed in range(options.seeds):
        keras.utils.set_random_seed(seed)
        model = build()
        model.fit(*train, batch_size=64, epochs=20, verbose=0)
        baseline, weights = accuracy(model, test), model.get_weights()
        for method in METHODS:
            for sparsity in SPARSITIES:
                keras.utils.set_random_seed(seed)
                score, report = measure(weights, method, sparsity, train, test)
                scores[method][sparsity].append(score)
                line = {
                    "benchmark": "allocate",
                    "seed": seed,
                    "method": method,
                    "sparsity": round(report.sparsity, 4),
                    "by_weight": [round(w.sparsity, 3) for w in report.weights],
                    "baseline": round(baseline, 4),
                    "accuracy": round(score, 4),
                }
                print(json.dumps(line), flush=True)
    rows = [
        [method, *(f"{statistics.mean(scores[method][s]):.4f}" for s in SPARSITIES)]
        for method in METHODS
    ]
    columns = ["split", *(f"{sparsity:.0%}" for sparsity in SPARSITIES)]
    title = f"Test accuracy, mean of {options.seeds} seeds"
    print(render_table(title, columns, rows))


if __name__ == "__main__":
    main()
