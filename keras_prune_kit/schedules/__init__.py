"""Schedules: the sparsity at each step of training.

A schedule is an immutable value. A step is a number of completed optimizer steps, an
`Epochs` or a `Fraction` of the run; `resolve` converts the last two to numbers once
the length of the run is known. Names, order of arguments and formulas are TFMOT's
(`tfmot.sparsity.keras.PolynomialDecay`), so that TFMOT code carries over.
"""

from keras_prune_kit.schedules.constant_sparsity import ConstantSparsity
from keras_prune_kit.schedules.cosine_decay import CosineDecay
from keras_prune_kit.schedules.keep_zeros import KeepZeros
from keras_prune_kit.schedules.polynomial_decay import PolynomialDecay
from keras_prune_kit.schedules.schedule import (
    UPDATES_PER_RAMP,
    Schedule,
    check_sparsity,
    instead_of_tfmot,
)
from keras_prune_kit.schedules.steps import (
    Epochs,
    Fraction,
    Step,
)

__all__ = [
    "UPDATES_PER_RAMP",
    "ConstantSparsity",
    "CosineDecay",
    "Epochs",
    "Fraction",
    "KeepZeros",
    "PolynomialDecay",
    "Schedule",
    "Step",
    "check_sparsity",
    "instead_of_tfmot",
]
