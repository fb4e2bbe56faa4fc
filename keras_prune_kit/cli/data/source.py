"""Selection of the source for DATA on the command line."""

from __future__ import annotations

import os
from typing import Any, Protocol

from keras_prune_kit.cli.data.function import FunctionSource
from keras_prune_kit.cli.data.npz import NpzSource
from keras_prune_kit.cli.data.pictures import PictureSource


class Source(Protocol):
    """Data for each use; a method without data raises a `ValueError`."""

    @property
    def has_labels(self) -> bool:
        """True if there are labels to train with."""
        ...

    def training(self) -> Any:
        """Return `(x, y)` or a dataset to train with."""
        ...

    def validation(self) -> Any:
        """Return `(x, y)` or a dataset to choose the epoch with; never test data."""
        ...

    def test(self) -> Any:
        """Return `(x, y)` or a dataset to measure a result with."""
        ...

    def inputs(self) -> Any:
        """Return inputs to calibrate with; a dataset keeps its labels."""
        ...

    def split(self) -> tuple[Any, Any]:
        """Return data to train with, and other data to choose the best epoch with."""
        ...


def source_of(
    word: str,
    *,
    shape: tuple[int | None, ...] | None,
    label_mode: str,
    utils: Any,
    batch_size: int,
) -> Source:
    """Return the source for DATA on the command line.

    Args:
        word: A folder, an .npz file or `module:function`.
        shape: Input shape of the model, batch axis first; `None` if it has several
            inputs. This and the following arguments apply to pictures only.
        label_mode: Form of the labels, as in `image_dataset_from_directory`.
        utils: The `utils` of the model's own Keras.
        batch_size: Pictures per batch.
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
