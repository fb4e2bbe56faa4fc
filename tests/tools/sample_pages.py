"""Every page that reports write, from figures that are made up: nothing is trained.

    python tests/tools/sample_pages.py out/

For a look at them, and for `axe.mjs`. `notebook.html` has what a notebook shows of each
record, on a page that is light or dark as the reader prefers.
"""

import argparse
import random
from dataclasses import replace
from pathlib import Path

from keras_prune_kit.channels import ChannelGroup, ChannelGroups
from keras_prune_kit.policies.plan import PlannedWeight, PrunePlan
from keras_prune_kit.reports import (
    Attempt,
    ClusteringReport,
    Comparison,
    CompressionReport,
    EntropyBound,
    Environment,
    Histogram,
    LayerReport,
    Measurement,
    ParetoFront,
    Prediction,
    ReconstructionReport,
    RepairedWeight,
    Samples,
    Search,
    SearchTrial,
    SensitivityReport,
    Skipped,
    SparsityReport,
    TensorEntropy,
    WeightClusters,
    WeightSensitivity,
    WeightSparsity,
)
from keras_prune_kit.schedules import PolynomialDecay
from keras_prune_kit.structures import Unstructured

_LAYERS = 54  # as ResNet50 has
_SHELL = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Notebook</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>:root {{ color-scheme: light dark; }}</style></head>
<body><main><h1>What a notebook shows</h1>{}</main></body></html>"""


def sparsity(level):
    """The zeros of a model of 54 layers."""
    weights = [
        WeightSparsity(
            f"resnet50/conv{i // 9 + 1}_block{i % 9 + 1}_{i}_conv/kernel",
            (3, 3, 64, 64),
            round(36_864 * level * (0.9 + 0.1 * i / _LAYERS)),
            level if level else None,
        )
        for i in range(_LAYERS)
    ]
    skipped = [Skipped(f"conv{i}_bn", "not covered") for i in range(_LAYERS)]
    return SparsityReport(tuple(weights), tuple(skipped))


def measurement(name, file, score, gzip_bytes, level):
    """One model or file, with weights in the shape of a bell."""
    edges = tuple(i / 30 - 1 for i in range(61))
    counts = tuple(round(9000 * 2 ** (-((i - 30) ** 2) / 40)) for i in range(60))
    is_file = file == ".tflite"
    return Measurement(
        name,
        file,
        {"accuracy": score, "top_5_accuracy": (1 + score) / 2},
        2 * gzip_bytes,
        gzip_bytes,
        round(1.1 * gzip_bytes),
        25_636_712,
        round(25_636_712 * (1 - level)),
        sparsity(level),
        Histogram(edges, counts),
        0.9 * gzip_bytes if is_file else None,
        4.7 if is_file else None,
        4_100_000_000,
    )


def comparison():
    """A model on its way to a small file, and what it says of three samples."""
    stages = (
        measurement("baseline", ".h5", 0.7612, 94_765_736, 0.0),
        measurement("pruned", ".h5", 0.7598, 24_100_000, 0.8),
        measurement("pruned", ".tflite", 0.7598, 22_000_000, 0.8),
        replace(measurement("pruned + int8", ".tflite", 0.7581, 6_300_000, 0.8)),
    )
    names = [f"{stage.name} {stage.file}" for stage in stages]
    labels = ("cat", "dog", "fox")
    guesses = (
        Prediction("cat", 0.91),
        Prediction("fox", 0.55),
        Prediction("fox", 0.99),
    )
    machine = Environment("a processor", 2, "Linux 6.1", "zlib 1.3", {"keras": "3.15"})
    samples = Samples(labels, {name: guesses for name in names}, ())
    return Comparison(stages, machine, latency_runs=50, samples=samples)


def search():
    """A search for the smallest file."""
    attempts = [
        Attempt(f"{level:.2%}, 4-bit QAT", 5, 0.7612 - level**9 / 20, size, level < 0.9)
        for level, size in ((0.0, 30_000_000), (0.8, 6_300_000), (0.95, 2_100_000))
    ]
    return Search("accuracy", 0.7612, 0.01, tuple(attempts), chosen=1)


def front():
    """Forty trials of a search with KerasTuner."""
    rng = random.Random(0)
    trials = []
    for number in range(40):
        level = rng.uniform(0.5, 0.98)
        score = 0.99 - 0.1 * level**12 - rng.uniform(0, 0.01)
        size = round(400_000 * (1 - level))
        measures = {
            "file_bytes": 3.0 * size,
            "sparsity": level,
            "latency_ms": rng.uniform(0.1, 0.3),
        }
        settings = {"quantization": rng.choice(["int8", "none"]), "sparsity_0": level}
        score = 0.1 if number == 7 else score  # One fails, as some do.
        trials.append(
            SearchTrial(f"{number:02}", Path("trial"), score, size, measures, settings)
        )
    return ParetoFront(tuple(trials), "accuracy", 0.985, 400_000, 0.01)


def records():
    """One of each record that prints."""
    compared = comparison()
    zeros = sparsity(0.8)
    paths = [weight.path for weight in zeros.weights]
    levels = (0.5, 0.7, 0.8, 0.9)
    yield CompressionReport(compared, None, None, zeros, {"epochs": 5}, search())
    yield compared
    yield zeros
    yield front()
    yield SensitivityReport(
        0.25,
        tuple(
            WeightSensitivity(
                path, (64, 64), levels, tuple(0.25 + (i + 1) * x**4 / 9 for x in levels)
            )
            for i, path in enumerate(paths[:5])
        ),
    )
    yield ReconstructionReport(
        tuple(RepairedWeight(path, 0.8, 512, 0.31, 0.02) for path in paths[:5]),
        (Skipped("lstm", "recurrent"),),
    )
    yield ClusteringReport(
        tuple(WeightClusters(path, (64, 64), 16, 2048, 16) for path in paths[:5])
    )
    yield EntropyBound(
        tuple(
            TensorEntropy(f"m/conv_{i}", "int8", (64, 64), 4096, 3000, 999.0 - i, 1200)
            for i in range(9)
        ),
        *(5_000, 3_000, 40_000, 13_000),
    )
    yield LayerReport((("conv", "8-bit weights"),), (Skipped("lambda", "unknown"),))
    yield PrunePlan(
        tuple(
            PlannedWeight(
                path, (3, 3, 64, 64), PolynomialDecay(0, 0.8), Unstructured(), "policy"
            )
            for path in paths
        ),
        zeros.skipped,
    )
    yield ChannelGroups(
        (
            ChannelGroup(("conv1", "conv2"), "filters", 64),
            ChannelGroup(("head",), "units", 10, "they are outputs of the model"),
        )
    )


def write(folder):
    """Writes all pages and returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    shown = list(records())
    names = ("compression", "comparison", "front", "notebook")
    paths = [folder / f"{name}.html" for name in names]
    shown[0].to_html(paths[0])
    shown[1].to_html(paths[1])
    front().to_html(paths[2])
    cells = "".join(record._repr_html_() for record in shown)
    paths[3].write_text(_SHELL.format(cells), encoding="utf-8")
    return paths


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    write(parser.parse_args().folder)
