"""Names for the outputs of a model: one tensor, or a nest of lists and dicts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from keras_prune_kit._tools.names import keys_of, unique


def named_outputs(model: Any, outputs: Any) -> dict[str, Any]:
    """Return the outputs of a model by name, in the order of the model.

    Args:
        model: A Keras model.
        outputs: Tensors, arrays or other values in the structure of its outputs.

    Returns:
        The outputs by dict key, or by the name of the layer that produces them in a
        functional model. A single output, and those of other models, are named
        `output_0`, `output_1`, ...
    """
    paths, leaves = zip(*_leaves(outputs), strict=True)
    if isinstance(outputs, Mapping) or not all(len(path) == 1 for path in paths):
        names = ["/".join(map(str, path)) or "output_0" for path in paths]
    else:
        names = _layer_names(model, len(leaves))
    return dict(zip(unique(names), leaves, strict=True))


def arrange(model: Any, named: Mapping[str, Any], like: Any) -> Any:
    """Arrange named arrays into the structure of a model's outputs.

    Args:
        model: A Keras model.
        named: One array per output, by name, from the model or its exported file.
        like: Outputs of the model for any samples, for their structure.

    Raises:
        ValueError: If the names do not correspond to those of the model.
    """
    wanted = list(named_outputs(model, like))
    keys = keys_of(wanted, named)
    if keys is None or len(keys) != len(named):
        # A list has an order, so names may differ; for dicts only names can decide.
        if len(wanted) != len(named) or (isinstance(like, Mapping) and len(named) > 1):
            raise ValueError(
                f"Outputs are compared by name, and those of model '{model.name}' are "
                f"named {wanted}. Received outputs named {list(named)}."
            )
        keys = list(named)
    return _pack(like, iter([named[key] for key in keys]))


def _layer_names(model: Any, count: int) -> list[str]:
    names: list[str] = list(getattr(model, "output_names", None) or ())
    if len(names) != count or count == 1:
        return [f"output_{index}" for index in range(count)]
    return names


def _leaves(item: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, Any]]:
    """Yield each leaf of a nest with the keys and indices that lead to it."""
    if isinstance(item, Mapping):
        for key, value in item.items():
            yield from _leaves(value, (*path, key))
    elif isinstance(item, list | tuple):
        for place, value in enumerate(item):
            yield from _leaves(value, (*path, place))
    else:
        yield path, item


def _pack(like: Any, leaves: Iterator[Any]) -> Any:
    if isinstance(like, Mapping):
        return {key: _pack(value, leaves) for key, value in like.items()}
    if isinstance(like, list | tuple):
        packed = [_pack(value, leaves) for value in like]
        return tuple(packed) if isinstance(like, tuple) else packed
    return next(leaves)
