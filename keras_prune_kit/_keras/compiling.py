"""The compile arguments of a model, and compiling a copy with the same ones."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterator
from typing import Any

from keras_prune_kit._keras.layer_classes import is_of_keras
from keras_prune_kit._keras.models import first_line, inner_optimizer

_ANY_RATE = 1e-3  # A stand-in while `get_config` runs.


def is_compiled(model: Any) -> bool:
    """Return True if a model was compiled and has an optimizer."""
    config = getattr(getattr(model, "_compile_config", None), "config", None)
    return config is not None and model.optimizer is not None


def has_metrics(model: Any) -> bool:
    """Return True if a model was compiled with metrics or weighted metrics."""
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
    """Compile a copy as the model was, with a new optimizer of the same settings.

    Do nothing if the model was never compiled. Losses are passed on, not copied.

    Args:
        model: The model.
        copied: The copy.
        **changes: Arguments of `compile` that replace those of the model.

    Raises:
        ValueError: If the optimizer cannot be recreated, or the class overrides
            `compile` with other arguments.
    """
    if not is_compiled(model):
        return
    config = dict(model._compile_config.config)
    # A metric object accumulates, so two models cannot share one.
    config["metrics"] = fresh_metrics(config.get("metrics"))
    config["weighted_metrics"] = fresh_metrics(config.get("weighted_metrics"))
    if "optimizer" not in changes:
        config["optimizer"] = fresh_optimizer(model.optimizer)
    try:
        copied.compile(**{**config, **changes})
    except TypeError as error:
        raise ValueError(
            f"A copy of model '{model.name}' cannot be compiled as it is: "
            f"{first_line(error)}. Class {type(model).__name__} overrides compile(); "
            "give it the arguments of keras.Model.compile, or prune the model itself "
            "with PruningCallback."
        ) from error


def fresh_metrics(item: Any) -> Any:
    """Recreate the metrics given to `compile`, without their accumulated state.

    A metric that cannot be recreated from its configuration is reset and shared, which
    is safe because every epoch and every `evaluate` resets it anyway.

    Args:
        item: A metric, or a nest of metrics as `compile` accepts it.
    """
    if isinstance(item, dict):
        return {key: fresh_metrics(value) for key, value in item.items()}
    if isinstance(item, list | tuple):
        return [fresh_metrics(value) for value in item]
    # Names, plain functions and `None`, which have no state.
    if not hasattr(item, "get_config") or isinstance(item, type):
        return item
    try:
        config = item.get_config()
        if _tells_all(type(item), config):
            return type(item).from_config(config)
    except Exception:  # A user's class can raise anything.
        pass
    item.reset_state()
    return item


def fresh_optimizer(optimizer: Any) -> Any:
    """Recreate an optimizer without its state; a learning rate schedule is shared.

    Raises:
        ValueError: If it cannot be recreated from its configuration.
    """
    try:
        with _without_schedule(optimizer) as schedule:
            fresh = type(optimizer).from_config(optimizer.get_config())
        if schedule is not None:
            _set_schedule(inner_optimizer(fresh), schedule)
    except Exception as error:  # A user's class can raise anything.
        raise ValueError(
            f"Optimizer {type(optimizer).__name__} cannot be recreated for a copy of "
            f"the model: {first_line(error)}. Give its class a get_config() that "
            "returns all arguments of its constructor."
        ) from error
    # `get_config` does not include the variables excluded from weight decay.
    pattern = getattr(
        inner_optimizer(optimizer), "_exclude_from_weight_decay_pattern", None
    )
    if pattern:
        inner_optimizer(fresh).exclude_from_weight_decay(var_names=pattern)
    return fresh


@contextlib.contextmanager
def _without_schedule(optimizer: Any) -> Iterator[Any]:
    """Hide a learning rate schedule from `get_config`, which may fail on it.

    Yields:
        The schedule or function; `None` if the learning rate is a number.
    """
    attributes = vars(inner_optimizer(optimizer))
    schedule = attributes.get("_learning_rate")
    if not callable(schedule):  # A plain rate is a variable, which is not callable.
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
    else:  # Keras 2's setter rejects a schedule in place of a number.
        optimizer._learning_rate = build(schedule)


def _tells_all(kind: type, config: dict[str, Any]) -> bool:
    """Return True if a configuration contains every argument of the constructor.

    A user's class may inherit a `get_config` that omits its own arguments; a metric
    recreated from that would compute something else.
    """
    # A constructor of Keras itself has a `get_config` that fits it.
    owner = next(base for base in kind.__mro__ if "__init__" in vars(base))
    if is_of_keras(owner):
        return True
    named = inspect.signature(kind).parameters.values()
    return all(
        parameter.name in config
        for parameter in named
        if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    )
