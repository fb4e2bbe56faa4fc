"""The callback that shows TensorBoard how pruning goes, weight by weight."""

from __future__ import annotations

import importlib.util
import os
import time
from typing import Any

import numpy as np

from keras_prune_kit._keras.two_world_callback import TwoWorldCallback
from keras_prune_kit._tools.checks import as_path
from keras_prune_kit._tools.files import telling_full_disk
from keras_prune_kit.pruner import active_pruner

_BUCKETS = 50


class SparsitySummaries(TwoWorldCallback):
    """Writes the sparsity of every pruned weight for TensorBoard, every epoch.

    Shows which layer is pruned how far and what is left of it. For each weight:
    `sparsity`, the fraction that is zero; `target`, what its schedule asks for by now
    (not for `scope="global"`, where layers have no targets of their own);
    `threshold`, the smallest magnitude that is kept; and `weights`, a histogram of
    those that are kept, beside which the zeros would dwarf everything. TFMOT calls
    its like `PruningSummaries`.

    It goes anywhere in the list of callbacks. In a training loop of your own it works
    inside a `CallbackList`, as the callbacks of Keras do.

    Args:
        log_dir: The folder to write an event file to; made if it is missing. It may
            be that of Keras' own `TensorBoard` callback.

    Raises:
        ImportError: If TensorBoard is not installed.
        ValueError: From `fit`, if no pruner is at work on the model.

    Example:

    ```python
    summaries = kpk.SparsitySummaries("logs")
    model.fit(x, y, epochs=5, callbacks=[pruning, summaries])
    # then: tensorboard --logdir logs
    ```
    """

    def __init__(self, log_dir: str | os.PathLike[str]) -> None:
        super().__init__()
        _require_tensorboard()
        self.log_dir = os.fspath(as_path("log_dir", log_dir))
        self._events: EventFile | None = None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        # An earlier fit may have been cut off.
        self._close()
        self._events = EventFile(self.log_dir)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        pruner = active_pruner(self.model)
        if pruner is None or self._events is None:
            raise ValueError(
                "SparsitySummaries needs a PruningCallback in the same fit, or a "
                "Pruner at work on the model."
            )
        values: dict[str, float | np.ndarray] = {}
        for weight in pruner.weights:
            kept = weight.nonzero()
            values[f"sparsity/{weight.path}"] = 1 - kept.size / weight.size
            if pruner.policy.scope == "layer":
                values[f"target/{weight.path}"] = weight.scheduled
            if kept.size:
                values[f"threshold/{weight.path}"] = float(np.abs(kept).min())
                values[f"weights/{weight.path}"] = kept
        self._events.write(epoch, values)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self._close()

    def _close(self) -> None:
        if self._events is not None:
            self._events.close()
        self._events = None


class EventFile:
    """An event file, written by TensorBoard itself: `tf.summary` is TensorFlow's alone.

    Args:
        folder: Where to make it.
    """

    def __init__(self, folder: str) -> None:
        # Here, because TensorBoard is an extra that only this class needs.
        from tensorboard.compat.proto import event_pb2, summary_pb2
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        self._events: Any = event_pb2
        self._summaries: Any = summary_pb2
        self._folder = folder
        with telling_full_disk(folder):
            self._writer = EventFileWriter(folder)

    def write(self, step: int, values: dict[str, float | np.ndarray]) -> None:
        """Writes numbers as curves and arrays as histograms, and flushes them."""
        summary = self._summaries.Summary(
            value=[
                self._summaries.Summary.Value(tag=tag, histo=self._histogram(value))
                if isinstance(value, np.ndarray)
                else self._summaries.Summary.Value(tag=tag, simple_value=value)
                for tag, value in values.items()
            ]
        )
        self.write_summary(step, summary)

    def write_summary(self, step: int, summary: Any) -> None:
        """Writes what TensorBoard has made, and flushes it."""
        event = self._events.Event(wall_time=time.time(), step=step, summary=summary)
        with telling_full_disk(self._folder):
            self._writer.add_event(event)
            self._writer.flush()

    def close(self) -> None:
        """Ends the file."""
        self._writer.close()

    def _histogram(self, values: np.ndarray) -> Any:
        """Not TensorBoard's own `histogram_pb`: that makes 30 arrays of the size."""
        values = values.astype(np.float64)
        counts, edges = np.histogram(values, _BUCKETS)
        return self._summaries.HistogramProto(
            min=values.min(),
            max=values.max(),
            num=values.size,
            sum=values.sum(),
            sum_squares=np.square(values).sum(),
            bucket_limit=edges[1:],
            bucket=counts,
        )


def _require_tensorboard() -> None:
    if importlib.util.find_spec("tensorboard") is None:
        raise ImportError(
            "SparsitySummaries needs TensorBoard, which TensorFlow no longer brings. "
            "Install it: pip install keras-prune-kit[tensorboard]"
        )
