"""The functions that take channels out of a model."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from keras_prune_kit import _keras
from keras_prune_kit._tools.checks import check_whole, is_number, is_one_of
from keras_prune_kit._tools.spelling import did_you_mean
from keras_prune_kit.channels.choosing import (
    SCOPES,
    Chooser,
    no_group_message,
    removable,
)
from keras_prune_kit.channels.costs import staying
from keras_prune_kit.channels.groups import Members, members_of, traced
from keras_prune_kit.channels.removal import without
from keras_prune_kit.channels.scores import BATCH_NORM, channel_scores
from keras_prune_kit.channels.silent import Silence
from keras_prune_kit.channels.traces import Trace
from keras_prune_kit.criteria import Criterion, magnitude


def remove_channels(
    model: Any,
    fraction: float,
    *,
    criterion: Criterion | str = magnitude,
    data: Any = None,
    layers: str = ".*",
    scope: str = "group",
    multiple_of: int = 1,
    least: int = 1,
) -> Any:
    """Return a smaller model without the filters, units and heads that matter least.

    Use it on a trained model and fine-tune the result as ever. To lose channels step by
    step while the model trains, which costs less accuracy, use
    `PruningCallback(PrunePolicy(0.5, structure=Channel()))` and `remove_zero_channels`,
    or `compress(model, ..., target="fastest")`, which does all of it.

    Args:
        model: A built Sequential or functional model of either world, or the path of a
            model file. It is not changed.
        fraction: The fraction of the channels that leave, above 0 and below 1. Channels
            that feed an output or that a layer needs for a reason of its own stay; see
            `channel_groups`.
        criterion: The scores of the weights, as in `PrunePolicy`; those of a channel
            are averaged over each kernel of its group and summed. Or `"batch_norm"`:
            the absolute gammas of the normalization. Defaults to `magnitude`.
        data: `(x, y)`, some hundred training samples for criteria that need gradients,
            such as `taylor`; the model must be compiled then. Inputs alone are enough
            for those that need no more, such as `wanda`. Defaults to `None`.
        layers: A regex for the full paths of the layers whose channels may leave.
            Defaults to `".*"`, all.
        scope: `"group"`: each group loses the same fraction. `"global"`: all channels
            are ranked together, and each group keeps a tenth. Defaults to `"group"`.
        multiple_of: If a group keeps at least this many channels, it keeps a multiple
            of this number; 8 suits the vector instructions of most processors. Defaults
            to 1.
        least: The number of channels that each group keeps at least. Defaults to 1.

    Returns:
        A plain model of the same class and layer names, compiled alike, which loads
        without this package.

    Raises:
        CopyError: If Keras cannot copy a layer.
        TypeError: If an argument is of the wrong type.
        ValueError: If an argument is out of range, the model is not built or is a
            subclassed model, whose layers are called by code, no channel can leave, or
            the criterion needs data.

    Example:

    ```python
    small = kpk.remove_channels(model, 0.5, multiple_of=8)
    small.fit(x, y, epochs=5)
    ```
    """
    if not is_number(fraction):
        raise TypeError(f"fraction is a number. Received: fraction={fraction!r}.")
    if not 0 < fraction < 1:
        raise ValueError(
            "fraction is above 0 and below 1, such as 0.5 for half of the channels. "
            f"Received: fraction={fraction!r}."
        )
    chooser = chooser_for(
        _keras.opened(model),
        criterion=criterion,
        data=data,
        layers=layers,
        scope=scope,
        multiple_of=multiple_of,
        least=least,
    )
    stays = chooser.stays(fraction)
    if stays.all():
        sizes = ", ".join(str(len(scores)) for scores in chooser.scores[:5])
        raise ValueError(
            f"fraction={fraction:.4g} with least={least} and multiple_of={multiple_of} "
            f"removes nothing from groups of {sizes} channels. Ask for more."
        )
    return without(chooser.found, stays)


def remove_zero_channels(model: Any) -> Any:
    """Return a smaller model without the channels that contribute nothing.

    After `PruningCallback(PrunePolicy(0.5, structure=Channel()))`, half of the filters
    and units are zero. This takes them out: shapes shrink, and every runtime becomes
    faster. The outputs are the same up to rounding: a channel leaves only if its value
    is zero wherever it is read, or a constant that moves into the next bias, or if all
    weights that read it are zero.

    Args:
        model: A built Sequential or functional model of either world, or the path of a
            model file. It is not changed.

    Returns:
        A plain model of the same class and layer names, compiled alike, which loads
        without this package. If nothing can be removed, it is an equal copy.

    Raises:
        CopyError: If Keras cannot copy a layer.
        TypeError: If it is not a Keras model.
        ValueError: If it is not built, or is a subclassed model, whose layers are
            called by code.

    Example:

    ```python
    policy = kpk.PrunePolicy(0.5, structure=kpk.Channel())
    model.fit(x, y, epochs=5, callbacks=[kpk.PruningCallback(policy)])
    small = kpk.remove_zero_channels(model)
    ```
    """
    found = traced(_keras.opened(model))
    silence = Silence(found)
    stays = staying(found, silence.roots())
    return without(found, stays, silence.folds(stays))


def chooser_for(
    model: Any,
    *,
    criterion: Criterion | str = magnitude,
    data: Any = None,
    layers: str = ".*",
    scope: str = "group",
    multiple_of: int = 1,
    least: int = 1,
    only: Collection[int] | None = None,
) -> Chooser:
    """Return a chooser of the channels that leave; `remove_channels` explains them.

    With `only`, the roots of channels, no others leave.
    """
    if not (callable(criterion) or is_one_of(criterion, (BATCH_NORM,))):
        raise TypeError(
            f"criterion is a function such as kpk.magnitude, or '{BATCH_NORM}'. "
            f"Received: {criterion!r}."
        )
    if not is_one_of(scope, SCOPES):
        raise ValueError(
            f"scope is one of {SCOPES}. Received: scope={scope!r}."
            + did_you_mean(scope, SCOPES)
        )
    check_whole("multiple_of", multiple_of)
    check_whole("least", least)
    found = traced(model)
    members = [
        group
        for group in removable(found)
        if _is_named(group, layers)
        and (only is None or set(only).issuperset(group.roots.tolist()))
    ]
    if not members and not _matching(found, layers):
        paths = ", ".join(made.path for made in found.made[:8])
        raise ValueError(
            f"layers={layers!r} matches no layer that makes channels. Their paths are: "
            f"{paths}. All layers of a group must match."
        )
    if not members:
        named = "the model" if layers == ".*" else f"layers={layers!r}"
        raise ValueError(no_group_message(found, named))
    scores = channel_scores(found, members, criterion, data)
    return Chooser(found, members, scores, scope, multiple_of, least)


def _matching(found: Trace, layers: str) -> bool:
    """Return True if all layers of a group match."""
    return any(_is_named(group, layers) for group in members_of(found))


def _is_named(group: Members, layers: str) -> bool:
    try:
        pattern = re.compile(layers)
    except (re.error, TypeError) as error:
        raise ValueError(
            f"layers is a regex for paths of layers ({error}). "
            f"Received: layers={layers!r}."
        ) from error
    return all(pattern.fullmatch(path) for path in group.group.layers)
