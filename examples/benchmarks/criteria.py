"""Which weights should go? Criteria compared on the CNN of the MNIST tutorial.

One trained network; each criterion prunes it at once to 80, 90, 95 and 98 %, then two
epochs of fine-tuning follow with the masks held. Accuracy on the 10,000 test images.
Prints a JSON line a criterion and a table at the end, and draws a plot.

    python examples/benchmarks/criteria.py --data mnist.npz --plot criteria.png
"""

import argparse
import json

import keras
from matplotlib.figure import Figure
from mnist_cnn import build, load

import keras_prune_kit as kpk
from keras_prune_kit.reports import render_table

SPARSITIES = (0.8, 0.9, 0.95, 0.98)
CRITERIA = {
    "magnitude": (kpk.magnitude, "layer"),
    "global magnitude": (kpk.magnitude, "global"),
    "taylor": (kpk.taylor, "layer"),
    "global taylor": (kpk.taylor, "global"),
    "optimal brain damage": (kpk.optimal_brain_damage, "layer"),
    "global OBD": (kpk.optimal_brain_damage, "global"),
    "movement": (kpk.movement, "layer"),
    "Wanda": (kpk.wanda, "layer"),
    "optimal brain surgeon": (kpk.optimal_brain_surgeon, "layer"),
    "random": (kpk.random_scores(0), "layer"),
}


def prune_at_once(model, policy, sample):
    pruner = kpk.Pruner(model, policy, data=sample)
    pruner.start()
    pruner.finalize()


def accuracy(model, test):
    return model.evaluate(*test, batch_size=500, verbose=0, return_dict=True)[
        "accuracy"
    ]


def measure(weights, criterion, scope, sparsity, train, test, epochs):
    keras.utils.set_random_seed(1)
    model = build(keras)
    model.set_weights(weights)
    sample = (train[0][:512], train[1][:512])
    schedule = kpk.ConstantSparsity(sparsity)
    policy = kpk.PrunePolicy(schedule, criterion=criterion, scope=scope)
    prune_at_once(model, policy, sample)
    at_once = accuracy(model, test)
    holding = kpk.PruningCallback(policy, data=sample)
    arguments = {"batch_size": 128, "epochs": epochs, "verbose": 0}
    model.fit(*train, callbacks=[holding], **arguments)
    return round(at_once, 4), round(accuracy(model, test), 4)


def plot(results, baseline, path):
    figure = Figure(figsize=(9, 4.5), layout="constrained")
    titles = ("Pruned at once", "After fine-tuning")
    markers = "osv^DPX*"
    for index, axes in enumerate(figure.subplots(1, 2)):
        for marker, (name, scores) in zip(markers, results.items(), strict=True):
            values = [100 * pair[index] for pair in scores]
            axes.plot(range(len(SPARSITIES)), values, marker=marker, label=name)
        axes.axhline(100 * baseline, color="black", linestyle=":", label="baseline")
        axes.set_xticks(range(len(SPARSITIES)), [f"{s:.0%}" for s in SPARSITIES])
        axes.set_xlabel("sparsity")
        axes.set_title(titles[index], loc="left")
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[0].set_ylabel("test accuracy, %")
    figure.axes[1].legend(frameon=False, fontsize=8)
    figure.savefig(path, dpi=120)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="mnist.npz")
    parser.add_argument("--plot", help="where to draw the comparison")
    parser.add_argument("--epochs", type=int, default=5, help="of the baseline")
    parser.add_argument("--tuning-epochs", type=int, default=2)
    parser.add_argument("--images", type=int, default=54000, help="to train with")
    options = parser.parse_args()
    train, _, test = load(options.data)
    train = tuple(array[: options.images] for array in train)
    keras.utils.set_random_seed(0)
    model = build(keras)
    model.fit(*train, batch_size=128, epochs=options.epochs, verbose=0)
    baseline, weights = accuracy(model, test), model.get_weights()
    results = {}
    for name, (criterion, scope) in CRITERIA.items():
        results[name] = [
            measure(weights, criterion, scope, s, train, test, options.tuning_epochs)
            for s in SPARSITIES
        ]
        line = {"benchmark": "criteria", "criterion": name, "baseline": baseline}
        line |= dict(zip(map(str, SPARSITIES), results[name], strict=True))
        print(json.dumps(line), flush=True)
    columns = ["criterion", *(f"{sparsity:.0%}" for sparsity in SPARSITIES)]
    for index, title in enumerate(("pruned at once", "after fine-tuning")):
        rows = [
            [name, *(f"{pair[index]:.4f}" for pair in scores)]
            for name, scores in results.items()
        ]
        print(render_table(f"Test accuracy, {title}", columns, rows))
    if options.plot:
        plot(results, baseline, options.plot)


if __name__ == "__main__":
    main()
