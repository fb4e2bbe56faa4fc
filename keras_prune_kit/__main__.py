"""`python -m keras_prune_kit` is `keras-prune-kit`."""

from keras_prune_kit.cli import run

run()
