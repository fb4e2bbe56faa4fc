"""The seam: the only place that knows which Keras a model is from.

`keras` (Keras 3) and `tf_keras` (Keras 2) models differ in how a variable is read,
written and constrained, and in what their layers call their kernels. Everything
above this package sees one world.
"""

from keras_prune_kit._keras.gradients import GradientProbe
from keras_prune_kit._keras.models import (
    callback_namespace,
    check_built,
    clone,
    compile_like,
    load,
    optimizer_of,
    retrace,
    scorer,
    world,
)
from keras_prune_kit._keras.variables import MaskConstraint, Variables, variables_of
from keras_prune_kit._keras.weights import (
    PrunableWeight,
    Unprunable,
    check_not_wrapped,
    find_weights,
    layer_class,
    layer_class_name,
)

__all__ = [
    "GradientProbe",
    "MaskConstraint",
    "PrunableWeight",
    "Unprunable",
    "Variables",
    "callback_namespace",
    "check_built",
    "check_not_wrapped",
    "clone",
    "compile_like",
    "find_weights",
    "layer_class",
    "layer_class_name",
    "load",
    "optimizer_of",
    "retrace",
    "scorer",
    "variables_of",
    "world",
]
