"""The examples of public docstrings, and what they take as given."""

import importlib
import inspect
import re

import keras_tuner
import models
import numpy as np
import pytest

import keras_prune_kit as kpk

FENCED = re.compile(r"```python\n(.*?)```", re.DOTALL)
X = np.random.default_rng(0).normal(size=(64, 8)).astype("float32")
TRIALS = re.compile(r"max_trials=\d+")


def public():
    """Return all that is public, by name; what is in the bridge as `tfmot.wrap`."""
    found = {name: getattr(kpk, name) for name in kpk.__all__}
    bridge = found.pop("tfmot")
    return found | {f"tfmot.{name}": getattr(bridge, name) for name in bridge.__all__}


def examples():
    """Return the examples between fences as `(name, code)`, those of methods too."""
    found = []
    for name, item in public().items():
        texts = {name: item}
        if inspect.isclass(item):
            texts |= {f"{name}.{key}": member for key, member in vars(item).items()}
        for path, documented in texts.items():
            if path == name or inspect.isfunction(documented):
                text = inspect.getdoc(documented) or ""
                found += [(path, code) for code in FENCED.findall(text)]
    return found


def run(path, code):
    """Run an example in the current folder and return its names.

    Args:
        path: The name that it documents; `tfmot.` at its front means `tf_keras`.
        code: The example.
    """
    names = given(importlib.import_module("tf_keras" if "tfmot." in path else "keras"))
    for word, make in MADE.items():
        if word in re.findall(r'[a-z_]+|"[^"]*"', code):
            names[word] = make(names)
    exec(compile(TRIALS.sub("max_trials=1", code), path, "exec"), names)
    return names


def given(world):
    """Return the names of a model, of data and of a loop."""
    model = trained(world)
    # The model is wrong each time, so a search finds what is as good.
    y = model.predict(X, verbose=0).argmin(1)
    return {
        "batches": [(X[:32], y[:32]), (X[32:], y[32:])],
        "epochs": 5,
        "keras": world,
        "keras_tuner": keras_tuner,
        "kpk": kpk,
        "model": model,
        "n": 2,
        "pruning": kpk.PruningCallback(0.5),
        "train_step": train_step(model),
        **dict.fromkeys(("x", "x_test", "x_train", "x_val", "xv"), X),
        **dict.fromkeys(("y", "y_test", "y_val", "yv"), y),
    }


def trained(world, units=16):
    model = models.functional_classifier(world, units)
    model.fit(X, np.arange(64) % 3, verbose=0)
    return model


def half_pruned(names):
    return kpk.prune_at_once(names["model"], 0.5, data=names["x"])


def train_step(model):
    return lambda x, y: model.train_on_batch(x, y, return_dict=True)["loss"]


def wrapped(names):
    found = kpk.tfmot.wrap(names["model"], 0.5, steps_per_epoch=2, epochs=5).model
    names["train_step"] = train_step(found)
    return found


def interrupted(names):
    """Save a wrapped model after three epochs of five."""
    model = wrapped(names)
    with pytest.warns(kpk.IncompletePruningWarning):
        model.fit(names["x"], names["y"], epochs=3, callbacks=kpk.tfmot.callbacks())
    model.save("wrapped.keras")


def hypermodel(names):
    return kpk.CompressionHyperModel(names["model"], quantization=("none",))


def searched(names):
    names["hypermodel"] = hypermodel(names)
    place = {"directory": "out", "project_name": "search"}
    tuner = keras_tuner.RandomSearch(names["hypermodel"], max_trials=1, **place)
    data = {"validation_data": (names["x"], names["y"]), "epochs": 3, "verbose": 0}
    tuner.search(names["x"], names["y"], **data)
    return tuner


# What only some examples take as given: names and files.
MADE = {
    '"model.tflite"': lambda names: kpk.export_tflite(names["model"], "model.tflite"),
    '"out/search"': searched,
    '"wrapped.keras"': interrupted,
    "checkpoint": lambda names: names["keras"].callbacks.ModelCheckpoint("run.keras"),
    "hypermodel": hypermodel,
    "pruned": half_pruned,
    "quantized": lambda names: kpk.quantize_aware(names["model"]).model,
    "speedup": lambda names: names.update(model=trained(names["keras"], 512)),
    "tuner": searched,
    "wrapped": wrapped,
}
