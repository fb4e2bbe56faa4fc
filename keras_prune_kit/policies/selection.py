"""Selection of the weights that a call works on."""

from __future__ import annotations

from typing import Any

from keras_prune_kit import _keras
from keras_prune_kit.policies.matching import WeightIndex
from keras_prune_kit.policies.rule import Match, Rule
from keras_prune_kit.reports import Skipped, skipped_lines


def choose_weights(
    model: Any, match: Match | None
) -> tuple[list[_keras.PrunableWeight], list[Skipped]]:
    """Return the weights that match, and the others with the reasons.

    Args:
        model: A built Keras model of either world.
        match: As in `Rule`; `None` for all weights that a policy without rules covers.

    Returns:
        The chosen weights and the skipped ones; the latter only if `match` is `None`.

    Raises:
        TypeError: If `model` is not a Keras model, or `match` is of the wrong type.
        ValueError: If the model is not built, or has no weight that is covered.
    """
    _keras.world(model)
    _keras.check_built(model)
    _keras.check_not_wrapped(model)
    found = list(_keras.find_weights(model))
    weights = [item for item in found if isinstance(item, _keras.PrunableWeight)]
    if match is not None:
        covered = Rule(match, None).covered(WeightIndex(weights))
        return [weight for weight in weights if id(weight) in covered], []
    # As a policy without rules decides; a match may name what this leaves out.
    usual = [weight for weight in weights if not weight.kept_because]
    chosen = [weight for weight in usual if weight.is_trainable]
    skipped = [
        Skipped(item.layer_path, item.reason)
        for item in found
        if isinstance(item, _keras.Unprunable)
    ]
    skipped += [
        Skipped(weight.path, "not trainable; name it in match to include it")
        for weight in usual
        if not weight.is_trainable
    ]
    if not chosen:
        raise ValueError(
            f"Model '{model.name}' has no weights to compress." + skipped_lines(skipped)
        )
    return chosen, skipped
