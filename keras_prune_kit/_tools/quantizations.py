"""Names of quantizations, known without importing what converts or trains."""

from __future__ import annotations

# What `export_tflite` converts to, after training.
QUANTIZATIONS = ("none", "float16", "dynamic", "int8", "int16x8")
CALIBRATED = ("int8", "int16x8")

# Bits of a weight that `quantize_aware` can train, and their names in a search.
WEIGHT_BITS = (8, 6, 5, 4, 3, 2)
TRAINED = {f"qat{bits}": bits for bits in WEIGHT_BITS}

# More samples change the calibrated ranges little and take longer.
CALIBRATION_SAMPLES = 200
