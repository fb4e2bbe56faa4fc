"""The search for the smallest file within the accepted drop of the metric."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from typing import Any

from keras_prune_kit import _keras
from keras_prune_kit._tools import progress
from keras_prune_kit._tools.files import scratch_folder
from keras_prune_kit.compression.attempt import (
    LATENCY_RUNS,
    Outcome,
    Setting,
    copy_for,
    export,
    make_attempt,
    number_format,
    prunes_while_quantized,
    run_attempt,
)
from keras_prune_kit.compression.bisection import (
    Bisection,
    Ladder,
    attempts_in,
    ramp_to,
    shares,
)
from keras_prune_kit.compression.distilled_training import DistilledTraining
from keras_prune_kit.compression.recipe import Recipe, with_deciding_metric
from keras_prune_kit.compression.repairing import DENSE, start_of
from keras_prune_kit.compression.thinning import Thinning, thinned
from keras_prune_kit.compression.tried import Tried, tell_attempt
from keras_prune_kit.compression.warm_start import WarmStart
from keras_prune_kit.measuring.comparison import compare_opened
from keras_prune_kit.measuring.sparsity import sparsity_report
from keras_prune_kit.policies import PrunePolicy
from keras_prune_kit.quantization import quantize_aware, strip_quantization
from keras_prune_kit.reconstruction import policy_at_once
from keras_prune_kit.reports import CompressionReport

_log = logging.getLogger(__name__)

# An attempt on tf_keras prunes for an epoch and trains quantized for another.
LEAST_EPOCHS = 4
_LEAST_TO_THIN = 16  # epochs of a search that first takes channels out
_CHANNELS = 0.5

_BITS, _BITS_OF_TFMOT = (4, 8), (8,)  # the strongest first


def find_smallest(
    recipe: Recipe,
    policy: PrunePolicy | None,
    quantization: str | None,
    max_accuracy_drop: float,
) -> CompressionReport:
    """Make attempts within the job's epochs and report the smallest file that holds.

    The first attempt is the dense model, quantized after training, which needs no
    epoch. It is the result if no other attempt holds.

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
    strategy = _strategy(recipe, policy, quantization)
    quantized = quantization or "int8"
    dense = export(model, quantized, recipe.representative_data)
    tried = _Tried(evaluation, allowance)
    tried.add(f"dense, {number_format(quantized)}", 0, dense)
    _try_all(recipe, strategy, tried, quantization is None and policy is None)

    models = {"baseline": model, f"baseline + {number_format(quantized)}": dense}
    chosen, exported, sparsity, begun = 0, dense, None, {}
    if tried.held:
        chosen, setting, best = min(tried.held, key=_size)
        result, exported, sparsity = best.model, best.tflite, best.sparsity_report
        begun = {"start": best.start}
        models |= {"pruned": result, f"pruned + {setting.number_format}": exported}
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


def _size(held: tuple[int, Setting, Outcome]) -> int:
    return held[-1].tflite.gzip_bytes


@dataclass
class _Tried(Tried):
    """The attempts so far.

    Attributes:
        held: The number, setting and outcome of each attempt that holds.
    """

    held: list[tuple[int, Setting, Outcome]] = field(default_factory=list)


def _try_all(
    recipe: Recipe, strategy: Bisection | Ladder, tried: _Tried, may_thin: bool
) -> None:
    """Make the attempts of a strategy; those at searched sparsities start warm."""
    training = DistilledTraining.of(
        recipe, tried.evaluation.metric, tried.allowance.mode
    )
    start, left = recipe.model, recipe.epochs
    if may_thin and isinstance(strategy, Bisection) and left >= _LEAST_TO_THIN:
        thin, left = _thin(recipe, training, tried)
        if thin is not None:
            start = thin
            strategy.begin_denser(recipe.model.count_params() / thin.count_params())
    with scratch_folder() as folder:
        warm_start = WarmStart(folder)
        parts = shares(left, strategy.attempts)
        for index, epochs in enumerate(parts):
            setting = strategy.next()
            if setting is None:
                return
            tell_attempt(index, parts, recipe.epochs)
            share = training.lasting(epochs)
            outcome = _attempt(
                recipe, start, setting, share, strategy.sparsity, warm_start
            )
            name = strategy.describe(setting)
            holds = tried.add(name, epochs, outcome.tflite)
            strategy.tell(holds)
            if holds:
                tried.held.append((len(tried.attempts) - 1, setting, outcome))


def _thin(
    recipe: Recipe, training: DistilledTraining, tried: _Tried
) -> tuple[Any, int]:
    """Take half of the channels out, for all attempts, if the metric holds without.

    Returns:
        The smaller model, or `None` if it does not hold or no channel can leave, and
        the epochs that are left.
    """
    thinning, share = Thinning(_CHANNELS), recipe.epochs // 4
    try:
        thinning.check(recipe.model)
    except ValueError:
        return None, recipe.epochs
    left = recipe.epochs - share
    progress.tell(
        f"{thinning} out: {share} epochs, then {left} of {recipe.epochs} left"
    )
    small = thinned(recipe.model, thinning, training.lasting(share))
    _keras.compile_like(recipe.model, small)
    score = tried.evaluation.keras(small)[tried.evaluation.metric]
    _log.info("%s out: %s %.4f", thinning, tried.evaluation.metric, score)
    holds = tried.allowance.holds(score)
    return (small if holds else None), left


def _attempt(
    recipe: Recipe,
    start: Any,
    setting: Setting,
    training: DistilledTraining,
    sparsity: float | None,
    warm_start: WarmStart,
) -> Outcome:
    """Make an attempt; at a searched sparsity, from the weights of an earlier one."""
    if not training.epochs:
        policy = setting.policy if sparsity is None else policy_at_once(sparsity)
        setting = replace(setting, policy=policy)
        return make_attempt(start, setting, training, recipe.representative_data)
    first, name = start, DENSE
    if sparsity is None or not warm_start.has(sparsity):
        first, name = start_of(start, setting.policy, training)
    copied = copy_for(first, setting.weight_bits)
    if sparsity is not None:
        begin = warm_start.load_into(copied, sparsity)
        setting = replace(setting, policy=ramp_to(sparsity, begin))
        training = replace(training, callbacks=[warm_start, *training.callbacks])
    samples = recipe.representative_data
    outcome = run_attempt(copied, start, setting, training, samples)
    if sparsity is not None:
        warm_start.save(outcome.sparsity_report.sparsity, copied)  # its best epoch
    model = _ordinary(outcome.model, recipe.model)
    return replace(outcome, model=model, start=name)


def _ordinary(trained: Any, model: Any) -> Any:
    """Return a trained copy without fake quantization, compiled as the model is."""
    if _keras.is_quantization_aware(trained):
        trained = strip_quantization(trained)
    # It was trained with the loss and metrics for soft targets.
    _keras.compile_like(model, trained)
    return trained


def _strategy(
    recipe: Recipe, policy: PrunePolicy | None, quantization: str | None
) -> Bisection | Ladder:
    """Return the search strategy."""
    bits: tuple[int | None, ...] = (None,)
    if quantization is None and recipe.epochs:
        quantize_aware(recipe.model)  # Raises now if an attempt would later.
        bits = _BITS if prunes_while_quantized(recipe.model) else _BITS_OF_TFMOT
    quantization = quantization or "int8"
    if policy is not None:
        return Ladder([Setting(policy, quantization, number) for number in bits])
    steps = recipe.steps(recipe.epochs) or None
    return Bisection(quantization, bits[0], steps, attempts_in(recipe.epochs))
