"""Training that keeps the best epoch."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keras_prune_kit import _keras
from keras_prune_kit.callbacks import PruningCallback, TargetSparsityCheckpoint
from keras_prune_kit.datasets import fit_arguments
from keras_prune_kit.reports import SparsityReport


@dataclass(frozen=True)
class Lessons:
    """What a model is trained with.

    Attributes:
        train_data: What `fit` takes.
        validation_data: Likewise.
        metric: What tells epochs apart, if it is one that rises; else the loss is.
    """

    train_data: Any
    validation_data: Any
    metric: str


def prune(
    model: Any,
    lessons: Lessons,
    pruning: PruningCallback,
    callbacks: Sequence[Any] = (),
    **options: Any,
) -> SparsityReport:
    """Trains and prunes, and leaves the best weights at the target in the model."""
    with tempfile.TemporaryDirectory() as folder:
        best = Path(folder) / "best.weights.h5"
        checkpoint = TargetSparsityCheckpoint(
            best, **_best_of(lessons), save_weights_only=True
        )
        _fit(model, lessons, [pruning, checkpoint, *callbacks], best, options)
    if pruning.report is None:
        raise RuntimeError("fit ended without telling PruningCallback.")
    return pruning.report


def train(
    model: Any, lessons: Lessons, callbacks: Sequence[Any] = (), **options: Any
) -> None:
    """Trains, and leaves the best weights in the model."""
    with tempfile.TemporaryDirectory() as folder:
        best = Path(folder) / "best.weights.h5"
        checkpoint = _keras.callback_namespace(model).ModelCheckpoint(
            str(best),
            **_best_of(lessons),
            save_weights_only=True,
            save_best_only=True,
        )
        _fit(model, lessons, [checkpoint, *callbacks], best, options)


def _fit(
    model: Any, lessons: Lessons, callbacks: list[Any], best: Path, options: Any
) -> None:
    if hasattr(lessons.train_data, "element_spec"):
        # A tf.data.Dataset shuffles itself; Keras warns unless it is told so.
        options = {**options, "shuffle": False}
    model.fit(
        **fit_arguments(lessons.train_data),
        validation_data=lessons.validation_data,
        callbacks=callbacks,
        **options,
    )
    if best.exists():
        model.load_weights(best)


def _best_of(lessons: Lessons) -> dict[str, str]:
    """Which epoch is best, in the words of Keras."""
    known = ("acc", "auc", "precision", "recall")
    if any(part in lessons.metric for part in known):
        return {"monitor": f"val_{lessons.metric}", "mode": "max"}
    return {"monitor": "val_loss", "mode": "min"}
