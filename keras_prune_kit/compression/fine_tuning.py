"""Training that keeps the best epoch, and prunes if it is to."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from keras_prune_kit import _keras
from keras_prune_kit._tools.files import scratch_folder
from keras_prune_kit.callbacks import PruningCallback, TargetSparsityCheckpoint

_log = logging.getLogger(__name__)


def fine_tune(
    model: Any,
    *,
    metric: str,
    mode: str | None,
    pruning: PruningCallback | None,
    callbacks: Sequence[Any] = (),
    **arguments: Any,
) -> float | None:
    """Trains, and leaves the best weights in the model: at the target, if it prunes.

    Args:
        model: A compiled model.
        metric: What to compare epochs by.
        mode: `"max"` if more of it is better, `"min"` if less is. `None` if nobody
            knows: the loss decides then.
        pruning: What prunes it; its report says afterwards what was done. `None` to
            train alone.
        callbacks: More callbacks. Defaults to none.
        **arguments: For `fit`, validation data among them.

    Returns:
        What the best epoch had, of the metric or the loss; `None` if none ended at the
        target.
    """
    if hasattr(arguments.get("x"), "element_spec"):
        # A tf.data.Dataset shuffles itself; Keras warns unless it is told so.
        arguments["shuffle"] = False
    if mode is None:
        _log.info(
            "Nobody knows whether more or less of %s is better: the epoch with the "
            "least val_loss is kept.",
            metric,
        )
        metric, mode = "loss", "min"
    options: dict[str, Any] = {
        "monitor": f"val_{metric}",
        "mode": mode,
        "save_weights_only": True,
    }
    with scratch_folder() as folder:
        best = folder / f"best{_keras.weights_ending(model)}"
        if pruning is None:
            kinds = _keras.callback_namespace(model)
            checkpoint = kinds.ModelCheckpoint(
                str(best), save_best_only=True, **options
            )
            added = [checkpoint]
        else:
            checkpoint = TargetSparsityCheckpoint(best, **options)
            added = [pruning, checkpoint]
        model.fit(**arguments, callbacks=[*added, *callbacks])
        if best.exists():
            model.load_weights(best)
    return checkpoint.best
