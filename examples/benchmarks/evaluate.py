"""How fast a .tflite is evaluated on 10,000 images: ours against one at a time.

Both sides use all cores and take turns; the figures are the best of several rounds.
Expect a ratio of about 2 to 3: batches of 32 on two threads against single images.

    python examples/benchmarks/evaluate.py --data mnist.npz
"""

import argparse
import json
import os
import time

import keras
import numpy as np
from ai_edge_litert.interpreter import Interpreter

import keras_prune_kit as kpk


def build(filters, dense):
    layers = keras.layers
    pooled = [layers.MaxPooling2D(), layers.Flatten()]
    body = [layers.Conv2D(n, 3, activation="relu") for n in filters]
    top = [layers.Dense(n, activation="relu") for n in dense]
    return keras.Sequential(
        [
            layers.Input((28, 28, 1)),
            *body,
            *pooled,
            *top,
            layers.Dense(10, activation="softmax"),
        ]
    )


def one_at_a_time(content, images):
    interpreter = Interpreter(model_content=content, num_threads=os.cpu_count())
    interpreter.allocate_tensors()
    source = interpreter.get_input_details()[0]["index"]
    target = interpreter.get_output_details()[0]["index"]
    predicted = np.empty(len(images), np.int64)
    for index in range(len(images)):
        interpreter.set_tensor(source, images[index : index + 1])
        interpreter.invoke()
        predicted[index] = interpreter.get_tensor(target)[0].argmax()
    return predicted


def measure(exported, images, labels, rounds):
    times = {"one": [], "kpk": []}
    for _ in range(rounds):
        started = time.perf_counter()
        theirs = np.mean(one_at_a_time(exported.bytes, images) == labels)
        times["one"].append(time.perf_counter() - started)
        started = time.perf_counter()
        ours = exported.evaluate(images, labels)
        times["kpk"].append(time.perf_counter() - started)
    one, kpk_s = min(times["one"]), min(times["kpk"])
    return {
        "one_at_a_time_s": round(one, 3),
        "kpk_s": round(kpk_s, 3),
        "one_over_kpk": round(one / kpk_s, 2),
        "accuracy_difference": round(abs(float(theirs) - ours), 5),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="mnist.npz")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with np.load(options.data) as data:
        images = data["x_test"][..., None] / np.float32(255)
        labels = data["y_test"]
    networks = {"tiny_cnn": ((12,), ()), "mnist_cnn": ((32, 64), (256,))}
    result = {"benchmark": "evaluate", "images": len(images)}
    for name, (filters, dense) in networks.items():
        model = build(filters, dense)
        for quantization in ("none", "dynamic", "int8"):
            exported = kpk.export_tflite(
                model, quantization=quantization, representative_data=images[:100]
            )
            result[f"{name}_{quantization}"] = measure(
                exported, images, labels, options.rounds
            )
    print(json.dumps(result))


if __name__ == "__main__":
    main()
