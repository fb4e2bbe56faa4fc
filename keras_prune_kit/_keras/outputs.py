"""The outputs of a model: a tensor, or a list or dict of them, each with a name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from keras_prune_kit._tools.names import keys_of, unique


def named_outputs(model: Any, outputs: Any) -> dict[str, Any]:
    """What a model gives, by name, in the order in which the model gives it.

    Args:
        model: A Keras model.
        outputs: Tensors, arrays or anything else in the structure of its outputs.

    Returns:
        Outputs by their key in a dict, or by the layer of a functional model that they
        are of. One output, and those of other models, are `output_0` and so on.
    """
    paths, leaves = zip(*_leaves(outputs), strict=True)
    if isinstance(outputs, Mapping) or not all(len(path) == 1 for path in paths):
        names = ["/".join(map(str, path)) or "output_0" for path in paths]
    else:
        names = _layer_names(model, len(leaves))
    return dict(zip(unique(names), leaves, strict=True))


def arrange(model: Any, named: Mapping[str, Any], like: Any) -> Any:
    """Puts what has names into the structure that a model gives.

    Args:
        model: A Keras model.
        named: One array an output, by name, of this model or of a file made of it.
        like: Outputs of the model, of any samples.

    Raises:
        ValueError: If the names are not those of the model.
    """
    wanted = list(named_outputs(model, like))
    keys = keys_of(wanted, named)
    if keys is None or len(keys) != len(named):
        # What has an order of its own can do without names.
        if len(wanted) != len(named) or (isinstance(like, Mapping) and len(named) > 1):
            raise ValueError(
                f"Outputs are compared by name, and model '{model.name}' calls its own "
                f"{wanted}. Received outputs with the names {list(named)}."
            )
        keys = list(named)
    return _pack(like, iter([named[key] for key in keys]))


def _layer_names(model: Any, count: int) -> list[str]:
    names: list[str] = list(getattr(model, "output_names", None) or ())
    if len(names) != count or count == 1:
        return [f"output_{index}" for index in range(count)]
    return names


def _leaves(item: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, Any]]:
    """All that is in a nest, each with the keys and places that lead to it."""
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
