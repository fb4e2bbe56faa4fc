"""A small training, the same on one device, on several, and in several processes.

Run with TF_CONFIG in the environment it is one of several workers:

    python tests/distributed_training.py WORLD HOW PLACE [plain]
"""

import contextlib
import importlib
import json
import os
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf

import keras_prune_kit as kpk

BATCH = 16  # Over all devices together.
EPOCHS = 3
rng = np.random.default_rng(0)
X, Y = rng.normal(size=(64, 8)).astype("float32"), rng.integers(0, 3, 64)
SHAPES = (8, 16), (16,), (16, 3), (3,)
START = [rng.normal(size=shape, scale=0.3).astype("float32") for shape in SHAPES]
SIZES = (8 * 16, 16 * 3)
TARGET = 0.8
STEPS = len(X) // BATCH


def build(K, strategy):
    with strategy.scope() if strategy else contextlib.nullcontext():
        layers = [K.layers.Input((8,)), K.layers.Dense(16, activation="relu")]
        model = K.Sequential([*layers, K.layers.Dense(3, activation="softmax")])
        model.set_weights(START)
        optimizer = K.optimizers.SGD(0.1, momentum=0.9)
        model.compile(optimizer, "sparse_categorical_crossentropy")
        # Keras 3 cannot build it inside a distributed tf.function.
        optimizer.build(model.trainable_variables)
    return model


def copies(variable):
    """What each replica has of a variable of either world."""
    inner = getattr(variable, "_value", variable)
    return [part.numpy() for part in getattr(inner, "values", [inner])]


def masks_of(model):
    """For each kernel, what each replica has of it and of its mask."""
    kernels = [layer.kernel for layer in model.layers]
    constraints = [
        getattr(getattr(k, "values", [k])[0], "constraint", None) for k in kernels
    ]
    return [
        (copies(kernel), copies(constraint.projection.state))
        for kernel, constraint in zip(kernels, constraints, strict=True)
    ]


def fit(K, strategy, is_pruned=True):
    """Through `fit`; gives the model and the masks of each epoch."""
    model, seen, callbacks = build(K, strategy), [], []
    if is_pruned:
        look = K.callbacks.LambdaCallback(
            on_epoch_end=lambda *_: seen.append(masks_of(model))
        )
        callbacks = [kpk.PruningCallback(TARGET), look]
    data = tf.data.Dataset.from_tensor_slices((X, Y)).batch(BATCH)
    arguments = {"shuffle": False, "verbose": 0, "callbacks": callbacks}
    model.fit(data, epochs=EPOCHS, **arguments)
    return model, seen


def loop(K, strategy):
    """Through a loop of one's own, where each worker takes its part of each batch."""
    model, seen = build(K, strategy), []
    optimizer = model.optimizer
    task = json.loads(os.environ.get("TF_CONFIG", "{}"))
    index = task["task"]["index"] if task else 0
    count = len(task["cluster"]["worker"]) if task else 1

    @tf.function
    def train_step(x, y):
        def replica_step(x, y):
            with tf.GradientTape() as tape:
                crossentropy = K.losses.sparse_categorical_crossentropy
                losses = crossentropy(y, model(x, training=True))
                loss = tf.reduce_sum(losses) / BATCH
            variables = model.trainable_variables
            gradients = tape.gradient(loss, variables)
            optimizer.apply_gradients(zip(gradients, variables, strict=True))

        if strategy:
            strategy.run(replica_step, (x, y))
        else:
            replica_step(x, y)

    run_length = {"steps_per_epoch": STEPS, "epochs": EPOCHS}
    with kpk.Pruner(model, TARGET, **run_length) as pruner:
        for _ in range(EPOCHS):
            for start in range(0, len(X), BATCH):
                own = slice(start + index, start + BATCH, count)
                train_step(tf.constant(X[own]), tf.constant(Y[own]))
                pruner.step()
            seen.append(masks_of(model))
    return model, seen


def main(world, how, place, *plain):
    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    K = importlib.import_module(world)
    arguments = [not plain] if how == "fit" else []
    model, seen = {"fit": fit, "loop": loop}[how](K, strategy, *arguments)
    masks = [mask[0] for epoch in seen for _, mask in epoch]
    index = json.loads(os.environ["TF_CONFIG"])["task"]["index"]
    np.savez(Path(place) / f"weights_{index}.npz", *model.get_weights())
    np.savez(Path(place) / f"masks_{index}.npz", *masks)


if __name__ == "__main__":
    main(*sys.argv[1:])
