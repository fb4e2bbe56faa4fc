"""Pruning of wrapped models in custom training loops."""

from __future__ import annotations

import os
from typing import Any

from keras_prune_kit._tools.checks import as_path
from keras_prune_kit._tools.engine import Engine
from keras_prune_kit.tfmot._wrapper import step_of
from keras_prune_kit.tfmot.training import (
    check_final_sparsity,
    check_wrapped,
    summaries_to,
)


class LoopPruning(Engine):
    """Prunes a wrapped model in a custom training loop.

    It replaces calls of `UpdatePruningStep` by hand. The wrappers update their masks in
    the forward pass, so call the model with `training=True`.

    Args:
        model: A model from `kpk.tfmot.wrap`.
        log_dir: Folder for each layer's sparsity and threshold after each epoch, for
            TensorBoard; needs `model.optimizer`, which counts the steps. Defaults to
            `None`, no summaries.

    Raises:
        TypeError: If it is not a `tf_keras` model.
        ValueError: If it has no wrapped layer, or `log_dir` is given and it has no
            optimizer.

    Example:

    ```python
    with kpk.tfmot.LoopPruning(wrapped) as pruning:
        for epoch in range(epochs):
            for x, y in batches:
                train_step(x, y)
                pruning.step()
            pruning.end_epoch()
    ```
    """

    def __init__(
        self, model: Any, log_dir: str | os.PathLike[str] | None = None
    ) -> None:
        if log_dir is not None:
            as_path("log_dir", log_dir)
        self.model = model
        self._wrappers = check_wrapped(model)
        self._summaries = None
        self._epoch = 0
        self._counted: int | None = None
        if log_dir is not None:
            if getattr(model, "optimizer", None) is None:
                raise ValueError(
                    "Summaries are written for the optimizer's step, so log_dir needs "
                    "model.optimizer. Received: None. Set it to your loop's optimizer."
                )
            self._summaries = summaries_to(log_dir)
            self._summaries.set_model(model)

    def start(self) -> None:
        """Start pruning; a loaded model continues at the step of its file."""
        for wrapper in self._wrappers:
            if step_of(wrapper) == -1:
                wrapper.pruning_step.assign(0)
        self._counted = step_of(self._wrappers[0])

    def step(self) -> None:
        """Check that the wrappers counted the training step that was just done.

        Raises:
            RuntimeError: Before `start()`, after the end, or if the model was not
                called with `training=True` since the last call.
        """
        counted = self._require_started("step()")
        now = step_of(self._wrappers[0])
        if now <= counted:
            raise RuntimeError(
                "The model counts steps in forward passes with training=True, but none "
                "was made since the last step(). Call model(x, training=True) in each "
                "step of the loop."
            )
        self._counted = now

    def end_epoch(self) -> None:
        """Apply the masks, so that a model saved or evaluated now is sparse.

        Raises:
            RuntimeError: Before `start()` or after the end.
        """
        self._require_started("end_epoch()")
        self._mask()
        if self._summaries is not None:
            # TFMOT writes its summaries when an epoch begins.
            self._summaries.on_epoch_begin(self._epoch)
        self._epoch += 1

    def finish(self) -> None:
        """Apply the masks and warn if a layer has missed its target sparsity.

        Raises:
            RuntimeError: Before `start()` or after the end.
        """
        self._require_started("finish()")
        # The optimizer's last update came after the last forward pass, which masks.
        self._mask()
        self._counted = None
        check_final_sparsity(self.model)

    def finalize(self) -> None:
        """Call `finish`, which is what a `with` block ends with."""
        self.finish()

    def detach(self) -> None:
        """Stop counting steps, without a check; the wrappers stay."""
        self._counted = None

    def _mask(self) -> None:
        for wrapper in self._wrappers:
            wrapper.pruning_obj.weight_mask_op()

    def _require_started(self, what: str) -> int:
        if self._counted is None:
            raise RuntimeError(
                f"LoopPruning is not active: {what} comes between start() and "
                "finish(), or inside `with LoopPruning(model) as pruning:`."
            )
        return self._counted
