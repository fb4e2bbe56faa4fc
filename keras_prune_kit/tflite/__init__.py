"""Export of Keras models to .tflite files, and measurement of those files."""

from keras_prune_kit.tflite.accuracy import accuracy
from keras_prune_kit.tflite.constants import Constant, constants
from keras_prune_kit.tflite.errors import ExportError
from keras_prune_kit.tflite.export import export_tflite
from keras_prune_kit.tflite.macs import macs
from keras_prune_kit.tflite.model import TFLiteModel
from keras_prune_kit.tflite.samples import check_samples, representative_samples
from keras_prune_kit.tflite.string_inputs import check_exportable
from keras_prune_kit.tflite.timing import median_milliseconds

__all__ = [
    "Constant",
    "ExportError",
    "TFLiteModel",
    "accuracy",
    "check_exportable",
    "check_samples",
    "constants",
    "export_tflite",
    "macs",
    "median_milliseconds",
    "representative_samples",
]
