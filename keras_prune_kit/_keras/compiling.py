"""How a model is compiled, and compiling a copy alike."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterator
from typing import Any

from keras_prune_kit._keras.layer_classes import is_of_keras
from keras_prune_kit._keras.models import first_line, inner_optimizer

_ANY_RATE = 1e-3


def is_compiled(model: Any) -> bool:
    """Return True if a model has a loss, metrics and an optimizer."""
    config = getattr(getattr(model, "_compile_config", None), "config", None)
    return config is not None and model.optimizer is not None


def has_metrics(model: Any) -> bool:
    """Return True if a compiled model was given metrics, weighted ones included."""
    config = model._compile_config.config
    return bool(config.get("metrics") or config.get("weighted_metrics"))


def check_compiled(model: Any) -> None:
    """Raise a `ValueError` if the model was never compiled."""
    if not is_compiled(model):
        raise ValueError(
            f"Model '{model.name}' must be compiled, so that a copy of it can be "
            "trained. Call model.compile(optimizer, loss, metrics) first."
        )


def compile_like(model: Any, copied: Any, **changes: Any) -> None:
    """Compile a copy as the model was, with a fresh optimizer; if it was at all.

    Losses are handed over as they are.

    Args:
        model: The model.
        copied: The copy.
        **changes: Arguments of `compile` that are to differ.

    Raises:
        ValueError: If the optimizer cannot be made anew, or the class has a `compile`
            of its own that takes other arguments.
    """
    if not is_compiled(model):
        return
    config = dict(model._compile_config.config)
    config["metrics"] = fresh_metrics(config.get("metrics"))
    config["weighted_metrics"] = fresh_metrics(config.get("weighted_metrics"))
    if "optimizer" not in changes:
        config["optimizer"] = fresh_optimizer(model.optimizer)
    try:
        copied.compile(**{**config, **changes})
    except TypeError as error:
        raise ValueError(
            f"A copy of model '{model.name}' cannot be compiled as it is: "
            f"{first_line(error)}. Class {type(model).__name__} has a compile() of its "
            "own; let it take what keras.Model.compile takes, or prune the model "
            "itself with PruningCallback."
        ) from error


def fresh_metrics(item: Any) -> Any:
    """Make the metrics of a `compile` anew, without what they have counted.

    A metric that its class cannot make anew from its configuration is handed over as it
    is: every `evaluate` and every epoch resets it.

    Args:
        item: A metric, or a nest of them as `compile` takes it.
    """
    if isinstance(item, dict):
        return {key: fresh_metrics(value) for key, value in item.items()}
    if isinstance(item, list | tuple):
        return [fresh_metrics(value) for value in item]
    if not hasattr(item, "get_config") or isinstance(item, type):
        return item
    try:
        config = item.get_config()
        if _tells_all(type(item), config):
            return type(item).from_config(config)
    except Exception:  # A class of the user's own can raise anything.
        pass
    item.reset_state()
    return item


def fresh_optimizer(optimizer: Any) -> Any:
    """Make an optimizer anew, without its state; a learning rate schedule is kept.

    Raises:
        ValueError: If its class cannot be made from its configuration.
    """
    try:
        with _without_schedule(optimizer) as schedule:
            fresh = type(optimizer).from_config(optimizer.get_config())
        if schedule is not None:
            _set_schedule(inner_optimizer(fresh), schedule)
    except Exception as error:  # As above.
        raise ValueError(
            f"The optimizer {type(optimizer).__name__} cannot be made anew for a copy: "
            f"{first_line(error)}. Give its class a get_config() that returns all "
            "arguments of its constructor."
        ) from error
    pattern = getattr(
        inner_optimizer(optimizer), "_exclude_from_weight_decay_pattern", None
    )
    if pattern:
        inner_optimizer(fresh).exclude_from_weight_decay(var_names=pattern)
    return fresh


@contextlib.contextmanager
def _without_schedule(optimizer: Any) -> Iterator[Any]:
    """Keep a learning rate schedule out of the configuration of an optimizer.

    Yields:
        The schedule or function; `None` if the rate is a number.
    """
    attributes = vars(inner_optimizer(optimizer))
    schedule = attributes.get("_learning_rate")
    if not callable(schedule):  # Variables are not, schedules and functions are.
        yield None
        return
    attributes["_learning_rate"] = _ANY_RATE
    try:
        yield schedule
    finally:
        attributes["_learning_rate"] = schedule


def _set_schedule(optimizer: Any, schedule: Any) -> None:
    build = getattr(optimizer, "_build_learning_rate", None)
    if build is None:
        optimizer.learning_rate = schedule
    else:  # In Keras 2 the setter takes no schedule where there was a number.
        optimizer._learning_rate = build(schedule)


def _tells_all(kind: type, config: dict[str, Any]) -> bool:
    """Return True if a configuration has all that a constructor takes.

    A class of the user's own may inherit a `get_config` that does not know of its
    arguments: what is made of that would count something else.
    """
    owner = next(base for base in kind.__mro__ if "__init__" in vars(base))
    if is_of_keras(owner):
        return True
    named = inspect.signature(kind).parameters.values()
    return all(
        parameter.name in config
        for parameter in named
        if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    )
