"""The order of the constants in a file."""

from __future__ import annotations

from typing import Any

from keras_prune_kit.tflite.shrinking.packing import tensors


def arrange_buffers(model: Any) -> None:
    """Sort the buffers of an unpacked file by type and size.

    Deflate has a code of its own for each stretch of a file. So biases get next to each
    other and to the graph, whose bytes are as few and small, and not between kernels.
    """
    types: dict[int, int] = {}
    for tensor in tensors(model):
        types.setdefault(tensor.buffer, tensor.type)

    def place(number: int) -> tuple[int, int]:
        data = model.buffers[number].data
        return types.get(number, -1), 0 if data is None else len(data)

    # By convention of the schema the first buffer is empty.
    order = [0, *sorted(range(1, len(model.buffers)), key=place)]
    new = {old: position for position, old in enumerate(order)}
    model.buffers = [model.buffers[old] for old in order]
    for tensor in tensors(model):
        tensor.buffer = new[tensor.buffer]
