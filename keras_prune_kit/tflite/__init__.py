"""The deployed file: exporting a model to .tflite, and measuring what came out."""

from keras_prune_kit.tflite.constants import Constant, constants
from keras_prune_kit.tflite.export import ExportError, export_tflite
from keras_prune_kit.tflite.metrics import accuracy
from keras_prune_kit.tflite.model import TFLiteModel

__all__ = [
    "Constant",
    "ExportError",
    "TFLiteModel",
    "accuracy",
    "constants",
    "export_tflite",
]
