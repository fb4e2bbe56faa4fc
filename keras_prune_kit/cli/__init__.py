"""The command line: `keras-prune-kit inspect | compress | search | compare | export | demo`."""

from keras_prune_kit.cli.main import main

__all__ = ["main"]
