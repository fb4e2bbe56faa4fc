"""Where attempts have been, so that a later one need not begin at the dense model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keras_prune_kit import _keras
from keras_prune_kit._keras.two_world_callback import TwoWorldCallback


@dataclass(frozen=True)
class Milestone:
    """The weights that one epoch ended with.

    Attributes:
        sparsity: What part of them was zero, 0 to 1.
        weights: The file that has them.
    """

    sparsity: float
    weights: Path


class Trail(TwoWorldCallback):
    """Keeps the weights of each epoch on the way to higher sparsity.

    What fails at its end has passed milder sparsities before, and an attempt at one of
    those can begin there. Of epochs with the same sparsity the last one is kept.

    Args:
        folder: Where to keep them; whoever gives it removes it.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder
        self._files: dict[float, Path] = {}

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.mark((logs or {})["sparsity"], self.model)

    def mark(self, sparsity: float, model: Any) -> None:
        """Keeps what a model has now."""
        name = f"{len(self._files)}{_keras.weights_ending(model)}"
        model.save_weights(self._files.setdefault(sparsity, self._folder / name))

    def sparsest_up_to(self, sparsity: float) -> Milestone | None:
        """Where to begin on the way to some sparsity; `None` for the dense model."""
        found = max((s for s in self._files if s <= sparsity), default=None)
        return None if found is None else Milestone(found, self._files[found])
