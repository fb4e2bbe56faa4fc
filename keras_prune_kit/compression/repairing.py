"""Repairs within a job: models pruned at once, to ship them so or to train them on."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

from keras_prune_kit import _keras
from keras_prune_kit._keras.datasets import input_samples, length
from keras_prune_kit._tools.nests import leaves
from keras_prune_kit.compression.fine_tuning import FineTuning
from keras_prune_kit.layer_inputs.model_inputs import checked_arrays
from keras_prune_kit.policies import PrunePolicy, WeightBits
from keras_prune_kit.reconstruction import prune_at_once, reestimate_batch_norm
from keras_prune_kit.reconstruction.divergence import divergence

_log = logging.getLogger(__name__)

_SAMPLES = 512
# All activations of the samples are in memory at once: fewer of large pictures.
_MOST_BYTES = 2**26
_LEAST_SAMPLES = 32

DENSE, REPAIRED = "dense", "repaired"
# Half an epoch, 117 and 234 steps, is better or no worse after a repair; from 470 steps
# on, masks that change while the weights train find better zeros
# (examples/benchmarks/starts.py).
_FEW_STEPS = 250
# There, gradual pruning came back from zeros that a repair cannot make up for.
_MOST_LOST = 0.5


def repair_samples(model: Any, data: Any) -> Any:
    """Return up to 512 inputs to repair a model with, as the argument of its call.

    Args:
        model: A built model.
        data: Arrays `(x,)` or `(x, y)`, or a dataset.

    Raises:
        ValueError: If they do not match the model or are not finite.
    """
    # Of fewer arrays, some would occur more than once, and look like more data.
    is_short = isinstance(data, tuple) and length(data) < _SAMPLES
    inputs = input_samples(data, length(data) if is_short else _SAMPLES)
    count = length(inputs)
    bytes_each = sum(array.nbytes for array in leaves(inputs)) // count
    most = max(_LEAST_SAMPLES, _MOST_BYTES // bytes_each)
    if count > most:
        inputs = input_samples((inputs,), most)
    arrays = list(inputs) if isinstance(inputs, tuple) else inputs
    return _keras.signature_of(model).pack(checked_arrays(model, arrays))


def repaired(
    model: Any, policy: PrunePolicy, inputs: Any, weight_bits: WeightBits | None = None
) -> Any:
    """Return a copy of a model at the end of a policy, repaired without training.

    Args:
        model: A built model. It is not changed.
        policy: The policy.
        inputs: The result of `repair_samples`.
        weight_bits: The bits that weights are rounded to. Defaults to `None`.
    """
    pruned = prune_at_once(model, policy, data=inputs, weight_bits=weight_bits)
    reestimate_batch_norm(pruned, model, data=inputs)
    return pruned


def start_of(
    model: Any,
    policy: PrunePolicy | None,
    training: FineTuning,
    most_lost: float | None = None,
) -> tuple[Any, str]:
    """Return the model that a fine-tuning starts from, and its name for the report.

    Few steps do not make up for all the zeros that pruning sets in them. They start
    from a copy that is pruned at once and repaired, unless it lost too much; its zeros
    are the mask, which pruning keeps.

    Args:
        model: The model. It is not changed.
        policy: How it is pruned in training.
        training: The fine-tuning.
        most_lost: The divergence of the outputs up to which a long training starts so,
            too. Defaults to `None`: it starts from the model.
    """
    is_short = training.steps is not None and training.steps <= _FEW_STEPS
    limit = _MOST_LOST if is_short else most_lost
    if policy is None or limit is None or not _can_be_repaired(policy):
        return model, DENSE
    try:
        inputs = _samples_beside(model, training)
        pruned = repaired(model, policy, inputs)
        lost = output_divergence(model, pruned, inputs)
    except (TypeError, ValueError) as error:
        _log.debug("Training starts from the dense model. A repair failed: %s", error)
        return model, DENSE
    if lost > limit:
        _log.debug(
            "Training starts from the dense model: pruned at once and repaired, its "
            "outputs lose %.0f %% of their variance.",
            100 * lost,
        )
        return model, DENSE
    return pruned, REPAIRED


def renew_averages(
    model: Any, dense: Any, training: FineTuning, score: float | None
) -> float | None:
    """Re-estimate batch normalization after a fine-tuning, if that is better.

    Its averages lag behind weights that change fast. New ones stay if they bring the
    outputs closer to the dense model's, and the score on the validation data up.

    Args:
        model: The fine-tuned copy. It is changed in place.
        dense: The model that it is a copy of.
        training: The fine-tuning.
        score: The score of the copy.

    Returns:
        The score that the copy has now.
    """
    if score is None or not _has_averages(model):
        return score
    before = model.get_weights()
    try:
        inputs = _samples_beside(dense, training)
        is_closer = reestimate_batch_norm(model, dense, data=inputs)
    except (TypeError, ValueError) as error:
        _log.debug("Batch normalization stays as it was trained: %s", error)
        return score
    if not is_closer:
        return score
    found = training.score(model)
    if training.is_better(found, score):
        _log.debug("New averages of batch normalization: %.4f -> %.4f", score, found)
        return found
    model.set_weights(before)
    _keras.variables_of(model).sync()
    return score


def _samples_beside(model: Any, training: FineTuning) -> Any:
    """Return inputs to repair a model with, of data that a training reads too."""
    if isinstance(training.inputs, Iterator):
        raise ValueError("The training data can be read only once.")
    return repair_samples(model, training.inputs)


def _can_be_repaired(policy: PrunePolicy) -> bool:
    # Channels that leave step by step were not measured against those that go at once.
    return not (policy.needs_data or policy.zeroes_channels)


def _has_averages(model: Any) -> bool:
    return not _keras.is_quantization_aware(model) and any(
        _keras.known_kind(part) == "BatchNormalization"
        for part in _keras.parts_of(model)
    )


def output_divergence(model: Any, pruned: Any, inputs: Any) -> float:
    """Return the squared error of a pruned model's outputs, relative to their variance.

    Args:
        model: The model.
        pruned: A copy with fewer weights.
        inputs: The result of `repair_samples`.
    """
    options = {"batch_size": _keras.fixed_batch(model), "verbose": 0}
    pair = []
    for each in (model, pruned):
        with _keras.at_rest(each):
            pair.append(each.predict(inputs, **options))
    return divergence(*pair)
