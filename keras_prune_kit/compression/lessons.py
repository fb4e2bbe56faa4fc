"""What a model is trained with, and how."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from keras_prune_kit._tools.datasets import fit_arguments
from keras_prune_kit.callbacks import PruningCallback
from keras_prune_kit.compression.fine_tuning import fine_tune
from keras_prune_kit.reports import SparsityReport


@dataclass(frozen=True)
class Lessons:
    """What a model is trained with.

    Attributes:
        train_data: What `fit` takes.
        validation_data: Likewise.
        metric: What tells epochs apart.
        mode: `"max"` if more of it is better, `"min"` if less is; `None` if nobody
            knows, for the loss to do so.
    """

    train_data: Any
    validation_data: Any
    metric: str
    mode: str | None

    def prune(
        self,
        model: Any,
        pruning: PruningCallback,
        callbacks: Sequence[Any] = (),
        **options: Any,
    ) -> SparsityReport:
        """Trains and prunes, and leaves the best weights at the target in the model."""
        self._fit(model, pruning, callbacks, options)
        if pruning.report is None:
            raise RuntimeError("fit ended without telling PruningCallback.")
        return pruning.report

    def train(self, model: Any, callbacks: Sequence[Any] = (), **options: Any) -> None:
        """Trains, and leaves the best weights in the model."""
        self._fit(model, None, callbacks, options)

    def _fit(
        self,
        model: Any,
        pruning: PruningCallback | None,
        callbacks: Sequence[Any],
        options: dict[str, Any],
    ) -> None:
        fine_tune(
            model,
            metric=self.metric,
            mode=self.mode,
            pruning=pruning,
            callbacks=callbacks,
            **fit_arguments(self.train_data),
            validation_data=self.validation_data,
            **options,
        )
