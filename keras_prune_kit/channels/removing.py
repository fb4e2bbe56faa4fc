"""The functions that take channels out of a model."""

from __future__ import annotations

from typing import Any

from keras_prune_kit import _keras
from keras_prune_kit.channels.costs import staying
from keras_prune_kit.channels.groups import traced
from keras_prune_kit.channels.removal import without
from keras_prune_kit.channels.silent import Silence


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
