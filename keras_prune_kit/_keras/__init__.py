"""The seam: the only place that knows which Keras a model is from.

`keras` (Keras 3) and `tf_keras` (Keras 2) models differ in how a variable is read,
written and constrained, and in what their layers call their kernels. Everything
above this package sees one world.
"""

from keras_prune_kit._keras.constraints import ClusterConstraint, without
from keras_prune_kit._keras.exporting import exporting, is_exporting
from keras_prune_kit._keras.files import UnsafeModelError, check_safe, load
from keras_prune_kit._keras.gradients import GradientProbe
from keras_prune_kit._keras.layer_classes import layer_class, layer_class_name
from keras_prune_kit._keras.layers import LayerWeights, find_layers
from keras_prune_kit._keras.losses import LossProbe
from keras_prune_kit._keras.metric_direction import (
    Direction,
    is_plain_accuracy,
    known_direction,
    logged_metrics,
    metric_direction,
    metric_names,
)
from keras_prune_kit._keras.models import (
    callback_namespace,
    check_built,
    check_compiled,
    clone,
    compile_like,
    is_compiled,
    optimizer_of,
    retrace,
    scorer,
    state_of,
    trained_model,
    weights_ending,
    world,
)
from keras_prune_kit._keras.targets import mix_targets
from keras_prune_kit._keras.variables import (
    Keras3Variables,
    MaskConstraint,
    NotFiniteError,
    Variables,
    keep_zeros,
    variables_of,
)
from keras_prune_kit._keras.weights import (
    PrunableWeight,
    Unprunable,
    check_not_wrapped,
    find_weights,
    is_quantization_aware,
    without_range,
)
from keras_prune_kit._keras.zeros import keep_zeros_of

__all__ = [
    "ClusterConstraint",
    "Direction",
    "GradientProbe",
    "Keras3Variables",
    "LayerWeights",
    "LossProbe",
    "MaskConstraint",
    "NotFiniteError",
    "PrunableWeight",
    "Unprunable",
    "UnsafeModelError",
    "Variables",
    "callback_namespace",
    "check_built",
    "check_compiled",
    "check_safe",
    "check_not_wrapped",
    "clone",
    "compile_like",
    "exporting",
    "find_layers",
    "find_weights",
    "is_compiled",
    "is_exporting",
    "is_plain_accuracy",
    "is_quantization_aware",
    "keep_zeros",
    "keep_zeros_of",
    "known_direction",
    "layer_class",
    "layer_class_name",
    "load",
    "logged_metrics",
    "metric_direction",
    "metric_names",
    "mix_targets",
    "optimizer_of",
    "retrace",
    "scorer",
    "state_of",
    "trained_model",
    "variables_of",
    "weights_ending",
    "without",
    "without_range",
    "world",
]
