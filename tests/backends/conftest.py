"""Tests that run on the backend that KERAS_BACKEND names, each in a process of its own.

    KERAS_BACKEND=jax pytest tests/backends

`pytest` alone runs them on TensorFlow.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
