"""All that makes a file smaller, in the order in which it works best."""

from __future__ import annotations

from keras_prune_kit.tflite.shrinking.packing import has_data_behind, pack, unpack
from keras_prune_kit.tflite.shrinking.reshaping import fix_shapes
from keras_prune_kit.tflite.shrinking.sorting import sort_channels
from keras_prune_kit.tflite.shrinking.stripping import strip
from keras_prune_kit.tflite.shrinking.unused import drop_unused


def shrink(content: bytes) -> bytes:
    """The same file, smaller after compression, above all if it is sparse.

    What no interpreter computes with is left out, shapes that are computed though they
    are known become constants, and channels inside the network are sorted, so that
    weights alike lie beside each other.

    Args:
        content: A .tflite file.

    Returns:
        A file that computes bit for bit the same; above 2 GB the one that came.
    """
    model = unpack(content)
    if has_data_behind(model):
        return content
    fix_shapes(model)
    drop_unused(model)
    sort_channels(model)
    strip(model)
    return pack(model)
