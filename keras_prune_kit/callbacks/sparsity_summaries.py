"""A callback that writes the progress of pruning for TensorBoard."""

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
    """Callback that writes the sparsity of each pruned weight for TensorBoard.

    For each weight and epoch, it writes `sparsity`, the fraction that is zero;
    `target`, the sparsity scheduled by then (not for `scope="global"`, where weights
    have no targets of their own); `threshold`, the smallest nonzero magnitude; and
    `weights`, a histogram of the nonzero values, which would be invisible next to the
    zeros. TFMOT's counterpart is `PruningSummaries`.

    Its position in the list of callbacks does not matter. In a custom training loop, it
    works inside a `CallbackList`, like Keras' own callbacks.

    Args:
        log_dir: The folder for the event file; created if missing. It may be that of
            Keras' `TensorBoard` callback.

    Raises:
        ImportError: If TensorBoard is not installed.
        ValueError: From `fit`, if no pruner is active on the model.

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
        # An earlier fit may have been interrupted.
        self._close()
        self._events = EventFile(self.log_dir)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        pruner = active_pruner(self.model)
        if pruner is None or self._events is None:
            raise ValueError(
                "SparsitySummaries needs a PruningCallback in the same fit, or a "
                "Pruner that is active on the model."
            )
        values: dict[str, float | np.ndarray] = {}
        for weight in pruner.weights:
            kept = weight.nonzero()
            values[f"sparsity/{weight.path}"] = 1 - kept.size / weight.size
            if pruner.policy.scope == "layer":
                values[f"target/{weight.path}"] = weight.scheduled
            # A weight of nothing but zeros has no smallest nonzero value.
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
    """An event file for TensorBoard, written without TensorFlow's `tf.summary`.

    Args:
        folder: The folder to create it in.
    """

    def __init__(self, folder: str) -> None:
        # Imported here, as TensorBoard is an optional dependency.
        from tensorboard.compat.proto import event_pb2, summary_pb2
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        self._events: Any = event_pb2
        self._summaries: Any = summary_pb2
        self._folder = folder
        with telling_full_disk(folder):
            self._writer = EventFileWriter(folder)

    def write(self, step: int, values: dict[str, float | np.ndarray]) -> None:
        """Write numbers as scalars and arrays as histograms, and flush the file."""
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
        """Write a summary that TensorBoard created, and flush the file."""
        event = self._events.Event(wall_time=time.time(), step=step, summary=summary)
        with telling_full_disk(self._folder):
            self._writer.add_event(event)
            self._writer.flush()

    def close(self) -> None:
        """Close the file."""
        self._writer.close()

    def _histogram(self, values: np.ndarray) -> Any:
        """Return a histogram; `histogram_pb` would allocate 30 arrays of this size."""
        # The sum of squares of half precision would overflow.
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
            "SparsitySummaries needs TensorBoard, which TensorFlow no longer installs. "
            "Install it: pip install keras-prune-kit[tensorboard]"
        )
