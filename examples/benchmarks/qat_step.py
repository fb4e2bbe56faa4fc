"""What a step of quantization-aware training costs: plain, ours, TFMOT's.

The CNN of the MNIST tutorial at batch 128, or the encoder of `speed_table.py`, which
TFMOT does not quantize. The sides take turns of ten steps, so that they see the same of
a machine whose speed drifts. Expect 1.0 times the plain step at 8 bits, 1.05 at 4, and
1.2 of TFMOT's, of the encoder 1.4; on a busy machine more, in the same order. It takes
two minutes.

    python examples/benchmarks/qat_step.py [--network encoder]
"""

import argparse
import json
import statistics
import threading

import keras
import numpy as np
import tf_keras
from models_to_time import build_cnn
from overhead import BATCH, Turns
from speed_table import encoder

import keras_prune_kit as kpk

KERAS = {
    "keras_plain": (keras, None),
    "keras_qat_8_bits": (keras, 8),
    "keras_qat_4_bits": (keras, 4),
}
TFMOT = {
    "tf_keras_plain": (tf_keras, None),
    "tfmot_qat_8_bits": (tf_keras, 8),
}
NETWORKS = {
    "cnn": (build_cnn, KERAS | TFMOT),
    "encoder": (lambda K: encoder(K, None), KERAS),
}


def prepare(build, K, bits):
    model = build(K)
    model.compile("adam", "sparse_categorical_crossentropy")
    if bits is None:
        return model
    if K is tf_keras:
        return kpk.tfmot.quantize_aware(model).model
    return kpk.quantize_aware(model, weight_bits=bits).model


def measure(network, steps):
    build, sides = NETWORKS[network]
    rng = np.random.default_rng(0)
    x = rng.random((steps * BATCH, 28, 28, 1), np.float32)
    y = rng.integers(0, 10, steps * BATCH)
    turns = Turns(sides)

    def run(side, K, model):
        clock = turns.callback(K, side)
        model.fit(x, y, batch_size=BATCH, verbose=0, callbacks=[clock])

    models = {side: prepare(build, *how) for side, how in sides.items()}
    threads = [
        threading.Thread(target=run, args=(side, K, models[side]))
        for side, (K, _) in sides.items()
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # Without the first turns, in which the train step is traced.
    return {side: statistics.median(turns.times[side][3:]) for side in sides}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", choices=NETWORKS, default="cnn")
    parser.add_argument("--steps", type=int, default=300)
    options = parser.parse_args()
    ms = measure(options.network, options.steps)
    line = {"benchmark": "qat_step", "network": options.network, "batch": BATCH}
    line |= {f"{side}_ms": round(value, 2) for side, value in ms.items()}
    plain = ms["keras_plain"]
    line["keras_8_over_plain"] = round(ms["keras_qat_8_bits"] / plain, 3)
    line["keras_4_over_plain"] = round(ms["keras_qat_4_bits"] / plain, 3)
    if "tf_keras_plain" in ms:
        theirs = ms["tfmot_qat_8_bits"]
        line["tfmot_over_plain"] = round(theirs / ms["tf_keras_plain"], 3)
        line["keras_8_over_tfmot"] = round(ms["keras_qat_8_bits"] / theirs, 3)
    print(json.dumps(line))


if __name__ == "__main__":
    main()
