"""Weights of earlier attempts, as starting points of later ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from keras_prune_kit import _keras
from keras_prune_kit._keras.two_world_callback import TwoWorldCallback


class WarmStart(TwoWorldCallback):
    """Callback that saves the weights of each epoch, for attempts at lower sparsities.

    An attempt that fails at its final sparsity has passed lower ones before, and a
    later attempt can start there. Of epochs with equal sparsity, the last one is kept.

    Args:
        folder: The folder for the weights; its owner removes it.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder
        self._files: dict[float, Path] = {}

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        sparsity = (logs or {}).get("sparsity")
        if sparsity is not None:  # Quantization-aware training after pruning logs none.
            self.save(sparsity, self.model)

    def save(self, sparsity: float, model: Any) -> None:
        """Save the current weights of a model.

        Args:
            sparsity: The fraction of them that is zero, 0 to 1.
            model: The model.
        """
        name = f"{len(self._files)}{_keras.weights_ending(model)}"
        model.save_weights(self._files.setdefault(sparsity, self._folder / name))

    def has(self, sparsity: float) -> bool:
        """Return True if there are weights that are not sparser than an attempt."""
        return any(there <= sparsity for there in self._files)

    def load_into(self, model: Any, sparsity: float) -> float:
        """Load the sparsest weights that are not sparser than an attempt will be.

        Args:
            model: The copy that the attempt trains; left as it is if there are none.
            sparsity: The final sparsity of the attempt, 0 to 1.

        Returns:
            The sparsity of the weights that were loaded; 0 if there are none.
        """
        # From sparser weights, pruning would have to let zeros grow back.
        found = max((s for s in self._files if s <= sparsity), default=None)
        if found is None:
            return 0.0
        model.load_weights(self._files[found])
        return found
