"""A layer of your own says what can be pruned; then the model is saved and loaded.

`PrunableDense(prune_bias=True)` prunes its bias too; any other layer needs only a
method `get_prunable_weights()`. Expect 75 % zeros in each weight named, the same after
loading, and an accuracy of about 0.95. Takes a few seconds.

    python examples/05_custom_layer.py
"""

import tempfile
from pathlib import Path

import keras

import keras_prune_kit as kpk
from keras_prune_kit.digits import load_digits


@keras.saving.register_keras_serializable("examples")
class Bilinear(keras.layers.Layer):
    """Weighs the rows and the columns of an image."""

    def __init__(self, rows, columns, **arguments):
        super().__init__(**arguments)
        self.rows, self.columns = rows, columns

    def build(self, input_shape):
        _, height, width = input_shape
        self.left = self.add_weight(shape=(self.rows, height), name="left")
        self.right = self.add_weight(shape=(width, self.columns), name="right")

    def call(self, images):
        return keras.ops.matmul(keras.ops.matmul(self.left, images), self.right)

    def get_config(self):
        return {**super().get_config(), "rows": self.rows, "columns": self.columns}

    def get_prunable_weights(self):
        return [self.left, self.right]


def main():
    keras.utils.set_random_seed(0)
    (x, y), (x_test, y_test) = load_digits()
    x, x_test = x[..., 0], x_test[..., 0]
    model = keras.Sequential(
        [
            keras.layers.Input((8, 8)),
            Bilinear(16, 16, name="bilinear"),
            keras.layers.Flatten(),
            kpk.PrunableDense(64, activation="relu", prune_bias=True, name="hidden"),
            keras.layers.Dense(10, activation="softmax", name="classifier"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    pruning = kpk.PruningCallback(kpk.PrunePolicy(0.75))
    model.fit(x, y, epochs=30, verbose=0, callbacks=[pruning])
    print(pruning.report)

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        loaded = keras.models.load_model(path)
    score = loaded.evaluate(x_test, y_test, verbose=0, return_dict=True)["accuracy"]
    print(f"\nloaded: {kpk.sparsity_report(loaded).sparsity:.1%} zero,", end=" ")
    print(f"accuracy {score:.4f}")


if __name__ == "__main__":
    main()
