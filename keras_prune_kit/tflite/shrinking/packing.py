"""A .tflite file as objects that can be changed, and back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

Operator = schema.BuiltinOperator

# What gives its first input or a part of it, in another shape or place.
SHAPING = {
    *(Operator.RESHAPE, Operator.TRANSPOSE, Operator.BROADCAST_TO, Operator.TILE),
    *(Operator.EXPAND_DIMS, Operator.SQUEEZE, Operator.SLICE, Operator.GATHER),
    *(Operator.STRIDED_SLICE, Operator.PAD, Operator.UNPACK),
}

_FILE_IDENTIFIER = b"TFL3"
_LARGEST_OLD_CODE = 127
_ALIGNMENT = 16  # of the bytes of weights, as the schema asks for


def unpack(content: bytes) -> Any:
    """The file as a tree of objects, as the schema names them."""
    return schema.ModelT.InitFromPackedBuf(content)


def pack(model: Any) -> bytes:
    """The bytes of an unpacked file."""
    model.buffers = [_Buffer(buffer.data) for buffer in model.buffers]
    builder = flatbuffers.Builder()
    builder.Finish(model.Pack(builder), _FILE_IDENTIFIER)
    return bytes(builder.Output())


def has_data_behind(model: Any) -> bool:
    """Whether weights lie behind the flatbuffer, as they do in files above 2 GB."""
    return any(buffer.offset > 1 for buffer in model.buffers)


def tensors(model: Any) -> Iterator[Any]:
    """The tensors of all graphs."""
    return (tensor for graph in model.subgraphs for tensor in graph.tensors)


def is_stored(model: Any, tensor: Any) -> bool:
    """Whether a tensor is a constant; one in sparse storage may have no bytes left."""
    return model.buffers[tensor.buffer].data is not None or tensor.sparsity is not None


def signature_entries(model: Any) -> Iterator[tuple[int, Any]]:
    """The named inputs and outputs of all signatures, with the number of the graph."""
    for signature in model.signatureDefs or ():
        for entry in (*(signature.inputs or ()), *(signature.outputs or ())):
            yield signature.subgraphIndex, entry


def indices(array: Any) -> list[int]:
    """Numbers of tensors; what is empty may be missing in the file."""
    return [] if array is None else array.tolist()


def kind(model: Any, operator: Any) -> int:
    """Which operator it is, as the schema numbers them."""
    code = model.operatorCodes[operator.opcodeIndex]
    return max(code.builtinCode, code.deprecatedBuiltinCode)


def opcode(model: Any, operator: int) -> int:
    """Where the file has the code of an operator, which it gets if it has none."""
    for index, code in enumerate(model.operatorCodes):
        if max(code.builtinCode, code.deprecatedBuiltinCode) == operator:
            return index
    # Numbers above those of the old field are in the new one alone.
    old = min(operator, _LARGEST_OLD_CODE)
    model.operatorCodes.append(
        schema.OperatorCodeT(builtinCode=operator, deprecatedBuiltinCode=old, version=1)
    )
    return len(model.operatorCodes) - 1


def producers(graph: Any) -> dict[int, Any]:
    """The operator that gives a tensor, by the tensor's index."""
    return {
        index: operator
        for operator in graph.operators
        for index in indices(operator.outputs)
    }


class _Buffer(schema.BufferT):
    """A buffer that is written where the interpreter wants it.

    The generated class forgets the alignment that the schema prescribes.
    """

    def Pack(self, builder: Any) -> int:
        vector = None if self.data is None else _aligned(builder, self.data)
        schema.BufferStart(builder)
        if vector is not None:
            schema.BufferAddData(builder, vector)
        return schema.BufferEnd(builder)


def _aligned(builder: Any, data: Any) -> int:
    """Writes bytes as a vector; gives its place."""
    content = np.asarray(data, np.uint8).tobytes()
    builder.StartVector(1, len(content), _ALIGNMENT)
    builder.head = builder.Head() - len(content)
    builder.Bytes[builder.Head() : builder.Head() + len(content)] = content
    return builder.EndVector()
