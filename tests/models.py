"""Models that people train, small, in either world."""

import numpy as np


def sequential(K):
    return K.Sequential(
        [K.layers.Input((8,)), K.layers.Dense(16), K.layers.Dense(3)],
    )


def classifier(K, **compile_args):
    """A small compiled classifier of 8 features into 3 classes."""
    model = K.Sequential(
        [
            K.layers.Input((8,)),
            K.layers.Dense(16, activation="relu", name="hidden"),
            K.layers.Dense(3, activation="softmax", name="classifier"),
        ]
    )
    compile_args.setdefault("optimizer", "adam")
    model.compile(
        loss="sparse_categorical_crossentropy", metrics=["accuracy"], **compile_args
    )
    return model


def functional_classifier(K, units=16):
    """A compiled classifier like that of `classifier`, with channels that can leave."""
    inputs = K.layers.Input((8,))
    hidden = K.layers.Dense(units, activation="relu")(inputs)
    hidden = K.layers.Dense(units, activation="relu")(hidden)
    model = K.Model(inputs, K.layers.Dense(3, activation="softmax")(hidden))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def functional(K):
    inputs = K.layers.Input((8,))
    return K.Model(inputs, K.layers.Dense(3)(K.layers.Dense(16)(inputs)))


def nested(K):
    inputs = K.layers.Input((8,))
    encoder = K.Sequential(
        [K.layers.Input((8,)), K.layers.Dense(16, name="inside")], name="encoder"
    )
    return K.Model(inputs, K.layers.Dense(3, name="outside")(encoder(inputs)))


def residual(K):
    inputs = K.layers.Input((8,))
    branch = K.layers.Dense(8, activation="relu")(inputs)
    return K.Model(inputs, K.layers.Dense(3)(K.layers.Add()([inputs, branch])))


def shared(K):
    left, right = K.layers.Input((8,)), K.layers.Input((8,))
    twin = K.layers.Dense(16, name="twin")
    merged = K.layers.Concatenate()([twin(left), twin(right)])
    return K.Model([left, right], K.layers.Dense(3)(merged))


def two_in_two_out(K):
    left, right = K.layers.Input((8,), name="left"), K.layers.Input((4,), name="right")
    merged = K.layers.Concatenate()([left, right])
    outputs = [
        K.layers.Dense(3, name="kind")(merged),
        K.layers.Dense(2, name="place")(merged),
    ]
    return K.Model([left, right], outputs)


def subclassed(K):
    class Net(K.Model):
        def __init__(self):
            super().__init__()
            self.first = K.layers.Dense(16, activation="relu")
            self.rest = [K.layers.Dense(3)]

        def call(self, inputs):
            return self.rest[0](self.first(inputs))

    model = Net()
    model(np.zeros((1, 8), "float32"))
    return model


def recurrent(K):
    inputs = K.layers.Input((6, 4))
    states = K.layers.Bidirectional(K.layers.LSTM(8, return_sequences=True))(inputs)
    states = K.layers.GRU(8, return_sequences=True)(states)
    states = K.layers.TimeDistributed(K.layers.Dense(8))(states)
    return K.Model(inputs, K.layers.SimpleRNN(3)(states))


def attention(K):
    inputs = K.layers.Input((6, 8))
    mixed = K.layers.MultiHeadAttention(2, 4)(inputs, inputs)
    mixed = K.layers.LayerNormalization()(mixed)
    return K.Model(inputs, K.layers.Dense(3)(K.layers.Flatten()(mixed)))


def convolutional(K):
    return K.Sequential(
        [
            K.layers.Input((8, 8, 3)),
            K.layers.Rescaling(0.5),
            K.layers.Conv2D(8, 3, activation="relu"),
            K.layers.BatchNormalization(),
            K.layers.SeparableConv2D(8, 3),
            K.layers.DepthwiseConv2D(3),
            K.layers.Conv2DTranspose(4, 3),
            K.layers.Flatten(),
            K.layers.Dense(3),
        ]
    )


def text(K):
    return K.Sequential(
        [
            K.layers.Input((6,), dtype="int32"),
            K.layers.Embedding(20, 8),
            K.layers.GlobalAveragePooling1D(),
            K.layers.Dense(3),
        ]
    )


def dense_subclass(K):
    class Loud(K.layers.Dense):
        def call(self, inputs):
            return 2.0 * super().call(inputs)

    return K.Sequential([K.layers.Input((8,)), Loud(16), K.layers.Dense(3)])


def self_declared(K):
    class Scale(K.layers.Layer):
        def build(self, input_shape):
            self.factor = self.add_weight(
                shape=(int(input_shape[-1]), 4), name="factor"
            )
            self.offset = self.add_weight(shape=(4,), name="offset")
            super().build(input_shape)

        def call(self, inputs):
            return inputs @ self.factor + self.offset

        def get_prunable_weights(self):
            return [self.factor]

    return K.Sequential([K.layers.Input((8,)), Scale(), K.layers.Dense(3)])


def unknown_layer(K):
    class Mystery(K.layers.Layer):
        def build(self, input_shape):
            self.secret = self.add_weight(shape=(8, 8), name="secret")
            super().build(input_shape)

        def call(self, inputs):
            return inputs @ self.secret

    return K.Sequential(
        [K.layers.Input((8,)), Mystery(name="mystery"), K.layers.Dense(3)]
    )


ZOO = {
    build.__name__: build
    for build in (
        sequential,
        functional,
        nested,
        residual,
        shared,
        two_in_two_out,
        subclassed,
        recurrent,
        attention,
        convolutional,
        text,
        dense_subclass,
        self_declared,
        unknown_layer,
    )
}
