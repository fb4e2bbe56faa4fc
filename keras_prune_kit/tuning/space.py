"""The search space, and the choice of a trial's settings from it."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_prune_kit import _keras
from keras_prune_kit._tools.checks import is_number, is_whole
from keras_prune_kit._tools.quantizations import (
    CALIBRATED,
    QUANTIZATIONS,
    TRAINED,
    check_installed,
)
from keras_prune_kit._tools.spelling import did_you_mean
from keras_prune_kit.compression.attempt import Setting
from keras_prune_kit.compression.thinning import Thinning
from keras_prune_kit.criteria import lamp
from keras_prune_kit.policies import (
    PrunePolicy,
    Rule,
    check_structure,
    choose_weights,
)
from keras_prune_kit.schedules import (
    ConstantSparsity,
    CosineDecay,
    Fraction,
    PolynomialDecay,
    Schedule,
    check_sparsity,
)
from keras_prune_kit.structures import NofM, Structure, Unstructured

PolicyTemplate = Callable[[Any], PrunePolicy]

_SCHEDULES: dict[str, Callable[[float, Fraction], Schedule]] = {
    "polynomial": lambda final, end: PolynomialDecay(0.0, final, end_step=end),
    "cosine": lambda final, end: CosineDecay(0.0, final, end_step=end),
    # Without a ramp, though each trial chooses the end of one.
    "constant": lambda final, end: ConstantSparsity(final),
}
_RAMPS = (0.25, 0.5, 0.75)
_GLOBAL = "global ranking"
_STEP = 0.0625  # A finer one would mostly give the same multiples of channels.
_MULTIPLE = 8


@dataclass(frozen=True)
class Space:
    """The search space: the settings that a trial can have.

    Args:
        sparsity: The lowest and the highest final sparsity, 0 to 1.
        quantization: Names of quantizations.
        groups: The number of groups that layers are divided into by depth.
        structures: Structures to try.
        policy: A function that returns the policy of a trial, in place of `sparsity`,
            `groups` and `structures`; or `None`.
        channels: The lowest and the highest fraction of the channels that leave, 0 to
            1; `None` to keep all.

    Raises:
        ImportError: If a quantization needs a package that is not installed.
        TypeError: If an argument is of the wrong kind.
        ValueError: If one is out of range or unknown.
    """

    sparsity: tuple[float, float]
    quantization: Sequence[str]
    groups: int
    structures: Sequence[Structure]
    policy: PolicyTemplate | None
    channels: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        _check_range("sparsity", self.sparsity)
        if self.channels is not None:
            _check_range("channels", self.channels)
        _check_quantization(self.quantization)
        _check_groups(self.groups)
        _check_structures(self.structures)
        if self.policy is not None and not callable(self.policy):
            raise TypeError(
                "policy is a function from hyperparameters to a PrunePolicy. "
                f"Received: {self.policy!r}."
            )

    @property
    def is_calibrated(self) -> bool:
        """True if a trial may need representative data."""
        return any(name in CALIBRATED for name in self.quantization)

    @property
    def weight_bits(self) -> list[int]:
        """The bits per weight of the choices with quantization-aware training."""
        return [TRAINED[name] for name in self.quantization if name in TRAINED]

    def describe(self) -> dict[str, Any]:
        """Return the search space as plain data."""
        return {
            "sparsity": list(self.sparsity),
            "quantization": list(self.quantization),
            "groups": self.groups,
            "structures": list(map(str, self.structures)),
            "policy": self.policy and getattr(self.policy, "__qualname__", "custom"),
            "channels": self.channels and list(self.channels),
        }

    def choose(self, hp: Any, model: Any) -> Setting:
        """Return the settings of a trial, as its hyperparameters choose them.

        Args:
            hp: `keras_tuner.HyperParameters`.
            model: The baseline, without the channels that `thinning` takes out.

        Raises:
            TypeError: If the function `policy` does not return a `PrunePolicy`.
            ValueError: If the policy does not fit the model.
        """
        name = hp.Choice("quantization", list(self.quantization))
        policy = self._policy(hp, model) if self.policy is None else self.policy(hp)
        if not isinstance(policy, PrunePolicy):
            raise TypeError(f"policy must return a PrunePolicy. Received: {policy!r}.")
        policy.assign(model)  # Only for its errors.
        is_trained = name in TRAINED
        numbers = "int8" if is_trained else name
        return Setting(policy, numbers, TRAINED.get(name), self.thinning(hp))

    def thinning(self, hp: Any) -> Thinning | None:
        """Return the channels that a trial does without, or `None`.

        Args:
            hp: `keras_tuner.HyperParameters`.
        """
        if self.channels is None:
            return None
        low, high = self.channels
        fraction = hp.Float("channels", low, high, step=_STEP, default=low)
        return Thinning(fraction, _MULTIPLE) if fraction > 0 else None

    def _policy(self, hp: Any, model: Any) -> PrunePolicy:
        """Return the policy of a trial; no hyperparameter depends on another one.

        Conditional hyperparameters (KerasTuner's `conditional_scope`) mislead its
        Bayesian oracle, which keeps exploring values that no trial uses.
        """
        weights, _ = choose_weights(model, None)
        schedule = _SCHEDULES[hp.Choice("schedule", list(_SCHEDULES))]
        end = Fraction(hp.Choice("ramp", list(_RAMPS), default=_RAMPS[1]))
        structures = {str(structure): structure for structure in self.structures}
        is_global = [_GLOBAL] if Unstructured() in self.structures else []
        chosen = hp.Choice("structure", [*is_global, *structures])
        count = min(self.groups, len(weights))
        groups = np.array_split(np.array(weights, object), count)
        finals: list[tuple[_keras.PrunableWeight, float]] = []
        for number, group in enumerate(groups, 1):
            final = self._sparsity(hp, f"density_{number}of{count}")
            finals += [(weight, final) for weight in group]
        if chosen == _GLOBAL:
            final = _overall(finals)
            return PrunePolicy(schedule(final, end), criterion=lamp, scope="global")
        rules = [_rule(weight, final, structures[chosen]) for weight, final in finals]
        # Every weight has a rule; only the timing of this schedule counts.
        return PrunePolicy(schedule(max(final for _, final in finals), end), rules)

    def _sparsity(self, hp: Any, name: str) -> float:
        """Choose a sparsity on a log scale of the density, as file sizes follow it."""
        low, high = self.sparsity
        left = hp.Float(name, 1 - high, 1 - low, sampling="log", default=1 - low)
        # Rounding of 1 - (1 - x) may leave the range.
        return float(np.clip(1 - left, low, high))


def _overall(finals: list[tuple[_keras.PrunableWeight, float]]) -> float:
    """Return the sparsity of all weights together, given one for each."""
    shapes = [weight.shape for weight, _ in finals]
    sizes = [math.prod(shape) for shape in shapes]
    return float(np.average([final for _, final in finals], weights=sizes))


def _rule(weight: _keras.PrunableWeight, final: float, structure: Structure) -> Rule:
    """Return a rule with the structure if it fits the weight, else unstructured."""
    if isinstance(structure, NofM):
        # n of m has one possible sparsity, whatever the trial asks for.
        own = 1 - structure.n / structure.m
    else:
        own = final
    try:
        structure.check(weight.canonical_shape(), own)
    except ValueError:
        own, structure = final, Unstructured()
    # A name may contain characters that a regex would interpret.
    return Rule(re.escape(weight.path), own, structure=structure)


def _check_range(name: str, limits: Any) -> None:
    if not isinstance(limits, tuple | list) or len(limits) != 2:
        raise ValueError(
            f"{name} is the lowest and the highest fraction to try: (0.5, 0.95). "
            f"Received: {name}={limits!r}."
        )
    for value in limits:
        if name == "sparsity":
            check_sparsity(name, value)
        elif not is_number(value) or not 0 <= value < 1:
            raise ValueError(
                f"{name} are fractions of the channels, at least 0 and below 1, such "
                f"as (0.0, 0.75). Received: {name}={limits!r}."
            )
    if limits[0] > limits[1]:
        raise ValueError(
            f"The lowest {name} comes first, then the highest. "
            f"Received: {name}={limits!r}."
        )


def _check_quantization(names: Any) -> None:
    _check_list("quantization", names, "('dynamic', 'int8')")
    for name in names:
        if not isinstance(name, str) or name not in (*QUANTIZATIONS, *TRAINED):
            raise ValueError(
                f"A quantization is one of {', '.join(QUANTIZATIONS)}, or one of "
                f"{', '.join(TRAINED)} for quantization-aware training with that many "
                f"bits per weight. Received: {name!r}."
                + did_you_mean(name, (*QUANTIZATIONS, *TRAINED))
            )
    check_installed(*names)
    if len(set(names)) < len(names):
        raise ValueError(
            f"quantization must not repeat a name. Received: quantization={names!r}."
        )


def _check_groups(groups: Any) -> None:
    if not is_whole(groups) or groups < 1:
        raise ValueError(
            "groups is the number of groups of layers, at least 1. "
            f"Received: groups={groups!r}."
        )


def _check_structures(structures: Any) -> None:
    _check_list("structures", structures, "[Unstructured()]")
    for structure in structures:
        check_structure(structure, "each of structures")


def _check_list(name: str, items: Any, example: str) -> None:
    is_list = isinstance(items, Sequence) and not isinstance(items, str)
    if not is_list or not items:
        raise ValueError(
            f"{name} is a list of choices, at least one, such as {example}. "
            f"Received: {name}={items!r}."
        )
