"""How long it takes to compute all masks of ResNet50, and what they weigh.

Ours against TFMOT's own mask function on the same kernels, both to 80 %. Expect ours
to be more than ten times faster: it selects, TFMOT sorts.

    python examples/benchmarks/mask_update.py
"""

import argparse
import json
import resource
import time

import keras
import numpy as np
import tensorflow as tf

import keras_prune_kit as kpk

SPARSITY = 0.8


def tfmot_update(kernels):
    from tensorflow_model_optimization.python.core.sparsity.keras import (
        pruning_impl,
        pruning_schedule,
    )

    pruning = pruning_impl.Pruning(
        training_step_fn=lambda: tf.constant(0),
        pruning_vars=[],
        pruning_schedule=pruning_schedule.ConstantSparsity(SPARSITY, 0),
        block_size=[1, 1],
        block_pooling_type="AVG",
        sparsity_m_by_n=None,
    )
    update = tf.function(lambda kernel: pruning._maybe_update_block_mask(kernel))
    return lambda: [update(kernel) for kernel in kernels]


def peak_mb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def fresh_update(model):
    """One update of every mask, from weights that are not pruned yet."""
    weights = model.get_weights()
    pruner = kpk.Pruner(model, kpk.PrunePolicy(kpk.ConstantSparsity(SPARSITY, 1)))
    pruner.start()
    started = time.perf_counter()
    pruner.step()
    seconds = time.perf_counter() - started
    pruner.finalize()
    model.set_weights(weights)
    return seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    model = keras.applications.ResNet50(weights=None)
    plan = kpk.PrunePolicy(SPARSITY).plan(model)
    size = sum(int(np.prod(weight.shape)) for weight in plan.weights)
    before = peak_mb()
    pruner = kpk.Pruner(model, kpk.PrunePolicy(kpk.ConstantSparsity(SPARSITY)))
    pruner.start()
    added = (peak_mb() - before) * 2**20
    constraints = [v.constraint for v in model.trainable_variables if v.constraint]
    mask_bytes = sum(c.projection.state.value.numpy().nbytes for c in constraints)
    pruner.finalize()
    model = keras.applications.ResNet50(weights=None)
    kernels = [v.value for v in model.trainable_variables if v.name == "kernel"]
    theirs = tfmot_update(kernels)
    theirs()
    fresh_update(model)
    times = {"kpk": [], "tfmot": []}
    for _ in range(options.rounds):
        times["kpk"].append(fresh_update(model))
        started = time.perf_counter()
        theirs()
        times["tfmot"].append(time.perf_counter() - started)
    kpk_s, tfmot_s = min(times["kpk"]), min(times["tfmot"])
    result = {
        "benchmark": "mask_update",
        "weights": size,
        "kpk_s": round(kpk_s, 4),
        "tfmot_s": round(tfmot_s, 4),
        "tfmot_over_kpk": round(tfmot_s / kpk_s, 1),
        "mask_bytes_per_weight": round(mask_bytes / size, 3),
        "peak_added_bytes_per_weight": round(added / size, 2),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
