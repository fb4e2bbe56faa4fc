"""The weights and biases of a .tflite file, as they are stored."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from keras_prune_kit.tflite.factors import channel_factors

# Weight types of whole bytes, with the dtypes of their buffers.
_DTYPES = {
    schema.TensorType.FLOAT32: np.dtype("<f4"),
    schema.TensorType.FLOAT16: np.dtype("<f2"),
    schema.TensorType.INT8: np.dtype("i1"),
    schema.TensorType.UINT8: np.dtype("u1"),
}
# Bias types; tensors of sizes and axes have them too, but are not quantized.
_BIAS_DTYPES = {
    schema.TensorType.INT32: np.dtype("<i4"),
    schema.TensorType.INT64: np.dtype("<i8"),
}
# Weight types of several values per byte: bits per value, and True if signed.
_PACKED = {
    schema.TensorType.INT4: (4, True),
    schema.TensorType.UINT4: (4, False),
    schema.TensorType.INT2: (2, True),
}
# Between the names that the converter joins for fused operators.
SEPARATOR = b";"
_TYPE_NAMES = {code: name.lower() for name, code in vars(schema.TensorType).items()}


@dataclass(frozen=True)
class Constant:
    """A weight or a bias in a .tflite file.

    Attributes:
        name: The name in the file; empty if it has none.
        dtype: The type in the file, such as `"int4"`.
        shape: The shape in the file; kernels have their output axis first.
        stored: The values as stored, unpacked to one per element; in sparse storage
            only those that are stored.
        scale: The scale or scales, shaped to broadcast with `stored`; 1 for floats.
        zero_point: The zero point or points, shaped likewise.
        bits: The number of bits per value.
        position: The slice of the file that contains the bytes.
        is_factor: True if it only scales or shifts what passes, as the bias of an
            attention does, or is what a loop begins with.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    stored: np.ndarray = field(repr=False)
    scale: np.ndarray = field(repr=False)
    zero_point: np.ndarray = field(repr=False)
    bits: int
    position: slice
    is_factor: bool = False

    @property
    def is_weight(self) -> bool:
        """True if it is a weight: of several dimensions, and no factor."""
        return len(self.shape) > 1 and not self.is_factor

    @property
    def size(self) -> int:
        """The number of elements, stored or not."""
        return math.prod(self.shape)

    @property
    def nonzero(self) -> int:
        """The number of elements other than 0.0."""
        # Compared as stored: 0.0 is the zero point, whatever the scale.
        return int(np.count_nonzero(self.stored != self.zero_point))

    @property
    def values(self) -> np.ndarray:
        """The stored values, dequantized to float32."""
        # Zero points are int64, so the difference of two int8 does not overflow.
        return (self.stored - self.zero_point).astype(np.float32) * self.scale


def constants(content: bytes) -> Iterator[Constant]:
    """Yield each weight and bias of a .tflite file once, in the order of the file."""
    model = schema.Model.GetRootAs(content, 0)
    # Buffers are read as views, so their address gives their place in the file.
    address = np.frombuffer(content, np.uint8).ctypes.data
    seen: set[int] = set()
    for graph in (model.Subgraphs(i) for i in range(model.SubgraphsLength())):
        factors = channel_factors(model, graph)
        for index in range(graph.TensorsLength()):
            tensor = graph.Tensors(index)
            quantization = tensor.Quantization()
            has_step = quantization is not None and quantization.ScaleLength() > 0
            is_known = is_parameter(tensor.Type(), tensor.ShapeLength(), has_step)
            # Several tensors may share a buffer, which is one weight.
            if tensor.Buffer() in seen or not is_known:
                continue
            data = _buffer(model, tensor.Buffer(), content)
            # A sparse weight whose values are all zero has no bytes.
            if data.size or tensor.Sparsity():
                seen.add(tensor.Buffer())
                start = data.ctypes.data - address if data.size else 0
                position = slice(start, start + data.size)
                yield _constant(tensor, data, position, index in factors)


def short_name(name: bytes) -> bytes:
    """Return the first of the names that are joined in one."""
    return name.partition(SEPARATOR)[0]


def is_parameter(tensor_type: int, rank: int, has_step: bool) -> bool:
    """Return True if a constant of this type, rank and scale is a weight or a bias."""
    if tensor_type in _BIAS_DTYPES:
        return rank > 0 and has_step
    return rank > 0 and (tensor_type in _DTYPES or tensor_type in _PACKED)


def unpack_values(tensor_type: int, data: np.ndarray) -> np.ndarray:
    """Return the values of a buffer, including those of padding in its last byte."""
    dtype = _DTYPES.get(tensor_type) or _BIAS_DTYPES.get(tensor_type)
    if dtype is not None:
        return data.view(dtype)
    bits, signed = _PACKED[tensor_type]
    shifts = np.arange(0, 8, bits, dtype=np.uint8)  # First value in the low bits.
    values = (data[:, None] >> shifts & (2**bits - 1)).reshape(-1).astype(np.int8)
    # Extends the sign: of 4 bits, 0b1111 becomes -1.
    sign_bit = 2 ** (bits - 1)
    return (values ^ sign_bit) - sign_bit if signed else values


def pack_values(tensor_type: int, values: np.ndarray) -> np.ndarray:
    """Return the bytes that store values; the inverse of `unpack_values`."""
    values = np.ascontiguousarray(values).reshape(-1)
    if tensor_type not in _PACKED:
        return values.view(np.uint8)
    bits, _ = _PACKED[tensor_type]
    shifts = np.arange(0, 8, bits, dtype=np.uint8)
    # An odd number of values leaves a part of the last byte unused.
    filled = np.pad(values, (0, -values.size % shifts.size)).astype(np.uint8)
    parts = (filled & (2**bits - 1)).reshape(-1, shifts.size) << shifts
    return np.bitwise_or.reduce(parts, axis=1)


def _constant(
    tensor: Any, data: np.ndarray, position: slice, is_factor: bool
) -> Constant:
    shape = tuple(tensor.ShapeAsNumpy().tolist())
    stored = unpack_values(tensor.Type(), data)
    scale, zero_point = _quantization(tensor)
    if tensor.Sparsity():  # Without their channels, all get the first scale.
        scale, zero_point = scale.reshape(-1)[:1], zero_point.reshape(-1)[:1]
    else:
        stored = stored[: math.prod(shape)].reshape(shape)
    return Constant(
        name=short_name(tensor.Name() or b"").decode(),
        dtype=_TYPE_NAMES[tensor.Type()],
        shape=shape,
        stored=stored,
        scale=scale,
        zero_point=zero_point,
        bits=_PACKED.get(tensor.Type(), (8 * stored.itemsize,))[0],
        position=position,
        is_factor=is_factor,
    )


def _buffer(model: Any, index: int, content: bytes) -> np.ndarray:
    buffer = model.Buffers(index)
    if buffer.Offset() > 1:  # Files above 2 GB have data after the flatbuffer.
        return np.frombuffer(content, np.uint8, buffer.Size(), buffer.Offset())
    if not buffer.DataLength():
        return np.empty(0, np.uint8)
    return buffer.DataAsNumpy()


def _quantization(tensor: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return scales and zero points, shaped to broadcast with the values."""
    quantization = tensor.Quantization()
    if quantization is None or not quantization.ScaleLength():
        return np.ones(1, np.float32), np.zeros(1, np.int64)
    scales = quantization.ScaleAsNumpy()
    points = np.zeros(1, np.int64)
    if quantization.ZeroPointLength():
        points = quantization.ZeroPointAsNumpy()
    channels = [1] * tensor.ShapeLength()
    # Right for a single scale too: the schema's default dimension is 0.
    channels[quantization.QuantizedDimension()] = -1
    return scales.reshape(channels), points.reshape(channels)
