"""Small models of all kinds of layers, for the tests of channels, in either world.

Each builder takes the world and returns a model with channels that can leave. The
weights are random, as are the statistics and scales of normalization, so that outputs
differ from sample to sample and a wrong cut cannot hide.
"""

import numpy as np

from keras_prune_kit.channels.groups import traced
from keras_prune_kit.channels.tied_weights import TiedWeights

BATCH = 6


def ops_of(K):
    """`keras.ops`, or what of TensorFlow has the same names."""
    if K.__name__ == "keras":
        return K.ops
    import tensorflow as tf

    return tf


def randomize(model, seed=0):
    """Give all weights and statistics random values, and return the model."""
    rng = np.random.default_rng(seed)
    adapted = {
        id(w)
        for layer in _layers(model)
        if hasattr(layer, "adapt")
        for w in layer.weights
    }
    for variable in model.weights:
        if id(variable) in adapted or "float" not in str(
            getattr(variable.dtype, "name", variable.dtype)
        ):
            continue
        shape = tuple(variable.shape)
        name = variable.name.partition(":")[0].rpartition("/")[2]
        if len(shape) > 1:
            value = rng.normal(size=shape) * (1.5 / max(np.prod(shape[:-1]), 1) ** 0.5)
        elif "variance" in name or name in ("gamma", "scale"):
            value = rng.uniform(0.5, 1.5, shape)
        else:
            value = rng.normal(size=shape) * 0.3
        variable.assign(value)
    return model


def _layers(model):
    for layer in getattr(model, "layers", ()):
        yield from (layer, *_layers(layer))


def samples(model, seed=0):
    """Return inputs for a model, one array or several."""
    rng = np.random.default_rng(seed)
    arrays = []
    for tensor in model.inputs:
        shape = (
            tensor.shape[0] or BATCH,
            *(size or 5 for size in tuple(tensor.shape)[1:]),
        )
        dtype = str(getattr(tensor.dtype, "name", tensor.dtype))
        if "int" in dtype:
            arrays.append(rng.integers(0, 9, shape).astype(dtype))
        else:
            arrays.append(rng.normal(size=shape).astype(dtype))
    return arrays[0] if len(arrays) == 1 else arrays


def outputs(model, x):
    """Return the flat outputs of a model, one row per sample."""
    found = model(x, training=False)
    if isinstance(found, dict):
        found = [found[key] for key in sorted(found)]
    found = found if isinstance(found, list | tuple) else [found]
    arrays = [np.asarray(array, np.float64) for array in found]
    return np.concatenate([array.reshape(len(array), -1) for array in arrays], 1)


def zero_channels(model, share=0.5, seed=0):
    """Zero random channels wherever they are made; return their roots in a trace.

    Only channels that may leave without changing others are chosen.
    """
    rng = np.random.default_rng(seed)
    found, tied = traced(model), TiedWeights(model)
    barred = found.reasons(found.kept).keys() | found.reasons(found.coupled).keys()
    axes = [axis for cut in found.cuts.values() if (axis := tied.axis(cut.variable))]
    makers = {root for axis in axes for root in axis.roots.tolist()}
    chosen = []
    for made in found.made:
        roots = dict.fromkeys(found.ties.roots(made.ids).tolist())
        free = [root for root in roots if root in makers and root not in barred]
        count = min(round(share * len(free)), len(roots) - 1)
        chosen += rng.permutation(free)[:count].tolist()
    gone = set(chosen)
    for made in found.made:  # One of each layer stays.
        roots = found.ties.roots(made.ids).tolist()
        if gone.issuperset(roots):
            gone.discard(roots[0])
    gone = np.array(sorted(gone), np.int64)
    for axis in axes:
        value = np.array(axis.variable)
        axis.variable.assign(value * axis.mask(gone))
    return gone
