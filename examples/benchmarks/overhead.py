"""What pruning costs a training step: plain, with keras_prune_kit, with TFMOT.

Both worlds, on the way up ("ramp": about a hundred mask updates in 1,758 steps, where
TFMOT makes one every hundred steps) and with the masks held ("held"). The sides take
turns of ten steps. Expect a ratio to plain of 1.00 to 1.03 while masks are held, 1.02
to 1.07 on the ramp of the MLP, whose 1.9 million weights are much to rank for so short
a step, and 1.10 to 1.15 for TFMOT.

    python examples/benchmarks/overhead.py
"""

import argparse
import json
import statistics
import sys
import threading
import warnings
from pathlib import Path

import keras
import numpy as np
import tf_keras

import keras_prune_kit as kpk

sys.path.insert(0, str(Path(__file__).parent))
from models_to_time import BATCH, MODELS, Turns, mean

# Three quarters of five epochs of MNIST, the default ramp of a five-epoch run.
RAMP_STEPS = 1758


def wrap_with_tfmot(model, steps):
    import tensorflow_model_optimization as tfmot

    sparsity = tfmot.sparsity.keras
    schedule = sparsity.PolynomialDecay(0.0, 0.8, 0, steps)
    wrapped = sparsity.prune_low_magnitude(model, pruning_schedule=schedule)
    return wrapped, [sparsity.UpdatePruningStep()]


def prepare(K, build, kind):
    model, callbacks = build(K), []
    if kind == "tfmot":
        model, callbacks = wrap_with_tfmot(model, RAMP_STEPS)
    if kind == "held":
        callbacks = [kpk.PruningCallback(kpk.ConstantSparsity(0.8))]
    if kind == "ramp":
        ramp = kpk.PolynomialDecay(0.0, 0.8, end_step=RAMP_STEPS)
        callbacks = [kpk.PruningCallback(ramp)]
    model.compile("adam", "sparse_categorical_crossentropy")
    return model, callbacks


def measure(build, shape, steps):
    rng = np.random.default_rng(0)
    x = rng.random((steps * BATCH, *shape), np.float32)
    y = rng.integers(0, 10, steps * BATCH)
    sides = [(K, kind) for K in (keras, tf_keras) for kind in ("plain", "held", "ramp")]
    sides += [(tf_keras, "tfmot")]
    turns = Turns(sides)

    def run(K, kind, model, callbacks):
        clock = turns.callback(K, (K, kind))
        arguments = {"batch_size": BATCH, "verbose": 0}
        model.fit(x, y, callbacks=[*callbacks, clock], **arguments)

    prepared = [(*side, *prepare(side[0], build, side[1])) for side in sides]
    threads = [threading.Thread(target=run, args=side) for side in prepared]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return report(turns.times)


def report(times):
    """Medians, without the first turns, in which the train step is traced."""
    result = {}
    median = {side: statistics.median(times[side][3:]) for side in times}
    for (K, kind), value in median.items():
        result[f"{K.__name__}_{kind}_ms"] = round(value, 3)
    for K, kind in times:
        if kind != "plain":
            result[f"{K.__name__}_{kind}_over_plain"] = round(
                mean(times[K, kind]) / mean(times[K, "plain"]), 3
            )
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=1200)
    options = parser.parse_args()
    warnings.simplefilter("ignore", kpk.IncompletePruningWarning)
    result = {
        "benchmark": "overhead",
        "batch": BATCH,
        "mlp": measure(*MODELS["mlp"], options.steps),
        "cnn": measure(*MODELS["cnn"], options.steps),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
