"""Facts read from the .tflite flatbuffer that the interpreter does not expose."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from keras_prune_kit.reports import SparsityReport, WeightSparsity
from keras_prune_kit.tflite.constants import constants

_FILE_IDENTIFIER = b"TFL3"

_OPERATOR_NAMES = {
    code: name
    for name, code in vars(schema.BuiltinOperator).items()
    if isinstance(code, int)
}


def looks_like_tflite(content: bytes) -> bool:
    """Return True if the content has the file identifier of .tflite."""
    # The first four bytes are the offset of the root table.
    return content[4:8] == _FILE_IDENTIFIER


def sparsity_report(content: bytes) -> SparsityReport:
    """Count the zeros of every weight in a .tflite file.

    A weight is a constant tensor of two or more dimensions in a float type or an
    integer type of at most 8 bits, except those that only scale or shift what passes,
    as normalizations and biases do, or that a loop begins with. A quantized value is
    zero if it equals the zero point.

    Args:
        content: A .tflite file.

    Returns:
        One record per weight, in the order of the file. Shapes are those of the file,
        in which kernels of Dense and Conv have their output axis first.
    """
    return SparsityReport(
        weights=tuple(
            WeightSparsity(weight.name, weight.shape, weight.size - weight.nonzero)
            for weight in constants(content)
            if weight.is_weight
        )
    )


def signature_names(content: bytes) -> tuple[list[str], list[str]]:
    """Return the signature's names of the inputs and outputs, in graph order.

    Both are empty unless the file has exactly one signature; either is empty if the
    signature does not name all tensors. A tensor that is output twice has two names.
    """
    model = schema.Model.GetRootAs(content, 0)
    if model.SignatureDefsLength() != 1:
        return [], []
    signature: Any = model.SignatureDefs(0)
    graph: Any = model.Subgraphs(signature.SubgraphIndex())
    inputs = [signature.Inputs(i) for i in range(signature.InputsLength())]
    outputs = [signature.Outputs(i) for i in range(signature.OutputsLength())]
    return (
        _names_in_order(inputs, graph.InputsAsNumpy()),
        _names_in_order(outputs, graph.OutputsAsNumpy()),
    )


def reorder(content: bytes, inputs: Sequence[str], outputs: Sequence[str]) -> bytes:
    """Return a file with its inputs and outputs in the given order.

    The converter sorts them by rules of its own, which loses the order of the Keras
    model.

    Args:
        content: A .tflite file with one signature.
        inputs: All input names of the signature, in the wanted order.
        outputs: All output names, likewise.

    Raises:
        ValueError: If the names are not those of the signature.
    """
    patched = bytearray(content)
    graph: Any = schema.Model.GetRootAs(patched, 0).Subgraphs(0)
    # These arrays are views: writing to them changes the file in place.
    places = graph.InputsAsNumpy(), graph.OutputsAsNumpy()
    found = signature_names(content)
    for indices, names, wanted in zip(places, found, (inputs, outputs), strict=True):
        if sorted(names) != sorted(wanted):
            raise ValueError(
                "Inputs and outputs must be those of the file. Received: "
                f"{list(wanted)}, where the file has {names}."
            )
        indices[:] = [indices[names.index(name)] for name in wanted]
    return bytes(patched)


def operator_names(content: bytes) -> tuple[str, ...]:
    """Return the name of each operator in a file, such as `"CONV_2D"`, in its order."""
    model = schema.Model.GetRootAs(content, 0)
    return tuple(name for name, _ in _operators(model))


def float_operator_names(content: bytes) -> set[str]:
    """Return the names of the operators with a float32 output, except DEQUANTIZE."""
    model = schema.Model.GetRootAs(content, 0)
    return {
        name
        for name, output_types in _operators(model)
        # DEQUANTIZE leads out of integers, so its output is float by design.
        if name != "DEQUANTIZE" and schema.TensorType.FLOAT32 in output_types
    }


def _names_in_order(entries: Sequence[Any], indices: Any) -> list[str]:
    names: dict[int, list[str]] = defaultdict(list)
    for entry in entries:
        names[entry.TensorIndex()].append((entry.Name() or b"").decode())
    if len(entries) != np.size(indices) or set(names) != set(map(int, indices)):
        return []
    return [names[int(index)].pop(0) for index in indices]


def _operators(model: Any) -> Iterator[tuple[str, set[int]]]:
    """Yield the name of each operator and the types of its outputs."""
    for graph in _graphs(model):
        for i in range(graph.OperatorsLength()):
            operator = graph.Operators(i)
            code = model.OperatorCodes(operator.OpcodeIndex())
            # Old files have only the deprecated field, new ones the larger of both.
            number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
            outputs = [operator.Outputs(j) for j in range(operator.OutputsLength())]
            # An index of -1 stands for a tensor that is left out.
            types = {graph.Tensors(index).Type() for index in outputs if index >= 0}
            if number == schema.BuiltinOperator.CUSTOM:
                yield (code.CustomCode() or b"CUSTOM").decode(errors="replace"), types
            else:
                yield _OPERATOR_NAMES.get(number, str(number)), types


def _graphs(model: Any) -> Iterator[Any]:
    return (model.Subgraphs(i) for i in range(model.SubgraphsLength()))
