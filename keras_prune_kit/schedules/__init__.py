"""Schedules answer one question: how sparse at step t?

A schedule is a value. A step is the number of optimizer steps done, an `Epochs` or
a `Fraction` of the run; `resolve` turns the last two into plain steps once the
length of the run is known. Names, order of arguments and formulas are TFMOT's
(`tfmot.sparsity.keras.PolynomialDecay`), so that a line of TFMOT code carries over.
"""

from keras_prune_kit.schedules.constant_sparsity import ConstantSparsity
from keras_prune_kit.schedules.cosine_decay import CosineDecay
from keras_prune_kit.schedules.keep_zeros import KeepZeros
from keras_prune_kit.schedules.polynomial_decay import PolynomialDecay
from keras_prune_kit.schedules.schedule import (
    UPDATES_PER_RAMP,
    Schedule,
    check_sparsity,
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
]
