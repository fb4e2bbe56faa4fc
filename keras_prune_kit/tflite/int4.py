"""Weights of 4 bits, by LiteRT's own quantizer."""

from __future__ import annotations

import contextlib
import importlib
import io
from typing import Any

# Of these operators LiteRT has kernels for weights of 4 bits, of others for 8 alone.
_IN_4_BITS = ("FULLY_CONNECTED", "CONV_2D")


def to_int4(content: bytes) -> bytes:
    """Return a float file with weights of 4 bits; inputs and outputs stay float.

    Each output channel of a kernel has the step that its largest weight needs, without
    an offset, so that zeros stay exactly zero. Where LiteRT has operators for 8 bits
    only, such as for depthwise convolutions, weights get 8.

    Args:
        content: A float .tflite file, each tensor of which has a name of its own.

    Returns:
        The quantized file.
    """
    # By name, as it is an extra, which no other quantization needs.
    quantizer: Any = importlib.import_module("litert_quantizer.quantizer")
    work = quantizer.Quantizer(bytearray(content))
    work.add_dynamic_config(".*", "*", num_bits=8)
    for operator in _IN_4_BITS:  # Of rules that suit an operator the last one counts.
        work.add_dynamic_config(".*", operator, num_bits=4)
    # One of its progress bars cannot be switched off.
    with contextlib.redirect_stderr(io.StringIO()):
        result = work.quantize(enable_progress_bar=False, enable_progress_report=False)
    return bytes(result.quantized_model)
