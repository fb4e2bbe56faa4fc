"""The architectures of the zoo: those that people train, and keras.applications.

Builders take the world, `keras` or `tf_keras`, and give an untrained model.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

TOKENS = 50
CLASSES = 10


@dataclass(frozen=True)
class Architecture:
    """A model and what it takes.

    Attributes:
        build: Makes it of a world's layers.
        shapes: The shape of each input, without the batch.
        tokens: The number of different tokens; 0 if the inputs are floats.
        is_pixels: Whether it takes pixels of 0 to 255, not of -1 to 1.
        sparsity: How sparse it is pruned, 0 to 1.
    """

    build: Callable
    shapes: tuple[tuple[int, ...], ...]
    tokens: int = 0
    is_pixels: bool = False
    sparsity: float = 0.8

    def inputs(self, count, seed=0):
        """An array `(count, ...)`, or a list of them for several inputs."""
        rng = np.random.default_rng(seed)
        arrays = [self._array(rng, (count, *shape)) for shape in self.shapes]
        return arrays[0] if len(arrays) == 1 else arrays

    def _array(self, rng, shape):
        if self.tokens:
            return rng.integers(0, self.tokens, shape).astype("int32")
        if len(shape) < 4:
            return rng.normal(size=shape).astype("float32")
        pictures = _pictures(rng, shape)
        return 127.5 * (pictures + 1) if self.is_pixels else pictures


def _pictures(rng, shape):
    """Large patches that differ: a mean over noise would be the same in all."""
    count, height, width, channels = shape
    coarse = rng.normal(scale=0.5, size=(count, 4, 4, channels))
    large = coarse.repeat(-(-height // 4), 1).repeat(-(-width // 4), 2)
    noise = rng.normal(scale=0.1, size=shape)
    return np.clip(large[:, :height, :width] + noise, -1, 1).astype("float32")


def conv_bn(K, x, filters, strides=1, size=3):
    x = K.layers.Conv2D(filters, size, strides, padding="same", use_bias=False)(x)
    return K.layers.ReLU()(K.layers.BatchNormalization()(x))


def unet(K):
    x = inputs = K.layers.Input((32, 32, 3))
    skipped = []
    for filters in (8, 16):
        x = conv_bn(K, conv_bn(K, x, filters), filters)
        skipped.append(x)
        x = K.layers.MaxPooling2D()(x)
    x = conv_bn(K, x, 32)
    for filters, other in zip((16, 8), reversed(skipped), strict=True):
        x = K.layers.Conv2DTranspose(filters, 2, 2, padding="same")(x)
        x = conv_bn(K, K.layers.Concatenate()([x, other]), filters)
    return K.Model(inputs, K.layers.Conv2D(1, 1)(x))


def shared_resnet(K):
    """Each block is one object that is called twice."""
    x = inputs = K.layers.Input((32, 32, 3))
    for filters in (8, 16):
        x = conv_bn(K, x, filters, strides=2)
        convolution = K.layers.Conv2D(filters, 3, padding="same")
        normalization = K.layers.BatchNormalization()
        for _ in range(2):
            branch = K.layers.ReLU()(normalization(convolution(x)))
            x = K.layers.Add()([x, branch])
    x = K.layers.GlobalAveragePooling2D()(x)
    return K.Model(inputs, K.layers.Dense(CLASSES)(x))


def embedding(K):
    """As large as after training: int8 has no steps for the 0.05 that they start at."""
    initializer = K.initializers.RandomUniform(-1, 1)
    return K.layers.Embedding(TOKENS, 16, embeddings_initializer=initializer)


def text_classifier(recurrent):
    """A builder, from a function of the world that gives the recurrent layer."""

    def build(K):
        return K.Sequential(
            [
                K.layers.Input((12,), dtype="int32"),
                embedding(K),
                recurrent(K),
                K.layers.Dense(CLASSES),
            ]
        )

    return build


def transformer(K):
    @K.saving.register_keras_serializable("zoo")
    class Positions(K.layers.Layer):
        def build(self, input_shape):
            self.table = self.add_weight(name="table", shape=tuple(input_shape[1:]))
            super().build(input_shape)

        def call(self, inputs):
            return inputs + self.table

    inputs = K.layers.Input((12,), dtype="int32")
    x = Positions()(embedding(K)(inputs))
    for _ in range(2):
        mixed = K.layers.MultiHeadAttention(2, 8)(x, x)
        x = K.layers.LayerNormalization()(K.layers.Add()([x, mixed]))
        hidden = K.layers.Dense(32, activation="gelu")(x)
        hidden = K.layers.Dropout(0.1)(K.layers.Dense(16)(hidden))
        x = K.layers.LayerNormalization()(K.layers.Add()([x, hidden]))
    x = K.layers.GlobalAveragePooling1D()(x)
    return K.Model(inputs, K.layers.Dense(CLASSES)(x))


def autoencoder(K):
    encoder = K.Sequential(
        [
            K.layers.Input((16, 16, 3)),
            K.layers.Conv2D(8, 3, 2, padding="same", activation="relu"),
            K.layers.Flatten(),
            K.layers.Dense(16),
        ],
        name="encoder",
    )
    decoder = K.Sequential(
        [
            K.layers.Input((16,)),
            K.layers.Dense(8 * 8 * 8, activation="relu"),
            K.layers.Reshape((8, 8, 8)),
            K.layers.Conv2DTranspose(8, 3, 2, padding="same", activation="relu"),
            K.layers.Conv2D(3, 3, padding="same"),
        ],
        name="decoder",
    )
    inputs = K.layers.Input((16, 16, 3))
    return K.Model(inputs, decoder(encoder(inputs)))


def siamese(K):
    @K.saving.register_keras_serializable("zoo")
    class Distance(K.layers.Layer):
        def call(self, inputs):
            left, right = inputs
            return (left - right) ** 2

    twin = K.Sequential(
        [
            K.layers.Input((16, 16, 1)),
            K.layers.Conv2D(8, 3, 2, activation="relu"),
            K.layers.Flatten(),
            K.layers.Dense(16),
        ],
        name="twin",
    )
    pair = [K.layers.Input((16, 16, 1), name=name) for name in ("left", "right")]
    distance = Distance()([twin(item) for item in pair])
    return K.Model(pair, K.layers.Dense(1)(distance))


def two_in_two_out(K):
    picture = K.layers.Input((16, 16, 3), name="picture")
    facts = K.layers.Input((6,), name="facts")
    seen = K.layers.GlobalAveragePooling2D()(conv_bn(K, picture, 8, strides=2))
    known = K.layers.Dense(8, activation="relu")(facts)
    merged = K.layers.Concatenate()([seen, known])
    outputs = [
        K.layers.Dense(CLASSES, name="kind")(merged),
        K.layers.Dense(4, name="place")(merged),
    ]
    return K.Model([picture, facts], outputs)


def subclassed(K):
    @K.saving.register_keras_serializable("zoo")
    class Net(K.Model):
        def __init__(self, filters=8, **kwargs):
            super().__init__(**kwargs)
            self.filters = filters
            self.convolutions = [
                K.layers.Conv2D(filters, 3, 2, activation="relu") for _ in range(2)
            ]
            self.pool = K.layers.GlobalAveragePooling2D()
            self.classifier = K.layers.Dense(CLASSES)

        def call(self, inputs):
            for convolution in self.convolutions:
                inputs = convolution(inputs)
            return self.classifier(self.pool(inputs))

        def get_config(self):
            return {"filters": self.filters}

    model = Net()
    model(np.zeros((1, 16, 16, 3), "float32"))
    return model


def ds_cnn(K):
    """Keyword spotting on 49 frames of 10 coefficients."""
    x = inputs = K.layers.Input((49, 10, 1))
    x = conv_bn(K, x, 32, strides=2, size=(10, 4))
    for _ in range(4):
        x = K.layers.DepthwiseConv2D(3, padding="same", use_bias=False)(x)
        x = K.layers.ReLU()(K.layers.BatchNormalization()(x))
        x = conv_bn(K, x, 32, size=1)
    x = K.layers.Dropout(0.2)(K.layers.GlobalAveragePooling2D()(x))
    return K.Model(inputs, K.layers.Dense(12)(x))


def _text(recurrent):
    return Architecture(text_classifier(recurrent), ((12,),), tokens=TOKENS)


PEOPLE_TRAIN = {
    "unet": Architecture(unet, ((32, 32, 3),)),
    "shared_resnet": Architecture(shared_resnet, ((32, 32, 3),)),
    "lstm_text": _text(lambda K: K.layers.LSTM(16)),
    "gru_text": _text(lambda K: K.layers.GRU(16)),
    "unrolled_gru_text": _text(lambda K: K.layers.GRU(16, unroll=True)),
    "bidirectional_text": _text(lambda K: K.layers.Bidirectional(K.layers.LSTM(16))),
    "transformer": Architecture(transformer, ((12,),), tokens=TOKENS),
    "autoencoder": Architecture(autoencoder, ((16, 16, 3),)),
    "siamese": Architecture(siamese, ((16, 16, 1), (16, 16, 1))),
    "two_in_two_out": Architecture(two_in_two_out, ((16, 16, 3), (6,))),
    "subclassed": Architecture(subclassed, ((16, 16, 3),)),
    "ds_cnn": Architecture(ds_cnn, ((49, 10, 1),)),
}
