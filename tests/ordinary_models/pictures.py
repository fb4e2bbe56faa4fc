"""Convolutions, augmentation, normalizations and activations."""

import numpy as np

from ordinary_models.entry import (
    KERAS_2,
    KERAS_3,
    classifier,
    normal,
    ordinary,
    regressor,
)


def pictures(size=12, channels=1):
    """Two bars, lying or standing, bright or dark; pixels of 0 to 255."""
    rng = np.random.default_rng(0)
    x = rng.normal(100, 4, (640, size, size, channels))
    stands, bright = rng.integers(0, 2, (2, 640))
    for picture, is_standing, is_bright in zip(x, stands, bright, strict=True):
        place = rng.integers(1, size - 3)
        bars = picture if is_standing else picture.transpose(1, 0, 2)
        bars[:, place : place + 2] += 90 if is_bright else -90
    return np.clip(x, 0, 255).astype("float32"), (stands + 2 * bright).astype("int64")


def block(K, x, filters, strides=1):
    x = K.layers.Conv2D(filters, 3, strides, padding="same", use_bias=False)(x)
    return K.layers.ReLU()(K.layers.BatchNormalization(momentum=0.8)(x))


def head(K, x):
    hidden = K.layers.GlobalMaxPooling2D()(x)
    return K.layers.Dense(4, activation="softmax")(hidden)


@ordinary(worlds=KERAS_3)
def augmentation_and_rescaling(K):
    x, y = pictures()
    model = K.Sequential(
        [
            K.layers.Input((12, 12, 1)),
            K.layers.RandomFlip("horizontal"),
            K.layers.RandomRotation(0.02),
            K.layers.RandomContrast(0.1),
            K.layers.Rescaling(1 / 127.5, offset=-1),
            K.layers.Conv2D(12, 3, activation="relu"),
            K.layers.MaxPooling2D(),
            K.layers.Conv2D(12, 3, activation="relu"),
            K.layers.Flatten(),
            K.layers.Dropout(0.2),
            K.layers.Dense(4, activation="softmax"),
        ]
    )
    return classifier(model, x, y)


@ordinary(worlds=KERAS_2)
def resizing_and_cropping(K):
    x, y = pictures(16)
    inputs = K.layers.Input((16, 16, 1))
    small = K.layers.CenterCrop(10, 10)(K.layers.Resizing(12, 12)(inputs))
    scaled = K.layers.Rescaling(1 / 255)(small)
    seen = block(K, block(K, scaled, 12), 12, 2)
    return classifier(K.Model(inputs, head(K, seen)), x, y)


@ordinary(worlds=KERAS_3)
def depthwise_and_separable(K):
    """As in MobileNet, with squeeze and excite and ReLU6."""
    x, y = pictures()
    inputs = K.layers.Input((12, 12, 1))
    seen = block(K, K.layers.Rescaling(1 / 127.5, -1)(inputs), 12)
    seen = K.layers.DepthwiseConv2D(3, padding="same", use_bias=False)(seen)
    seen = K.layers.ReLU(6.0)(K.layers.BatchNormalization(momentum=0.8)(seen))
    squeezed = K.layers.GlobalAveragePooling2D(keepdims=True)(seen)
    squeezed = K.layers.Dense(4, activation="relu")(squeezed)
    gate = K.layers.Dense(12, activation="hard_sigmoid")(squeezed)
    seen = K.layers.Multiply()([seen, gate])
    seen = K.layers.SeparableConv2D(16, 3, activation="relu")(seen)
    return classifier(K.Model(inputs, head(K, seen)), x, y)


@ordinary(worlds=KERAS_2)
def autoencoder(K):
    """Gives the pictures back."""
    x, _ = pictures()
    x = x / 255
    model = K.Sequential(
        [
            K.layers.Input((12, 12, 1)),
            K.layers.Conv2D(12, 3, 2, padding="same", activation="relu"),
            K.layers.Conv2D(16, 3, 2, padding="same", activation="relu"),
            K.layers.Conv2DTranspose(16, 3, 2, padding="same", activation="relu"),
            K.layers.Conv2DTranspose(12, 3, 2, padding="same", activation="relu"),
            K.layers.Conv2D(1, 3, padding="same", activation="sigmoid"),
        ]
    )
    return regressor(model, x, x, epochs=20, rate=0.02)


@ordinary(worlds=KERAS_3)
def segmentation(K):
    """Upsampling and a skip: a class for each pixel."""
    x, _ = pictures()
    y = (np.abs(x[..., 0] - 100) > 45).astype("int64")
    inputs = K.layers.Input((12, 12, 1))
    scaled = K.layers.Rescaling(1 / 127.5, -1)(inputs)
    fine = K.layers.Conv2D(8, 3, padding="same", activation="relu")(scaled)
    coarse = K.layers.Conv2D(12, 3, padding="same", activation="relu")(
        K.layers.MaxPooling2D()(fine)
    )
    back = K.layers.UpSampling2D(interpolation="bilinear")(coarse)
    merged = K.layers.Concatenate()([fine, back])
    outputs = K.layers.Conv2D(2, 1, activation="softmax")(merged)
    return classifier(K.Model(inputs, outputs), x, y, epochs=15, rate=0.02)


@ordinary(refused={"tf_keras none": "BROADCAST_TO"})
def group_and_layer_normalization(K):
    x, y = pictures()
    inputs = K.layers.Input((12, 12, 1))
    seen = K.layers.Conv2D(12, 3, 2)(K.layers.Rescaling(1 / 127.5, -1)(inputs))
    seen = K.layers.ReLU()(K.layers.GroupNormalization(4)(seen))
    seen = K.layers.Conv2D(12, 3)(seen)
    seen = K.layers.LayerNormalization()(seen)
    return classifier(K.Model(inputs, head(K, seen)), x, y)


@ordinary(worlds=KERAS_3)
def any_size(K):
    """Pictures as bytes, and of any size, though here all have the same."""
    x, y = pictures()
    inputs = K.layers.Input((None, None, 1))
    seen = K.layers.ZeroPadding2D(1)(K.layers.Rescaling(1 / 127.5, -1)(inputs))
    seen = K.layers.MaxPooling2D()(K.layers.Conv2D(12, 3, activation="relu")(seen))
    seen = K.layers.Conv2D(16, 3, dilation_rate=2, activation="relu")(seen)
    return classifier(K.Model(inputs, head(K, seen)), x.astype("uint8"), y)


@ordinary(worlds=KERAS_3)
def moved_axes(K):
    """Columns of a table that are turned, repeated, cut and compared."""
    x = normal(640, 4, 6)
    y = (x.sum(1)[:, 0] > 0) + 2 * (x.sum(1)[:, 5] > 0)
    inputs = K.layers.Input((4, 6))
    turned = K.layers.Permute((2, 1))(inputs)
    mixed = K.layers.Dot(axes=(1, 2))([inputs, turned])
    flat = K.layers.Flatten()(turned)
    folded = K.layers.Reshape((3, 8))(flat)
    first = K.layers.Cropping1D((0, 1))(folded)
    again = K.layers.RepeatVector(2)(K.layers.Dense(8)(flat))
    parts = [
        K.layers.Maximum()([first, again]),
        K.layers.Minimum()([first, again]),
        K.layers.Average()([first, again]),
    ]
    merged = [K.layers.Flatten()(part) for part in [*parts, mixed]]
    hidden = K.layers.Concatenate()([*merged, flat])
    hidden = K.layers.Dense(32, activation="relu")(hidden)
    outputs = K.layers.Dense(4, activation="softmax")(hidden)
    return classifier(K.Model(inputs, outputs), x, y.astype("int64"), epochs=20)


@ordinary(worlds=KERAS_2)
def residual_and_concatenating(K):
    """Branches of several sizes with swish beside each other, then a residual block."""
    x, y = pictures()
    inputs = K.layers.Input((12, 12, 1))
    scaled = K.layers.Rescaling(1 / 127.5, -1)(inputs)
    branches = [
        K.layers.Conv2D(6, size, padding="same", activation="swish")(scaled)
        for size in (1, 3, 5)
    ]
    pooled = K.layers.AveragePooling2D(2, padding="same")
    merged = pooled(K.layers.Concatenate()(branches))
    short = K.layers.Conv2D(16, 1, 2)(merged)
    branch = block(K, block(K, merged, 16, 2), 16)
    seen = K.layers.Activation("relu")(K.layers.Add()([short, branch]))
    return classifier(K.Model(inputs, head(K, seen)), x, y)


@ordinary(worlds=KERAS_2)
def many_activations(K):
    """A curve, by the activations that are layers and those that are names."""
    x = np.random.default_rng(0).uniform(-3, 3, (640, 1)).astype("float32")
    y = np.sin(x) + 0.3 * x
    inputs = K.layers.Input((1,))
    named = ("gelu", "swish", "selu", "softplus", "softsign", "tanh")
    branches = [K.layers.Dense(8, activation=name)(inputs) for name in named]
    layers = (K.layers.PReLU(), K.layers.LeakyReLU(), K.layers.ELU())
    branches += [layer(K.layers.Dense(8)(inputs)) for layer in layers]
    outputs = K.layers.Dense(1)(K.layers.Concatenate()(branches))
    return regressor(K.Model(inputs, outputs), x, y, rate=0.02, epochs=30)
