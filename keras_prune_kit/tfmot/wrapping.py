"""Wrapping of models for pruning with TFMOT, and stripping of the wrappers."""

from __future__ import annotations

from typing import Any

from keras_prune_kit import _keras
from keras_prune_kit.policies import PrunePolicy, as_policy
from keras_prune_kit.schedules import Schedule
from keras_prune_kit.tfmot._choices import choose
from keras_prune_kit.tfmot._import import tfmot
from keras_prune_kit.tfmot._models import (
    check_model,
    check_world,
    clone_layers,
    wrappers,
)
from keras_prune_kit.tfmot._wrapper import wrapper_class
from keras_prune_kit.tfmot.records import Wrapped

PRUNE, CLUSTER = "PruneLowMagnitude", "ClusterWeights"


def wrap(
    model: Any,
    policy: PrunePolicy | Schedule | float,
    *,
    steps_per_epoch: int | None = None,
    epochs: int | None = None,
) -> Wrapped:
    """Copy a `tf_keras` model with TFMOT's pruning wrapper around the layers to prune.

    For code that is built on TFMOT; `PruningCallback` prunes any model and needs no
    wrapper. It replaces `tfmot.sparsity.keras.prune_low_magnitude`, which refuses a
    model with one unknown layer, and whose result shares layers with the original. The
    copy has the trained weights and is compiled if the original is.

    TFMOT applies the pattern of `NofM` at the first step, regardless of the schedule.

    Args:
        model: A built Sequential or functional `tf_keras` model, nested or not, or the
            path of one. It is not changed.
        policy: A `PrunePolicy`, or a schedule or final sparsity (0 to 1) for a policy
            without rules.
        steps_per_epoch: Optimizer steps in an epoch. Required if a schedule counts in
            `Epochs` or `Fraction`, as the default one does. Defaults to `None`.
        epochs: Epochs in the run. Defaults to `None`, 1 epoch.

    Returns:
        The wrapped model, and the plan of the weights that will be pruned, and of the
        others with a reason.

    Raises:
        TypeError: If it is not a `tf_keras` model.
        ValueError: If the model is subclassed, not built or wrapped already, or the
            policy specifies something that TFMOT cannot do.

    Example:

    ```python
    wrapped, report = kpk.tfmot.wrap(model, 0.8, steps_per_epoch=n, epochs=5)
    wrapped.fit(x, y, epochs=5, callbacks=kpk.tfmot.callbacks())
    model = kpk.tfmot.strip(wrapped)
    ```
    """
    model = _keras.opened(model, compiled=True)
    check_model(model, "kpk.PruningCallback(policy) prunes a Keras 3 model in fit.")
    if wrappers(model, PRUNE):
        raise ValueError(
            f"Model '{model.name}' is wrapped already. Remove the wrappers first: "
            "kpk.tfmot.strip(model)."
        )
    choices, report = choose(model, as_policy(policy), steps_per_epoch, epochs)
    arguments = {id(choice.layer): choice.arguments() for choice in choices}
    copies: list[tuple[Any, Any]] = []

    def copy(layer: Any) -> Any:
        fresh = _keras.copy_layer(layer)
        copies.append((layer, fresh))
        if id(layer) not in arguments:
            return fresh
        return wrapper_class()(fresh, **arguments[id(layer)])

    wrapped = clone_layers(model, copy)
    # After the clone, as a layer has no weights before it is built.
    _copy_weights(copies)
    _keras.compile_like(model, wrapped)
    return Wrapped(wrapped, report)


def strip(model: Any) -> Any:
    """Copy a wrapped or clustered model without its wrappers, nested models included.

    The masks are applied once more, so that weights are exactly as sparse as the masks
    after the last optimizer step, which may have changed zeros.

    Args:
        model: A model from `wrap`, from `cluster` or from TFMOT itself. Its kernels are
            masked; otherwise it is not changed.

    Returns:
        An ordinary model, compiled if the wrapped one is.

    Raises:
        TypeError: If it is not a `tf_keras` model.
        ValueError: If it has no wrapper.

    Example:

    ```python
    kpk.tfmot.strip(wrapped).save("pruned.keras")
    ```
    """
    model = _keras.opened(model, compiled=True)
    check_world(
        model, "kpk.PruningCallback leaves no wrapper in a model, so use it as it is."
    )
    if not wrappers(model, PRUNE, CLUSTER):
        raise ValueError(
            "There is nothing to strip: no layer is wrapped by TFMOT. Received: model "
            f"'{model.name}'. (PruningCallback and Pruner leave no wrappers.)"
        )
    unwrapped = model
    if wrappers(model, CLUSTER):
        unwrapped = tfmot().clustering.keras.strip_clustering(model)
    copies: list[tuple[Any, Any]] = []

    def copy(layer: Any) -> Any:
        inner = layer
        if wrappers(_Single(layer), PRUNE):
            layer.pruning_obj.weight_mask_op()
            inner = layer.layer
        fresh = _keras.copy_layer(inner)
        copies.append((inner, fresh))
        return fresh

    stripped = clone_layers(unwrapped, copy)
    _copy_weights(copies)
    _keras.compile_like(model, stripped)
    return stripped


class _Single:
    """A model-like object around one layer, for `wrappers`."""

    def __init__(self, layer: Any) -> None:
        self.layers = [layer]


def _copy_weights(copies: list[tuple[Any, Any]]) -> None:
    for layer, fresh in copies:
        _keras.copy_state(layer, fresh)
