"""Pruning without training: masks at once, then a repair of what is left."""

from __future__ import annotations

import logging
from typing import Any

from keras_prune_kit import _keras
from keras_prune_kit._tools.checks import check_whole, is_number
from keras_prune_kit.criteria import lamp
from keras_prune_kit.layer_inputs.model_inputs import checked_arrays, in_batches
from keras_prune_kit.policies import PrunePolicy, WeightBits, as_policy
from keras_prune_kit.pruner import Pruner
from keras_prune_kit.reconstruction.grids import Rounding
from keras_prune_kit.reconstruction.reconstruct import reconstruct
from keras_prune_kit.schedules import Schedule, check_sparsity
from keras_prune_kit.structures import Unstructured

_logger = logging.getLogger(__name__)

# Past the end of every schedule.
_LONG = 1_000
_LAST_STEP = 2**62

# Far below half a step of rounding, as a part of the largest weight.
_BESIDE_ZERO = 1e-6


def prune_at_once(
    model: Any,
    policy: PrunePolicy | Schedule | float,
    *,
    data: Any,
    batch_size: int | None = None,
    surgery_rounds: int = 0,
    weight_bits: WeightBits | None = None,
    for_quantize_aware: bool = False,
) -> Any:
    """Return a copy that is pruned at once and repaired, without any training.

    Use it if there are some hundred inputs, but no labels or no time to train: weights
    go as the policy says, and `reconstruct` makes up for them with those that are left.
    With training data, `PruningCallback` prunes further.

    Args:
        model: A trained model of either world, on any backend. It need not be compiled,
            and is not changed.
        policy: A final sparsity (0 to 1) ranks the weights of all layers together, by
            `lamp`. A `PrunePolicy` or a schedule is taken at its end, by criteria that
            need no gradients. For `structure=NofM(2, 4)`, `optimal_brain_surgeon` is
            the better one.
        data: Inputs like those of training, without labels, as in `reconstruct`.
        batch_size: As in `reconstruct`: fewer samples at once take less memory and more
            time. Defaults to `None`: all at once.
        surgery_rounds: As in `reconstruct`, for policies without a structure. Defaults
            to 0.
        weight_bits: As in `reconstruct`. With a policy of 0.0 weights are only rounded.
            Defaults to `None`, no rounding.
        for_quantize_aware: As in `reconstruct`. Defaults to `False`.

    Returns:
        The copy, compiled as the model is. The record of the repair is logged.

    Raises:
        TypeError: If an argument is of the wrong type.
        ValueError: If the model is not built or cannot be copied, the policy does not
            fit it or needs gradients, `weight_bits` are wrong or name no layer, or
            inputs are of another shape or not finite.

    Example:

    ```python
    pruned = kpk.prune_at_once(model, 0.9, data=x_train[:512])
    ```

    Source: the zeros of Lee et al. 2021 (`lamp`), the repair as in `reconstruct`.
    """
    check_whole("surgery_rounds", surgery_rounds, least=0)
    rounding = Rounding(weight_bits, for_quantize_aware)
    _keras.world(model)
    model = _keras.trained_model(model)
    _keras.check_built(model)
    chosen = policy_at_once(policy)
    _check_surgery(chosen, surgery_rounds)
    arrays = checked_arrays(model, data)
    in_batches(model, arrays, batch_size)
    rounding.in_model(model)  # Its errors, before the model is copied.
    pruned = _keras.copy_model(model)
    _keras.compile_like(model, pruned)
    _set_masks(pruned, chosen, arrays)
    report = reconstruct(
        pruned,
        model,
        data=arrays,
        batch_size=batch_size,
        surgery_rounds=surgery_rounds,
        weight_bits=weight_bits,
        for_quantize_aware=for_quantize_aware,
    )
    _logger.debug("%s", report)
    return pruned


def rounded_copy(
    model: Any,
    dense: Any,
    *,
    data: Any,
    weight_bits: Any,
    for_quantize_aware: bool = False,
) -> Any:
    """Return a copy of a model with rounded weights, compiled as the model is.

    Args:
        model: The model. It is not changed; the copy has its zeros.
        dense: The model whose outputs the copy comes close to; may be the same.
        data: Inputs, as in `reconstruct`.
        weight_bits: As in `reconstruct`.
        for_quantize_aware: As in `reconstruct`. Defaults to `False`.
    """
    rounded = _keras.copy_model(model)
    _keras.compile_like(model, rounded)
    reconstruct(
        rounded,
        dense,
        data=data,
        weight_bits=weight_bits,
        for_quantize_aware=for_quantize_aware,
    )
    return rounded


def rounded_after_pruning(
    pruned: Any, dense: Any, *, data: Any, weight_bits: Any
) -> Any:
    """Return a copy of a pruned model that is rounded for `quantize_aware`.

    A weight that is zero by rounding alone becomes a millionth of the largest one of
    its kernel, so that pruning can tell it from those that are pruned.

    Args:
        pruned: The model, as `prune_at_once` returns it. It is not changed.
        dense: The model that it was made from.
        data: Inputs, as in `reconstruct`.
        weight_bits: As in `reconstruct`.
    """
    options = {"data": data, "weight_bits": weight_bits, "for_quantize_aware": True}
    rounded = rounded_copy(pruned, dense, **options)
    weights = rounded.get_weights()
    for array, before in zip(weights, pruned.get_weights(), strict=True):
        if array.ndim > 1:
            is_rounded = (before != 0) & (array == 0)
            array[is_rounded] = _BESIDE_ZERO * abs(array).max()
    rounded.set_weights(weights)
    return rounded


def _set_masks(model: Any, policy: PrunePolicy, x: Any) -> None:
    # Nothing is trained, but on JAX masks cannot be held without an optimizer.
    unused = _keras.world(model).optimizers.SGD()
    pruner = Pruner(
        model, policy, steps_per_epoch=_LONG, epochs=_LONG, data=x, optimizer=unused
    )
    pruner.start(_LAST_STEP)
    pruner.finalize()


def policy_at_once(policy: PrunePolicy | Schedule | float) -> PrunePolicy:
    """Return the policy of masks that are set at once, by inputs alone.

    Args:
        policy: As in `prune_at_once`.

    Raises:
        TypeError: If it is none of these.
        ValueError: If it is a number outside 0 to 1, or needs gradients.
    """
    if is_number(policy):
        check_sparsity("policy", policy)
        return PrunePolicy(policy, criterion=lamp, scope="global")
    chosen = as_policy(policy)
    if chosen.needs_labels:
        raise ValueError(
            "Pruning at once has inputs alone, so its criterion cannot need gradients "
            "of a loss. Received: a policy with such a criterion; use kpk.lamp or "
            "kpk.optimal_brain_surgeon, or prune by kpk.Pruner and then repair by "
            "kpk.reconstruct."
        )
    return chosen


def _check_surgery(policy: PrunePolicy, surgery_rounds: int) -> None:
    structures = [policy.structure, *(rule.structure for rule in policy.rules)]
    odd = [s for s in structures if s is not None and not isinstance(s, Unstructured)]
    if surgery_rounds and odd:
        raise ValueError(
            "surgery_rounds move single zeros, so the policy needs Unstructured(). "
            f"Received: structure={odd[0]} with surgery_rounds={surgery_rounds}."
        )
