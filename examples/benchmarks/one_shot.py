"""How good is a network that is pruned at once, without an epoch of training?

Networks of five kinds, trained as `one_shot_models.py` says. 512 training samples,
without their labels, repair what is left of the weights; the test data measure it. One
ranking of all weights, by magnitude or LAMP, without a repair is the control; N:M has
the magnitude in each four for one. Prints a JSON line for each network, zeros, seed and
method: accuracy, seconds of wall time and of the processor, and the memory that it took
at most beside what was there.

    python examples/benchmarks/one_shot.py --data FOLDER --models FOLDER --out FILE
        [--rows resnet8 ...] [--seeds 0 1 2] [--samples 512]

FOLDER of --data holds mnist.npz, trashnet224/ and mobilenet_2_5_224_tf_no_top.h5; the
dense networks are kept in --models and trained if they are not there yet. What FILE
holds already is not run again. For the MNIST CNN at 95 % expect .97 and .92 of the
controls, .988 of all repairs.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

import keras_prune_kit as kpk

sys.path.insert(0, str(Path(__file__).parents[1]))
from one_shot_models import NETWORKS, trained

# The zeros of each network: a fraction, or N:M.
ZEROS = {
    "mnist_cnn": (0.9, 0.95, 0.98),
    "lenet_5": (0.95, 0.98),
    "resnet8": (0.5, 0.7, 0.8, "2:4"),
    "encoder": (0.5, "2:4"),
    "trashnet": (0.5,),
}


@dataclass(frozen=True)
class Method:
    """How the zeros are chosen and made up for.

    Attributes:
        criterion: What weights are ranked by.
        rounds: Rounds of surgery; `None` is no repair.
        after: What follows the repair.
    """

    criterion: Callable
    rounds: int | None = None
    after: Callable | None = None


METHODS = {
    "magnitude": Method(kpk.magnitude),
    "LAMP": Method(kpk.lamp),
    "LAMP, BatchNorm": Method(kpk.lamp, after=kpk.reestimate_batch_norm),
    "magnitude + solve": Method(kpk.magnitude, 0),
    "LAMP + solve": Method(kpk.lamp, 0),
    "LAMP + solve, BatchNorm": Method(kpk.lamp, 0, kpk.reestimate_batch_norm),
    "LAMP + solve, distilled": Method(kpk.lamp, 0, kpk.distill),
    "LAMP + OBS": Method(kpk.lamp, 4),
    "LAMP + OBS, BatchNorm": Method(kpk.lamp, 4, kpk.reestimate_batch_norm),
    "surgeon + solve": Method(kpk.optimal_brain_surgeon, 0),
    "surgeon + solve, BatchNorm": Method(
        kpk.optimal_brain_surgeon, 0, kpk.reestimate_batch_norm
    ),
}
_NORMALIZED = ("resnet8", "trashnet")


def methods_for(name, zeros):
    """The methods that make sense for a network and its zeros."""
    is_pattern = zeros == "2:4"

    def is_of_use(key):
        if "BatchNorm" in key and name not in _NORMALIZED:
            return False
        if "distilled" in key:
            return zeros == max(z for z in ZEROS[name] if z != "2:4")
        # In each four LAMP ranks as magnitude does, rounds of surgery lose the pattern,
        # and the surgeon does not compare layers.
        return ("LAMP" not in key) if is_pattern else ("surgeon" not in key)

    return {key: method for key, method in METHODS.items() if is_of_use(key)}


def policy_for(model, zeros, method):
    if zeros == "2:4":
        odd = [layer for layer in model.layers if is_not_in_fours(layer)]
        return kpk.PrunePolicy(
            kpk.ConstantSparsity(0.5),
            [kpk.Rule(layer.name, None) for layer in odd],
            structure=kpk.NofM(2, 4),
            criterion=method.criterion,
        )
    schedule = kpk.ConstantSparsity(zeros)
    return kpk.PrunePolicy(schedule, criterion=method.criterion, scope="global")


def is_not_in_fours(layer):
    """True for a layer such as the first convolution, with three inputs."""
    kernel = getattr(layer, "kernel", None)
    return kernel is not None and kernel.shape[-2] % 4 != 0


def prune(model, zeros, method, samples):
    policy = policy_for(model, zeros, method)
    if method.rounds is None:
        pruned = keras.models.clone_model(model)
        pruned.set_weights(model.get_weights())
        pruner = kpk.Pruner(pruned, policy)
        pruner.start()
        pruner.finalize()
    else:
        options = {"data": samples, "surgery_rounds": method.rounds}
        pruned = kpk.prune_at_once(model, policy, **options)
    if method.after is not None:
        method.after(pruned, model, data=samples)
    return pruned


def accuracy(model, test):
    x, y = test
    classes = model.predict(x, batch_size=100, verbose=0).argmax(-1)
    return round(float((classes == y).mean()), 4)


def resident_mb(reset=False):
    """The most memory that the process had since the last reset; Linux alone tells."""
    if not Path("/proc/self/clear_refs").exists():
        return None
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    lines = Path("/proc/self/status").read_text().splitlines()
    (peak,) = (line.split()[1] for line in lines if line.startswith("VmHWM"))
    return round(int(peak) / 1024)


def measure(model, zeros, method, samples, test):
    before = resident_mb(reset=True)
    wall, processor = time.perf_counter(), time.process_time()
    pruned = prune(model, zeros, method, samples)
    seconds = time.perf_counter() - wall, time.process_time() - processor
    peak = None if before is None else resident_mb() - before
    return {
        "accuracy": accuracy(pruned, test),
        "sparsity": round(kpk.sparsity_report(pruned).sparsity, 4),
        "wall_s": round(seconds[0], 2),
        "processor_s": round(seconds[1], 2),
        "added_mb": peak,
    }


def prepared(name, seed, options):
    """The dense network, its accuracy, training samples and the test data."""
    data = NETWORKS[name].load(options.data)
    model = trained(name, seed, data, options.data, options.models)
    order = np.random.default_rng(seed).permutation(len(data.train[0]))
    samples = data.train[0][np.sort(order[: options.samples])]
    return model, accuracy(model, data.test), samples, data.test


def run(name, seed, options, done):
    """The lines of a network and seed that are not done."""
    model, dense, samples, test = prepared(name, seed, options)
    for zeros in ZEROS[name]:
        for key, method in methods_for(name, zeros).items():
            line = {"row": name, "seed": seed, "samples": options.samples}
            line |= {"zeros": zeros, "method": key}
            if tuple(line.values()) in done:
                continue
            line["dense"] = dense
            yield line | measure(model, zeros, method, samples, test)


def main(text, rows, keys, lines_of):
    """Run what is not recorded yet.

    Args:
        text: The docstring of the script.
        rows: The names of its networks.
        keys: What tells its lines apart.
        lines_of: Yields the lines of a network and seed that are not done.
    """
    parser = argparse.ArgumentParser(description=text.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="a .jsonl file")
    parser.add_argument("--rows", nargs="+", choices=rows, default=[*rows])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--samples", type=int, default=512)
    options = parser.parse_args()
    recorded = options.out.read_text() if options.out.exists() else ""
    lines = [json.loads(line) for line in recorded.splitlines()]
    done = {tuple(line[key] for key in keys) for line in lines}
    for seed in options.seeds:
        for name in options.rows:
            for line in lines_of(name, seed, options, done):
                print(json.dumps(line), flush=True)
                with options.out.open("a") as file:
                    file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main(__doc__, ZEROS, ("row", "seed", "samples", "zeros", "method"), run)
