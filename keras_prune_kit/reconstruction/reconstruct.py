"""The repair of a pruned model, without training."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from keras_prune_kit import _keras
from keras_prune_kit._tools.checks import check_whole
from keras_prune_kit.layer_inputs.kernels import Kernel, find_kernels
from keras_prune_kit.layer_inputs.model_inputs import in_batches
from keras_prune_kit.layer_inputs.patches import DepthwisePatches
from keras_prune_kit.policies import WeightBits
from keras_prune_kit.reconstruction.grids import Rounding
from keras_prune_kit.reconstruction.passes import run_dense, run_pruned
from keras_prune_kit.reconstruction.repair import Budget, Repair
from keras_prune_kit.reports import ReconstructionReport, RepairedWeight, Skipped

_GIBIBYTE = 2**30


def reconstruct(
    pruned: Any,
    dense_model: Any,
    *,
    data: Any,
    batch_size: int | None = None,
    memory_bytes: int = _GIBIBYTE,
    surgery_rounds: int = 0,
    weight_bits: WeightBits | None = None,
    for_quantize_aware: bool = False,
) -> ReconstructionReport:
    """Solve what is left of each pruned kernel, so that outputs are the dense model's.

    It needs some hundred inputs, no labels and no training, and takes seconds. The
    zeros are the mask, whatever made them, and stay. Layer by layer, the weights that
    are left and the bias become the least squares solution for the outputs that the
    dense model has there, given the inputs that the repaired layers before it give.
    Use `prune_at_once` to prune and repair in one call.

    Solved are the kernels of Dense, EinsumDense and of convolutions, transposed ones
    too; the pointwise kernels of separable convolutions; depthwise ones that have
    zeros; and those of LSTM, GRU and SimpleRNN, the recurrent ones for the states of
    the dense model; all at any depth of the model. Embeddings, recurrent convolutions
    and the recurrent kernel of a GRU with `reset_after=False` stay as they are.

    Args:
        pruned: A pruned model of either world, on any backend. It is changed in place.
        dense_model: The model before it was pruned, with the same layers.
        data: Inputs like those of training: an array `(n, ...)`, a list or dict of
            arrays for several inputs, or a dataset of batches, of which 1,024 samples
            are taken. 512 are plenty, and 100 of large pictures.
        batch_size: The number of samples that pass the models at once, whose
            activations are in memory together: with 256 pictures of 224 x 224,
            MobileNet 0.25 takes 5.0 GB, and 0.9 GB in batches of 32, in twice the time.
            The solution is the same, but a kernel of more than 16,384 rows is solved
            from others of them. A model whose inputs have a batch size gets batches of
            it; what does not fill one is left out. Defaults to `None`: all at once.
        memory_bytes: The most that the sums of one kernel may take. A kernel with more
            inputs is solved from fewer rows. Defaults to 1 GiB.
        surgery_rounds: Rounds of Optimal Brain Surgeon, which choose anew where the
            zeros of each kernel are, not how many; blocks, N:M and channels do not
            survive them. 4 are better at 98 % of zeros, and take 5 to 20 times as long.
            Defaults to 0: zeros stay where they are.
        weight_bits: Bits of a weight, 8, 6, 5, 4, 3 or 2. For each layer its own by a
            mapping such as `{".*": 3, "classifier": 8}`, as in `quantize_aware`. Each
            kernel is rounded once it is solved: what that changes, its later weights,
            its bias and the kernels after it make up for. The model stays one of
            floats, with at most `2 ** bits - 1` values for each output of a kernel. An
            int8 file has exactly these for 8 and 2 bits, an int4 file for 4 and 2; for
            other bits an int8 file is off by 0.4 % of the largest at most. Kernels that
            are left as they are stay unrounded, frozen ones do not. It comes last:
            training moves weights off these values. Defaults to `None`, no rounding.
        for_quantize_aware: If True, kernels of Dense and EinsumDense have these values
            for all outputs together, as in `quantize_aware(pruned, weight_bits=...)`,
            which then starts with the rounded weights. Defaults to `False`.

    Returns:
        A record of the error of each kernel's outputs before and after, and of what was
        left as it is and why. It prints as a table.

    Raises:
        TypeError: If an argument is of the wrong type.
        ValueError: If a model is not built, the two do not match, `weight_bits` are not
            of these or name no layer, or inputs are of another shape or not finite. The
            model is unchanged after any error.

    Example:

    ```python
    report = kpk.reconstruct(pruned, model, data=x_train[:512])
    print(report)
    ```

    Source: Frantar and Alistarh 2022, "Optimal Brain Compression", arXiv 2208.11580;
    He et al. 2017, arXiv 1707.06168, for the order of the layers; Frantar et al. 2022,
    "GPTQ", arXiv 2210.17323, for the rounding.
    """
    check_whole("memory_bytes", memory_bytes)
    check_whole("surgery_rounds", surgery_rounds, least=0)
    rounding = Rounding(weight_bits, for_quantize_aware)
    pruned, dense_model = checked_pair(pruned, dense_model)
    batches = in_batches(dense_model, data, batch_size)
    budget = Budget(memory_bytes, surgery_rounds)
    repairs, left = _pairs(pruned, dense_model, budget, rounding)
    with _restored_on_error(repairs):
        run_dense(dense_model, batches, repairs)
        solved = run_pruned(pruned, batches, repairs)
    outcomes = [*(r.outcome for r in solved), *(r.outcome for r in repairs)]
    unique = list({id(item): item for item in outcomes}.values())
    return ReconstructionReport(
        tuple(item for item in unique if isinstance(item, RepairedWeight)),
        (*left, *(item for item in unique if isinstance(item, Skipped))),
    )


def checked_pair(pruned: Any, dense_model: Any) -> tuple[Any, Any]:
    """Return both models, the students of distillers.

    Raises:
        TypeError: If one is not a Keras model.
        ValueError: If they are of two worlds, the same model, or not built.
    """
    worlds = _keras.world(pruned, "pruned"), _keras.world(dense_model, "dense_model")
    models = _keras.trained_model(pruned), _keras.trained_model(dense_model)
    if models[0] is models[1]:
        raise ValueError(
            "dense_model is the model before it was pruned. Received: the pruned model "
            "itself; load the dense one, or prune a copy by kpk.prune_at_once."
        )
    if worlds[0] is not worlds[1]:
        raise ValueError(
            "pruned and dense_model are of one Keras. Received: models of "
            f"{worlds[0].__name__} and {worlds[1].__name__}."
        )
    for model in models:
        _keras.check_built(model)
        _keras.check_not_wrapped(model)
    return models


def _pairs(
    pruned: Any, dense: Any, budget: Budget, rounding: Rounding
) -> tuple[list[Repair], list[Skipped]]:
    """Return a repair for each kernel, and those that are left as they are."""
    ours, theirs = list(find_kernels(pruned)), list(find_kernels(dense))
    if [_shape(item) for item in ours] != [_shape(item) for item in theirs]:
        raise ValueError(
            "pruned and dense_model have the same layers in the same order. Received: "
            f"{_first_difference(ours, theirs)}."
        )
    repairs, left = [], []
    grids = rounding.in_model(pruned)
    for kernel, reference in zip(ours, theirs, strict=True):
        if isinstance(kernel, Skipped) or isinstance(reference, Skipped):
            left.append(kernel)
            continue
        reason = _left_alone(kernel, grids is not None)
        if reason:
            left.append(Skipped(kernel.path, reason))
            continue
        values = () if grids is None else grids.of(kernel)
        repairs.append(Repair(kernel, reference, budget, values))
    return repairs, left


def _left_alone(kernel: Kernel, is_rounded: bool) -> str:
    value = kernel.handle.read_finite(kernel.weight.variable, kernel.path)
    if not value.any():
        return "it has no weights left"
    # One with zeros was pruned on purpose.
    if (value == 0).any() or is_rounded:
        return ""
    if isinstance(kernel.layout, DepthwisePatches):
        return "depthwise: each output has too few inputs to make up for others' zeros"
    return "" if kernel.weight.is_trainable else "not trainable"


def _shape(item: Kernel | Skipped) -> Any:
    return item.weight.shape if isinstance(item, Kernel) else None


def _first_difference(
    ours: Sequence[Kernel | Skipped], theirs: Sequence[Kernel | Skipped]
) -> str:
    for a, b in zip(ours, theirs, strict=False):
        if _shape(a) != _shape(b):
            return f"{a.path} of shape {_shape(a)} and {b.path} of {_shape(b)}"
    return f"{len(ours)} kernels and {len(theirs)}"


@contextlib.contextmanager
def _restored_on_error(repairs: Sequence[Repair]) -> Iterator[None]:
    with contextlib.ExitStack() as undo:
        for kernel in (repair.pruned for repair in repairs):
            for variable in kernel.variables:
                # A copy: on some backends `read` returns a view.
                value = np.array(kernel.handle.read(variable))
                undo.callback(kernel.handle.write, variable, value)
        yield
        undo.pop_all()
