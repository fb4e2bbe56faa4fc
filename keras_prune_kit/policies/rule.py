"""Rules: the pruning settings of some of the layers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from keras_prune_kit import criteria
from keras_prune_kit._tools.spelling import did_you_mean, listed
from keras_prune_kit._tools.typed import Typed
from keras_prune_kit.criteria import Criterion
from keras_prune_kit.policies.matching import WeightIndex, covers_layer, prefixes
from keras_prune_kit.schedules import Schedule, check_sparsity
from keras_prune_kit.structures import Structure

_CRITERIA = [n for n, item in vars(criteria).items() if criteria.is_criterion(item)]
_STRUCTURES = [kind.__name__ for kind in Structure.__subclasses__()]

Match = str | type | Callable[[Any], bool] | Sequence[Any]


@dataclass(frozen=True, repr=False)
class Rule(Typed):
    """The pruning settings of the layers that match.

    A rule that matches a layer also covers the layers inside it, so the name of a
    nested model stands for all its layers. The last rule that covers a weight wins.

    Args:
        match: A regex for the full path of the layer, such as `"encoder/.*"`, or of
            the weight, such as `"lstm/recurrent_kernel"`; a layer class (subclasses
            match too); a callable that is called with the layer; or a list of these.
        schedule: A schedule; a final sparsity (0 to 1), with the timing of the policy's
            schedule; or `None` to keep the layer dense.
        structure: The shape of the zeros. Defaults to the policy's.
        criterion: The scores of the weights. Defaults to the policy's.

    Raises:
        TypeError: If an argument is of the wrong type.
        ValueError: If the sparsity is out of range or the regex does not compile.

    Example:

    >>> Rule("classifier", None).schedule is None
    True
    """

    match: Match
    schedule: Schedule | float | None
    structure: Structure | None = field(default=None, kw_only=True)
    criterion: Criterion | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if isinstance(self.match, Sequence) and not isinstance(self.match, str):
            # A tuple, which no one can change later; the rule itself is frozen.
            object.__setattr__(self, "match", tuple(self.match))
        single_matches(self.match)
        if self.schedule is not None and not isinstance(self.schedule, Schedule):
            check_sparsity("schedule", self.schedule)
        if self.structure is not None:
            check_structure(self.structure)
        if self.criterion is not None:
            check_criterion(self.criterion)

    def covered(self, index: WeightIndex) -> set[int]:
        """Return the ids of the weights that the rule covers.

        Args:
            index: The prunable weights of a model, by path and layer.

        Raises:
            ValueError: If it covers none, most often because of a typo.
        """
        found = {
            id(weight) for match in self.matches() for weight in index.covered(match)
        }
        if not found:
            known = listed(weight.path for weight in index.weights) or "none"
            raise ValueError(
                f"The rule for match={name_of(self.match)} covers no prunable weight "
                f"of the model. A regex must match the whole path, and a class must "
                f"be of the model's own Keras. Prunable weights: {known}."
                + _suggestion(
                    self.matches(), ((w.path, w.layers) for w in index.weights)
                )
            )
        return found

    def matches(self) -> tuple[Any, ...]:
        """Return the single matches of the rule as a tuple."""
        return self.match if isinstance(self.match, tuple) else (self.match,)


def single_matches(match: Match, name: str = "match") -> tuple[Any, ...]:
    """Return the single parts of a match after checking them.

    Raises:
        TypeError: If one is neither a regex, a class nor a callable.
        ValueError: If a regex does not compile.
    """
    # A string is a sequence, too.
    is_many = isinstance(match, Sequence) and not isinstance(match, str)
    matches: tuple[Any, ...] = tuple(match) if is_many else (match,)  # pyright: ignore
    for single in matches:
        _check_match(single, name)
    return matches


def covered_layers(
    match: Match, located: Iterable[tuple[str, tuple[Any, ...]]], name: str = "match"
) -> set[int]:
    """Return the ids of all layers that a match covers.

    Args:
        match: As in `Rule`.
        located: For each layer, its path and the layers from the outermost one to it.
        name: The name of the argument in messages. Defaults to `"match"`.

    Raises:
        TypeError: If a part of the match is neither a regex, a class nor a callable.
        ValueError: If a regex does not compile, or a part of it covers no layer.
    """
    located = list(located)
    covered: set[int] = set()
    for single in single_matches(match, name):
        found = {
            id(layers[-1])
            for path, layers in located
            if covers_layer(single, path, layers, name)
        }
        if not found:
            raise ValueError(
                f"{name}={name_of(single)} covers no layer of the model. A regex must "
                "match the whole path, and a class must be of the model's own Keras. "
                f"Layers: {listed(path for path, _ in located)}."
                + _suggestion((single,), located)
            )
        covered |= found
    return covered


def check_structure(structure: object, name: str = "structure") -> None:
    """Raise a `TypeError` unless a value is a structure."""
    if not isinstance(structure, Structure):
        raise TypeError(
            f"{name} is a value such as Unstructured() or NofM(2, 4). "
            f"Received: {structure!r}."
            + did_you_mean(structure, _STRUCTURES, "kpk.{}(...)")
        )


def check_criterion(criterion: object) -> None:
    """Raise a `TypeError` unless a value is a callable other than a class."""
    # A class would be called without complaint, and return an instance, not scores.
    if not callable(criterion) or isinstance(criterion, type):
        raise TypeError(
            "criterion is a function from weights to scores, such as magnitude. "
            f"Received: {criterion!r}."
            + did_you_mean(criterion, _CRITERIA, "the function kpk.{}")
        )


def _suggestion(
    matches: Iterable[Any], located: Iterable[tuple[str, tuple[Any, ...]]]
) -> str:
    """Return what matches that cover nothing may have meant, or nothing."""
    located = list(located)
    paths = [part for path, _ in located for part in prefixes(path)]
    kinds = {type(layer).__name__ for _, layers in located for layer in layers}
    for match in matches:
        if match in kinds:
            return f" A class is passed itself, not its name: match=layers.{match}."
        suggestion = did_you_mean(match, paths)
        if suggestion:
            return suggestion
    return ""


def _check_match(match: object, name: str) -> None:
    if isinstance(match, str):
        try:
            re.compile(match)
        except re.error as error:
            raise ValueError(
                f"{name} must be a regex that compiles ({error}). Received: {match!r}."
            ) from error
    # Layer classes are callable, too.
    elif not callable(match):
        raise TypeError(
            f"{name} is a regex on the layer's path, a layer class, a callable that "
            f"is called with the layer, or a list of these. Received: {match!r}."
        )


def name_of(match: Any) -> str:
    """Return a match as text for messages and tables."""
    if isinstance(match, tuple):
        return " or ".join(map(name_of, match))
    return (
        repr(match)
        if isinstance(match, str)
        else getattr(match, "__name__", repr(match))
    )
