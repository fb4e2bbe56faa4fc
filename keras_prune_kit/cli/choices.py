"""Choices of options, and names of files and folders that commands share."""

SEARCH_FOLDER = "search"
KERAS_FILES = (".keras", ".h5", ".hdf5")
