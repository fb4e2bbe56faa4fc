"""The deployed file: exporting a model to .tflite, and measuring what came out."""

from keras_prune_kit.tflite.export import ExportError, export_tflite
from keras_prune_kit.tflite.model import TFLiteModel

__all__ = ["ExportError", "TFLiteModel", "export_tflite"]
