"""Conversion of a .tflite file to mutable schema objects, and back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

Operator = schema.BuiltinOperator

# Operators whose output is their first input or a part of it, in another arrangement.
SHAPING = {
    *(Operator.RESHAPE, Operator.TRANSPOSE, Operator.BROADCAST_TO, Operator.TILE),
    *(Operator.EXPAND_DIMS, Operator.SQUEEZE, Operator.SLICE, Operator.GATHER),
    *(Operator.STRIDED_SLICE, Operator.PAD, Operator.UNPACK),
}

_FILE_IDENTIFIER = b"TFL3"
_LARGEST_OLD_CODE = 127
_ALIGNMENT = 16  # Of the data of buffers, as the schema prescribes.


def unpack(content: bytes) -> Any:
    """Return a file as a mutable `ModelT` of the schema."""
    return schema.ModelT.InitFromPackedBuf(content)


def pack(model: Any) -> bytes:
    """Return the bytes of an unpacked file."""
    model.buffers = [_Buffer(buffer.data) for buffer in model.buffers]
    builder = flatbuffers.Builder()
    builder.Finish(model.Pack(builder), _FILE_IDENTIFIER)
    return bytes(builder.Output())


def has_external_data(model: Any) -> bool:
    """Return True if weights follow the flatbuffer, as in files above 2 GB."""
    return any(buffer.offset > 1 for buffer in model.buffers)


def tensors(model: Any) -> Iterator[Any]:
    """Yield the tensors of all subgraphs."""
    return (tensor for graph in model.subgraphs for tensor in graph.tensors)


def is_stored(model: Any, tensor: Any) -> bool:
    """Return True if a tensor is a constant; a sparse one may have no bytes."""
    return model.buffers[tensor.buffer].data is not None or tensor.sparsity is not None


def signature_entries(model: Any) -> Iterator[tuple[int, Any]]:
    """Yield all inputs and outputs of signatures, each after its subgraph's number."""
    for signature in model.signatureDefs or ():
        for entry in (*(signature.inputs or ()), *(signature.outputs or ())):
            yield signature.subgraphIndex, entry


def indices(array: Any) -> list[int]:
    """Return tensor indices as a list; the schema has None for an empty one."""
    return [] if array is None else array.tolist()


def kind(model: Any, operator: Any) -> int:
    """Return the builtin code of an operator."""
    code = model.operatorCodes[operator.opcodeIndex]
    # Old files set only the deprecated field; in others it is at most 127.
    return max(code.builtinCode, code.deprecatedBuiltinCode)


def opcode(model: Any, operator: int) -> int:
    """Return the index of an operator code in a file; add the code if it is missing."""
    for index, code in enumerate(model.operatorCodes):
        if max(code.builtinCode, code.deprecatedBuiltinCode) == operator:
            return index
    # The deprecated field is a byte: 127 stands for all codes above.
    old = min(operator, _LARGEST_OLD_CODE)
    model.operatorCodes.append(
        schema.OperatorCodeT(builtinCode=operator, deprecatedBuiltinCode=old, version=1)
    )
    return len(model.operatorCodes) - 1


def producers(graph: Any) -> dict[int, Any]:
    """Return the operator that produces each tensor, by tensor index."""
    return {
        index: operator
        for operator in graph.operators
        for index in indices(operator.outputs)
    }


class _Buffer(schema.BufferT):
    """A buffer that is written with the alignment that the schema prescribes.

    The generated class ignores `force_align`.
    """

    def Pack(self, builder: Any) -> int:
        vector = None if self.data is None else _aligned(builder, self.data)
        schema.BufferStart(builder)
        if vector is not None:
            schema.BufferAddData(builder, vector)
        return schema.BufferEnd(builder)


def _aligned(builder: Any, data: Any) -> int:
    """Write bytes as an aligned vector and return its offset."""
    content = np.asarray(data, np.uint8).tobytes()
    builder.StartVector(1, len(content), _ALIGNMENT)
    builder.head = builder.Head() - len(content)
    builder.Bytes[builder.Head() : builder.Head() + len(content)] = content
    return builder.EndVector()
