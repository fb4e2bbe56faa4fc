"""Corrections of the converter's float and integer files around calibration."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from keras_prune_kit.tflite.integer_inputs import keep_numbers, take_numbers_as_floats
from keras_prune_kit.tflite.lstm import mend_cells
from keras_prune_kit.tflite.masking import Bounded, bound_masks
from keras_prune_kit.tflite.shrinking.packing import (
    Operator,
    indices,
    is_stored,
    kind,
    opcode,
    pack,
    producers,
    unpack,
)
from keras_prune_kit.tflite.shrinking.unused import drop_codes

# The step is about that of this range in int16.
_RANGE_OF_ZEROS, _STEP_OF_ZEROS = 1.0, 2.0**-15
_LEAST_NUMBER = np.finfo(np.float32).tiny
# Operators whose output is all zeros if two nonzero inputs cancel. In integers these
# cancel only up to rounding, so their range stays as calibrated.
_CANCELLING = (Operator.ADD, Operator.SUB, Operator.SQUARED_DIFFERENCE)


def calibrate_with_care(
    converter: Any,
    samples: Callable[[], Iterable[Mapping[str, np.ndarray]]],
    quantization: str,
    tell: Callable[[Bounded], None],
) -> None:
    """Make a converter correct its float file before and after calibration.

    The converter has no public access to that file or to its ranges, so private methods
    and settings of this one converter are replaced.

    Args:
        converter: A `TFLiteConverter` with a representative dataset.
        samples: Returns the samples, each an array per input by name.
        quantization: `"int8"` or `"int16x8"`.
        tell: Is called with the changes to attention masks.
    """
    quantize = converter._quantize

    def mended(content: bytes, *args: Any, **kwargs: Any) -> bytes:
        # Before calibration: clipped cells and masks would enter the ranges, and
        # an operator that is added later would have none.
        content, masks = bound_masks(mend_cells(content), samples, quantization)
        tell(masks)
        if quantization == "int16x8":
            # It appends tensors, so the indices in `masks.ranges` stay right.
            content = spell_out_squares(content)
        converter._experimental_calibrate_only = True
        content = quantize(content, *args, **kwargs)
        content = widen_zeros(set_ranges(content, masks.ranges))
        if quantization == "int8":  # int16x8 needs a range for every float tensor.
            content = keep_numbers(content)
        converter._experimental_calibrate_only = False
        # The file has its ranges already; calibration without samples keeps them.
        converter.representative_dataset.input_gen = lambda: iter(())
        content = widen_steps(quantize(content, *args, **kwargs))
        return take_numbers_as_floats(content)

    converter._quantize = mended


def set_ranges(content: bytes, ranges: Mapping[int, tuple[float, float]]) -> bytes:
    """Return a file with new calibration ranges for some tensors.

    Args:
        content: A float .tflite file with the ranges of a calibration.
        ranges: Minimum and maximum by tensor index.
    """
    model = unpack(content)
    for index, (low, high) in ranges.items():
        found = model.subgraphs[0].tensors[index].quantization
        if found is not None and found.min is not None:
            # A range must include 0, which then is a quantized value exactly.
            found.min = np.array([min(low, 0.0)], np.float32)
            found.max = np.array([max(high, 0.0)], np.float32)
    return pack(model)


def widen_zeros(content: bytes) -> bytes:
    """Return a file with a range of -1 to 1 for each tensor that was all zeros.

    An example is what an LSTM computes from its initial state. From a range of zeros
    the converter computes a scale that interpreters refuse and that leaves no bits for
    a bias.

    Args:
        content: A float .tflite file with the ranges of a calibration.
    """
    model = unpack(content)
    for graph in model.subgraphs:
        makers = producers(graph)
        for index, tensor in enumerate(graph.tensors):
            found = tensor.quantization
            maker = makers.get(index)
            cancels = maker is not None and kind(model, maker) in _CANCELLING
            if found is not None and not cancels and _is_zero(found):
                found.min = np.array([-_RANGE_OF_ZEROS], np.float32)
                found.max = np.array([_RANGE_OF_ZEROS], np.float32)
    return pack(model)


def widen_steps(content: bytes) -> bytes:
    """Return a file in which no int16 constant or output of FILL has a scale of 0.

    The converter writes that scale for constants that are all zeros, and for what is
    filled with them; it aborts interpreters.

    Args:
        content: A quantized .tflite file.
    """
    model = unpack(content)
    for graph in model.subgraphs:
        makers = producers(graph)
        for index, tensor in enumerate(graph.tensors):
            maker = makers.get(index)
            is_filled = maker is not None and kind(model, maker) == Operator.FILL
            if is_filled or is_stored(model, tensor):
                _widen_step(tensor)
    return pack(model)


def _widen_step(tensor: Any) -> None:
    found = tensor.quantization
    if tensor.type == schema.TensorType.INT16 and found and found.scale is not None:
        is_none = found.scale <= _LEAST_NUMBER
        found.scale = np.where(is_none, np.float32(_STEP_OF_ZEROS), found.scale)


def spell_out_squares(content: bytes) -> bytes:
    """Return a file with SUB and MUL in place of each SQUARED_DIFFERENCE.

    No interpreter has an int16 kernel of SQUARED_DIFFERENCE.

    Args:
        content: A float .tflite file.
    """
    model = unpack(content)
    for graph in model.subgraphs:
        # From the end, as one operator becomes two and shifts those after it.
        for number, operator in reversed(list(enumerate(graph.operators))):
            if kind(model, operator) == Operator.SQUARED_DIFFERENCE:
                _spell_out(model, graph, number, operator)
    drop_codes(model)  # Kernels of unused operator codes are looked up too.
    return pack(model)


def _spell_out(model: Any, graph: Any, number: int, operator: Any) -> None:
    square = indices(operator.outputs)
    like = graph.tensors[square[0]]
    difference = schema.TensorT(
        shape=like.shape,
        shapeSignature=like.shapeSignature,
        type=like.type,
        name=like.name + b"_difference",
        hasRank=True,
    )
    graph.tensors.append(difference)
    found = [len(graph.tensors) - 1]
    graph.operators[number : number + 1] = [
        schema.OperatorT(
            opcodeIndex=opcode(model, Operator.SUB),
            inputs=operator.inputs,
            outputs=np.array(found, np.int32),
            builtinOptionsType=schema.BuiltinOptions.SubOptions,
            builtinOptions=schema.SubOptionsT(),
        ),
        schema.OperatorT(
            opcodeIndex=opcode(model, Operator.MUL),
            inputs=np.array(found * 2, np.int32),
            outputs=np.array(square, np.int32),
            builtinOptionsType=schema.BuiltinOptions.MulOptions,
            builtinOptions=schema.MulOptionsT(),
        ),
    ]


def _is_zero(quantization: Any) -> bool:
    """Return True if a calibration range is that of zeros only."""
    bounds = quantization.min, quantization.max
    return all(
        bound is not None and len(bound) and np.abs(bound).max() <= _LEAST_NUMBER
        for bound in bounds
    )
