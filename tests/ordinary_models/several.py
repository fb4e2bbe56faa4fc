"""Several inputs and outputs, by name and by place, of different kinds."""

import numpy as np
from independent import accuracy, mean_absolute_error

from ordinary_models.entry import (
    KERAS_2,
    KERAS_3,
    Score,
    classifier,
    integers,
    normal,
    ordinary,
    trained,
)


def kind_of(output):
    return Score(accuracy, output=output)


def error_of(output):
    return Score(mean_absolute_error, is_error=True, output=output)


@ordinary(worlds=KERAS_3)
def dict_inputs(K):
    """Names with characters that others than Keras do not take, not in their order."""
    x = {
        "user-id": integers(30, 640, 1),
        "item.price": normal(640, 1, seed=1),
        "age": normal(640, 1, seed=2),
    }
    y = (x["user-id"][:, 0] < 15) + 2 * (x["item.price"][:, 0] > x["age"][:, 0])
    inputs = {
        "user-id": K.layers.Input((1,), dtype="int32", name="user-id"),
        "item.price": K.layers.Input((1,), name="item.price"),
        "age": K.layers.Input((1,), name="age"),
    }
    user = K.layers.Flatten()(K.layers.Embedding(30, 8)(inputs["user-id"]))
    merged = K.layers.Concatenate()([user, inputs["item.price"], inputs["age"]])
    hidden = K.layers.Dense(32, activation="relu")(merged)
    outputs = K.layers.Dense(4, activation="softmax")(hidden)
    return classifier(K.Model(inputs, outputs), x, y.astype("int64"), rate=0.02)


@ordinary(worlds=KERAS_3)
def dict_outputs(K):
    """Two regressions far apart, named against the alphabet."""
    x = normal(640, 4)
    y = {"width": x[:, :1] + 1.0, "area": 5 * x[:, 1:2] + 40.0}
    inputs = K.layers.Input((4,))
    hidden = K.layers.Dense(32, activation="relu")(inputs)
    outputs = {
        "width": K.layers.Dense(1, name="width")(hidden),
        "area": K.layers.Dense(1, name="area")(hidden),
    }
    return trained(
        K.Model(inputs, outputs),
        x,
        y,
        loss={"width": "mse", "area": "mse"},
        metrics={"width": ["mae"], "area": ["mae"]},
        scores={"width_mae": error_of("width"), "area_mae": error_of("area")},
        rate=0.03,
        epochs=40,
    )


@ordinary(worlds=KERAS_2)
def dict_outputs_of_two_kinds(K):
    x = normal(640, 6)
    y = {
        "species": ((x[:, 0] > 0) + (x[:, 1] > 0)).astype("int64"),
        "height": 2 * x[:, 2:3] + 3,
    }
    inputs = K.layers.Input((6,), name="measures")
    hidden = K.layers.Dense(48, activation="relu")(inputs)
    outputs = {
        "species": K.layers.Dense(3, activation="softmax", name="species")(hidden),
        "height": K.layers.Dense(1, name="height")(hidden),
    }
    return trained(
        K.Model({"measures": inputs}, outputs),
        {"measures": x},
        y,
        loss={"height": "mse", "species": "sparse_categorical_crossentropy"},
        metrics={"height": ["mae"], "species": ["accuracy"]},
        scores={
            "species_accuracy": kind_of("species"),
            "height_mae": error_of("height"),
        },
        rate=0.02,
        epochs=20,
    )


@ordinary(worlds=KERAS_2)
def list_outputs_of_two_kinds(K):
    """Neither in the order of the alphabet; one has "loss" in its name."""
    x = normal(640, 6)
    y = [(x[:, 0] > x[:, 1]).astype("int64"), 3 * x[:, 2:3] - 5]
    inputs = K.layers.Input((6,))
    hidden = K.layers.Dense(48, activation="relu")(inputs)
    outputs = [
        K.layers.Dense(2, activation="softmax", name="winner")(hidden),
        K.layers.Dense(1, name="gloss")(hidden),
    ]
    return trained(
        K.Model(inputs, outputs),
        x,
        y,
        loss=["sparse_categorical_crossentropy", "mse"],
        loss_weights=[1.0, 0.5],
        metrics=[["accuracy"], ["mae"]],
        scores={"winner_accuracy": kind_of(0), "gloss_mae": error_of(1)},
        rate=0.02,
        epochs=20,
    )


@ordinary(worlds=KERAS_3)
def picture_and_table(K):
    """A list of inputs of two kinds; the table is named before the picture."""
    pictures, table = normal(640, 8, 8, 1), normal(640, 3, seed=1)
    pictures[:320] += 0.7
    order = np.random.default_rng(2).permutation(640)
    pictures = pictures[order]
    y = ((order < 320) + 2 * (table[:, 0] > 0)).astype("int64")
    inputs = [
        K.layers.Input((8, 8, 1), name="picture"),
        K.layers.Input((3,), name="a_table"),
    ]
    seen = K.layers.Conv2D(8, 3, activation="relu")(inputs[0])
    seen = K.layers.GlobalAveragePooling2D()(seen)
    merged = K.layers.Concatenate()([seen, inputs[1]])
    hidden = K.layers.Dense(24, activation="relu")(merged)
    outputs = K.layers.Dense(4, activation="softmax")(hidden)
    return classifier(
        K.Model(inputs, outputs), [pictures, table], y, rate=0.02, epochs=20
    )


@ordinary(worlds=KERAS_3)
def one_tensor_twice(K):
    """The same head in two places, with another one between."""
    x = normal(640, 4)
    y = x[:, :1] + 2
    inputs = K.layers.Input((4,))
    hidden = K.layers.Dense(24, activation="relu")(inputs)
    head = K.layers.Dense(1, name="head")(hidden)
    other = K.layers.Dense(1, name="other")(hidden)
    return trained(
        K.Model(inputs, [head, other, head]),
        x,
        [y, -y, y],
        loss="mse",
        metrics=[["mae"], ["mae"], []],
        scores={"head_mae": error_of(0), "other_mae": error_of(1)},
        rate=0.02,
        epochs=20,
    )


@ordinary(worlds=KERAS_3)
def two_heads_in_a_model(K):
    """A nested model gives both outputs, which Keras 3 gives one name."""
    x = normal(640, 6)
    y = [2 * x[:, :1], (x[:, 1] > 0).astype("int64")]
    seen = K.layers.Input((6,))
    hidden = K.layers.Dense(24, activation="relu")(seen)
    outputs = [K.layers.Dense(1)(hidden), K.layers.Dense(2, "softmax")(hidden)]
    heads = K.Model(seen, outputs, name="heads")
    inputs = K.layers.Input((6,))
    return trained(
        K.Model(inputs, heads(inputs)),
        x,
        y,
        loss=["mse", "sparse_categorical_crossentropy"],
        metrics=[["mae"], ["accuracy"]],
        scores={"heads_mae": error_of(0), "heads_accuracy": kind_of(1)},
        rate=0.02,
        epochs=20,
    )


@ordinary(worlds=KERAS_3)
def one_output_in_a_dict(K):
    x = normal(640, 4)
    inputs = {"size": K.layers.Input((4,), name="size")}
    hidden = K.layers.Dense(24, activation="relu")(inputs["size"])
    return trained(
        K.Model(inputs, {"price": K.layers.Dense(1, name="price")(hidden)}),
        {"size": x},
        {"price": 2 * x[:, :1]},
        loss={"price": "mse"},
        metrics={"price": ["mae"]},
        scores={"mae": error_of("price")},
        rate=0.02,
    )
