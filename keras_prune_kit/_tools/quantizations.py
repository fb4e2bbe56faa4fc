"""Names of quantizations, known without importing what converts or trains."""

from __future__ import annotations

import importlib.util

# What `export_tflite` converts to, after training.
QUANTIZATIONS = ("none", "float16", "dynamic", "int8", "int16x8", "int4")
CALIBRATED = ("int8", "int16x8")
# Of so few steps that the file is compared with its model, if there are samples.
COMPARED = (*CALIBRATED, "int4")

# Bits of a weight that `quantize_aware` can train, and their names in a search.
WEIGHT_BITS = (8, 6, 5, 4, 3, 2)
TRAINED = {f"qat{bits}": bits for bits in WEIGHT_BITS}

# More samples change the calibrated ranges little and take longer.
CALIBRATION_SAMPLES = 200


def check_installed(*names: str) -> None:
    """Raise an ImportError if one of some quantizations lacks the package it needs."""
    if "int4" in names and importlib.util.find_spec("litert_quantizer") is None:
        raise ImportError(
            "quantization='int4' needs LiteRT's quantizer, which is not installed. "
            "Install it: pip install keras-prune-kit[int4]"
        )
