"""Ways to train that Keras has, in either world."""

import contextlib

import pytest
import tensorflow as tf


def build(K, scope=None, **compile_args):
    with scope or contextlib.nullcontext():
        model = K.Sequential(
            [
                K.layers.Input((8,)),
                K.layers.Dense(16, activation="relu"),
                K.layers.Dense(3, activation="softmax", dtype="float32"),
            ]
        )
        compile_args.setdefault("optimizer", "adam")
        model.compile(loss="sparse_categorical_crossentropy", **compile_args)
    return model


def set_dtype_policy(K, name):
    if K.__name__ == "keras":
        K.config.set_dtype_policy(name)
    else:
        K.mixed_precision.set_global_policy(name)


def mirrored():
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


def legacy(K):
    if K.__name__ == "keras":
        pytest.skip("legacy optimizers are of tf_keras only")
    return K.optimizers.legacy.Adam(0.01)


def accumulation(K):
    if K.__name__ != "keras":
        pytest.skip("gradient accumulation is of Keras 3 only")
    return K.optimizers.Adam(gradient_accumulation_steps=4)


MODES = {
    "plain": lambda K: build(K),
    "momentum": lambda K: build(K, optimizer=K.optimizers.SGD(0.1, momentum=0.9)),
    "weight decay": lambda K: build(K, optimizer=K.optimizers.AdamW()),
    "lion": lambda K: build(K, optimizer=K.optimizers.Lion()),
    "legacy": lambda K: build(K, optimizer=legacy(K)),
    "ema": lambda K: build(K, optimizer=K.optimizers.Adam(use_ema=True)),
    "ema overwriting": lambda K: build(
        K, optimizer=K.optimizers.Adam(use_ema=True, ema_overwrite_frequency=5)
    ),
    "accumulation": lambda K: build(K, optimizer=accumulation(K)),
    "steps_per_execution": lambda K: build(K, steps_per_execution=4),
    "jit_compile": lambda K: build(K, jit_compile=True),
    "run_eagerly": lambda K: build(K, run_eagerly=True),
    "mixed_float16": lambda K: build(K),
    "mixed_bfloat16": lambda K: build(K),
    "mirrored": lambda K: build(K, mirrored().scope()),
    "mirrored mixed_float16": lambda K: build(K, mirrored().scope()),
}
