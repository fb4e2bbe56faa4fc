"""The search for the fastest file within the accepted drop of the metric."""

from __future__ import annotations

import functools
from dataclasses import dataclass
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
from keras_prune_kit.compression.bisection import Densities, attempts_in, shares
from keras_prune_kit.compression.distilled_training import DistilledTraining
from keras_prune_kit.compression.recipe import Recipe, with_deciding_metric
from keras_prune_kit.compression.thinning import Thinning
from keras_prune_kit.compression.tried import Tried, tell_attempt
from keras_prune_kit.measuring.comparison import compare_opened
from keras_prune_kit.measuring.latency import latencies
from keras_prune_kit.measuring.sparsity import sparsity_report
from keras_prune_kit.policies import PrunePolicy
from keras_prune_kit.reports import CompressionReport
from keras_prune_kit.reports.tables import percent
from keras_prune_kit.tflite import TFLiteModel

_FIRST, _THINNEST = 0.4, 0.03  # fractions of the channels that stay


def find_fastest(
    recipe: Recipe,
    policy: PrunePolicy | None,
    quantization: str,
    max_accuracy_drop: float,
    multiple_of: int,
) -> CompressionReport:
    """Make attempts with fewer channels and report the fastest file that holds.

    The first attempt is the whole model, quantized after training, which needs no
    epoch. It is the result if no other attempt holds.

    Args:
        recipe: The job.
        policy: A policy for zeros in the weights that are left; `None` for none.
        quantization: The quantization of the files.
        max_accuracy_drop: The largest accepted drop of the metric that decides.
        multiple_of: Larger groups keep a multiple of this number, as in `Channel`.
    """
    recipe = with_deciding_metric(recipe, "fastest")
    allowance = recipe.allowance(max_accuracy_drop)
    whole = export(recipe.model, quantization, recipe.representative_data)
    tried = _Tried(recipe.evaluation, allowance, whole, number_format(quantization))
    tried.add_whole()
    _try_all(recipe, tried, policy, quantization, multiple_of)
    return _report(recipe, tried, policy, quantization)


@dataclass
class _Tried(Tried):
    """The attempts so far, each timed in turns with the whole model.

    Attributes:
        whole: The file of the whole model.
        numbers: The number format of all files.
    """

    whole: TFLiteModel
    numbers: str

    def add_whole(self) -> None:
        """Measure the file of the whole model."""
        self.add(f"whole, {self.numbers}", 0, self.whole, self._latency_of_whole)

    def add_thinned(self, density: float, epochs: int, outcome: Outcome) -> bool:
        """Measure the file of an attempt and return True if it holds."""
        files = {"whole": self.whole, "smaller": outcome.tflite}
        taken = latencies(files, self._sample, LATENCY_RUNS)
        # The machine may be slower now than when it ran the whole model alone.
        latency = self._latency_of_whole * taken["smaller"] / taken["whole"]
        name = f"{percent(1 - density)} out, {self.numbers}"
        holds = self.add(name, epochs, outcome.tflite, latency)
        if holds:
            self.keep(outcome)
        return holds

    @property
    def fastest(self) -> tuple[int, Outcome]:
        """The number and outcome of the fastest attempt that holds."""
        return min(self.held, key=lambda item: self.attempts[item[0]].latency_ms or 0)

    @functools.cached_property
    def _sample(self) -> Any:
        return self.evaluation.inputs(1)

    @functools.cached_property
    def _latency_of_whole(self) -> float:
        return latencies({"whole": self.whole}, self._sample, LATENCY_RUNS)["whole"]


def _try_all(
    recipe: Recipe,
    tried: _Tried,
    policy: PrunePolicy | None,
    quantization: str,
    multiple_of: int,
) -> None:
    """Make the attempts, each from the smallest model that has held before it."""
    model = start = recipe.model
    started = 1.0
    training = DistilledTraining.of(
        recipe, tried.evaluation.metric, tried.allowance.mode
    )
    densities, sizes = Densities(_FIRST), set()
    parts = shares(recipe.epochs, attempts_in(recipe.epochs))
    for index, epochs in enumerate(parts):
        density = max(densities.next(), _THINNEST)
        begin, begun = (start, started) if density < started else (model, 1.0)
        thinning = Thinning(round(1 - density / begun, 4), multiple_of)
        size = thinning.macs_of(begin)
        if size in sizes:
            return  # No number of channels lies between two that were tried.
        sizes.add(size)
        tell_attempt(index, parts, recipe.epochs)
        outcome = make_attempt(
            begin,
            Setting(policy, quantization, thinning=thinning),
            training.lasting(epochs),
            recipe.representative_data,
        )
        # It was trained with the loss and metrics for soft targets.
        _keras.compile_like(model, outcome.model)
        holds = tried.add_thinned(density, epochs, outcome)
        densities.tell(density, holds)
        # Zeros in weights would grow back in a later attempt.
        if holds and policy is None:
            start, started = outcome.model, density


def _report(
    recipe: Recipe, tried: _Tried, policy: PrunePolicy | None, quantization: str
) -> CompressionReport:
    models: dict[str, Any] = {
        "baseline": recipe.model,
        f"baseline + {tried.numbers}": tried.whole,
    }
    chosen, result, exported = 0, _keras.clone(recipe.model), tried.whole
    zeros = sparsity_report(result)
    if tried.held:
        chosen, best = tried.fastest
        result, exported, zeros = best.model, best.tflite, best.sparsity_report
        models |= {"smaller": result, f"smaller + {tried.numbers}": exported}
    return CompressionReport(
        comparison=compare_opened(models, tried.evaluation, latency_runs=LATENCY_RUNS),
        model=result,
        tflite=exported,
        sparsity_report=zeros,
        settings={
            **recipe.settings(policy, quantization),
            "target": "fastest",
            "max_accuracy_drop": tried.allowance.max_drop,
        },
        search=tried.search("fastest", chosen),
    )
