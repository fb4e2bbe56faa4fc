"""Choices of options, and names of files and folders that commands share."""

# Repeated from `tflite`, whose import of TensorFlow would delay `--help` by seconds.
QUANTIZATIONS = ("none", "float16", "dynamic", "int8", "int16x8")
TRAINED_QUANTIZATIONS = ("qat8", "qat6", "qat5", "qat4", "qat3", "qat2")
CALIBRATED = ("int8", "int16x8")
SEARCH_FOLDER = "search"
KERAS_FILES = (".keras", ".h5", ".hdf5")
