"""Datasets as lists of their batches, since the pipelines themselves cannot be sent."""

from __future__ import annotations

from typing import Any

import keras

from keras_prune_kit._keras.datasets import as_arrays, elements, is_torch_loader

_ENDLESS = -1  # The cardinality of an endless `tf.data.Dataset`.


class SentBatches(keras.utils.PyDataset):
    """The batches of a dataset of the other process.

    Args:
        batches: The batches, of arrays.
    """

    def __init__(self, batches: list[Any]) -> None:
        super().__init__()
        self._batches = batches

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, index: int) -> Any:
        return self._batches[index]


def is_dataset(item: Any) -> bool:
    """Return True for a dataset of Keras or TensorFlow, or a `DataLoader` of torch."""
    return (
        isinstance(item, keras.utils.PyDataset)
        or hasattr(item, "element_spec")
        or is_torch_loader(item)
    )


def batches_of(dataset: Any) -> list[Any]:
    """Read a dataset once and return its batches as arrays.

    Raises:
        ValueError: If it never ends.
    """
    if _is_endless(dataset):
        raise ValueError(
            "A dataset is sent to TensorFlow as its batches, so it must end. Received: "
            f"an endless {type(dataset).__name__}. Limit it to one pass over the data."
        )
    return [as_arrays(batch, "dataset") for batch in elements(dataset)]


def _is_endless(dataset: Any) -> bool:
    if isinstance(dataset, keras.utils.PyDataset):
        return dataset.num_batches is None
    return hasattr(dataset, "cardinality") and int(dataset.cardinality()) == _ENDLESS
