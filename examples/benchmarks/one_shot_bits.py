"""How good is a network whose weights have 4 to 2 bits, without an epoch of training?

The networks of `one_shot_models.py`. 512 training samples, without their labels, say
what each weight has to make up for; the test data measure it. Controls: each weight by
itself to the nearest of the same number of values, whose step is that of the largest
weight of each output, as converters have it, or the one with the least squared error.
Zeros are those of LAMP, made up for before weights are rounded. Prints a JSON line for
each network, zeros, bits, seed and method: accuracy of the float model with such
weights and, where they make up for each other, of an int8 file of it and its size in
gzip.

    python examples/benchmarks/one_shot_bits.py --data FOLDER --models FOLDER --out FILE
        [--rows resnet8 ...] [--seeds 0 1 2] [--samples 512]

Folders and FILE are as in `one_shot.py`. For the MNIST CNN in 2 bits expect .64 and
.985 of the controls, .990 of weights that make up for each other.
"""

import sys
import time
from pathlib import Path

import keras
import numpy as np

import keras_prune_kit as kpk

sys.path.insert(0, str(Path(__file__).parents[1]))
from one_shot import accuracy, main, prepared

BITS = (4, 3, 2)
# The fraction of zeros of each network, then in 3 bits.
ZEROS = {"mnist_cnn": 0.95, "lenet_5": 0.95, "resnet8": 0.8}
CLIPPED = np.geomspace(0.05, 1.0, 48)


def copied(model):
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    return copy


def nearest(kernel, bits, fractions):
    """Rounds by the best of some fractions of the step that clips nothing."""
    levels = 2 ** (bits - 1) - 1
    axes = tuple(range(kernel.ndim - 1))
    widest = np.maximum(np.abs(kernel).max(axes), 1e-12) / levels
    best, least = kernel, np.inf
    for step in (fraction * widest for fraction in fractions):
        rounded = np.clip(np.rint(kernel / step), -levels, levels) * step
        error = np.square(rounded - kernel).sum(axes)
        best = np.where(error < least, rounded, best)
        least = np.minimum(error, least)
    return best


def to_nearest(model, bits, fractions):
    rounded = copied(model)
    for layer in rounded.layers:
        if hasattr(layer, "kernel"):
            layer.kernel.assign(nearest(np.array(layer.kernel), bits, fractions))
    return rounded


def by_nearest(fractions):
    def rounded(model, zeros, bits, samples):
        if zeros:
            model = kpk.prune_at_once(model, zeros, data=samples)
        return to_nearest(model, bits, fractions)

    return rounded


def by_compensation(**options):
    def rounded(model, zeros, bits, samples):
        options["weight_bits"] = bits
        return kpk.prune_at_once(model, zeros, data=samples, **options)

    return rounded


METHODS = {
    "nearest": by_nearest((1.0,)),
    "nearest, best steps": by_nearest(CLIPPED),
    "made up for": by_compensation(),
    "made up for, as quantize_aware": by_compensation(for_quantize_aware=True),
}


def measure(model, zeros, bits, method, samples, test):
    wall, processor = time.perf_counter(), time.process_time()
    rounded = METHODS[method](model, zeros, bits, samples)
    seconds = time.perf_counter() - wall, time.process_time() - processor
    line = {
        "accuracy": accuracy(rounded, test),
        "wall_s": round(seconds[0], 2),
        "processor_s": round(seconds[1], 2),
    }
    if method == "made up for":
        few = samples[:200]
        file = kpk.export_tflite(rounded, quantization="int8", representative_data=few)
        line["int8_accuracy"] = round(file.evaluate(*test), 4)
        line["int8_gzip_bytes"] = kpk.gzip_bytes(file)
    return line


def run(name, seed, options, done):
    """The lines of a network and seed that are not done."""
    model, dense, samples, test = prepared(name, seed, options)
    for zeros, bits in (*((0.0, bits) for bits in BITS), (ZEROS[name], 3)):
        for method in METHODS:
            line = {"row": name, "seed": seed, "samples": options.samples}
            line |= {"zeros": zeros, "bits": bits, "method": method}
            if tuple(line.values()) in done:
                continue
            line["dense"] = dense
            yield line | measure(model, zeros, bits, method, samples, test)


if __name__ == "__main__":
    main(__doc__, ZEROS, ("row", "seed", "samples", "zeros", "bits", "method"), run)
