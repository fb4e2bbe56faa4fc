"""The callback that tells how small the model is by now."""

from __future__ import annotations

from typing import Any

from keras_prune_kit._keras.two_world_callback import TwoWorldCallback
from keras_prune_kit.measuring.sizes import gzip_bytes


class GzipSizeLogger(TwoWorldCallback):
    """Puts `gzip_bytes`, the size of the gzipped weights, into `logs` every epoch.

    The progress bar and `History` show it, `EarlyStopping` and a tuner can watch it.

    Example:

    ```python
    history = model.fit(x, y, callbacks=[pruning, kpk.GzipSizeLogger()])
    history.history["gzip_bytes"]
    ```
    """

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if logs is not None:
            logs["gzip_bytes"] = gzip_bytes(self.model)
