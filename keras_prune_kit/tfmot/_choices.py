"""Translation of a policy, which covers weights, to one TFMOT wrapper per layer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from keras_prune_kit.criteria import magnitude
from keras_prune_kit.policies import Assignment, PlannedWeight, PrunePlan, PrunePolicy
from keras_prune_kit.reports import Skipped
from keras_prune_kit.schedules import Schedule
from keras_prune_kit.structures import Block, NofM, Structure, Unstructured
from keras_prune_kit.tfmot._import import tf_keras
from keras_prune_kit.tfmot._schedules import translate

_TITLE = "Wrapped by TFMOT for pruning"
_INSTEAD = "PruningCallback prunes the model itself and can do this."

# Layers that contain other layers and that TFMOT can wrap as a whole.
_HOLDERS = ("Bidirectional", "TimeDistributed", "MultiHeadAttention", "RNN")


@dataclass(frozen=True)
class Choice:
    """The pruning of one layer.

    Attributes:
        layer: The layer of the original model.
        schedule: The resolved schedule of its weights.
        structure: The structure of their zeros.
    """

    layer: Any
    schedule: Schedule
    structure: Structure

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of TFMOT's wrapper."""
        arguments: dict[str, Any] = {"pruning_schedule": translate(self.schedule)}
        if isinstance(self.structure, Block):
            arguments["block_size"] = self.structure.shape
            arguments["block_pooling_type"] = self.structure.pooling.upper()
        if isinstance(self.structure, NofM):
            # TFMOT counts the zeros of a group, NofM the weights that are kept.
            zeros = self.structure.m - self.structure.n
            arguments["sparsity_m_by_n"] = (zeros, self.structure.m)
        return arguments


def choose(
    model: Any, policy: PrunePolicy, steps_per_epoch: int | None, epochs: int | None
) -> tuple[list[Choice], PrunePlan]:
    """Choose the layers to wrap, and return them with a plan of every weight.

    Raises:
        ValueError: If TFMOT cannot do what the policy specifies.
    """
    if policy.scope != "layer":
        raise ValueError(
            "TFMOT ranks the weights within each layer only. Received: "
            f"scope={policy.scope!r}. {_INSTEAD}"
        )
    assignments, skipped = policy.assign(model)
    dense = {item.path for item in skipped}
    calls = _calls(model)
    groups: dict[int, list[Assignment]] = {}
    for item in assignments:
        # A wrapper prunes all weights of its layer, so they are judged together.
        groups.setdefault(id(_wrapped_layer(item)), []).append(item)
    choices, planned = [], []
    for group in groups.values():
        layer = _wrapped_layer(group[0])
        reason = _why_not(layer, group, calls)
        if reason is not None:
            skipped += [Skipped(item.weight.path, reason) for item in group]
            continue
        for item in group:
            _check_possible(item)
        choices.append(_choice(layer, group, dense, steps_per_epoch, epochs))
        planned += [
            PlannedWeight(
                item.weight.path,
                item.weight.shape,
                choices[-1].schedule,
                item.structure,
                item.reason,
            )
            for item in group
        ]
    return choices, PrunePlan(tuple(planned), tuple(skipped), _TITLE)


def _choice(
    layer: Any,
    group: list[Assignment],
    dense: set[str],
    steps_per_epoch: int | None,
    epochs: int | None,
) -> Choice:
    first = group[0]
    prefix = _path(first, layer) + "/"
    kept = [path for path in dense if path.startswith(prefix)]
    alike = {(item.schedule, item.structure) for item in group}
    if len(alike) > 1 or kept:
        raise ValueError(
            f"TFMOT prunes all weights of a layer alike. The policy treats those of "
            f"'{prefix[:-1]}' differently. {_INSTEAD}"
        )
    schedule = first.schedule
    if not schedule.is_resolved:
        if steps_per_epoch is None:
            raise ValueError(
                "TFMOT's schedules count in steps, and a schedule of the policy counts "
                "in Epochs or Fraction of the run. Pass its length: wrap(..., "
                f"steps_per_epoch=..., epochs=...). Received: {schedule}."
            )
        schedule = schedule.resolve(
            steps_per_epoch=steps_per_epoch, epochs=1 if epochs is None else epochs
        )
    return Choice(layer, schedule, first.structure)


def _wrapped_layer(item: Assignment) -> Any:
    """Return the outermost layer around a weight that is not a model."""
    layers = item.weight.layers
    model = tf_keras().Model
    return next((layer for layer in layers if not isinstance(layer, model)), layers[-1])


def _path(item: Assignment, layer: Any) -> str:
    """Return the path of a layer around a weight."""
    layers = item.weight.layers
    return "/".join(part.name for part in layers[: layers.index(layer) + 1])


def _why_not(layer: Any, group: list[Assignment], calls: dict[int, int]) -> str | None:
    """Return the reason why TFMOT cannot prune a prunable layer; `None` if it can."""
    outer = group[0].weight.layers
    around = outer[: outer.index(layer) + 1]
    if any(calls.get(id(part), 1) > 1 for part in around):
        return (
            "it is called more than once, and TFMOT would count each call as a step; "
            "PruningCallback prunes it"
        )
    holders = tuple(getattr(tf_keras().layers, name) for name in _HOLDERS)
    if outer[-1] is not layer and not isinstance(layer, holders):
        return (
            f"it is inside a {type(layer).__name__}, which TFMOT cannot wrap; "
            "PruningCallback prunes it"
        )
    return None


def _calls(model: Any) -> dict[int, int]:
    """Count the calls of each layer in one forward pass, by the layer's id."""
    counts: dict[int, int] = {}
    for layer in _nodes(model):
        counts[id(layer)] = counts.get(id(layer), 0) + 1
        if isinstance(layer, tf_keras().Model) and counts[id(layer)] == 1:
            counts.update(_calls(layer))
    return counts


def _nodes(model: Any) -> Iterator[Any]:
    # Keras 2 has no public list of the calls in a model.
    for nodes in getattr(model, "_nodes_by_depth", {}).values():
        yield from (node.layer for node in nodes)


def _check_possible(item: Assignment) -> None:
    """Raise a `ValueError` if TFMOT cannot prune a weight as the policy specifies."""
    path, shape = item.weight.path, item.weight.shape
    if item.criterion is not magnitude:
        raise ValueError(
            "TFMOT prunes by magnitude only. Received: "
            f"criterion={item.criterion!r} for {path}. {_INSTEAD}"
        )
    structure, rank = item.structure, len(shape)
    if isinstance(structure, Unstructured):
        return
    is_plain = item.weight.axes == tuple(range(rank))
    fits = (isinstance(structure, Block) and rank == 2) or (
        isinstance(structure, NofM) and rank in (2, 4) and is_plain
    )
    if not fits:
        raise ValueError(
            "TFMOT supports Block for kernels with two axes and NofM for kernels of "
            f"Dense and Conv2D. Received: {structure} for {path} of shape {shape}. "
            f"{_INSTEAD} Rule({_layer_path(path)!r}, None) keeps it dense."
        )


def _layer_path(path: str) -> str:
    return path.rpartition("/")[0]
