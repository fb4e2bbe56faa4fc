"""Structures: the shape in which zeros come, from single weights to whole channels.

A structure computes a mask from scores. It receives a kernel in the layout
`(..., inputs, outputs)`, independent of the layout in the layer.
"""

from keras_prune_kit.structures.block import Block
from keras_prune_kit.structures.channel import Channel
from keras_prune_kit.structures.n_of_m import NofM
from keras_prune_kit.structures.ranking import (
    COARSE_MAX,
    coarse,
    count_nonzero,
    count_zeros,
    keep_highest,
    keep_highest_parts,
    zero_fraction,
)
from keras_prune_kit.structures.structure import Structure
from keras_prune_kit.structures.unstructured import Unstructured

__all__ = [
    "COARSE_MAX",
    "Block",
    "Channel",
    "NofM",
    "Structure",
    "Unstructured",
    "coarse",
    "count_nonzero",
    "count_zeros",
    "keep_highest",
    "keep_highest_parts",
    "zero_fraction",
]
