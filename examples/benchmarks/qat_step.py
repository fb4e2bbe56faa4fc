"""What a step of quantization-aware training costs: plain, ours, TFMOT's.

The CNN of the MNIST tutorial at batch 128. The sides take turns of ten steps, so that
they see the same of a machine whose speed drifts. Expect 1.0 times the plain step at 8
bits, 1.05 at 4, and 1.2 of TFMOT's; on a busy machine more, in the same order. It takes
two minutes.

    python examples/benchmarks/qat_step.py
"""

import argparse
import json
import statistics
import threading

import keras
import numpy as np
import tf_keras
from overhead import BATCH, Turns, build_cnn

import keras_prune_kit as kpk

SIDES = {
    "keras_plain": (keras, None),
    "keras_qat_8_bits": (keras, 8),
    "keras_qat_4_bits": (keras, 4),
    "tf_keras_plain": (tf_keras, None),
    "tfmot_qat_8_bits": (tf_keras, 8),
}


def prepare(K, bits):
    model = build_cnn(K)
    model.compile("adam", "sparse_categorical_crossentropy")
    if bits is None:
        return model
    if K is tf_keras:
        return kpk.tfmot.quantize_aware(model).model
    return kpk.quantize_aware(model, weight_bits=bits).model


def measure(steps):
    rng = np.random.default_rng(0)
    x = rng.random((steps * BATCH, 28, 28, 1), np.float32)
    y = rng.integers(0, 10, steps * BATCH)
    turns = Turns(SIDES)

    def run(side, K, model):
        clock = turns.callback(K, side)
        model.fit(x, y, batch_size=BATCH, verbose=0, callbacks=[clock])

    models = {side: prepare(*how) for side, how in SIDES.items()}
    threads = [
        threading.Thread(target=run, args=(side, K, models[side]))
        for side, (K, _) in SIDES.items()
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # Without the first turns, in which the train step is traced.
    return {side: statistics.median(turns.times[side][3:]) for side in SIDES}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=300)
    ms = measure(parser.parse_args().steps)
    print(
        json.dumps(
            {
                "benchmark": "qat_step",
                "batch": BATCH,
                **{f"{side}_ms": round(value, 2) for side, value in ms.items()},
                "keras_8_over_plain": round(
                    ms["keras_qat_8_bits"] / ms["keras_plain"], 3
                ),
                "keras_4_over_plain": round(
                    ms["keras_qat_4_bits"] / ms["keras_plain"], 3
                ),
                "tfmot_over_plain": round(
                    ms["tfmot_qat_8_bits"] / ms["tf_keras_plain"], 3
                ),
                "keras_8_over_tfmot": round(
                    ms["keras_qat_8_bits"] / ms["tfmot_qat_8_bits"], 3
                ),
            }
        )
    )


if __name__ == "__main__":
    main()
