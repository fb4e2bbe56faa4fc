"""Reading the .tflite format itself, where the interpreter does not tell."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from keras_prune_kit.reports import SparsityReport, WeightSparsity

_FILE_IDENTIFIER = b"TFL3"

# Whole-byte types, and how to read their values from a buffer.
_DTYPES = {
    schema.TensorType.FLOAT32: np.dtype("<f4"),
    schema.TensorType.FLOAT16: np.dtype("<f2"),
    schema.TensorType.INT8: np.dtype("i1"),
    schema.TensorType.UINT8: np.dtype("u1"),
}
# Types that share a byte: how many bits each, and whether signed.
_PACKED = {
    schema.TensorType.INT4: (4, True),
    schema.TensorType.UINT4: (4, False),
    schema.TensorType.INT2: (2, True),
}
_OPERATOR_NAMES = {
    code: name
    for name, code in vars(schema.BuiltinOperator).items()
    if isinstance(code, int)
}


def looks_like_tflite(content: bytes) -> bool:
    """Whether the bytes carry the mark of a .tflite file."""
    return content[4:8] == _FILE_IDENTIFIER


def sparsity_report(content: bytes) -> SparsityReport:
    """The zeros of every weight in a .tflite file.

    A weight is a constant tensor of two or more dimensions in a float or small
    integer type. A value counts as zero if it stands for 0.0: it equals the zero
    point where the weight is quantized.

    Args:
        content: A .tflite file.

    Returns:
        One record a weight, in the order of the file. Shapes are those of the file,
        where kernels of Dense and Conv have their outputs first.
    """
    model = schema.Model.GetRootAs(content, 0)
    return SparsityReport(
        weights=tuple(
            WeightSparsity(
                path=tensor.Name().decode().partition(";")[0],
                shape=shape,
                zeros=math.prod(shape) - _count_nonzero(tensor, shape, data),
            )
            for tensor, shape, data in _weights(model, content)
        )
    )


def signature_names(content: bytes) -> tuple[dict[int, str], dict[int, str]]:
    """Names of inputs and outputs by tensor index; empty without one signature."""
    model = schema.Model.GetRootAs(content, 0)
    if model.SignatureDefsLength() != 1:
        return {}, {}
    signature: Any = model.SignatureDefs(0)
    inputs = (signature.Inputs(i) for i in range(signature.InputsLength()))
    outputs = (signature.Outputs(i) for i in range(signature.OutputsLength()))
    return _names_by_index(inputs), _names_by_index(outputs)


def reorder(content: bytes, inputs: Sequence[str], outputs: Sequence[str]) -> bytes:
    """The same file with its inputs and outputs in a given order.

    The converter sorts them by its own rules, so a file would otherwise forget the
    order of the Keras model.

    Args:
        content: A .tflite file with one signature.
        inputs: All names of the signature's inputs, in the order to give them.
        outputs: All names of its outputs, likewise.

    Raises:
        ValueError: If the names are not those of the signature.
    """
    patched = bytearray(content)
    graph: Any = schema.Model.GetRootAs(patched, 0).Subgraphs(0)
    # These arrays are views: writing to them changes the file, and not its length.
    _permute(graph.InputsAsNumpy(), signature_names(content)[0], inputs)
    _permute(graph.OutputsAsNumpy(), signature_names(content)[1], outputs)
    return bytes(patched)


def operator_names(content: bytes) -> set[str]:
    """The kinds of operators in the file, such as `"CONV_2D"`."""
    model = schema.Model.GetRootAs(content, 0)
    return {name for name, _ in _operators(model)}


def float_operator_names(content: bytes) -> set[str]:
    """The kinds of operators that compute in float32."""
    model = schema.Model.GetRootAs(content, 0)
    return {
        name
        for name, output_types in _operators(model)
        if name != "DEQUANTIZE" and schema.TensorType.FLOAT32 in output_types
    }


def _names_by_index(entries: Iterator[Any]) -> dict[int, str]:
    return {entry.TensorIndex(): entry.Name().decode() for entry in entries}


def _permute(
    indices: np.ndarray, names_by_index: dict[int, str], names: Sequence[str]
) -> None:
    index_by_name = {name: index for index, name in names_by_index.items()}
    order = [index_by_name.get(name, -1) for name in names]
    if sorted(order) != sorted(indices.tolist()):
        raise ValueError(
            "Inputs and outputs must be those of the file. Received: "
            f"{list(names)}, where the file has {list(index_by_name)}."
        )
    indices[:] = order


def _operators(model: Any) -> Iterator[tuple[str, set[int]]]:
    """Each operator's name and the types of its outputs."""
    for graph in _graphs(model):
        for i in range(graph.OperatorsLength()):
            operator = graph.Operators(i)
            code = model.OperatorCodes(operator.OpcodeIndex())
            # Old files have only the deprecated field, new ones the larger of both.
            number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
            outputs = [operator.Outputs(j) for j in range(operator.OutputsLength())]
            types = {graph.Tensors(index).Type() for index in outputs if index >= 0}
            yield _OPERATOR_NAMES.get(number, str(number)), types


def _graphs(model: Any) -> Iterator[Any]:
    return (model.Subgraphs(i) for i in range(model.SubgraphsLength()))


def _weights(
    model: Any, content: bytes
) -> Iterator[tuple[Any, tuple[int, ...], np.ndarray]]:
    """Each constant weight once: its tensor, shape and bytes."""
    seen: set[int] = set()
    for graph in _graphs(model):
        for i in range(graph.TensorsLength()):
            tensor = graph.Tensors(i)
            is_weight = tensor.Type() in _DTYPES or tensor.Type() in _PACKED
            if not is_weight or tensor.ShapeLength() < 2:
                continue
            data = _buffer(model, tensor.Buffer(), content)
            # A sparse tensor without any value left has no bytes and is a weight.
            if tensor.Buffer() in seen or not (data.size or tensor.Sparsity()):
                continue
            seen.add(tensor.Buffer())
            yield tensor, tuple(tensor.ShapeAsNumpy().tolist()), data


def _buffer(model: Any, index: int, content: bytes) -> np.ndarray:
    buffer = model.Buffers(index)
    if buffer.Offset() > 1:  # Files above 2 GB keep their data behind the flatbuffer.
        return np.frombuffer(content, np.uint8, buffer.Size(), buffer.Offset())
    if not buffer.DataLength():
        return np.empty(0, np.uint8)
    return buffer.DataAsNumpy()


def _count_nonzero(tensor: Any, shape: tuple[int, ...], data: np.ndarray) -> int:
    stored = _values(tensor.Type(), data)
    zero_point = _zero_point(tensor)
    if tensor.Sparsity():  # Only the values that are stored can be other than zero.
        return int(np.count_nonzero(stored != zero_point.flat[0]))
    values = stored[: math.prod(shape)].reshape(shape)
    return int(np.count_nonzero(values != zero_point))


def _values(tensor_type: int, data: np.ndarray) -> np.ndarray:
    if tensor_type in _DTYPES:
        return data.view(_DTYPES[tensor_type])
    bits, signed = _PACKED[tensor_type]
    shifts = np.arange(0, 8, bits, dtype=np.uint8)  # The first value is lowest.
    values = (data[:, None] >> shifts & (2**bits - 1)).reshape(-1).astype(np.int8)
    sign_bit = 2 ** (bits - 1)
    return (values ^ sign_bit) - sign_bit if signed else values


def _zero_point(tensor: Any) -> np.ndarray:
    """The value that stands for 0.0, shaped to compare with the weight."""
    quantization = tensor.Quantization()
    if quantization is None or not quantization.ZeroPointLength():
        return np.zeros(1)
    points = quantization.ZeroPointAsNumpy()
    if points.size == 1:
        return points
    shape = [1] * tensor.ShapeLength()
    shape[quantization.QuantizedDimension()] = -1
    return points.reshape(shape)
