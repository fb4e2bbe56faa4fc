"""KerasTuner finds the smallest file that is good enough.

    python examples/keras_tuner_search.py [--data mnist.npz] [--trials 10] [--out DIR]

On the digits that come with the package expect, in under two minutes, a .tflite some 30
times smaller than the weights of the baseline, both gzipped, within two points of its
accuracy on the test images. With --data it is the CNN of the MNIST tutorial, within 0.2
points on 6,000 training images held out: half an hour, and some 70 times smaller.
"""

import argparse
from pathlib import Path

import keras
import keras_tuner
import numpy as np

import keras_prune_kit as kpk
from keras_prune_kit.digits import load_digits


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="mnist.npz")
    parser.add_argument("--images", type=int, help="to train with at most")
    parser.add_argument("--trials", type=int)
    parser.add_argument("--out", type=Path, default=Path("searched"))
    options = parser.parse_args()
    keras.utils.set_random_seed(0)
    if options.data:
        train, validation, test = load_mnist(options.data, options.images)
        model, trials, epochs, batch, drop = mnist_network(), 20, 3, 128, 0.002
        sparsity, quantization = (0.8, 0.99), ("dynamic", "int8", "qat8", "qat4")
    else:
        train, validation, test = split_digits()
        model, trials, epochs, batch, drop = digits_network(), 10, 6, 64, 0.02
        sparsity, quantization = (0.5, 0.95), ("float16", "dynamic", "int8", "qat4")
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(*train, batch_size=batch, epochs=10, verbose=0)

    hypermodel = kpk.CompressionHyperModel(
        model,
        sparsity=sparsity,
        quantization=quantization,
        representative_data=train[0][:200],
        max_accuracy_drop=drop,
    )
    tuner = keras_tuner.BayesianOptimization(
        hypermodel,
        kpk.smallest_within(drop),
        max_trials=options.trials or trials,
        num_initial_points=6,
        seed=0,
        directory=options.out,
        project_name="search",
        overwrite=True,
    )
    arguments = {"epochs": epochs, "batch_size": batch, "verbose": 0}
    tuner.search(*train, validation_data=validation, **arguments)

    front = kpk.pareto_front(tuner)
    print(front)
    front.plot(options.out / "front.png")
    front.to_html(options.out / "front.html")
    best = front.smallest_within()
    for name, text in best.settings.items():
        print(f"  {name}: {text}")
    before = model.evaluate(*test, verbose=0, return_dict=True)["accuracy"]
    after = kpk.TFLiteModel(best.folder / "model.tflite").evaluate(*test)
    print(f"trial {best.name}: {front.size_ratio(best):.1f}x smaller;", end=" ")
    print(f"on the test images {before:.4f} before, {after:.4f} after")


def split_digits():
    """Every fifth training image judges the trials."""
    (x, y), test = load_digits()
    chosen = np.arange(len(x)) % 5 == 0
    return (x[~chosen], y[~chosen]), (x[chosen], y[chosen]), test


def load_mnist(path, images):
    with np.load(path) as data:
        x, y = data["x_train"][..., None] / np.float32(255), data["y_train"]
        test = data["x_test"][..., None] / np.float32(255), data["y_test"]
    return (x[:54000][:images], y[:54000][:images]), (x[54000:], y[54000:]), test


def digits_network():
    return keras.Sequential(
        [
            keras.layers.Input((8, 8, 1)),
            keras.layers.Conv2D(32, 3, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )


def mnist_network():
    return keras.Sequential(
        [
            keras.layers.Input((28, 28, 1)),
            keras.layers.Conv2D(32, 3, activation="relu"),
            keras.layers.MaxPooling2D(),
            keras.layers.Conv2D(64, 3, activation="relu"),
            keras.layers.MaxPooling2D(),
            keras.layers.Flatten(),
            keras.layers.Dense(256, activation="relu"),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )


if __name__ == "__main__":
    main()
