"""Fine-tuning that restores the best epoch, when pruning the best one at the target."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_prune_kit import _keras
from keras_prune_kit._keras.datasets import (
    fit_arguments,
    is_arrays,
    labelled_samples,
    steps_per_epoch,
)
from keras_prune_kit._tools.files import scratch_folder
from keras_prune_kit.callbacks import PruningCallback, TargetSparsityCheckpoint

if TYPE_CHECKING:
    from typing_extensions import Self

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FineTuning:
    """The data, the length and the deciding metric of a fine-tuning.

    Attributes:
        arguments: Arguments of `fit`: data, validation data, `epochs` and the like, but
            no callbacks.
        metric: The metric that decides which epoch is best.
        mode: `"max"` if more of it is better, `"min"` if less is; `None` if that is
            unknown: then the loss decides.
        callbacks: Callbacks for each `fit`. Defaults to none.
        on_incomplete: As for `PruningCallback`. Defaults to `"warn"`.
    """

    arguments: Mapping[str, Any]
    metric: str
    mode: str | None
    callbacks: Sequence[Any] = ()
    on_incomplete: str = "warn"

    @property
    def epochs(self) -> int:
        """The number of epochs of a `fit`."""
        return self.arguments["epochs"]

    def lasting(self, epochs: int) -> Self:
        """Return the same fine-tuning with another number of epochs."""
        return replace(self, arguments={**self.arguments, "epochs": epochs})

    def samples(self, count: int) -> Any:
        """Return some training samples as `(x, y)`; `None` for data without labels."""
        y = self.arguments.get("y")
        data = self.inputs if y is None else (self.arguments["x"], y)
        return labelled_samples(data, count)

    @property
    def inputs(self) -> Any:
        """The training inputs: arrays as `(x,)`, or a dataset with its labels."""
        x = self.arguments["x"]
        return (x,) if is_arrays(x) else x

    @property
    def steps(self) -> int | None:
        """The number of optimizer steps of a `fit`; `None` if unknown."""
        given = self.arguments.get("steps_per_epoch")
        batch_size = self.arguments.get("batch_size")
        each = given or steps_per_epoch(self.inputs, batch_size)
        return each and each * self.epochs

    @property
    def deciding(self) -> tuple[str, str]:
        """The metric that decides and its mode; the loss if that is unknown."""
        return ("loss", "min") if self.mode is None else (self.metric, self.mode)

    def score(self, model: Any) -> float:
        """Return the metric that decides on the validation data.

        Args:
            model: A copy that this has fine-tuned.
        """
        data = self.arguments["validation_data"]
        options: dict[str, Any] = {"verbose": 0, "return_dict": True}
        if isinstance(data, tuple):
            options["batch_size"] = self.arguments.get("batch_size")
        with _keras.at_rest(model):
            scores = model.evaluate(**fit_arguments(data), **options)
        return float(np.asarray(scores[self.deciding[0]]).item())

    def is_better(self, score: float, than: float) -> bool:
        """Return True if a value of the metric that decides is better than another."""
        return score > than if self.deciding[1] == "max" else score < than

    def prepare(self, model: Any) -> None:
        """Compile a copy before `fit`; this class keeps the compilation of the model.

        Args:
            model: A compiled copy.
        """

    def fit(self, model: Any, pruning: PruningCallback | None = None) -> float | None:
        """Train a model and restore the weights of its best epoch.

        Args:
            model: A compiled copy.
            pruning: The callback that prunes it; then only epochs at the target
                sparsity count. Defaults to `None`.

        Returns:
            The best epoch's metric or loss; `None` if no epoch ended at the target.
        """
        self.prepare(model)
        arguments = dict(self.arguments)
        if hasattr(arguments["x"], "element_spec"):
            # Keras warns of the default shuffle=True for a tf.data.Dataset.
            arguments["shuffle"] = False
        metric, mode = self.deciding
        if self.mode is None:
            _log.info(
                "It is not known whether a higher or a lower %s is better: the epoch "
                "with the lowest val_loss is kept.",
                self.metric,
            )
        options: dict[str, Any] = {
            "monitor": f"val_{metric}",
            "mode": mode,
            "save_weights_only": True,
        }
        with scratch_folder() as folder:
            best = folder / f"best{_keras.weights_ending(model)}"
            if pruning is None:
                checkpoint_class = _keras.callback_namespace(model).ModelCheckpoint
                checkpoint = checkpoint_class(str(best), save_best_only=True, **options)
                added = [checkpoint]
            else:
                checkpoint = TargetSparsityCheckpoint(best, **options)
                added = [pruning, checkpoint]
            # Pruning comes first, so that the other callbacks find `sparsity` in the
            # logs.
            model.fit(**arguments, callbacks=[*added, *self.callbacks])
            if best.exists():  # Not if no epoch was at the target.
                model.load_weights(best)
        return checkpoint.best
