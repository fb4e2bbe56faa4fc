"""Keras 3 models of the shapes that people deploy, small."""

import keras
from keras import layers as L


def conv_bn(x, filters, strides=1, size=3, relu=True):
    x = L.Conv2D(filters, size, strides, padding="same", use_bias=False)(x)
    x = L.BatchNormalization()(x)
    return L.ReLU()(x) if relu else x


def mlp():
    return keras.Sequential(
        [
            L.Input((8,)),
            L.Dense(16, activation="relu"),
            L.Dense(16, activation="sigmoid"),
            L.Dense(16, activation="tanh"),
            L.Dropout(0.2),
            L.Dense(16, use_bias=False),
            L.BatchNormalization(),
            L.ReLU(),
            L.Dense(3, activation="softmax"),
        ]
    )


def cnn():
    return keras.Sequential(
        [
            L.Input((12, 12, 1)),
            L.Conv2D(8, 3, activation="relu", name="first"),
            L.MaxPooling2D(),
            L.Conv2D(8, 3, activation="relu", name="second"),
            L.AveragePooling2D(2),
            L.Flatten(),
            L.Dense(16, activation="relu", name="third"),
            L.Dense(4, activation="softmax", name="classifier"),
        ]
    )


def mobilenet():
    x = inputs = L.Input((16, 16, 3))
    x = L.Conv2D(8, 3, 2, padding="same", use_bias=False)(x)
    x = L.ReLU(6.0)(L.BatchNormalization()(x))
    for strides in (1, 2):
        if strides == 2:
            x = L.ZeroPadding2D(((0, 1), (0, 1)))(x)
        padding = "same" if strides == 1 else "valid"
        x = L.DepthwiseConv2D(3, strides, padding=padding, use_bias=False)(x)
        x = L.ReLU(6.0)(L.BatchNormalization()(x))
        x = L.Conv2D(16, 1, use_bias=False)(x)
        x = L.ReLU(6.0)(L.BatchNormalization()(x))
    x = L.GlobalAveragePooling2D(keepdims=True)(x)
    x = L.Conv2D(4, 1)(L.Dropout(0.1)(x))
    return keras.Model(inputs, L.Activation("softmax")(L.Reshape((4,))(x)))


def resnet():
    x = inputs = L.Input((12, 12, 3))
    x = conv_bn(x, 8)
    for strides in (1, 2):
        branch = conv_bn(conv_bn(x, 8, strides), 8, relu=False)
        shortcut = conv_bn(x, 8, strides, 1, relu=False) if strides > 1 else x
        x = L.ReLU()(L.Add()([branch, shortcut]))
    return keras.Model(inputs, L.Dense(4)(L.GlobalAveragePooling2D()(x)))


def preactivated():
    """Normalizations that no kernel takes in, and operations instead of layers."""
    x = inputs = L.Input((12, 12, 3))
    x = L.Conv2D(8, 3, padding="same")(L.Rescaling(2.0, offset=-1.0)(x))
    branch = keras.ops.relu(L.BatchNormalization()(x))
    x = x + L.Conv2D(8, 3, padding="same")(branch)
    x = keras.ops.mean(L.ReLU()(x), axis=(1, 2))
    return keras.Model(inputs, L.Dense(4)(L.BatchNormalization()(x)))


def unet():
    inputs = L.Input((16, 16, 3))
    top = conv_bn(inputs, 8)
    middle = conv_bn(L.MaxPooling2D()(top), 8)
    x = conv_bn(L.MaxPooling2D()(middle), 8)
    x = L.Conv2DTranspose(8, 2, 2, padding="same", activation="relu")(x)
    x = conv_bn(L.Concatenate()([x, middle]), 8)
    x = L.Conv2DTranspose(8, 3, 2, padding="same", use_bias=False)(x)
    x = L.ReLU()(L.BatchNormalization()(x))
    x = conv_bn(L.Concatenate()([x, top]), 8)
    return keras.Model(inputs, L.Conv2D(1, 1, activation="sigmoid")(x))


def sequence():
    return keras.Sequential(
        [
            L.Input((24, 4)),
            L.Conv1D(8, 3, padding="causal", activation="relu"),
            L.MaxPooling1D(),
            L.Conv1D(8, 3, strides=2, padding="same", use_bias=False),
            L.BatchNormalization(),
            L.ReLU(),
            L.SeparableConv1D(8, 3, padding="same"),
            L.DepthwiseConv1D(3, strides=2, activation="silu"),
            L.Dense(8, activation="gelu"),
            L.GlobalAveragePooling1D(),
            L.Dense(3),
        ]
    )


def separable():
    return keras.Sequential(
        [
            L.Input((12, 12, 3)),
            L.SeparableConv2D(8, 3, depth_multiplier=2, use_bias=False),
            L.BatchNormalization(),
            L.ReLU(6.0),
            L.DepthwiseConv2D(3, depth_multiplier=2, strides=2),
            L.DepthwiseConv2D(3, padding="same", dilation_rate=2),
            L.Conv2D(8, 3, padding="same", dilation_rate=2, activation="relu6"),
            L.Conv2D(8, 3, padding="same", groups=2),
            L.LeakyReLU(),
            L.UpSampling2D(),
            L.GlobalMaxPooling2D(),
            L.Dense(3),
        ]
    )


def einsum():
    inputs = L.Input((6, 8))
    x = L.EinsumDense("abc,cde->abde", (6, 2, 4), bias_axes="de")(inputs)
    x = L.EinsumDense("abde,dec->abc", (6, 8), activation="relu")(L.ReLU()(x))
    return keras.Model(inputs, L.Dense(3)(L.Flatten()(L.Add()([x, inputs]))))


def nested():
    inputs = L.Input((8, 8, 3))
    encoder = keras.Sequential(
        [
            L.Input((8, 8, 3)),
            L.Conv2D(8, 3, use_bias=False, name="inside"),
            L.BatchNormalization(name="normalization"),
            L.ReLU(),
            L.Flatten(),
        ],
        name="encoder",
    )
    return keras.Model(inputs, L.Dense(3, name="outside")(encoder(inputs)))


def siamese():
    left, right = L.Input((8,), name="left"), L.Input((8,), name="right")
    twin, relu = L.Dense(16, name="twin"), L.ReLU(name="relu")
    merged = L.Concatenate()([relu(twin(left)), relu(twin(right))])
    return keras.Model([left, right], L.Dense(3)(merged))


def two_heads():
    """Inputs and outputs by name."""
    inputs = {name: L.Input((size,), name=name) for name, size in (("a", 8), ("b", 4))}
    merged = L.Concatenate()(list(inputs.values()))
    outputs = {
        "kind": L.Dense(3, activation="softmax", name="kind")(merged),
        "place": L.Dense(2, name="place")(merged),
    }
    return keras.Model(inputs, outputs)


def text():
    return keras.Sequential(
        [
            L.Input((6,), dtype="int32"),
            L.Embedding(20, 8),
            L.Conv1D(8, 3, activation="relu"),
            L.GlobalMaxPooling1D(),
            L.Dense(3),
        ]
    )


ZOO = {
    build.__name__: build
    for build in (
        mlp,
        cnn,
        mobilenet,
        resnet,
        preactivated,
        unet,
        sequence,
        separable,
        einsum,
        nested,
        siamese,
        two_heads,
        text,
    )
}
