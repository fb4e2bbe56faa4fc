"""One attempt: a copy of a model, pruned, fine-tuned, quantized and exported.

`compress`, its search for the smallest file and each KerasTuner trial make attempts;
they differ in their settings and in how the copy is fine-tuned.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from keras_prune_kit import _keras
from keras_prune_kit._tools.quantizations import COMPARED
from keras_prune_kit.callbacks import PruningCallback
from keras_prune_kit.channels import remove_zero_channels
from keras_prune_kit.compression.fine_tuning import FineTuning
from keras_prune_kit.compression.repairing import (
    DENSE,
    REPAIRED,
    renew_averages,
    repair_samples,
    repaired,
    start_of,
)
from keras_prune_kit.compression.thinning import Thinning, thinned
from keras_prune_kit.measuring.sparsity import sparsity_report
from keras_prune_kit.policies import PrunePolicy, WeightBits
from keras_prune_kit.quantization import quantize_aware, strip_quantization
from keras_prune_kit.reports import SparsityReport
from keras_prune_kit.tflite import TFLiteModel, export_tflite

LATENCY_RUNS = 20

_CRITERION_SAMPLES = 256
# So coarse that a repair rounds the weights itself, to the values of the file.
_FEW_BITS = {"int4": 4}


@dataclass(frozen=True)
class Setting:
    """The pruning and quantization of an attempt.

    Attributes:
        policy: The pruning policy; `None` if no weights are zeroed.
        quantization: The quantization of the file, a name from `export_tflite`.
        weight_bits: Bits per weight in quantization-aware training, of all layers or
            by layer; `None` to quantize after training.
        thinning: The channels that leave before weights are zeroed; `None` for none.
    """

    policy: PrunePolicy | None
    quantization: str
    weight_bits: WeightBits | None = None
    thinning: Thinning | None = None

    @property
    def policies(self) -> list[PrunePolicy]:
        """The policies of all masks in their order, those of channels first."""
        first = None if self.thinning is None else self.thinning.policy
        return [policy for policy in (first, self.policy) if policy is not None]

    @property
    def number_format(self) -> str:
        """The number format of the stored weights, such as `"4-bit QAT"`."""
        bits = self.weight_bits
        if bits is None:
            return number_format(self.quantization)
        values = set(bits.values()) if isinstance(bits, Mapping) else {bits}
        ends = sorted({min(values), max(values)})
        return f"{' to '.join(map(str, ends))}-bit QAT"


@dataclass(frozen=True)
class Outcome:
    """The result of an attempt.

    Attributes:
        model: The trained copy. It is still quantization-aware if it was trained so.
        tflite: The file made from it.
        sparsity_report: The zeros of each pruned weight.
        score: The best epoch's validation metric, or its loss where the direction of
            the metric is not known; `None` if no epoch ended at the target.
        number_format: The number format of the stored weights, such as `"4-bit QAT"`.
        start: Where its training started: `"dense"` or `"repaired"`; all of it if there
            was none.
    """

    model: Any
    tflite: TFLiteModel
    sparsity_report: SparsityReport
    score: float | None
    number_format: str
    start: str = DENSE


def number_format(quantization: str) -> str:
    """Return the name of a quantization in tables, where `"none"` is float32."""
    return "float32" if quantization == "none" else quantization


def prunes_while_quantized(model: Any) -> bool:
    """Return True if copies of a model can be pruned while they train quantized.

    TFMOT's layers for quantization-aware training do not expose their kernels, so on
    `tf_keras` pruning comes first and quantized training follows.
    """
    return not _keras.is_tf_keras(model)


def copy_for(model: Any, weight_bits: WeightBits | None) -> Any:
    """Return a copy for an attempt, quantization-aware if it can be pruned as such.

    Args:
        model: A compiled model of either world.
        weight_bits: Bits per weight in quantization-aware training, as in `Setting`.

    Raises:
        ValueError: If the model cannot be copied or trained quantization-aware.
    """
    if weight_bits is None or not prunes_while_quantized(model):
        return _keras.clone(model)
    # The pruner's masks keep the zeros; QAT needs none of its own.
    return quantize_aware(model, weight_bits=weight_bits, preserve_sparsity=False).model


def make_attempt(
    model: Any,
    setting: Setting,
    training: FineTuning,
    representative_data: Any = None,
) -> Outcome:
    """Copy a model, take channels out, prune, fine-tune and export it.

    Args:
        model: A compiled model. It is not changed.
        setting: What happens to the copy.
        training: Its fine-tuning. If channels leave and weights are zeroed or quantized
            in training, each of the two gets half of the epochs. Of no epochs, what is
            left is repaired instead.
        representative_data: Samples for calibration. Defaults to `None`.
    """
    if not training.epochs:
        return _repair(model, setting, training.inputs, representative_data)
    if setting.thinning is not None:
        is_all = setting.policy is None and setting.weight_bits is None
        share = training.epochs if is_all else max(1, training.epochs // 2)
        model = thinned(model, setting.thinning, training.lasting(share))
        training = training.lasting(max(1, training.epochs - share))
        if is_all:
            exported = export(model, setting.quantization, representative_data)
            zeros = sparsity_report(model)
            return Outcome(model, exported, zeros, None, setting.number_format)
    start, name = start_of(model, setting.policy, training)
    copied = copy_for(start, setting.weight_bits)
    outcome = run_attempt(copied, model, setting, training, representative_data)
    return replace(outcome, start=name)


def run_attempt(
    copied: Any,
    dense: Any,
    setting: Setting,
    training: FineTuning,
    representative_data: Any = None,
) -> Outcome:
    """Prune, fine-tune and export a copy, with quantized training last if necessary.

    Args:
        copied: A model from `copy_for`. It is trained in place.
        dense: The model that it is a copy of.
        setting: Its pruning and quantization.
        training: Its fine-tuning. If quantization-aware training comes after pruning,
            it gets a third of the epochs.
        representative_data: Samples for calibration. Defaults to `None`.
    """
    is_quantized_last = setting.weight_bits is not None and not (
        _keras.is_quantization_aware(copied)
    )
    last = max(1, training.epochs // 3) if is_quantized_last else 0
    # Pruning comes first where TFMOT's layers would hide the kernels from it.
    policy, pruning_part = setting.policy, training.lasting(training.epochs - last)
    if policy is None:
        raise TypeError("An attempt needs a policy, or channels that leave.")
    pruning = PruningCallback(
        policy,
        on_incomplete=training.on_incomplete,
        data=training.samples(_CRITERION_SAMPLES) if policy.needs_data else None,
    )
    score = pruning_part.fit(copied, pruning)
    if pruning.report is None:
        raise RuntimeError("fit ended without calling PruningCallback.on_train_end.")
    score = renew_averages(copied, dense, pruning_part, score)
    report, trained = pruning.report, _without_zero_channels(copied, policy)
    if last:
        # By default it keeps the zeros, which no pruner holds any more.
        trained = quantize_aware(trained).model
        training.lasting(last).fit(trained)
    exported = export(trained, setting.quantization, representative_data)
    return Outcome(trained, exported, report, score, setting.number_format)


def ordinary(trained: Any, model: Any) -> Any:
    """Return a trained copy without fake quantization, compiled as the model is.

    Args:
        trained: The model of an `Outcome`.
        model: The model that it is a copy of.
    """
    if _keras.is_quantization_aware(trained):
        trained = strip_quantization(trained)
    # It was trained with the loss and metrics for soft targets.
    _keras.compile_like(model, trained)
    return trained


def _repair(
    model: Any, setting: Setting, data: Any, representative_data: Any
) -> Outcome:
    """Prune a copy at once, repair what is left and export it, without training."""
    bits = setting.weight_bits or _FEW_BITS.get(setting.quantization)
    samples = repair_samples(model, data)
    for policy in setting.policies:
        pruned = repaired(model, policy, samples, bits)
        model = _without_zero_channels(pruned, policy)
    exported = export(model, setting.quantization, representative_data)
    numbers = number_format(setting.quantization)
    return Outcome(model, exported, sparsity_report(model), None, numbers, REPAIRED)


def _without_zero_channels(model: Any, policy: PrunePolicy) -> Any:
    # Fake quantization hides the channels of a model.
    is_plain = _keras.has_graph(model) and not _keras.is_quantization_aware(model)
    return remove_zero_channels(model) if policy.zeroes_channels and is_plain else model


def export(model: Any, quantization: str, representative_data: Any) -> TFLiteModel:
    """Export a model, with samples unless it has learned its ranges in training.

    Args:
        model: An ordinary or quantization-aware model.
        quantization: A name from `export_tflite`.
        representative_data: Samples to calibrate with, or to compare the file on.
    """
    takes_samples = quantization in COMPARED and not (
        _keras.is_quantization_aware(model)
    )
    return export_tflite(
        model,
        quantization=quantization,
        representative_data=representative_data if takes_samples else None,
    )
