"""What pruning takes of a large model: memory, mask updates, layers and rules.

    python tests/tools/load.py [--weights 100000000] [--layers 2000] ...

Prints a line of JSON for each measurement. Expect up to half of the weights' bytes
beyond what plain training takes at its peak, with a mask update in every step, and 1.1
times the weights' bytes for one ranking of all layers, which has half a score of each;
less than a second for the masks of 100 million weights; and less than that for the plan
of 2,000 layers, with 1,000 rules too.
"""

import argparse
import importlib
import json
import math
import multiprocessing
import time
from pathlib import Path

WORLDS = ("keras", "tf_keras")
SCOPES = ("layer", "global")
STEPS = 6
BATCH = 8
BLOCK = 50


def build(K, options):
    """A stack of equal layers with about so many weights."""
    width = math.isqrt(options.weights // options.dense)
    layers = [
        K.layers.Dense(width, use_bias=False, kernel_initializer="he_normal")
        for _ in range(options.dense)
    ]
    return K.Sequential([K.layers.Input((width,)), *layers])


def policy_for(scope):
    """Masks that change in every step of the training below."""
    import keras_prune_kit as kpk

    ramp = kpk.PolynomialDecay(0.0, 0.8, end_step=STEPS, frequency=1)
    return kpk.PrunePolicy(ramp, scope=scope)


def train(options, world, scope):
    """Trains for some steps; gives the peak of memory and what the weights take."""
    import numpy as np

    import keras_prune_kit as kpk

    K = importlib.import_module(world)
    model = build(K, options)
    model.compile(options.optimizer, "mse")
    callbacks = [kpk.PruningCallback(policy_for(scope))] if scope else []
    x = np.ones((STEPS * BATCH, model.input_shape[-1]), "float32")
    model.fit(x, x, batch_size=BATCH, verbose=0, callbacks=callbacks)
    return peak_bytes(), 4 * model.count_params()


def peak_bytes():
    """The most memory that this process has had."""
    # Not `getrusage`: on Linux that begins with what the parent had.
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return 1024 * int(line.split()[1])


def measure_memory(options):
    for world in WORLDS:
        plain, weights = in_fresh_process(train, options, world, None)
        for scope in SCOPES:
            pruned, _ = in_fresh_process(train, options, world, scope)
            yield {
                "measured": "memory",
                "world": world,
                "scope": scope,
                "optimizer": options.optimizer,
                "dense_layers": options.dense,
                "weights_mb": round(weights / 1e6),
                "plain_peak_mb": round(plain / 1e6),
                "pruned_peak_mb": round(pruned / 1e6),
                "beyond_over_weights": round((pruned - plain) / weights, 3),
            }


def update_seconds(options, world, scope):
    """How long each mask update takes, from the first, of weights without zeros."""
    import keras_prune_kit as kpk

    model = build(importlib.import_module(world), options)
    pruner = kpk.Pruner(model, policy_for(scope))
    pruner.start()
    seconds = []
    for _ in range(STEPS):
        started = time.perf_counter()
        pruner.step()
        seconds.append(time.perf_counter() - started)
    return seconds, pruner.finalize().size


def measure_updates(options):
    for world in WORLDS:
        for scope in SCOPES:
            seconds, size = in_fresh_process(update_seconds, options, world, scope)
            yield {
                "measured": "mask update",
                "world": world,
                "scope": scope,
                "dense_layers": options.dense,
                "weights": size,
                "least_s": round(min(seconds), 3),
                "most_s": round(max(seconds), 3),
            }


def deep_model(K, layers):
    """A model of so many layers, in blocks: Keras 3 cannot chain more than 300."""

    def stack(name, inside):
        return K.Sequential([K.layers.Input((4,)), *inside], name=name)

    names = [f"dense_{index}" for index in range(layers)]
    blocks = [names[at : at + BLOCK] for at in range(0, layers, BLOCK)]
    return stack(
        "deep",
        [
            stack(f"block_{index}", [K.layers.Dense(4, name=name) for name in block])
            for index, block in enumerate(blocks)
        ],
    )


def rules_of(kind, count, layers):
    """So many rules, spread over the layers."""
    import keras_prune_kit as kpk

    text = {"names": "block_{}/dense_{}", "regexes": "block_{}/.*_{}/ker.*"}[kind]
    places = [index * layers // count for index in range(count)]
    return [kpk.Rule(text.format(place // BLOCK, place), 0.5) for place in places]


def plan_seconds(options, world, kind, count):
    """How long a plan takes: the first one, and the fastest of some more."""
    import keras_prune_kit as kpk

    model = deep_model(importlib.import_module(world), options.layers)
    policy = kpk.PrunePolicy(0.8, rules_of(kind, count, options.layers))
    seconds = []
    for _ in range(4):
        started = time.perf_counter()
        plan = policy.plan(model)
        seconds.append(time.perf_counter() - started)
    ruled = sum(weight.reason != "policy" for weight in plan.weights)
    return seconds, len(plan.weights), ruled


def measure_plans(options):
    kinds = (("names", 0), ("names", options.rules), ("regexes", options.rules))
    for world in WORLDS:
        for kind, count in kinds:
            arguments = (plan_seconds, options, world, kind, count)
            seconds, weights, ruled = in_fresh_process(*arguments)
            yield {
                "measured": "plan",
                "world": world,
                "layers": weights,
                "rules": count,
                "kind": kind if count else None,
                "layers_with_a_rule": ruled,
                "first_s": round(seconds[0], 3),
                "least_s": round(min(seconds), 3),
            }


def in_fresh_process(function, *arguments):
    """What a function gives in a process that has done nothing else."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


MEASURE = {"memory": measure_memory, "update": measure_updates, "plan": measure_plans}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", type=int, default=100_000_000)
    parser.add_argument("--dense", type=int, default=10, help="layers they are in")
    parser.add_argument("--optimizer", default="adam")
    parser.add_argument("--layers", type=int, default=2000)
    parser.add_argument("--rules", type=int, default=1000)
    parser.add_argument("--only", nargs="+", choices=MEASURE, default=list(MEASURE))
    options = parser.parse_args()
    for name in options.only:
        for result in MEASURE[name](options):
            print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
