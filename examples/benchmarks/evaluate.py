"""How fast a .tflite is evaluated on 10,000 images: ours against one at a time.

The loop is the one that tutorials show. The sides take turns; the figures are the best
of several rounds. Expect a ratio of about 2 to 3 on two cores: the small network gains
from batches too, the larger one is bound by arithmetic, which two cores do twice as
fast.

    python examples/benchmarks/evaluate.py --data mnist.npz
"""

import argparse
import json
import time

import keras
import numpy as np
from ai_edge_litert.interpreter import Interpreter

import keras_prune_kit as kpk


def tiny_cnn():
    """Twelve filters: TFMOT's own quantization tutorial."""
    layers = keras.layers
    return keras.Sequential(
        [
            layers.Input((28, 28, 1)),
            layers.Conv2D(12, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(10),
        ]
    )


def mnist_cnn():
    """The network of mnist_cnn.py."""
    layers = keras.layers
    return keras.Sequential(
        [
            layers.Input((28, 28, 1)),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(256, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )


def one_at_a_time(content, images):
    interpreter = Interpreter(model_content=content)
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
    result = {"benchmark": "evaluate", "images": len(images)}
    for build in (tiny_cnn, mnist_cnn):
        model = build()
        for quantization in ("none", "dynamic", "int8"):
            exported = kpk.export_tflite(
                model, quantization=quantization, representative_data=images[:100]
            )
            result[f"{build.__name__}_{quantization}"] = measure(
                exported, images, labels, options.rounds
            )
    print(json.dumps(result))


if __name__ == "__main__":
    main()
