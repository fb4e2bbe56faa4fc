"""Layers that are shared, frozen, nested or subclassed."""

import numpy as np
import tensorflow as tf

from ordinary_models.entry import (
    KERAS_2,
    KERAS_3,
    classifier,
    integers,
    normal,
    ordinary,
    regressor,
)


def points(columns=6):
    x = normal(640, columns)
    return x, ((x[:, 0] > 0) + (x[:, 1] > 0)).astype("int64")


@ordinary(worlds=KERAS_3)
def siamese(K):
    """One encoder for both sides; the class is whether they are near."""
    left, right = normal(640, 4), normal(640, 4, seed=1)
    right[::2] = left[::2] + 0.1 * right[::2]
    y = (np.arange(640) % 2).astype("int64")[:, None]
    encoder = K.Sequential(
        [
            K.layers.Input((4,)),
            K.layers.Dense(24, activation="relu"),
            K.layers.Dense(12),
        ]
    )
    inputs = [K.layers.Input((4,), name="left"), K.layers.Input((4,), name="right")]
    apart = K.layers.Subtract()([encoder(inputs[0]), encoder(inputs[1])])
    squared = K.layers.Multiply()([apart, apart])
    outputs = K.layers.Dense(1, activation="sigmoid")(squared)
    return classifier(K.Model(inputs, outputs), [left, right], y, rate=0.02, epochs=20)


@ordinary()
def frozen_base(K):
    """Trained once, then a head for other labels on the frozen base."""
    x, y = points()
    base = K.Sequential(
        [
            K.layers.Input((6,)),
            K.layers.Dense(48, activation="relu"),
            K.layers.BatchNormalization(),
        ],
        name="base",
    )
    classifier(K.Sequential([base, K.layers.Dense(3, activation="softmax")]), x, y)
    base.trainable = False
    inputs = K.layers.Input((6,))
    hidden = K.layers.Dense(24, activation="relu")(base(inputs, training=False))
    outputs = K.layers.Dense(2, activation="softmax")(hidden)
    return classifier(K.Model(inputs, outputs), x, (y == 1).astype("int64"))


@ordinary(worlds=KERAS_2)
def frozen_normalization(K):
    """Fine-tuned with the statistics of batches held fixed."""
    x, y = points()
    x = 5 * x + 3
    model = K.Sequential(
        [
            K.layers.Input((6,)),
            K.layers.Dense(32),
            K.layers.BatchNormalization(momentum=0.8),
            K.layers.ReLU(),
            K.layers.Dense(3, activation="softmax"),
        ]
    )
    classifier(model, x, y)
    model.layers[1].trainable = False
    return classifier(model, x, y, epochs=4)


@ordinary(worlds=KERAS_3)
def tied_embeddings(K):
    """The head multiplies by the table of the embedding: a guess of the next token."""

    class Tied(K.layers.Layer):
        def __init__(self, **more):
            super().__init__(**more)
            self.table = K.layers.Embedding(12, 16, name="table")
            self.mix = K.layers.Dense(16, activation="tanh", name="mix")

        def build(self, input_shape):
            self.table.build(input_shape)
            self.mix.build((*input_shape, 16))
            super().build(input_shape)

        def call(self, tokens):
            hidden = self.mix(self.table(tokens))
            return tf.matmul(hidden, self.table.embeddings, transpose_b=True)

    x = integers(12, 640, 4)
    y = ((5 * x + 1) % 12).astype("int64")
    inputs = K.layers.Input((4,), dtype="int32")
    outputs = K.layers.Softmax()(Tied()(inputs))
    model = K.Model(inputs, outputs)
    return classifier(model, x, y, rate=0.02, objects={"Tied": Tied})


@ordinary(worlds=KERAS_3)
def tied_autoencoder(K):
    """The decoder has no kernel but that of the encoder, transposed."""

    class Transposed(K.layers.Layer):
        def __init__(self, source, **more):
            super().__init__(**more)
            self.source = source

        def build(self, input_shape):
            self.shift = self.add_weight(name="shift", shape=(8,), initializer="zeros")
            super().build(input_shape)

        def call(self, inputs):
            return tf.matmul(inputs, self.source.kernel, transpose_b=True) + self.shift

        def get_config(self):
            source = K.saving.serialize_keras_object(self.source)
            return {**super().get_config(), "source": source}

        @classmethod
        def from_config(cls, config):
            source = K.saving.deserialize_keras_object(config.pop("source"))
            return cls(source, **config)

    x = normal(640, 3) @ normal(3, 8, seed=1)
    encode = K.layers.Dense(6, name="encode")
    inputs = K.layers.Input((8,))
    outputs = Transposed(encode)(encode(inputs))
    model = K.Model(inputs, outputs)
    return regressor(model, x, x, epochs=20, objects={"Transposed": Transposed})


@ordinary(worlds=KERAS_2)
def nested_functional(K):
    """A model in a model in a model, of which one has two outputs."""
    x, y = points()
    inner_input = K.layers.Input((16,))
    hidden = K.layers.Dense(16, activation="relu")(inner_input)
    added = K.layers.Add()([hidden, inner_input])
    inner = K.Model(inner_input, [K.layers.Dense(8)(hidden), added], name="inner")
    middle_input = K.layers.Input((16,))
    narrow, wide = inner(K.layers.LayerNormalization()(middle_input))
    merged = K.layers.Concatenate()([wide, narrow])
    middle = K.Model(middle_input, merged, name="middle")
    inputs = K.layers.Input((6,))
    hidden = middle(K.layers.Dense(16)(inputs))
    outputs = K.layers.Dense(3, activation="softmax")(hidden)
    return classifier(K.Model(inputs, outputs), x, y)


@ordinary(worlds=KERAS_2)
def subclassed(K):
    class Net(K.Model):
        def __init__(self, units=24, classes=3, **more):
            super().__init__(**more)
            self.units, self.classes = units, classes
            self.blocks = [K.layers.Dense(units, activation="relu") for _ in range(2)]
            self.drop = K.layers.Dropout(0.1)
            self.head = K.layers.Dense(classes, activation="softmax")

        def call(self, inputs, training=False):
            hidden = inputs
            for block in self.blocks:
                hidden = self.drop(block(hidden), training=training)
            return self.head(hidden)

        def get_config(self):
            return {"units": self.units, "classes": self.classes}

    x, y = points()
    model = Net(units=32)
    model(x[:1])
    return classifier(model, x, y, objects={"Net": Net})


@ordinary(worlds=KERAS_2)
def own_train_step(K):
    """A functional model whose class trains with noise on the inputs."""

    class Noisy(K.Model):
        def train_step(self, data):
            x, y = data
            return super().train_step((x + 0.05 * tf.random.normal(tf.shape(x)), y))

    x, y = points()
    inputs = K.layers.Input((6,))
    hidden = K.layers.Dense(32, activation="relu")(inputs)
    outputs = K.layers.Dense(3, activation="softmax")(hidden)
    return classifier(Noisy(inputs, outputs), x, y, objects={"Noisy": Noisy})
