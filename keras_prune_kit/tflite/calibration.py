"""From a float file to an integer one, with what calibration gets wrong mended."""

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

_RANGE_OF_ZEROS, _STEP_OF_ZEROS = 1.0, 2.0**-15
_LEAST_NUMBER = np.finfo(np.float32).tiny
# What gives nothing but zeros where two things that are not zero cancel each other. In
# integers they do so up to steps alone.
_CANCELLING = (Operator.ADD, Operator.SUB, Operator.SQUARED_DIFFERENCE)


def calibrate_with_care(
    converter: Any,
    samples: Callable[[], Iterable[Mapping[str, np.ndarray]]],
    quantization: str,
    tell: Callable[[Bounded], None],
) -> None:
    """Has a converter mend its own float file before and after it finds ranges.

    There is no public way to that file, or to the ranges: what is replaced here are
    methods and settings of this one converter.

    Args:
        converter: A `TFLiteConverter` that is to calibrate.
        samples: Gives an array for each input, sample by sample.
        quantization: `"int8"` or `"int16x8"`.
        tell: Takes what became of masks.
    """
    quantize = converter._quantize

    def mended(content: bytes, *args: Any, **kwargs: Any) -> bytes:
        content, masks = bound_masks(mend_cells(content), samples, quantization)
        tell(masks)
        if quantization == "int16x8":
            content = spell_out_squares(content)
        converter._experimental_calibrate_only = True
        content = quantize(content, *args, **kwargs)
        content = widen_zeros(set_ranges(content, masks.ranges))
        if quantization == "int8":  # In 16 bits all that is float must have a range.
            content = keep_numbers(content)
        converter._experimental_calibrate_only = False
        # The ranges are in the file: what sees nothing more leaves them.
        converter.representative_dataset.input_gen = lambda: iter(())
        content = widen_steps(quantize(content, *args, **kwargs))
        return take_numbers_as_floats(content)

    converter._quantize = mended


def set_ranges(content: bytes, ranges: Mapping[int, tuple[float, float]]) -> bytes:
    """The same file with other ranges of some tensors.

    Args:
        content: A float .tflite file with the ranges of a calibration.
        ranges: Least and greatest value, by the index of the tensor.
    """
    model = unpack(content)
    for index, (low, high) in ranges.items():
        found = model.subgraphs[0].tensors[index].quantization
        if found is not None and found.min is not None:
            found.min = np.array([min(low, 0.0)], np.float32)
            found.max = np.array([max(high, 0.0)], np.float32)
    return pack(model)


def widen_zeros(content: bytes) -> bytes:
    """The same file with a range for each tensor that was nothing but zeros.

    Such as what an LSTM gets from its first state. Zeros say nothing about a range,
    and the converter makes steps of them that interpreters refuse, and that leave no
    bits to a bias.

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
    """The same file with steps for constants of 16 bits that are nothing but zeros, and
    for what is filled with them.

    The converter gives them steps of 0.0, which abort interpreters.

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
    """The same file with a difference and a product in the place of each square of a
    difference, for which no interpreter has a kernel of 16 bits.

    Args:
        content: A float .tflite file.
    """
    model = unpack(content)
    for graph in model.subgraphs:
        for number, operator in reversed(list(enumerate(graph.operators))):
            if kind(model, operator) == Operator.SQUARED_DIFFERENCE:
                _spell_out(model, graph, number, operator)
    drop_codes(model)  # Those that are left are looked for too.
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
    """Whether a range is that of zeros alone, as calibration writes it."""
    bounds = quantization.min, quantization.max
    return all(
        bound is not None and len(bound) and np.abs(bound).max() <= _LEAST_NUMBER
        for bound in bounds
    )
