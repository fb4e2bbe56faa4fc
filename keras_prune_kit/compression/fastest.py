"""The search for the fastest file within the accepted drop of the metric."""

from __future__ import annotations

from typing import Any

from keras_prune_kit import _keras
from keras_prune_kit.compression.attempt import (
    LATENCY_RUNS,
    Outcome,
    Setting,
    export,
    make_attempt,
    number_format,
)
from keras_prune_kit.compression.bisection import LEAST_SHARE, Densities, shares
from keras_prune_kit.compression.distilled_training import DistilledTraining
from keras_prune_kit.compression.recipe import Recipe, with_deciding_metric
from keras_prune_kit.compression.thinning import Thinning
from keras_prune_kit.measuring.comparison import compare_opened
from keras_prune_kit.measuring.latency import latencies
from keras_prune_kit.measuring.sparsity import sparsity_report
from keras_prune_kit.policies import PrunePolicy
from keras_prune_kit.reports import Allowance, Attempt, CompressionReport, Search
from keras_prune_kit.reports.tables import percent

_QUANTIZATION = "int8"
_MOST_ATTEMPTS = 4
_FIRST, _DENSEST = 0.4, 0.9  # fractions of the channels that stay
_FASTEST = 0.03


def find_fastest(
    recipe: Recipe,
    policy: PrunePolicy | None,
    quantization: str | None,
    max_accuracy_drop: float,
    multiple_of: int,
) -> CompressionReport:
    """Make attempts with fewer channels and report the fastest file that holds.

    The first attempt is the whole model, quantized after training, which needs no
    epoch. It is the result if no other attempt holds.

    Args:
        recipe: The job.
        policy: A policy for zeros in the weights that are left; `None` for none.
        quantization: The quantization of the file; `None` for `"int8"`.
        max_accuracy_drop: The largest accepted drop of the metric that decides.
        multiple_of: Larger groups keep a multiple of this number, as in `Channel`.
    """
    recipe = with_deciding_metric(recipe, "fastest")
    model, evaluation = recipe.model, recipe.evaluation
    numbers = quantization or _QUANTIZATION
    Thinning(0.5, multiple_of).check(model)
    allowance = Allowance(
        evaluation.keras(model)[evaluation.metric],
        max_accuracy_drop,
        evaluation.known_mode(),
    )
    whole = export(model, numbers, recipe.representative_data)
    sample = evaluation.inputs(1)
    before = latencies({"whole": whole}, sample, LATENCY_RUNS)["whole"]
    score = evaluation.tflite(whole)[evaluation.metric]
    attempts = [
        Attempt(
            f"whole, {number_format(numbers)}",
            0,
            score,
            whole.gzip_bytes,
            allowance.holds(score),
            before,
        )
    ]
    held: list[tuple[float, int, Outcome]] = []
    start, started = model, 1.0
    training = DistilledTraining.of(recipe, evaluation.metric, allowance.mode)
    densities = Densities(_FIRST, _DENSEST)
    count = min(_MOST_ATTEMPTS, recipe.epochs // LEAST_SHARE)
    for epochs in shares(recipe.epochs, count):
        density = max(densities.next(), _FASTEST)
        begin, begun = (start, started) if density < started else (model, 1.0)
        thinning = Thinning(round(1 - density / begun, 4), multiple_of)
        setting = Setting(policy, numbers, thinning=thinning)
        outcome = make_attempt(
            begin, setting, training.lasting(epochs), recipe.representative_data
        )
        _keras.compile_like(model, outcome.model)
        score = evaluation.tflite(outcome.tflite)[evaluation.metric]
        taken = latencies(
            {"whole": whole, "small": outcome.tflite}, sample, LATENCY_RUNS
        )
        # Relative to the whole model's file in the same turns.
        latency = before * taken["small"] / taken["whole"]
        holds = allowance.holds(score)
        densities.tell(density, holds)
        size = outcome.tflite.gzip_bytes
        name = f"{percent(1 - density)} out, {number_format(numbers)}"
        attempts.append(Attempt(name, epochs, score, size, holds, latency))
        if holds:
            held.append((latency, len(attempts) - 1, outcome))
            # Zeros in the weights would grow back.
            start, started = (outcome.model, density) if policy is None else (model, 1)
    return _report(recipe, policy, numbers, allowance, whole, attempts, held)


def _report(
    recipe: Recipe,
    policy: PrunePolicy | None,
    quantization: str,
    allowance: Allowance,
    whole: Any,
    attempts: list[Attempt],
    held: list[tuple[float, int, Outcome]],
) -> CompressionReport:
    model, evaluation = recipe.model, recipe.evaluation
    numbers = number_format(quantization)
    models: dict[str, Any] = {"baseline": model, f"baseline + {numbers}": whole}
    chosen, result, exported, zeros = 0, _keras.clone(model), whole, None
    if held:
        _, chosen, best = min(held, key=lambda item: item[0])
        result, exported, zeros = best.model, best.tflite, best.sparsity_report
        models |= {"smaller": result, f"smaller + {numbers}": exported}
    return CompressionReport(
        comparison=compare_opened(models, evaluation, latency_runs=LATENCY_RUNS),
        model=result,
        tflite=exported,
        sparsity_report=zeros or sparsity_report(result),
        settings={
            **recipe.settings(policy, quantization),
            "target": "fastest",
            "max_accuracy_drop": allowance.max_drop,
        },
        search=Search(
            metric=evaluation.metric,
            baseline_score=allowance.baseline,
            max_accuracy_drop=allowance.max_drop,
            attempts=tuple(attempts),
            chosen=chosen,
            mode=allowance.mode,
            target="fastest",
        ),
    )
