"""Labels, losses and metrics in the forms that people give them."""

import numpy as np
import tensorflow as tf
from independent import accuracy

from ordinary_models.entry import (
    ACCURACY,
    KERAS_2,
    KERAS_3,
    Score,
    normal,
    ordinary,
    trained,
)


def points():
    x = normal(640, 6)
    return x, ((x[:, 0] > 0) + (x[:, 1] > 0)).astype("int64")


def dense(K, units, activation=None, **more):
    return K.Sequential(
        [
            K.layers.Input((6,)),
            K.layers.Dense(32, activation="relu", **more),
            K.layers.Dense(units, activation=activation),
        ]
    )


def precision(y, p):
    chosen = p[..., 0] > 0.5
    return float(np.mean(y.reshape(-1)[chosen] == 1))


def recall(y, p):
    return float(np.mean(p[y.reshape(-1) == 1, 0] > 0.5))


@ordinary(worlds=KERAS_3)
def metric_objects(K):
    """Two classes that are not equally many, by metrics with a state."""
    x = normal(640, 6)
    y = (x[:, 0] + x[:, 1] > 0.8).astype("int64")[:, None]

    def area(y, p):
        metric = K.metrics.AUC()
        metric.update_state(y, p)
        return float(metric.result())

    return trained(
        dense(K, 1, "sigmoid"),
        x,
        y,
        loss="binary_crossentropy",
        metrics=[
            K.metrics.Precision(name="precision"),
            K.metrics.Recall(name="recall"),
            K.metrics.AUC(name="area"),
            K.metrics.BinaryAccuracy(name="hits", threshold=0.5),
        ],
        scores={
            "precision": Score(precision),
            "recall": Score(recall),
            "area": Score(area),
            "hits": ACCURACY,
        },
    )


@ordinary(worlds=KERAS_2)
def several_labels_at_once(K):
    x = normal(640, 6)
    y = (x[:, :4] + 0.5 * x[:, 1:5] > 0).astype("float32")
    hits = Score(lambda y, p: float(np.mean((p > 0.5) == y)))
    return trained(
        dense(K, 4, "sigmoid"),
        x,
        y,
        loss="binary_crossentropy",
        metrics=["binary_accuracy"],
        scores={"binary_accuracy": hits},
        epochs=20,
    )


@ordinary(worlds=KERAS_3)
def regularized_without_metrics(K):
    """The loss is all there is to score; what the weights cost is no error."""
    x = normal(640, 6)
    y = 2 * x[:, :1] - x[:, 1:2]
    model = dense(K, 1, kernel_regularizer=K.regularizers.L2(0.01))
    mse = Score(lambda y, p: float(np.mean((y - p) ** 2)), is_error=True)
    return trained(model, x, y, loss="mse", scores={"loss": mse}, epochs=20)


@ordinary(worlds=KERAS_3)
def names_of_metrics_in_a_dict(K):
    """One-hot labels, logits, and what is scored by the name of the output."""
    x, y = points()
    inputs = K.layers.Input((6,))
    hidden = K.layers.Dense(32, activation="relu")(inputs)
    outputs = K.layers.Dense(3, name="kind")(hidden)
    top = K.metrics.TopKCategoricalAccuracy(k=2, name="top2")

    def in_two(y, p):
        return float(np.mean((p.argsort(-1)[:, -2:] == y.argmax(-1)[:, None]).any(1)))

    return trained(
        K.Model(inputs, outputs),
        x,
        np.eye(3, dtype="float32")[y],
        loss={"kind": K.losses.CategoricalCrossentropy(True, label_smoothing=0.05)},
        metrics={"kind": ["accuracy", top]},
        scores={
            "accuracy": Score(lambda y, p: accuracy(y.argmax(-1), p)),
            "top2": Score(in_two),
        },
    )


@ordinary(worlds=KERAS_2)
def weighted_samples(K):
    """Weights of samples in training and validation, and a weighted metric."""
    x = normal(640, 6)
    y = 2 * x[:, :1] - x[:, 1:2]
    weights = 1 + 4 * (x[:, 2] > 0).astype("float32")

    def weighted_mae(y, p):
        heavy = weights[-len(y) :, None]
        return float(np.sum(heavy * np.abs(y - p)) / np.sum(heavy))

    return trained(
        dense(K, 1),
        x,
        y,
        weights,
        loss="mse",
        weighted_metrics=["mae"],
        scores={"mae": Score(weighted_mae, is_error=True)},
    )


@ordinary(worlds=KERAS_2)
def added_loss(K):
    """A variational autoencoder: what its layer adds to the loss is no error."""

    class Sampling(K.layers.Layer):
        def call(self, inputs, training=False):
            mean, variance = inputs
            divergence = tf.exp(variance) + mean**2 - 1.0 - variance
            self.add_loss(0.001 * tf.reduce_mean(divergence))
            noise = tf.random.normal(tf.shape(mean)) if training else 0.0
            return mean + tf.exp(0.5 * variance) * noise

    x = normal(640, 2) @ normal(2, 6, seed=1)
    inputs = K.layers.Input((6,))
    hidden = K.layers.Dense(24, activation="relu")(inputs)
    code = Sampling()([K.layers.Dense(2)(hidden), K.layers.Dense(2)(hidden)])
    outputs = K.layers.Dense(6)(K.layers.Dense(24, activation="relu")(code))
    mse = Score(lambda y, p: float(np.mean((y - p) ** 2)), is_error=True)
    return trained(
        K.Model(inputs, outputs),
        x,
        x,
        loss="mse",
        scores={"loss": mse},
        epochs=30,
        objects={"Sampling": Sampling},
    )
