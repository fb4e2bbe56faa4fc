"""The callbacks with which `fit` trains a wrapped model."""

from __future__ import annotations

import functools
import math
import os
import warnings
from typing import Any

from keras_prune_kit._tools.checks import as_path
from keras_prune_kit.pruner import IncompletePruningWarning
from keras_prune_kit.tfmot._import import tf_keras, tfmot
from keras_prune_kit.tfmot._models import check_world, wrappers
from keras_prune_kit.tfmot._schedules import final_sparsity
from keras_prune_kit.tfmot._wrapper import step_of


def callbacks(log_dir: str | os.PathLike[str] | None = None) -> list[Any]:
    """Return the callbacks that the training of a wrapped model needs.

    They count steps, apply the masks at the end of each epoch and, unlike TFMOT, warn
    at the end of training if a layer has missed its target sparsity. Put them before a
    checkpoint callback, so that it saves masked weights.

    Args:
        log_dir: Folder for each layer's sparsity and threshold, for TensorBoard.
            Defaults to `None`, no summaries.

    Returns:
        A list of `tf_keras` callbacks.

    Raises:
        TypeError: From `fit`, if it is not a `tf_keras` model.
        ValueError: From `fit`, if the model has no wrapped layer.

    Example:

    ```python
    wrapped.fit(x, y, epochs=5, callbacks=[*kpk.tfmot.callbacks("logs"), checkpoint])
    ```
    """
    summaries = [] if log_dir is None else [summaries_to(log_dir)]
    return [_step_counter()(), *summaries, _sparsity_check()()]


def summaries_to(log_dir: str | os.PathLike[str]) -> Any:
    """Return TFMOT's `PruningSummaries` for a folder."""
    return tfmot().sparsity.keras.PruningSummaries(
        log_dir=os.fspath(as_path("log_dir", log_dir))
    )


def check_wrapped(model: Any) -> list[Any]:
    """Return the pruning wrappers in a model.

    Raises:
        TypeError: If it is not a `tf_keras` model.
        ValueError: If it has no wrapped layer.
    """
    check_world(model, "Train a Keras 3 model with kpk.PruningCallback(policy).")
    found = wrappers(model, "PruneLowMagnitude")
    if not found:
        raise ValueError(
            f"No layer of model '{model.name}' is wrapped, so there is nothing to "
            "prune. Train the model that kpk.tfmot.wrap(model, policy) returns."
        )
    return found


def check_final_sparsity(model: Any) -> None:
    """Warn of layers that have not reached the final sparsity of their schedule."""
    short = [text for wrapper in check_wrapped(model) for text in _shortfalls(wrapper)]
    if short:
        warnings.warn(
            f"Training ended before pruning did: {', '.join(short)}. Train longer, or "
            "set an earlier end_step in the schedule.",
            IncompletePruningWarning,
            stacklevel=2,
        )


@functools.cache
def _step_counter() -> Any:
    class UpdatePruningStep(tfmot().sparsity.keras.UpdatePruningStep):
        """TFMOT's step counter, which raises an error for a model without wrappers."""

        def set_model(self, model: Any) -> None:
            if any(step_of(wrapper) == -1 for wrapper in check_wrapped(model)):
                # A `fit` without callbacks leaves a function that failed in tracing.
                model.train_function = None
            super().set_model(model)

    return UpdatePruningStep


@functools.cache
def _sparsity_check() -> Any:
    class FinalSparsityCheck(tf_keras().callbacks.Callback):
        """Warns at the end of training if a layer has missed its target sparsity."""

        def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
            check_final_sparsity(self.model)

    return FinalSparsityCheck


def _shortfalls(wrapper: Any) -> list[str]:
    """Describe each weight of a wrapped layer that is below its target sparsity."""
    target = _target(wrapper)
    found = []
    for weight, mask, _ in wrapper.pruning_vars:
        values = mask.numpy()
        if list(wrapper.block_size) != [1, 1]:
            # One entry per block: TFMOT counts whole blocks, smaller ones at edges too.
            values = values[:: wrapper.block_size[0], :: wrapper.block_size[1]]
        # float32 counts ones exactly up to 2 ** 24 only.
        reached = 1 - float(values.mean(dtype="float64"))
        # TFMOT always keeps one weight, and may round the other way.
        if reached * values.size < math.floor(target * values.size) - 1:
            name = weight.name.partition(":")[0].rpartition("/")[2]
            found.append(
                f"{wrapper.layer.name}/{name} is at {reached:.4g} of {target:.4g} "
                f"after {step_of(wrapper)} steps"
            )
    return found


def _target(wrapper: Any) -> float:
    if wrapper.sparsity_m_by_n:
        zeros, size = wrapper.sparsity_m_by_n
        return zeros / size
    return final_sparsity(wrapper.pruning_schedule)
