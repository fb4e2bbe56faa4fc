"""All size reductions of a .tflite file, in the order that works best."""

from __future__ import annotations

from keras_prune_kit.tflite.shrinking.arranging import arrange_buffers
from keras_prune_kit.tflite.shrinking.flattening import drop_flattening
from keras_prune_kit.tflite.shrinking.packing import has_external_data, pack, unpack
from keras_prune_kit.tflite.shrinking.reshaping import fix_shapes
from keras_prune_kit.tflite.shrinking.sorting import sort_channels
from keras_prune_kit.tflite.shrinking.stripping import strip
from keras_prune_kit.tflite.shrinking.unused import drop_unused


def shrink(content: bytes) -> bytes:
    """Return an equivalent file that compresses better, above all if it is sparse.

    Removes what no interpreter needs, replaces shapes that are computed at run time
    although they are known by constants, and sorts the channels of integer layers and
    the constants, so that similar ones are adjacent.

    Args:
        content: A .tflite file.

    Returns:
        A file with bit-identical outputs; above 2 GB the same file.
    """
    model = unpack(content)
    if has_external_data(model):
        return content
    # In this order: known shapes leave operators unused, and these would be second
    # consumers, which keep channels from being sorted.
    fix_shapes(model)
    drop_flattening(model)
    drop_unused(model)
    sort_channels(model)
    arrange_buffers(model)
    strip(model)
    return pack(model)
