"""DATA on the command line: arrays in an .npz, pictures by class, or a function."""

from keras_prune_kit.cli.data.adapt import adapt, adapt_inputs
from keras_prune_kit.cli.data.arrays import hold_out
from keras_prune_kit.cli.data.pictures import PictureSource
from keras_prune_kit.cli.data.source import Source, source_of

__all__ = [
    "PictureSource",
    "Source",
    "adapt",
    "adapt_inputs",
    "hold_out",
    "source_of",
]
