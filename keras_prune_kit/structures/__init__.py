"""Structures answer one question: in what shape do zeros come?

A structure turns scores into a mask. It sees a kernel with its inputs on the last
axis but one and its outputs on the last, `(..., inputs, outputs)`, whatever the
layer's own layout is.
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
