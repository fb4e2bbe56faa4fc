"""Layers that know their data before they train: statistics and vocabularies."""

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

COLORS = np.array(["red", "green", "blue", "black", "white", "pink"])


# One scale for all columns: the small ones have no steps in an int8 input.
@ordinary(told=dict.fromkeys(KERAS_3 + KERAS_2, "vary by fewer than 8 steps"))
def adapted_normalization(K):
    """Prices, as a flat array, from columns of very different sizes."""
    columns = normal(640, 4)
    x = columns * [2000, 0.01, 30, 1] + [5000, 2, -40, 0]
    y = 60 * columns[:, 0] + 30 * columns[:, 1] + 200
    normalization = K.layers.Normalization()
    normalization.adapt(x[:384])
    model = K.Sequential(
        [
            K.layers.Input((4,)),
            normalization,
            K.layers.Dense(32, activation="relu"),
            K.layers.Dense(1),
        ]
    )
    return regressor(model, x.astype("float32"), y, rate=0.05, epochs=25)


# Keras 2 leaves the boundaries out of a .keras file.
@ordinary(worlds=KERAS_2, loads=False)
def adapted_discretization(K):
    """Classes by age groups."""
    x = np.random.default_rng(0).uniform(0, 100, (640, 2)).astype("float32")
    y = ((x[:, 0] > 60) + 2 * (x[:, 1] > 30)).astype("int64")
    groups = K.layers.Discretization(num_bins=12)
    groups.adapt(x[:384])
    inputs = K.layers.Input((2,))
    embedded = K.layers.Embedding(12, 8)(groups(inputs))
    outputs = K.layers.Dense(4, activation="softmax")(K.layers.Flatten()(embedded))
    return classifier(K.Model(inputs, outputs), x, y, rate=0.03)


@ordinary(worlds=KERAS_3)
def category_encoding(K):
    x = integers(10, 640, 1)
    y = (x[:, 0] == 4) + 2 * (x[:, 0] > 6)
    inputs = K.layers.Input((1,), dtype="int32")
    encoded = K.layers.CategoryEncoding(10, output_mode="one_hot")(inputs)
    hidden = K.layers.Dense(16, activation="relu")(encoded)
    outputs = K.layers.Dense(3, activation="softmax")(hidden)
    return classifier(K.Model(inputs, outputs), x, y.astype("int64"), rate=0.02)


@ordinary(worlds=KERAS_2, refused={"none": "operators that are not built in"})
def hashing(K):
    x = integers(5, 640, 2)
    y = (x[:, 0] > x[:, 1]).astype("int64")
    inputs = K.layers.Input((2,), dtype="int32")
    embedded = K.layers.Embedding(512, 8)(K.layers.Hashing(512)(inputs))
    outputs = K.layers.Dense(2, activation="softmax")(K.layers.Flatten()(embedded))
    return classifier(K.Model(inputs, outputs), x, y, rate=0.03, epochs=20)


@ordinary(refused={"none": "not built in|lookup|vocabular|tables"})
def integer_lookup(K):
    """Numbers of products, of which some were never seen."""
    products = np.array([1001, 17, 205, 99999, 42])
    chosen = integers(5, 640)
    x, y = products[chosen][:, None].astype("int64"), (chosen > 1).astype("int64")
    x[::50] = 7
    lookup = K.layers.IntegerLookup()
    lookup.adapt(x[:384])
    model = K.Sequential(
        [
            K.layers.Input((1,), dtype="int64"),
            lookup,
            K.layers.Embedding(lookup.vocabulary_size(), 8),
            K.layers.Flatten(),
            K.layers.Dense(2, activation="softmax"),
        ]
    )
    return classifier(model, x, y, rate=0.05)


@ordinary(worlds=KERAS_3, refused={"none": "string|lookup|vocabular|tables"})
def string_lookup(K):
    chosen = integers(6, 640)
    x, y = tf.constant(COLORS[chosen][:, None]), (chosen % 3).astype("int64")
    lookup = K.layers.StringLookup(vocabulary=list(COLORS), output_mode="one_hot")
    model = K.Sequential(
        [
            K.layers.Input((1,), dtype="string"),
            lookup,
            K.layers.Dense(16, activation="relu"),
            K.layers.Dense(3, activation="softmax"),
        ]
    )
    return classifier(model, x, y, rate=0.05)


def _sentences():
    """Of eight words; the class is whether there are more colors or more shapes."""
    rng = np.random.default_rng(0)
    words = np.array([*COLORS, "ball", "cube", "ring", "cone", "disk", "star"])
    chosen = rng.integers(0, 12, (640, 7))
    texts = np.array([" ".join(row) for row in words[chosen]])
    return texts, ((chosen < 6).sum(1) > 3).astype("int64")


@ordinary(worlds=KERAS_2, refused={"none": "string|lookup|vocabular|tables"})
def text_vectorization_inside(K):
    """From texts to classes in one model, as it is served."""
    texts, y = _sentences()
    vectorize = K.layers.TextVectorization(20, output_sequence_length=8)
    vectorize.adapt(texts[:384])
    inputs = K.layers.Input((1,), dtype="string")
    pooled = K.layers.GlobalAveragePooling1D()(
        K.layers.Embedding(20, 16)(vectorize(inputs))
    )
    hidden = K.layers.Dense(16, activation="relu")(pooled)
    outputs = K.layers.Dense(2, activation="softmax")(hidden)
    return classifier(K.Model(inputs, outputs), tf.constant(texts[:, None]), y)


@ordinary(worlds=KERAS_3, refused={"none": "not built in: DenseBincount"})
def feature_space(K):
    """Numbers of a table, each with a statistic of its own."""
    x = {"age": 40 + 15 * normal(640, 1), "income": np.exp(normal(640, 1, seed=1))}
    y = (x["age"][:, 0] > 40) + 2 * (x["income"][:, 0] > 1)
    kinds = K.utils.FeatureSpace
    space = kinds(
        {"age": kinds.float_normalized(), "income": kinds.float_discretized(12)},
        output_mode="concat",
    )
    space.adapt(tf.data.Dataset.from_tensor_slices(x).batch(64))
    hidden = K.layers.Dense(32, activation="relu")(space.get_encoded_features())
    outputs = K.layers.Dense(4, activation="softmax")(hidden)
    model = K.Model(dict(space.get_inputs()), outputs)
    return classifier(model, x, y.astype("int64"), rate=0.03)


@ordinary(worlds=KERAS_2)
def ids_in_a_table(K):
    """One array of floats, of which the first column is a number of something."""
    rng = np.random.default_rng(0)
    ids, is_good = rng.integers(0, 50, 640), rng.random(50) < 0.5
    x = np.concatenate([ids[:, None], normal(640, 2)], 1).astype("float32")
    y = (is_good[ids] ^ (x[:, 1] > 0)).astype("int64")
    inputs = K.layers.Input((3,))
    embedded = K.layers.Embedding(50, 8)(inputs[:, 0])
    merged = K.layers.Concatenate()([embedded, inputs[:, 1:]])
    hidden = K.layers.Dense(32, activation="relu")(merged)
    outputs = K.layers.Dense(2, activation="softmax")(hidden)
    return classifier(K.Model(inputs, outputs), x, y, rate=0.02, epochs=25)
