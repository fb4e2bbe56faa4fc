"""Losses, metrics, layers and functions that people write themselves."""

import numpy as np
import tensorflow as tf

from ordinary_models.entry import (
    KERAS_2,
    KERAS_3,
    MAE,
    Score,
    classifier,
    normal,
    ordinary,
    trained,
)


def _points(columns=6):
    x = normal(640, columns)
    return x, ((x[:, 0] > 0) + (x[:, 1] > 0)).astype("int64")


def _line(columns=6):
    x = normal(640, columns)
    return x, 2 * x[:, :1] - x[:, 1:2] + 0.5


def unit_length(vectors):
    return tf.math.l2_normalize(vectors, axis=-1)


@ordinary(worlds=KERAS_2)
def lambda_of_a_named_function(K):
    x, y = _points()
    model = K.Sequential(
        [
            K.layers.Input((6,)),
            K.layers.Dense(32, activation="relu"),
            K.layers.Lambda(unit_length),
            K.layers.Dense(3, activation="softmax"),
        ]
    )
    return classifier(model, x, y, rate=0.02, objects={"unit_length": unit_length})


@ordinary()
def lambda_with_a_closure(K):
    """Nested, as an encoder that picks a step and scales it."""
    x = normal(640, 5, 4)
    y = (x[:, -1, 0] > 0) + 2 * (x[:, -1, 1] > 0)
    step, scale = -1, 3.0
    encoder = K.Sequential(
        [
            K.layers.Input((5, 4)),
            K.layers.Lambda(lambda t: t[:, step] * scale, output_shape=(4,)),
            K.layers.Dense(32, activation="relu"),
        ],
        name="encoder",
    )
    inputs = K.layers.Input((5, 4))
    outputs = K.layers.Dense(4, activation="softmax")(encoder(inputs))
    return classifier(K.Model(inputs, outputs), x, y.astype("int64"))


@ordinary(worlds=KERAS_3, loads=False)
def lambda_of_a_module(K):
    """Keras saves the code and cannot load it: `tf` is missing there."""
    x, y = _points()
    inputs = K.layers.Input((6,))
    both = K.layers.Lambda(lambda t: tf.concat([t, tf.abs(t)], -1), (12,))(inputs)
    outputs = K.layers.Dense(3, activation="softmax")(
        K.layers.Dense(32, activation="relu")(both)
    )
    return classifier(K.Model(inputs, outputs), x, y)


def smooth_hinge(delta):
    def loss(y, p):
        error = tf.abs(tf.cast(y, p.dtype) - p)
        return tf.reduce_mean(tf.where(error < delta, error**2, delta * error), -1)

    return loss


def _net(K):
    return K.Sequential(
        [
            K.layers.Input((6,)),
            K.layers.Dense(32, activation="relu"),
            K.layers.Dense(1),
        ]
    )


@ordinary(worlds=KERAS_3)
def own_loss(K):
    """A closure, which Keras cannot find by its name; a rate with a schedule."""
    x, y = _line()
    model = _net(K)
    rate = K.optimizers.schedules.CosineDecay(0.02, 200)
    compiled = {"loss": smooth_hinge(1.0), "metrics": ["mae"]}
    return trained(model, x, y, rate=rate, scores={"mae": MAE}, **compiled)


def within(K, tolerance):
    """A metric class with an argument and without get_config."""

    class Within(K.metrics.Metric):
        def __init__(self, tolerance, name="within"):
            super().__init__(name=name)
            self.tolerance = tolerance
            self.hits = self.add_weight(name="hits", initializer="zeros")
            self.count = self.add_weight(name="count", initializer="zeros")

        def update_state(self, y, p, sample_weight=None):
            hit = tf.abs(tf.cast(y, p.dtype) - p) < self.tolerance
            self.hits.assign_add(tf.reduce_sum(tf.cast(hit, "float32")))
            self.count.assign_add(tf.cast(tf.size(hit), "float32"))

        def result(self):
            return self.hits / self.count

    return Within(tolerance)


@ordinary()
def own_metric(K):
    x, y = _line()
    model = _net(K)
    scores = {"within": Score(lambda y, p: float(np.mean(np.abs(y - p) < 1)))}
    metrics = [within(K, 1.0), "mae"]
    return trained(
        model, x, y, loss="mse", metrics=metrics, scores={**scores, "mae": MAE}
    )


@ordinary(worlds=KERAS_2)
def own_layer(K):
    """With get_config; its class is registered nowhere."""

    class Scaled(K.layers.Layer):
        def __init__(self, units, scale=2.0, **more):
            super().__init__(**more)
            self.units, self.scale = units, scale

        def build(self, input_shape):
            self.table = self.add_weight(
                name="table", shape=(int(input_shape[-1]), self.units)
            )
            super().build(input_shape)

        def call(self, inputs):
            return self.scale * tf.matmul(inputs, self.table)

        def get_config(self):
            own = {"units": self.units, "scale": self.scale}
            return {**super().get_config(), **own}

    x, y = _points()
    inputs = K.layers.Input((6,))
    hidden = K.layers.Dense(32, activation="relu")(Scaled(16, scale=0.5)(inputs))
    outputs = K.layers.Dense(3, activation="softmax")(hidden)
    return classifier(K.Model(inputs, outputs), x, y, objects={"Scaled": Scaled})


# Keras itself cannot load a class whose constructor takes no other arguments.
@ordinary(worlds=KERAS_3, loads=False)
def own_layer_without_config(K):
    """Keras 3 writes down plain arguments by itself."""

    class Clipped(K.layers.Layer):
        def __init__(self, low, high):
            super().__init__()
            self.low, self.high = low, high

        def call(self, inputs):
            return tf.clip_by_value(inputs, self.low, self.high)

    x, y = _points()
    model = K.Sequential(
        [
            K.layers.Input((6,)),
            Clipped(-1.5, 1.5),
            K.layers.Dense(32, activation="relu"),
            K.layers.Dense(3, activation="softmax"),
        ]
    )
    return classifier(model, x, y, objects={"Clipped": Clipped})


def squashed(values):
    return values * tf.sigmoid(1.5 * values)


@ordinary(worlds=KERAS_3)
def own_functions(K):
    """An activation, a regularizer and a constraint, registered nowhere."""

    class Bounded(K.constraints.Constraint):
        def __init__(self, limit):
            self.limit = limit

        def __call__(self, w):
            return tf.clip_by_value(w, -self.limit, self.limit)

        def get_config(self):
            return {"limit": self.limit}

    class Small(K.regularizers.Regularizer):
        def __call__(self, weights):
            return 1e-4 * tf.reduce_sum(tf.square(weights))

        def get_config(self):
            return {}

    x, y = _points()
    model = K.Sequential(
        [
            K.layers.Input((6,)),
            K.layers.Dense(24, activation=squashed, kernel_constraint=Bounded(1.0)),
            K.layers.Dense(24, kernel_regularizer=Small()),
            K.layers.Activation(squashed),
            K.layers.Dense(3, activation="softmax"),
        ]
    )
    objects = {"squashed": squashed, "Bounded": Bounded, "Small": Small}
    return classifier(model, x, y, objects=objects)
