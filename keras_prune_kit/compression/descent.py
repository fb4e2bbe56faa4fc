"""The search for the highest sparsity, from where training can follow downwards.

Models that are pruned at once and repaired tell, in seconds, where training begins. The
sparsest of them that holds is the least result, or else one with rounded weights alone.
Each attempt goes on from the weights of the last one that held.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

from keras_prune_kit import _keras
from keras_prune_kit.compression.attempt import (
    Outcome,
    Setting,
    copy_for,
    export,
    make_attempt,
    ordinary,
    prunes_while_quantized,
    run_attempt,
)
from keras_prune_kit.compression.bisection import (
    NEXT_DENSITY,
    Densities,
    attempts_in,
    ramp_to,
    shares,
)
from keras_prune_kit.compression.distilled_training import DistilledTraining
from keras_prune_kit.compression.recipe import Recipe
from keras_prune_kit.compression.repairing import (
    DENSE,
    REPAIRED,
    repair_samples,
    repaired,
)
from keras_prune_kit.compression.sounding import (
    CHANNELS,
    WEIGHTS,
    Sounding,
    first_density,
    sound,
)
from keras_prune_kit.compression.thinning import Thinning, thinned
from keras_prune_kit.compression.tried import Tried, tell_attempt
from keras_prune_kit.policies import WeightBits
from keras_prune_kit.reconstruction import (
    fewest_bits,
    policy_at_once,
    rounded_after_pruning,
    rounded_copy,
)
from keras_prune_kit.reports.tables import percent

_log = logging.getLogger(__name__)

_LEAST_TO_THIN = 16  # epochs of a search that first takes channels out
# The sum of what the rounding of each layer alone does, likewise; together and after
# training, they do far less.
_ROUNDED = 0.03
_LEAST_BITS = 3  # With two, as many bytes held no more accuracy in some epochs.
_UNTRAINED_BITS = 4  # of weights that are rounded without training


class Descent:
    """Attempts with fewer and fewer weights.

    Args:
        recipe: The job.
        quantization: The quantization of the files; `None` for quantization-aware
            training, or for weights of few bits if nothing is trained.
        weight_bits: The bits per weight in quantization-aware training; `None` to
            quantize after training.
        tried: The record of the attempts.
    """

    def __init__(
        self,
        recipe: Recipe,
        quantization: str | None,
        weight_bits: int | None,
        tried: Tried,
    ) -> None:
        self._recipe = recipe
        self._quantization = quantization or "int8"
        # Of files that are quantized after training, or without any.
        self._untrained_bits = _UNTRAINED_BITS if quantization is None else None
        self._bits: WeightBits | None = weight_bits
        self._tried = tried
        self._training = DistilledTraining.of(
            recipe, tried.evaluation.metric, tried.allowance.mode
        )
        self._model = recipe.model  # without the channels that have left
        self._inputs: Any = None
        # The sparsest trained copy that holds: its sparsity, its weights, its start.
        self._reached: tuple[float, list[Any], str] | None = None

    def run(self) -> None:
        """Make the attempts."""
        left = self._recipe.epochs
        self._inputs = self._sample()
        if left >= _LEAST_TO_THIN and self._inputs is not None:
            left -= self._thin(left // 4)
        self._choose_bits()
        soundings = self._soundings()
        if left and soundings:
            self._secure([each.density for each in soundings if each.holds])
        self._descend(_densities(soundings, is_trained=left > 0), left)

    def _secure(self, held: list[float]) -> None:
        """Make untrained attempts, from the sparsest on, until a file holds, too.

        Where weights are rounded to few bits, the last are without zeros, and without
        few bits.
        """
        few = self._untrained_bits
        settings = [(density, few) for density in reversed(held)]
        if few is not None:
            settings += [(1.0, few), *((density, None) for density in held[:1])]
        for density, bits in settings:
            if self._attempt(density, bits):
                return

    def _descend(self, densities: Densities, epochs: int) -> None:
        """Make attempts that share some epochs, or untrained ones if there are none."""
        bits = self._bits if epochs else self._untrained_bits
        parts = shares(epochs, attempts_in(epochs))
        for index, part in enumerate(parts):
            density = densities.next()
            tell_attempt(index, parts, self._recipe.epochs)
            densities.tell(density, self._attempt(density, bits, part))

    def _sample(self) -> Any:
        """Return inputs for repairs, which fit the thinned model too."""
        try:
            return repair_samples(self._model, self._recipe.train_data)
        except (TypeError, ValueError) as error:
            _log.debug("There are no inputs for repairs: %s", error)
            return None

    def _thin(self, epochs: int) -> int:
        """Take channels out, for all attempts, if training can follow.

        Returns:
            The epochs that it took.
        """
        fraction = self._fraction_out()
        if fraction is None:
            return 0
        model = self._recipe.model
        small = thinned(model, Thinning(fraction), self._training.lasting(epochs))
        _keras.compile_like(model, small)
        is_good = self._holds(small)
        _log.info("%s of channels out: holds %s", percent(fraction), is_good)
        if is_good:
            self._model = small
        return epochs

    def _fraction_out(self) -> float | None:
        """Return the largest fraction of the channels that training can do without."""
        try:
            Thinning(0.5).check(self._model)
            found = sound(self._model, self._inputs, self._holds, CHANNELS)
        except (TypeError, ValueError) as error:
            _log.debug("No channels leave: %s", error)
            return None
        limit = CHANNELS.followed
        followed = [each.density for each in found if each.divergence <= limit]
        return 1 - min(followed) if followed else None

    def _choose_bits(self) -> None:
        """Give each layer the fewest bits that training can follow."""
        is_fixed = self._bits is None or not prunes_while_quantized(self._model)
        if is_fixed or self._inputs is None:
            return
        try:
            found = fewest_bits(self._model, self._inputs, most_divergence=_ROUNDED)
            self._bits = {key: max(_LEAST_BITS, bits) for key, bits in found.items()}
            _log.info("Bits by layer: %s", self._bits)
        except (TypeError, ValueError) as error:
            _log.debug("All layers have the same bits: %s", error)

    def _soundings(self) -> list[Sounding]:
        if self._inputs is None:
            return []
        try:
            return sound(self._model, self._inputs, self._holds, WEIGHTS)
        except (TypeError, ValueError) as error:
            _log.debug("The model cannot be repaired: %s", error)
            return []

    def _holds(self, model: Any) -> bool:
        evaluation = self._tried.evaluation
        return self._tried.allowance.holds(evaluation.keras(model)[evaluation.metric])

    def _attempt(
        self, density: float, bits: WeightBits | None, epochs: int = 0
    ) -> bool:
        """Make an attempt, record it, and return True if it holds."""
        sparsity = round(1 - density, 4)  # As many digits as the report shows.
        setting = Setting(ramp_to(sparsity), self._quantization, bits)
        if not epochs:
            outcome = self._repair(setting, sparsity)
            rounded = "" if bits is None else f"{bits} bits in "
            return self._try(f"{percent(sparsity)}, at once, {rounded}", 0, outcome)
        outcome, weights = self._train(setting, sparsity, epochs)
        holds = self._try(f"{percent(sparsity)}, ", epochs, outcome)
        if holds:
            self._reached = sparsity, weights, outcome.start
        few = self._untrained_bits
        if holds and bits is None and few and self._inputs is not None:
            how = f"{percent(sparsity)}, then {few} bits in "
            self._try(how, 0, self._rounded(outcome, few))
        return holds

    def _try(self, how: str, epochs: int, outcome: Outcome) -> bool:
        """Record an attempt, and return True if it holds."""
        name = f"{how}{outcome.number_format}"
        holds = self._tried.add(name, epochs, outcome.tflite)
        if holds:
            self._tried.keep(outcome)
        return holds

    def _rounded(self, outcome: Outcome, bits: int) -> Outcome:
        """Return a trained attempt with its weights rounded to few bits."""
        options = {"data": self._inputs, "weight_bits": bits}
        model = rounded_copy(outcome.model, outcome.model, **options)
        samples = self._recipe.representative_data
        exported = export(model, self._quantization, samples)
        return replace(outcome, model=model, tflite=exported)

    def _repair(self, setting: Setting, sparsity: float) -> Outcome:
        setting = replace(setting, policy=policy_at_once(sparsity))
        training = self._training.lasting(0)
        samples = self._recipe.representative_data
        return make_attempt(self._model, setting, training, samples)

    def _train(
        self, setting: Setting, sparsity: float, epochs: int
    ) -> tuple[Outcome, list[Any]]:
        """Train an attempt; return the weights of its copy, too."""
        copied, begin, name = self._start(sparsity)
        setting = replace(setting, policy=ramp_to(sparsity, begin))
        outcome = run_attempt(
            copied,
            self._model,
            setting,
            self._training.lasting(epochs),
            self._recipe.representative_data,
        )
        model = ordinary(outcome.model, self._recipe.model)
        return replace(outcome, model=model, start=name), copied.get_weights()

    def _start(self, sparsity: float) -> tuple[Any, float, str]:
        """Return the copy that an attempt trains, its sparsity, and its first start."""
        if self._reached is not None:
            begin, weights, name = self._reached
            copied = copy_for(self._model, self._bits)
            copied.set_weights(weights)
            return copied, begin, name
        first = self._repaired(sparsity)
        if first is None:
            return copy_for(self._model, self._bits), 0.0, DENSE
        return copy_for(first, self._bits), sparsity, REPAIRED

    def _repaired(self, sparsity: float) -> Any:
        """Return a model that is pruned at once and repaired, `None` if it cannot."""
        if self._inputs is None:
            return None
        policy = policy_at_once(sparsity)
        try:
            first = repaired(self._model, policy, self._inputs)
            if self._bits is None or not prunes_while_quantized(self._model):
                return first
            options = {"data": self._inputs, "weight_bits": self._bits}
            return rounded_after_pruning(first, self._model, **options)
        except (TypeError, ValueError) as error:
            _log.debug("Training starts from the dense model: %s", error)
            return None


def _densities(soundings: list[Sounding], is_trained: bool) -> Densities:
    """Return the search from where the soundings end."""
    held = [each.density for each in soundings if each.holds]
    if not held:
        return Densities(first_density(soundings))
    if is_trained:
        first = min(first_density(soundings), held[-1] * NEXT_DENSITY)
        return Densities(first, held[-1])
    beyond = [each.density for each in soundings if each.density < held[-1]]
    return Densities(held[-1], failed=max(beyond, default=None))
