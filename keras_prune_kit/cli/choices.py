"""Names that options choose from and commands look for."""

# As `export_tflite` knows them, without the import of what converts.
QUANTIZATIONS = ("none", "float16", "dynamic", "int8", "int16x8")
TRAINED_QUANTIZATIONS = ("qat8", "qat6", "qat5", "qat4", "qat3", "qat2")
CALIBRATED = ("int8", "int16x8")
SEARCH_FOLDER = "search"
KERAS_FILES = (".keras", ".h5", ".hdf5")
