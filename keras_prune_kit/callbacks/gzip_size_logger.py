"""A callback that logs the compressed size of the model."""

from __future__ import annotations

from typing import Any

from keras_prune_kit._keras.two_world_callback import TwoWorldCallback
from keras_prune_kit.measuring.sizes import gzip_bytes


class GzipSizeLogger(TwoWorldCallback):
    """Callback that logs `gzip_bytes`, the size of the gzipped weights, every epoch.

    The progress bar and `History` show it, `EarlyStopping` and tuners can monitor it.

    Example:

    ```python
    history = model.fit(x, y, callbacks=[pruning, kpk.GzipSizeLogger()])
    history.history["gzip_bytes"]
    ```
    """

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if logs is not None:
            # All callbacks get one dict, by default History and the progress bar last.
            logs["gzip_bytes"] = gzip_bytes(self.model)
