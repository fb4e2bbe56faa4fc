"""What pruning costs a training step on each backend of Keras 3.

Sides: plain `fit`, masks that are held, and masks that change every ten steps. They
take turns of ten steps in one process, as in overhead.py; each backend has a process of
its own. "short": a whole `fit` of one epoch of 64 steps on a model that was fitted
before, with the default policy and with held masks, over the time of the plain one, as
medians; what has to be compiled for it counts.

    python examples/benchmarks/backends.py [--backends tensorflow jax torch]
        [--models mlp cnn] [--steps 600]

A line of JSON for each backend and model. Expect at most 1.10 for held masks (1.15 on
torch), 1.20 for masks every ten steps, and 1.25 for a short run.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

BACKENDS = ("tensorflow", "jax", "torch")
_SHORT_STEPS = 64
_SHORT_RUNS = 7


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backends", nargs="+", choices=BACKENDS, default=BACKENDS)
    parser.add_argument("--models", nargs="+", default=["mlp", "cnn"])
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    for backend in options.backends:
        if options.here:
            for name in options.models:
                print(json.dumps(measure(backend, name, options.steps)), flush=True)
            continue
        arguments = ["--backends", backend, "--models", *options.models, "--here"]
        subprocess.run(
            [sys.executable, __file__, *arguments, "--steps", str(options.steps)],
            env={**os.environ, "KERAS_BACKEND": backend},
            check=True,
        )


def measure(backend, name, steps):
    """One line of the results."""
    import keras
    import numpy as np

    import keras_prune_kit as kpk

    sys.path.insert(0, str(Path(__file__).parent))
    import models_to_time

    warnings.simplefilter("ignore")
    build, shape = models_to_time.MODELS[name]
    batch = models_to_time.BATCH
    rng = np.random.default_rng(0)
    x = rng.random((steps * batch, *shape), np.float32)
    y = rng.integers(0, 10, steps * batch)
    options = {"batch_size": batch, "verbose": 0}

    def prepared():
        model = build(keras)
        model.compile("adam", "sparse_categorical_crossentropy")
        return model

    ramp = kpk.PolynomialDecay(0.0, 0.8, end_step=steps, frequency=10)
    policies = {
        "plain": None,
        "held": kpk.ConstantSparsity(0.8),
        "every 10 steps": ramp,
    }
    turns = models_to_time.Turns(policies)

    def run(side, policy):
        pruning = [] if policy is None else [kpk.PruningCallback(policy)]
        clock = turns.callback(keras, side)
        prepared().fit(x, y, callbacks=[*pruning, clock], **options)

    threads = [threading.Thread(target=run, args=side) for side in policies.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    mean = {side: models_to_time.mean(turns.times[side]) for side in policies}
    result = {"benchmark": "backends", "backend": backend, "model": name}
    result["plain_ms"] = round(mean["plain"], 3)
    for side in policies:
        result[side] = round(mean[side] / mean["plain"], 3)
    rows = _SHORT_STEPS * batch
    return {**result, **short(prepared, x[:rows], y[:rows], options)}


def short(prepared, x, y, options):
    """Whole fits of one epoch, by turns, each on a model that was fitted before."""
    import keras_prune_kit as kpk

    policies = {"plain": None, "short held": kpk.ConstantSparsity(0.8), "short": 0.8}
    models = {side: prepared() for side in policies}
    times = {side: [] for side in policies}
    for _ in range(_SHORT_RUNS + 1):
        for side, policy in policies.items():
            pruning = [] if policy is None else [kpk.PruningCallback(policy)]
            started = time.perf_counter()
            models[side].fit(x, y, callbacks=pruning, **options)
            times[side].append(time.perf_counter() - started)
    # The first of each traces for the first time.
    median = {side: statistics.median(times[side][1:]) for side in policies}
    cold = {f"{side}, first": times[side][0] / times["plain"][0] for side in policies}
    warm = {side: median[side] / median["plain"] for side in policies}
    found = {**warm, **cold}
    return {k: round(v, 3) for k, v in found.items() if not k.startswith("plain")}


if __name__ == "__main__":
    main()
