"""`python -m keras_prune_kit` is `keras-prune-kit`."""

import sys

from keras_prune_kit.cli import main

sys.exit(main())
