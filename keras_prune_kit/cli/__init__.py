"""The command line: `keras-prune-kit COMMAND`."""

from keras_prune_kit.cli.main import main, run

__all__ = ["main", "run"]
