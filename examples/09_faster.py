"""A network that becomes faster: half of its filters and units leave, not only weights.

Masks zero whole channels while the network trains on; those whose outputs are added
leave together. `remove_zero_channels` takes them out without any change of the outputs,
and the smaller network is an ordinary Keras model. `compress(..., speedup=2.0)` does
all of it, with a budget that is measured.

    python examples/09_faster.py [--data mnist.npz]

On the digits that come with the package expect four times fewer multiplications, equal
outputs before and after the removal, and an accuracy within two points of the
baseline's. How much faster the .tflite is depends on the machine: here about twice.
"""

import argparse

import keras
import numpy as np

import keras_prune_kit as kpk
from keras_prune_kit.digits import load_digits


def load(path):
    if path is None:
        (x, y), test = load_digits()
    else:
        with np.load(path) as data:
            x, y = data["x_train"][..., None] / np.float32(255), data["y_train"]
            test = data["x_test"][..., None] / np.float32(255), data["y_test"]
    cut = len(x) * 9 // 10
    return (x[:cut], y[:cut]), (x[cut:], y[cut:]), test


def build(shape):
    layers = keras.layers
    inputs = layers.Input(shape)
    x = layers.Conv2D(32, 3, padding="same", activation="relu")(inputs)
    branch = layers.Conv2D(32, 3, padding="same", use_bias=False)(x)
    branch = layers.BatchNormalization()(branch)
    x = layers.ReLU()(layers.Add()([x, branch]))
    x = layers.Flatten()(layers.MaxPooling2D()(x))
    x = layers.Dense(128, activation="relu")(x)
    model = keras.Model(inputs, layers.Dense(10, activation="softmax")(x))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="mnist.npz")
    options = parser.parse_args()
    keras.utils.set_random_seed(0)
    train, validation, test = load(options.data)
    model = build(train[0].shape[1:])
    model.fit(*train, epochs=10, validation_data=validation, verbose=0)
    model.save("whole.keras")
    print(kpk.channel_groups(model))

    policy = kpk.PrunePolicy(0.5, structure=kpk.Channel(multiple_of=8))
    model.fit(*train, epochs=10, callbacks=[kpk.PruningCallback(policy)], verbose=0)
    small = kpk.remove_zero_channels(model)
    x = test[0]
    apart = np.abs(model.predict(x, verbose=0) - small.predict(x, verbose=0)).max()
    print(f"\nAfter the removal the outputs differ by {apart:.1e}.\n")

    small.fit(*train, epochs=5, verbose=0)
    files = {
        "whole": kpk.export_tflite(keras.models.load_model("whole.keras")),
        "smaller": kpk.export_tflite(small),
    }
    print(kpk.compare(files, *test))


if __name__ == "__main__":
    main()
