"""Names that options choose from and commands look for."""

SEARCH_FOLDER = "search"
KERAS_FILES = (".keras", ".h5", ".hdf5")
