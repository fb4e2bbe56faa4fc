"""keras_prune_kit: add one callback to `model.fit` and get a smaller model.

The usual spelling is `import keras_prune_kit as kpk`. A name is loaded when it is first
used, so the import itself costs next to nothing. `help(kpk.compress)`, or of any other
name, has the details.

The whole job:

- `compress`: Prune, quantize and export a trained model, and measure its size and
  accuracy.
- `soft_targets`: Return data with labels that are mixed with a teacher's outputs for
  the inputs.

Training:

- `PruningCallback`: Callback that prunes a model during `fit`.
- `Pruner`: Engine that prunes a model according to a policy during training.
- `TargetSparsityCheckpoint`: Callback that saves the best epoch among those at the
  target sparsity.
- `BackupAndRestore`: Keras' `BackupAndRestore` with a backup that is complete at any
  moment.
- `GzipSizeLogger`: Callback that logs `gzip_bytes`, the size of the gzipped weights,
  every epoch.
- `SparsitySummaries`: Callback that writes the sparsity of each pruned weight for
  TensorBoard.
- `plot_sparsity`: Draw sparsity over the epochs of a run, with a metric below.
- `ClusteringCallback`: Callback that restricts each weight to a few distinct values
  during `fit`.
- `Clusterer`: Engine that restricts each weight to a few distinct values during
  training.
- `merge_lora`: Merge the LoRA adapters of a model into their kernels, and keep the
  zeros.
- `copy_model`: Return a copy of a model with all state, such as adapted statistics and
  seeds.

Policies:

- `PrunePolicy`: The schedules, structures and criteria for the layers of a model.
- `Rule`: The pruning settings of the layers that match.
- `PrunePlan`: The weights that a policy will prune and those that it will skip.
- `allocate`: Create a policy that distributes a sparsity over the weights of a model.
- `sensitivity`: Measure the loss on a sample after pruning one weight at a time.

Schedules:

- `PolynomialDecay`: Sparsity that rises fast at first and slowly at the end; the best
  first choice.
- `CosineDecay`: Sparsity that rises along half a cosine: slow, fast, slow.
- `ConstantSparsity`: The same sparsity from `begin_step` on; TFMOT's
  `ConstantSparsity`.
- `KeepZeros`: Zeros stay as they are: none is added and none is lost.
- `Epochs`: A point in the run, counted in epochs.
- `Fraction`: A point in the run, as a fraction of its length.

Structures:

- `Unstructured`: Zeros come anywhere: exactly `round(sparsity * size)` single weights.
- `Block`: Zeros come in blocks of inputs x outputs; TFMOT's `block_size`.
- `NofM`: `n` of every `m` consecutive input weights are kept, such as 2 of 4.
- `Channel`: Zeros come in whole channels: neurons, filters, or heads of attention.

Criteria:

- `magnitude`: Score weights by their absolute value: small weights are pruned first.
- `lamp`: Score weights by their share of the remaining squared norm of their layer.
- `random_scores`: Return a criterion of random scores, the control for any other
  criterion.
- `taylor`: Score weights by `|w * g|`, the first-order change of the loss without them.
- `movement`: Score weights by `-w * g`: those that move towards zero are pruned first.
- `optimal_brain_damage`: Score weights by `h * w**2 / 2`, the second-order loss
  increase without them.
- `wanda`: Score weights by `|w| * |x|`, the size of what they add to their output.
- `optimal_brain_surgeon`: Score weights by `w**2 / [H^-1]_jj`, the error that is left
  once others make up.
- `needs_gradients`: Declare that a criterion is a function of weights and gradients.
- `needs_inputs`: Declare that a criterion is a function of weights and the inputs they
  multiply.

Pruning without training:

- `prune_at_once`: Return a copy that is pruned at once and repaired, without any
  training.
- `reconstruct`: Solve what is left of each pruned kernel, so that outputs are the dense
  model's.
- `distill`: Train what is left of a model to give the dense model's outputs, without
  labels.
- `reestimate_batch_norm`: Set the averages of batch normalization anew, if outputs come
  closer to dense.

Channels:

- `channel_groups`: Return the channels of a model that stand and fall together.
- `remove_channels`: Return a smaller model without the filters, units and heads that
  matter least.
- `remove_zero_channels`: Return a smaller model without the channels that contribute
  nothing.
- `ChannelGroups`: The channel groups of a model.
- `ChannelGroup`: Channels that several layers make together.

Quantization:

- `quantize_aware`: Copy a model and add fake quantization, so that it trains with int8
  rounding.
- `strip_quantization`: Copy a quantization-aware model as a plain float model.

Exporting and measuring:

- `export_tflite`: Convert a Keras model to a .tflite file.
- `TFLiteModel`: A .tflite file in memory, measured as it will be deployed.
- `compare`: Measure models and files side by side on the same data.
- `gzip_bytes`: Return the size of a model after compression with gzip.
- `compressed_bytes`: Return the size of a model after compression with an encoder other
  than gzip's.
- `sparsity_report`: Count the zeros of each weight.
- `entropy_bound`: Return the ideal coded size of a .tflite file, and its size after
  gzip.

Searching with KerasTuner:

- `CompressionHyperModel`: Hypermodel with which KerasTuner searches for the smallest
  sufficient .tflite.
- `CompressionTuner`: Tuner for a `CompressionHyperModel` with a `keras` or `tf_keras`
  baseline.
- `pareto_front`: Return the trade-off between metric and gzipped size that a search
  found.
- `smallest_within`: Return the objective of the smallest gzipped file within an
  accuracy drop.
- `accuracy_size_score`: Return the objective that weighs the accuracy of a file against
  its size.

Reports:

- `CompressionReport`: The result of `compress`, which prints as a table.
- `Comparison`: The result of `compare`, which prints as tables.
- `SparsityReport`: The zeros of a model or of a .tflite file, weight by weight.
- `ReconstructionReport`: The kernels that were solved anew, and those that were left as
  they are.
- `SensitivityReport`: The sensitivity of the loss to pruning one weight at a time.
- `ClusteringReport`: The number of distinct values in each clustered weight of a model.
- `EntropyBound`: The ideal coded size of a .tflite file, and its size after gzip.
- `ParetoFront`: The result of `pareto_front`, which prints as a table.

Layers:

- `PrunableLayer`: The protocol of a custom layer with weights to prune: one method.
- `PrunableDense`: A Dense layer of Keras 3 whose bias can be pruned too.

TFMOT:

- `tfmot`: The bridge to tensorflow-model-optimization ("TFMOT"), for `tf_keras` models.

Warnings and errors:

- `MaskNotAppliedWarning`: A train step updated weights without applying their masks.
- `ZerosGrowBackWarning`: A policy asks for fewer zeros than a weight has, so some will
  grow back.
- `IncompletePruningWarning`: Training ended before a weight reached its final sparsity.
- `IncompletePruningError`: An `IncompletePruningWarning` as an error, for
  `on_incomplete="raise"`.
- `DivergedError`: The loss or a weight became NaN or infinite.
- `ClustersNotAppliedWarning`: A train step updated weights without applying the means
  of their clusters.
- `LoraMergeWarning`: Zeros under LoRA adapters vanish when the model is saved or
  exported.
- `ExportError`: A model that cannot be exported to a .tflite file that runs.
"""

from importlib.metadata import version
from typing import Any

import lazy_loader

from keras_prune_kit._tools.missing_names import missing_name
from keras_prune_kit.registration import register_with_keras

# The public names stand in `__init__.pyi`.
_load, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__version__ = version("keras-prune-kit")


def __getattr__(name: str) -> Any:
    if name in __all__:
        return _load(name)
    raise missing_name(__name__, name, __all__)


register_with_keras()
