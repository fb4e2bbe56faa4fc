"""The search for the smallest file within the accepted drop of the metric."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from keras_prune_kit.compression.attempt import (
    LATENCY_RUNS,
    Outcome,
    Setting,
    copy_for,
    export,
    make_attempt,
    number_format,
    ordinary,
    prunes_while_quantized,
)
from keras_prune_kit.compression.bisection import shares
from keras_prune_kit.compression.descent import Descent
from keras_prune_kit.compression.distilled_training import DistilledTraining
from keras_prune_kit.compression.recipe import Recipe, with_deciding_metric
from keras_prune_kit.compression.tried import Tried, tell_attempt
from keras_prune_kit.measuring.comparison import compare_opened
from keras_prune_kit.measuring.sparsity import sparsity_report
from keras_prune_kit.policies import PrunePolicy
from keras_prune_kit.quantization import quantize_aware
from keras_prune_kit.reports import CompressionReport, LayerReport

# An attempt on tf_keras prunes for an epoch and trains quantized for another.
LEAST_EPOCHS = 4
_BITS, _BITS_OF_TFMOT = (4, 8), (8,)  # the strongest first
# In a file that was trained quantized, a weight of a layer that stays float takes the
# bytes of four to eight others.
_MOST_FLOAT = 0.05


def find_smallest(
    recipe: Recipe,
    policy: PrunePolicy | None,
    quantization: str | None,
    max_accuracy_drop: float,
) -> CompressionReport:
    """Make attempts within the job's epochs and report the smallest file that holds.

    The first attempt is the dense model, quantized after training, which needs no
    epoch. It is the result if no other attempt holds. A policy of the user is tried
    with ever more bits; else a `Descent` searches for the sparsity.

    Args:
        recipe: The job.
        policy: The pruning policy; `None` to search for the sparsity.
        quantization: The quantization of the file; `None` for quantization-aware
            training.
        max_accuracy_drop: The largest accepted drop of the metric that decides.
    """
    recipe = with_deciding_metric(recipe, "smallest")
    model, evaluation = recipe.model, recipe.evaluation
    result = copy_for(model, None)  # Fails before training if it cannot be copied.
    allowance = recipe.allowance(max_accuracy_drop)
    bits = _bits(recipe, quantization)
    numbers = quantization or "int8"
    dense = export(model, numbers, recipe.representative_data)
    tried = Tried(evaluation, allowance)
    tried.add(f"dense, {number_format(numbers)}", 0, dense)
    if policy is None:
        Descent(recipe, quantization, bits[0], tried).run()
    else:
        _climb(recipe, tried, [Setting(policy, numbers, number) for number in bits])

    models = {"baseline": model, f"baseline + {number_format(numbers)}": dense}
    chosen, exported, sparsity, begun = 0, dense, None, {}
    if tried.held:
        chosen, best = min(tried.held, key=_size)
        result, exported, sparsity = best.model, best.tflite, best.sparsity_report
        begun = {"start": best.start}
        models |= {"pruned": result, f"pruned + {best.number_format}": exported}
    return CompressionReport(
        comparison=compare_opened(models, evaluation, latency_runs=LATENCY_RUNS),
        model=result,
        tflite=exported,
        sparsity_report=sparsity or sparsity_report(result),
        settings={
            **recipe.settings(policy, quantization),
            **begun,
            "target": "smallest",
            "max_accuracy_drop": max_accuracy_drop,
        },
        search=tried.search("smallest", chosen),
    )


def _size(held: tuple[int, Outcome]) -> int:
    return held[-1].tflite.gzip_bytes


def _climb(recipe: Recipe, tried: Tried, settings: list[Setting]) -> None:
    """Make attempts at a policy with more and more bits, until one holds."""
    training = DistilledTraining.of(
        recipe, tried.evaluation.metric, tried.allowance.mode
    )
    parts = shares(recipe.epochs, len(settings))
    for index, (setting, epochs) in enumerate(zip(settings, parts, strict=True)):
        tell_attempt(index, parts, recipe.epochs)
        outcome = make_attempt(
            recipe.model,
            setting,
            training.lasting(epochs),
            recipe.representative_data,
        )
        name = f"your policy, {setting.number_format}"
        if tried.add(name, epochs, outcome.tflite):
            model = ordinary(outcome.model, recipe.model)
            tried.keep(replace(outcome, model=model))
            return


def _bits(recipe: Recipe, quantization: str | None) -> tuple[int | None, ...]:
    """Return the bits of quantization-aware training to try, the fewest first.

    `None` is training in float, and quantization after it: of all layers, such as those
    of attention, that would otherwise stay float.
    """
    if quantization is not None or not recipe.epochs:
        return (None,)
    report = quantize_aware(recipe.model).report  # Raises now, not in an attempt.
    if _part_left_float(recipe.model, report) > _MOST_FLOAT:
        return (None,)
    return _BITS if prunes_while_quantized(recipe.model) else _BITS_OF_TFMOT


def _part_left_float(model: Any, report: LayerReport) -> float:
    """Return the part of the weights that quantization-aware training leaves float."""
    left = tuple(f"{each.path}/" for each in report.skipped)
    weights = sparsity_report(model).weights
    sizes = [(each.size, each.path.startswith(left)) for each in weights]
    return sum(a * b for a, b in sizes) / max(1, sum(a for a, _ in sizes))
