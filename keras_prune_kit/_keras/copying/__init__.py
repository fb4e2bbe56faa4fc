"""Copies of layers and models that compute the same with variables of their own.

Keras saves a layer as a configuration, variables and assets (such as a vocabulary),
through its methods `get_config`, `save_own_variables` and `save_assets`. A copy is made
from the same three, in memory. Only functions are shared: Keras would look them up by
name or rebuild them from bytecode.
"""

from keras_prune_kit._keras.copying.layers import copy_layer
from keras_prune_kit._keras.copying.likeness import check_copy
from keras_prune_kit._keras.copying.models import (
    clone,
    clone_with,
    copy_model,
    inputs_like,
    uncompiled,
)
from keras_prune_kit._keras.copying.parts import CopyError, is_graph, parts_of
from keras_prune_kit._keras.copying.state import as_array, copy_state

__all__ = [
    "CopyError",
    "as_array",
    "check_copy",
    "clone",
    "clone_with",
    "copy_layer",
    "copy_model",
    "copy_state",
    "inputs_like",
    "is_graph",
    "parts_of",
    "uncompiled",
]
