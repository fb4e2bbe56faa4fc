"""Inputs for the criteria that need them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras_prune_kit.layer_inputs.model_inputs import Batches, inputs_alone
from keras_prune_kit.layer_inputs.scoring import scores_by_inputs
from keras_prune_kit.pruner.pruned_weight import PrunedWeight


class Inputs:
    """The inputs of kernels on a sample, for the criteria that need them.

    Args:
        model: The model.
        weights: All pruned weights.
        data: The sample, with or without labels, or `None`.

    Raises:
        TypeError: If the sample is of another type.
        ValueError: If a criterion needs inputs and there is no sample, or it does not
            match the inputs of the model.
    """

    def __init__(self, model: Any, weights: Sequence[PrunedWeight], data: Any) -> None:
        self._model = model
        blind = [w.path for w in weights if w.criterion_of_inputs is not None]
        if blind and data is None:
            raise ValueError(
                f"The criterion of {blind[0]} needs inputs of its layer, and so some "
                "hundred inputs of the model like those of training: pass data=x."
            )
        self._batches = inputs_alone(model, data) if blind else Batches([], [])

    def give(self, due: Sequence[PrunedWeight]) -> None:
        """Score the due weights by the inputs that the current weights make.

        Raises:
            ValueError: If inputs of a weight are not seen, or not finite.
        """
        found = {id(w.variable): w.criterion_of_inputs for w in due}
        criteria = {key: one for key, one in found.items() if one is not None}
        if not criteria:
            return
        scores = scores_by_inputs(self._model, self._batches, criteria)
        for weight in due:
            if id(weight.variable) not in criteria:
                continue
            if id(weight.variable) not in scores:
                raise ValueError(
                    f"The inputs of {weight.path} cannot be seen: the model does not "
                    "call its layer on the data, or in a loop that is compiled. Give "
                    "it another criterion: Rule(..., criterion=kpk.magnitude)."
                )
            weight.set_scores(scores[id(weight.variable)])
