"""The whole job in one call, then the file is opened again and measured.

Expect a .tflite some 13 times smaller than the weights of the baseline, both gzipped,
within a point and a half of its accuracy on the test images. Takes about a quarter of
a minute.

    python examples/02_compress.py [--out DIR]
"""

import argparse

import keras

import keras_prune_kit as kpk
from keras_prune_kit.digits import load_digits


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default="compressed_digits")
    options = parser.parse_args()
    keras.utils.set_random_seed(0)
    (x, y), (x_test, y_test) = load_digits()
    train, validation = (x[:1000], y[:1000]), (x[1000:], y[1000:])
    model = keras.Sequential(
        [
            keras.layers.Input((8, 8, 1)),
            keras.layers.Conv2D(32, 3, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(*train, epochs=20, verbose=0)

    report = kpk.compress(
        model,
        train,
        validation_data=validation,
        policy=0.85,
        quantization="int8",
        epochs=20,
        out_dir=options.out,
        verbose=0,
    )
    print(report)

    shipped = kpk.TFLiteModel(f"{options.out}/model.tflite")
    before = model.evaluate(x_test, y_test, verbose=0, return_dict=True)["accuracy"]
    print(f"\non the test images: {before:.4f} before,", end=" ")
    print(f"{shipped.evaluate(x_test, y_test):.4f} from {options.out}/model.tflite")
    print(shipped.sparsity_report())


if __name__ == "__main__":
    main()
