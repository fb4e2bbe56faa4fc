"""Where data come from."""

from __future__ import annotations

import os
from typing import Any, Protocol

from keras_prune_kit.cli.data.function import FunctionSource
from keras_prune_kit.cli.data.npz import NpzSource
from keras_prune_kit.cli.data.pictures import PictureSource


class Source(Protocol):
    """Data for each use; asked for what it does not have, it raises a `ValueError`."""

    def training(self) -> Any:
        """`(x, y)` or a dataset, to train with."""
        ...

    def validation(self) -> Any:
        """Likewise, to choose the best epoch with; never test data."""
        ...

    def test(self) -> Any:
        """Likewise, to measure a result with."""
        ...

    def inputs(self) -> Any:
        """Inputs to calibrate with; the labels of a dataset stay in it."""
        ...

    def split(self) -> tuple[Any, Any]:
        """Data to train with, and data to choose with that are not trained with."""
        ...


def source_of(
    word: str,
    *,
    shape: tuple[int | None, ...] | None,
    label_mode: str,
    utils: Any,
    batch_size: int,
) -> Source:
    """What DATA on the command line stands for.

    Args:
        word: A folder, an .npz file or `module:function`.
        shape: What the model takes, with the batch first, or `None` if it has several
            inputs. This and what follows is for pictures.
        label_mode: How classes are written, as Keras has it.
        utils: The `utils` of the model's own Keras.
        batch_size: Samples in a batch.
    """
    if os.path.isdir(word):
        return PictureSource(
            word,
            shape or (),
            label_mode=label_mode,
            utils=utils,
            batch_size=batch_size,
        )
    return NpzSource(word) if word.endswith(".npz") else FunctionSource(word)
