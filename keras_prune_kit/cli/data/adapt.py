"""Scaling of inputs, and checks that they have the shape that a model expects."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from keras_prune_kit._keras.datasets import map_arrays

Scale = tuple[float, float]

_AS_IS: Scale = (1.0, 0.0)


def adapt(data: Any, shape: tuple[int | None, ...] | None, scale: Scale) -> Any:
    """Scale the inputs of arrays or of a dataset, and check their shape.

    Args:
        data: `(x, y)` or a dataset of such batches.
        shape: Input shape of the model, batch axis first; `None` if it has several
            inputs.
        scale: Factor and offset: inputs become `factor * x + offset`.

    Raises:
        ValueError: If the inputs do not have that shape.
    """
    if isinstance(data, tuple):
        return adapt_inputs(data[0], shape, scale), *data[1:]
    if not hasattr(data, "element_spec"):
        return data  # A Keras Sequence has no spec to check, and cannot be mapped.
    spec = data.element_spec
    if not isinstance(spec, tuple) or len(spec) < 2:
        raise ValueError(f"A dataset must yield (x, y). Received: {spec}.")
    if shape is not None:
        _check_shape(tuple(spec[0].shape), shape)
    if scale == _AS_IS:
        return data
    return data.map(lambda x, *rest: (_scaled(x, scale), *rest))


def adapt_inputs(x: Any, shape: tuple[int | None, ...] | None, scale: Scale) -> Any:
    """Scale inputs without labels, and check their shape.

    Args:
        x: An array or a nest of arrays, or a dataset of `(x, y)` batches.
        shape: As for `adapt`.
        scale: As for `adapt`.

    Raises:
        ValueError: If the inputs do not have that shape.
    """
    if hasattr(x, "element_spec"):
        return adapt(x, shape, scale)
    if shape is not None and hasattr(x, "shape"):
        if x.ndim == len(shape) - 1 and shape[-1] == 1:
            x = x[..., np.newaxis]  # Grayscale pictures, as those of MNIST.
        _check_shape(x.shape, shape)
    return x if scale == _AS_IS else _scaled(x, scale)


def _scaled(x: Any, scale: Scale) -> Any:
    return map_arrays(lambda item: _as_float(item) * scale[0] + scale[1], x)


def _as_float(item: Any) -> Any:
    """Cast an array, or a symbolic tensor of a dataset, to float32."""
    if isinstance(item, np.ndarray):
        # uint8 pixels times a factor would become float64, twice the memory.
        return item.astype(np.float32)
    return keras.ops.cast(item, "float32")


def _check_shape(received: tuple[int | None, ...], shape: tuple[int | None, ...]):
    fits = len(received) == len(shape) and all(
        # A size is unknown in the model, or in the spec of a dataset.
        None in pair or pair[0] == pair[1]
        for pair in zip(received[1:], shape[1:], strict=True)
    )
    if not fits:
        raise ValueError(
            f"The model expects inputs of shape {_text(shape)}. Received: "
            f"{_text((None, *received[1:]))}."
        )


def _text(shape: tuple[int | None, ...]) -> str:
    sizes = ("any" if size is None else str(size) for size in shape[1:])
    return f"({', '.join(['n', *sizes])})"
