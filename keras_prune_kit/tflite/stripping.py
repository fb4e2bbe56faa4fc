"""Leaving out of a .tflite file what it does not need to run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from keras_prune_kit.tflite.constants import constants, short_name

_FILE_IDENTIFIER = b"TFL3"
_ALIGNMENT = 16  # of the bytes of weights, as the schema asks for


def strip(content: bytes) -> bytes:
    """The same file without what no interpreter computes with.

    Metadata of the converter, its remarks, the names of activations, a second copy of
    shapes, and the ranges that steps were made from go. Weights keep a short name for
    reports, inputs and outputs the names of the signature.

    Args:
        content: A .tflite file.

    Returns:
        A file that computes bit for bit the same.
    """
    model: Any = schema.ModelT.InitFromPackedBuf(content)
    if any(buffer.offset > 1 for buffer in model.buffers):
        return content  # Above 2 GB data lie behind the flatbuffer, where names count.
    model.description = model.metadata = model.metadataBuffer = None
    weights = {constant.name for constant in constants(content)}
    for graph in model.subgraphs:
        graph.name = None
    for tensor in _tensors(model):
        name = short_name(tensor.name or b"")
        is_stored = _is_stored(tensor, model.buffers)
        tensor.name = name if is_stored and name.decode() in weights else None
        _strip_tensor(tensor)
    _name_inputs_and_outputs(model)
    _drop_unused_buffers(model)
    return pack(model)


def pack(model: Any) -> bytes:
    """The bytes of an unpacked model."""
    model.buffers = [_Buffer(buffer.data) for buffer in model.buffers]
    builder = flatbuffers.Builder()
    builder.Finish(model.Pack(builder), _FILE_IDENTIFIER)
    return bytes(builder.Output())


class _Buffer(schema.BufferT):
    """A buffer that is written where the interpreter wants it.

    The generated class forgets the alignment that the schema prescribes.
    """

    def Pack(self, builder: Any) -> int:
        data = b"" if self.data is None else np.asarray(self.data).tobytes()
        if data:
            builder.StartVector(1, len(data), _ALIGNMENT)
            builder.head = builder.Head() - len(data)
            builder.Bytes[builder.Head() : builder.Head() + len(data)] = data
            vector = builder.EndVector()
        schema.BufferStart(builder)
        if data:
            schema.BufferAddData(builder, vector)
        return schema.BufferEnd(builder)


def _is_stored(tensor: Any, buffers: list[Any]) -> bool:
    """Whether a tensor is a constant; one in sparse storage may have no bytes left."""
    return buffers[tensor.buffer].data is not None or tensor.sparsity is not None


def _strip_tensor(tensor: Any) -> None:
    if np.array_equal(tensor.shapeSignature, tensor.shape):
        tensor.shapeSignature = None
    quantization = tensor.quantization
    if quantization is not None:
        quantization.min = quantization.max = None
        if quantization.scale is None and quantization.details is None:
            tensor.quantization = None


def _name_inputs_and_outputs(model: Any) -> None:
    for signature in model.signatureDefs or ():
        tensors = model.subgraphs[signature.subgraphIndex].tensors
        for entry in (*(signature.inputs or ()), *(signature.outputs or ())):
            tensors[entry.tensorIndex].name = entry.name


def _drop_unused_buffers(model: Any) -> None:
    """Tensors without data share the first buffer, which is always empty."""
    used = {0: 0}
    buffers = [schema.BufferT()]
    for tensor in _tensors(model):
        if not _is_stored(tensor, model.buffers):
            tensor.buffer = 0
        elif tensor.buffer not in used:
            used[tensor.buffer] = len(buffers)
            buffers.append(model.buffers[tensor.buffer])
    for tensor in _tensors(model):
        tensor.buffer = used[tensor.buffer]
    model.buffers = buffers


def _tensors(model: Any) -> Iterator[Any]:
    return (tensor for graph in model.subgraphs for tensor in graph.tensors)
