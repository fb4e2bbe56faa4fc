"""Policies: the assignment of schedules, structures and criteria to layers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from keras_prune_kit import _keras
from keras_prune_kit._tools.checks import check_flag, is_number, is_one_of
from keras_prune_kit._tools.spelling import did_you_mean
from keras_prune_kit._tools.typed import Typed
from keras_prune_kit.criteria import (
    Criterion,
    gradients_needed,
    inputs_needed,
    magnitude,
)
from keras_prune_kit.layer_inputs.kernels import unsolvable
from keras_prune_kit.policies.assignment import Assignment
from keras_prune_kit.policies.channels import tie_channels
from keras_prune_kit.policies.matching import WeightIndex
from keras_prune_kit.policies.plan import PlannedWeight, PrunePlan
from keras_prune_kit.policies.rule import (
    Rule,
    check_criterion,
    check_structure,
    name_of,
)
from keras_prune_kit.policies.serialization import (
    decode,
    decode_matches,
    encode,
    encode_match,
)
from keras_prune_kit.reports import Skipped, skipped_lines
from keras_prune_kit.schedules import (
    PolynomialDecay,
    Schedule,
    check_sparsity,
    instead_of_tfmot,
)
from keras_prune_kit.structures import Channel, Structure, Unstructured

_SCOPES = ("layer", "global")
_FROZEN = (
    "not trainable, so it could not recover; "
    "PrunePolicy(..., include_frozen=True) prunes it all the same"
)


@dataclass(frozen=True, repr=False)
class PrunePolicy(Typed):
    """The schedules, structures and criteria for the layers of a model.

    Without rules it covers the kernels of Dense, convolution, EinsumDense, Embedding
    and recurrent layers, also in nested layers and models, and the weights that a
    custom layer's `get_prunable_weights()` returns. It does not cover biases,
    normalization weights, depthwise kernels, and embeddings that index positions or
    segments, which are told by their names (`"position_embedding"`, `"pos_emb"`,
    `"segment_embedding"`, `"token_type_embeddings"`). A rule that covers nothing but
    depthwise kernels and such embeddings prunes them.

    Under a LoRA adapter of Keras 3 the base kernel is pruned, although it is frozen:
    the adapter makes up for it. See `merge_lora`, which keeps the zeros.

    Args:
        schedule: A schedule, or a final sparsity (0 to 1), which means
            `PolynomialDecay(0, sparsity)`.
        rules: `Rule`s for some of the layers; the last one that covers a weight wins.
        structure: The shape of the zeros. Defaults to `Unstructured()`.
        criterion: The scores of the weights. Defaults to `magnitude`.
        scope: `"layer"` prunes each weight to its own sparsity. `"global"` ranks the
            weights of all layers together, so that less important layers lose more; it
            needs `Unstructured()`. Defaults to `"layer"`.
        include_frozen: If True, also prune weights with `trainable = False`, although
            training cannot compensate for it. Defaults to `False`: they are skipped,
            even if a rule covers them.

    Raises:
        TypeError: If an argument is of the wrong type.
        ValueError: If a sparsity is out of range, or the scope is unknown or does not
            fit the structures.

    Example:

    >>> policy = PrunePolicy(0.8, [Rule("classifier", None), Rule("conv.*", 0.5)])
    >>> PrunePolicy.from_dict(policy.to_dict()) == policy
    True
    """

    schedule: Schedule | float
    rules: Sequence[Rule] = ()
    structure: Structure = field(default=Unstructured(), kw_only=True)
    criterion: Criterion = field(default=magnitude, kw_only=True)
    scope: str = field(default="layer", kw_only=True)
    include_frozen: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        if not isinstance(self.schedule, Schedule):
            check_sparsity("schedule", self.schedule)
            # The dataclass is frozen, so plain assignment raises.
            object.__setattr__(self, "schedule", PolynomialDecay(0.0, self.schedule))
        # A forgotten list around a single rule is harmless.
        given = (self.rules,) if isinstance(self.rules, Rule) else self.rules
        if not isinstance(given, Iterable):
            raise TypeError(f"rules are Rule(match, schedule). Received: {given!r}.")
        rules = tuple(given)
        if not all(isinstance(rule, Rule) for rule in rules):
            raise TypeError(f"rules are Rule(match, schedule). Received: {rules!r}.")
        object.__setattr__(self, "rules", rules)
        check_structure(self.structure)
        check_criterion(self.criterion)
        check_flag("include_frozen", self.include_frozen)
        self._check_scope()

    def plan(self, model: Any) -> PrunePlan:
        """Return the decision for each weight, without changing the model.

        Args:
            model: A built Keras model of either world, or the path of a model file.

        Returns:
            A `PrunePlan`, which prints as a table.

        Raises:
            TypeError: If `model` is not a Keras model.
            ValueError: If the model is not built or has nothing to prune, a rule covers
                no weight, or a structure does not fit a kernel.
        """
        assignments, skipped = self.assign(_keras.opened(model))
        return PrunePlan(
            tuple(
                PlannedWeight(
                    item.weight.path,
                    item.weight.shape,
                    item.schedule,
                    item.structure,
                    item.reason,
                )
                for item in assignments
            ),
            tuple(skipped),
        )

    def assign(self, model: Any) -> tuple[list[Assignment], list[Skipped]]:
        """Return the assignments and the skipped weights for `plan` and `Pruner`.

        Args:
            model: A built `keras` or `tf_keras` model.
        """
        _keras.world(model)
        _keras.check_built(model)
        # TFMOT's wrapper would apply a mask of its own to the same kernel.
        _keras.check_not_wrapped(model)
        found = list(_keras.find_weights(model))
        winners = self._winners(found)
        unseen = unsolvable(model) if any(map(inputs_needed, self._criteria())) else {}
        decisions = [
            Skipped(item.layer_path, item.reason)
            if isinstance(item, _keras.Unprunable)
            else self._assign(item, winners.get(id(item)), unseen)
            for item in found
        ]
        decisions = tie_channels(model, found, decisions)
        assignments = [item for item in decisions if isinstance(item, Assignment)]
        skipped = [item for item in decisions if isinstance(item, Skipped)]
        if not assignments:
            raise ValueError(
                f"Nothing in model '{model.name}' would be pruned."
                + skipped_lines(skipped)
            )
        return assignments, skipped

    @property
    def needs_data(self) -> bool:
        """True if a criterion uses gradients or inputs, and so a sample of data."""
        return self.needs_labels or any(map(inputs_needed, self._criteria()))

    @property
    def needs_labels(self) -> bool:
        """True if a criterion uses gradients, and so a sample with labels."""
        return any(map(gradients_needed, self._criteria()))

    @property
    def zeroes_channels(self) -> bool:
        """True if whole output channels of a weight become zero."""
        structures = [self.structure, *(rule.structure for rule in self.rules)]
        return any(isinstance(s, Channel) and s.axis == -1 for s in structures)

    def to_dict(self) -> dict[str, Any]:
        """Return the policy as a dict of plain values, ready for JSON.

        Raises:
            ValueError: If a rule matches by a callable or a custom class, or a
                schedule, structure or criterion is not from this package.
        """
        return {
            "schedule": encode(self.schedule),
            "rules": [
                {
                    "match": [encode_match(match) for match in rule.matches()],
                    "schedule": encode(rule.schedule),
                    "structure": encode(rule.structure),
                    "criterion": encode(rule.criterion),
                }
                for rule in self.rules
            ],
            "structure": encode(self.structure),
            "criterion": encode(self.criterion),
            "scope": self.scope,
            "include_frozen": self.include_frozen,
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> PrunePolicy:
        """Create a policy from the result of `to_dict`.

        Args:
            data: The dict, as it is or read from JSON.

        Raises:
            ValueError: If `data` does not describe a policy.
        """
        try:
            rules = [
                Rule(
                    decode_matches(rule["match"]),
                    decode(rule["schedule"]),
                    structure=decode(rule.get("structure")),
                    criterion=decode(rule.get("criterion")),
                )
                for rule in data.get("rules", [])
            ]
            optional = {
                name: decode(data[name])
                for name in ("structure", "criterion", "scope", "include_frozen")
                if name in data
            }
            return cls(decode(data["schedule"]), rules, **optional)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(
                "A policy is a dict as PrunePolicy.to_dict() returns it. "
                f"Received: data={data!r} ({error})."
            ) from error

    def _typed(self, name: str) -> Any:
        if name == "rules":
            return list(self.rules) or ()
        value = super()._typed(name)
        if isinstance(value, PolynomialDecay):
            # A number stands for a schedule of which nothing else was chosen.
            final = value.final_sparsity
            return final if value == PolynomialDecay(0.0, final) else value
        return value

    def _criteria(self) -> list[Criterion]:
        own = [rule.criterion for rule in self.rules if rule.criterion is not None]
        return [self.criterion, *own]

    def _winners(self, found: Iterable[Any]) -> dict[int, Rule]:
        """Return the rule that decides, by the id of each weight that a rule covers."""
        index = WeightIndex(w for w in found if isinstance(w, _keras.PrunableWeight))
        winners: dict[int, Rule] = {}
        for rule in self.rules:
            # Later rules overwrite earlier ones.
            winners.update(dict.fromkeys(rule.covered(index), rule))
        return winners

    def _assign(
        self,
        weight: _keras.PrunableWeight,
        winner: Rule | None,
        unseen: Mapping[str, str],
    ) -> Assignment | Skipped:
        if winner is None and weight.kept_because:
            return Skipped(weight.path, weight.kept_because)
        # Before the rules: a frozen weight cannot recover, whatever rule covers it.
        if not (weight.is_trainable or self.include_frozen):
            return Skipped(weight.path, _FROZEN)
        rule = Rule(".*", self.schedule) if winner is None else winner
        reason = "policy" if winner is None else f"rule {name_of(winner.match)}"
        if rule.schedule is None:
            return Skipped(weight.path, f"{reason} keeps it dense")
        schedule = rule.schedule
        if not isinstance(schedule, Schedule):
            schedule = self._timing().with_final_sparsity(schedule)
        criterion = rule.criterion or self.criterion
        if inputs_needed(criterion) and weight.path in unseen:
            return Skipped(weight.path, _unscored(unseen[weight.path], criterion))
        structure = rule.structure or self.structure
        _check_fit(weight, structure, schedule)
        return Assignment(weight, schedule, structure, criterion, reason)

    def _timing(self) -> Schedule:
        if not isinstance(self.schedule, Schedule):
            raise TypeError(f"schedule is not a Schedule: {self.schedule!r}.")
        return self.schedule

    def _check_scope(self) -> None:
        if not is_one_of(self.scope, _SCOPES):
            raise ValueError(
                f"scope is one of {_SCOPES}. Received: scope={self.scope!r}."
                + did_you_mean(self.scope, _SCOPES)
            )
        used = [self.structure, *(rule.structure for rule in self.rules)]
        odd = [s for s in used if s is not None and not isinstance(s, Unstructured)]
        if self.scope == "global" and odd:
            raise ValueError(
                "scope='global' ranks single weights, so it needs Unstructured(). "
                f"Received: structure={odd[0]}. Use scope='layer'."
            )


def as_policy(policy: object) -> PrunePolicy:
    """Return a policy itself, or one for a schedule or a final sparsity.

    Raises:
        TypeError: If `policy` is none of these.
        ValueError: If it is a number outside 0 to 1.
    """
    if isinstance(policy, PrunePolicy):
        return policy
    if isinstance(policy, Schedule):
        return PrunePolicy(policy)
    if is_number(policy):
        check_sparsity("policy", policy)
        return PrunePolicy(policy)
    raise TypeError(
        "policy is a PrunePolicy, a schedule or a final sparsity such as 0.8; rules go "
        f"into one: PrunePolicy(0.8, rules). Received: {policy!r}."
        + instead_of_tfmot(policy)
    )


def described(policy: PrunePolicy) -> Any:
    """Return the policy as plain data, or as text if it contains custom parts."""
    try:
        return policy.to_dict()
    except ValueError:
        return repr(policy)


def _unscored(reason: str, criterion: Criterion) -> str:
    name = getattr(criterion, "__name__", repr(criterion))
    return (
        f"{reason}, so {name} cannot score it; "
        "Rule(..., criterion=magnitude) prunes it all the same"
    )


def _check_fit(
    weight: _keras.PrunableWeight, structure: Structure, schedule: Schedule
) -> None:
    try:
        structure.check(weight.canonical_shape(), schedule.final_sparsity)
    except ValueError as error:
        raise ValueError(f"{weight.path}: {error}") from error
