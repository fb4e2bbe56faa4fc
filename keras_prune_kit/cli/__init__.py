"""The command line: `keras-prune-kit COMMAND`."""

from keras_prune_kit.cli.main import main

__all__ = ["main"]
