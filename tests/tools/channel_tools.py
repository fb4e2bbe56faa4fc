"""Tools for the tests of channels: random weights, zeros, and comparisons."""

from dataclasses import dataclass
from typing import Any

import numpy as np

import keras_prune_kit as kpk
from keras_prune_kit.channels.costs import costs_of, staying
from keras_prune_kit.channels.groups import traced
from keras_prune_kit.channels.removal import without
from keras_prune_kit.channels.silent import Silence
from keras_prune_kit.channels.tied_weights import TiedWeights

BATCH = 6  # where a model does not fix it


def randomize(model, seed=0):
    """Give all weights and statistics random values, and return the model.

    With those that they start with, a deep network gives nearly the same for all
    samples, and a wrong cut could hide.
    """
    rng = np.random.default_rng(seed)
    layers = list(all_layers(model))
    adapted = {id(w) for x in layers if hasattr(x, "adapt") for w in x.weights}
    for variable in model.weights:
        if id(variable) not in adapted and "float" in dtype_of(variable):
            variable.assign(_random(rng, variable))
    return model


def _random(rng, variable):
    shape = tuple(variable.shape)
    name = variable.name.partition(":")[0].rpartition("/")[2]
    if len(shape) > 1:
        # A depthwise kernel mixes no channels.
        mixed = shape[:-2] if shape[-1] < 3 and len(shape) > 2 else shape[:-1]
        return rng.normal(size=shape) * 1.5 / np.prod(mixed) ** 0.5
    if "variance" in name or name in ("gamma", "scale"):
        return rng.uniform(0.5, 1.5, shape)
    return rng.normal(size=shape) * 0.3


def all_layers(model):
    """The layers of a model and of the models and layers in it."""
    for layer in getattr(model, "layers", ()):
        yield from (layer, *all_layers(layer))


def dtype_of(tensor):
    return str(getattr(tensor.dtype, "name", tensor.dtype))


def samples(model, seed=0):
    """Random inputs for a model, one array or several."""
    rng = np.random.default_rng(seed)
    arrays = []
    for tensor in model.inputs:
        batch, *sizes = tensor.shape
        shape = (batch or BATCH, *(size or 5 for size in sizes))
        is_tokens = "int" in dtype_of(tensor)
        values = rng.integers(0, 9, shape) if is_tokens else rng.normal(size=shape)
        arrays.append(values.astype(dtype_of(tensor)))
    return arrays[0] if len(arrays) == 1 else arrays


def outputs(model, x):
    """All outputs of a model, one row per sample; a stateful one begins anew."""
    for layer in all_layers(model):
        if getattr(layer, "stateful", False) and hasattr(layer, "reset_states"):
            layer.reset_states()
    given = getattr(model, "input", None)
    if isinstance(given, dict):
        x = dict(zip(given, [x], strict=True))
    found = model(x, training=False)
    if isinstance(found, dict):
        found = [found[key] for key in sorted(found)]
    found = found if isinstance(found, list | tuple) else [found]
    arrays = [np.asarray(array, np.float64) for array in found]
    return np.concatenate([array.reshape(len(array), -1) for array in arrays], 1)


def spread(rows):
    """How far outputs lie from their mean over the samples."""
    return rows.std(0).max()


def zero_channels(model, share=0.5, seed=0):
    """Zero random channels wherever they are made; return their roots in a trace.

    One of each layer stays, and so do those whose removal would change others.
    """
    rng = np.random.default_rng(seed)
    found, tied = traced(model), TiedWeights(model)
    barred = found.reasons(found.kept).keys() | found.reasons(found.coupled).keys()
    axes = [axis for cut in found.cuts.values() if (axis := tied.axis(cut.variable))]
    can_be_zero = {root for axis in axes for root in axis.roots.tolist()} - barred
    layers = [found.ties.roots(made.ids).tolist() for made in found.made]
    gone = set()
    for roots in layers:
        free = sorted(can_be_zero.intersection(roots))
        gone.update(rng.permutation(free)[: round(share * len(free))].tolist())
    for roots in layers:
        if gone.issuperset(roots):
            gone.discard(roots[0])
    chosen = np.array(sorted(gone), np.int64)
    for axis in axes:
        axis.variable.assign(np.array(axis.variable) * axis.mask(chosen))
    return chosen


@dataclass(frozen=True)
class Removed:
    """A model with zero channels, and what is left without them.

    Attributes:
        model: The model.
        small: The model without the channels.
        zeroed: The channels that were zeroed.
        silent: Those that were found to contribute nothing.
        off: The largest difference of the outputs, in parts of their spread.
        off_if_cut: The same if the channels leave without having been zeroed.
        parameters: How many parameters are predicted to be left.
    """

    model: Any
    small: Any
    zeroed: np.ndarray
    silent: np.ndarray
    off: float
    off_if_cut: float
    parameters: int


def removed(build, share=0.5, seed=0):
    """Zero channels of a model, remove them, and compare."""
    model, control = randomize(build(), seed), randomize(build(), seed)
    x = samples(model, seed)
    zeroed = zero_channels(model, share, seed)
    whole = outputs(control, x)
    found = traced(control)
    cut = without(found, staying(found, zeroed))
    expected = outputs(model, x)
    small = kpk.remove_zero_channels(model)
    found = traced(model)
    silent = Silence(found).roots()
    return Removed(
        model,
        small,
        zeroed,
        silent,
        off=abs(expected - outputs(small, x)).max() / spread(expected),
        off_if_cut=abs(whole - outputs(cut, x)).max() / spread(whole),
        parameters=costs_of(found, staying(found, silent)).parameters,
    )
