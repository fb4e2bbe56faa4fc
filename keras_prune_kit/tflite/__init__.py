"""The deployed file: exporting a model to .tflite, and measuring what came out."""

from keras_prune_kit.tflite.constants import Constant, constants
from keras_prune_kit.tflite.export import (
    CALIBRATED,
    QUANTIZATIONS,
    ExportError,
    export_tflite,
)
from keras_prune_kit.tflite.metrics import accuracy
from keras_prune_kit.tflite.model import TFLiteModel
from keras_prune_kit.tflite.samples import check_samples

__all__ = [
    "CALIBRATED",
    "QUANTIZATIONS",
    "Constant",
    "ExportError",
    "TFLiteModel",
    "accuracy",
    "check_samples",
    "constants",
    "export_tflite",
]
