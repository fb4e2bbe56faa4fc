"""The only package that distinguishes Keras 3 (`keras`) from Keras 2 (`tf_keras`).

The two differ in how variables are read, written and constrained, and in the attribute
names of kernels. Code outside this package treats all models alike. "World" means one
of the two packages.
"""

from keras_prune_kit._keras.adapters import Adapted, adapted_weights, merge_adapter
from keras_prune_kit._keras.callback_lists import callbacks_beside, is_early_stopping
from keras_prune_kit._keras.compiling import (
    check_compiled,
    compile_like,
    has_metrics,
    is_compiled,
)
from keras_prune_kit._keras.copying import (
    CopyError,
    as_array,
    check_copy,
    clone,
    clone_with,
    copy_layer,
    copy_model,
    copy_state,
    inputs_like,
    is_graph,
    parts_of,
    uncompiled,
)
from keras_prune_kit._keras.evaluating import applied_to, computed, to_numpy
from keras_prune_kit._keras.exporting import exporting, is_exporting
from keras_prune_kit._keras.files import UnsafeModelError, check_safe, load, opened
from keras_prune_kit._keras.gradients import GradientProbe
from keras_prune_kit._keras.graphs import (
    Call,
    Graph,
    calls_of,
    functional_of,
    graph_of,
    has_graph,
    nested_models,
    producer_of,
)
from keras_prune_kit._keras.hdf5 import optimizer_bytes, weights_h5
from keras_prune_kit._keras.kept_zeros import keep_zeros, keep_zeros_of
from keras_prune_kit._keras.layer_classes import (
    known_kind,
    layer_class,
    layer_class_name,
)
from keras_prune_kit._keras.layers import LayerWeights, find_layers
from keras_prune_kit._keras.lookups import gives_texts, inputs_behind, lookup_layers
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
    backend_of,
    callback_namespace,
    check_built,
    fixed_batch,
    inner_optimizer,
    is_built,
    is_tf_keras,
    optimizer_of,
    trained_model,
    variables_among,
    weights_ending,
    world,
)
from keras_prune_kit._keras.operations import tree_of
from keras_prune_kit._keras.outputs import arrange, named_outputs
from keras_prune_kit._keras.projections import (
    ClusterProjection,
    MaskProjection,
    Projection,
    ProjectionConstraint,
    without,
)
from keras_prune_kit._keras.prunable_weight import PrunableWeight, Unprunable
from keras_prune_kit._keras.recurrent_states import at_rest
from keras_prune_kit._keras.scoring import output_masks, scorer, with_masks
from keras_prune_kit._keras.sending import load_sent, save_as_sent
from keras_prune_kit._keras.signature import ModelInput, Signature, signature_of
from keras_prune_kit._keras.soft_targets import are_probabilities, mix_targets
from keras_prune_kit._keras.train_functions import (
    MaskedFunction,
    keep_function,
    kept_function,
    retrace,
)
from keras_prune_kit._keras.variables import (
    Keras3Variables,
    NotFiniteError,
    Variables,
    state_of,
    variables_of,
)
from keras_prune_kit._keras.watching import watched_pass
from keras_prune_kit._keras.weights import (
    check_not_wrapped,
    find_weights,
    is_quantization_aware,
    walk,
    without_range,
)

__all__ = [
    "are_probabilities",
    "Adapted",
    "Call",
    "ClusterProjection",
    "CopyError",
    "Direction",
    "GradientProbe",
    "Graph",
    "Keras3Variables",
    "LayerWeights",
    "LossProbe",
    "MaskProjection",
    "MaskedFunction",
    "ModelInput",
    "NotFiniteError",
    "Projection",
    "ProjectionConstraint",
    "PrunableWeight",
    "Signature",
    "Unprunable",
    "UnsafeModelError",
    "Variables",
    "adapted_weights",
    "applied_to",
    "arrange",
    "as_array",
    "at_rest",
    "backend_of",
    "callback_namespace",
    "calls_of",
    "callbacks_beside",
    "check_built",
    "check_compiled",
    "check_copy",
    "check_not_wrapped",
    "check_safe",
    "clone",
    "clone_with",
    "compile_like",
    "computed",
    "copy_layer",
    "copy_model",
    "copy_state",
    "exporting",
    "find_layers",
    "fixed_batch",
    "find_weights",
    "functional_of",
    "gives_texts",
    "graph_of",
    "has_graph",
    "has_metrics",
    "inner_optimizer",
    "inputs_behind",
    "inputs_like",
    "is_built",
    "is_compiled",
    "is_early_stopping",
    "is_exporting",
    "is_graph",
    "is_plain_accuracy",
    "is_quantization_aware",
    "is_tf_keras",
    "keep_function",
    "keep_zeros",
    "keep_zeros_of",
    "kept_function",
    "known_direction",
    "known_kind",
    "layer_class",
    "layer_class_name",
    "load",
    "load_sent",
    "lookup_layers",
    "logged_metrics",
    "merge_adapter",
    "metric_direction",
    "metric_names",
    "mix_targets",
    "named_outputs",
    "nested_models",
    "opened",
    "optimizer_bytes",
    "optimizer_of",
    "output_masks",
    "parts_of",
    "producer_of",
    "retrace",
    "save_as_sent",
    "scorer",
    "signature_of",
    "state_of",
    "to_numpy",
    "trained_model",
    "tree_of",
    "tree_of",
    "uncompiled",
    "variables_among",
    "variables_of",
    "walk",
    "watched_pass",
    "weights_ending",
    "weights_h5",
    "with_masks",
    "without",
    "without_range",
    "world",
]
