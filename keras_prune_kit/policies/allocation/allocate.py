"""Distribution of one sparsity for the model over its weights."""

from __future__ import annotations

import math
import re
from typing import Any

from keras_prune_kit import _keras
from keras_prune_kit._tools.checks import is_one_of
from keras_prune_kit._tools.spelling import did_you_mean
from keras_prune_kit.policies import Match, PrunePolicy, Rule, choose_weights
from keras_prune_kit.policies.allocation.sensitivity import sensitivity
from keras_prune_kit.policies.allocation.zero_counts import (
    Point,
    erdos_renyi_zeros,
    global_zeros,
    sensitivity_zeros,
)
from keras_prune_kit.reports import SensitivityReport
from keras_prune_kit.schedules import PolynomialDecay, Schedule, check_sparsity

_METHODS = ("erk", "global", "sensitivity")


def allocate(
    model: Any,
    sparsity: float,
    method: str = "erk",
    *,
    data: Any = None,
    match: Match | None = None,
    schedule: Schedule | None = None,
) -> PrunePolicy:
    """Create a policy that distributes a sparsity over the weights of a model.

    The best method depends on the model; `examples/benchmarks/allocate.py` compares
    them. All keep at least one value of each weight.

    - `"erk"` (Erdos-Renyi-Kernel) uses only shapes: a weight keeps values in proportion
      to the sum of its dimensions, so that large weights lose most.
    - `"global"` ranks the magnitudes of all weights together, once, and fixes the
      resulting sparsities. `PrunePolicy(scope="global")` ranks again at each update.
    - `"sensitivity"` prunes one weight at a time at several levels, measures the loss
      on a sample, and puts zeros where they cost least: along the lower convex hull of
      each curve, flattest segment first. This is optimal if losses are additive, and it
      needs no search.

    Args:
        model: A trained and built model of either world. It is not changed.
        sparsity: The fraction of zeros over all covered weights, 0 to 1.
        method: `"erk"`, `"global"` or `"sensitivity"`. Defaults to `"erk"`.
        data: For `"sensitivity"` only: `(x, y)`, a few hundred training samples, or a
            `SensitivityReport` from an earlier measurement. Defaults to `None`.
        match: The layers that share the zeros, as in `Rule`; others stay dense.
            Defaults to `None`: all that a `PrunePolicy` without rules covers.
        schedule: The timing; its final sparsity is replaced for each weight. Defaults
            to `PolynomialDecay(0, sparsity)`.

    Returns:
        A policy with one rule per weight.

    Raises:
        TypeError: If an argument is of the wrong type.
        ValueError: If the sparsity is out of range or unreachable, the method is
            unknown, data are missing, nothing matches, or the report is of another
            model.

    Example:

    ```python
    policy = kpk.allocate(model, 0.9, "sensitivity", data=(x[:500], y[:500]))
    print(policy.plan(model))
    model.fit(x, y, epochs=5, callbacks=[kpk.PruningCallback(policy)])
    ```

    Source: Evci et al. 2020, "Rigging the Lottery", arXiv 1911.11134 (after Mocanu et
    al. 2018); Han et al. 2015, arXiv 1506.02626, for sensitivity.
    """
    check_sparsity("sparsity", sparsity)
    _check_options(method, data, schedule)
    # Compiled, as `sensitivity` needs the loss.
    model = _keras.opened(model, compiled=True)
    weights, _ = choose_weights(model, match)
    paths = [weight.path for weight in weights]
    _check_unique(paths)
    sizes = [math.prod(weight.shape) for weight in weights]
    # Each weight keeps one value, even at a sparsity of 1.
    total = min(round(sparsity * sum(sizes)), sum(sizes) - len(sizes))
    if method == "erk":
        shapes = [weight.canonical_shape() for weight in weights]
        zeros = erdos_renyi_zeros(shapes, total)
    elif method == "global":
        handle = _keras.variables_of(model)
        kernels = [handle.read_finite(w.variable, w.path) for w in weights]
        zeros = global_zeros(kernels, total)
    else:
        report = data
        if not isinstance(report, SensitivityReport):
            report = sensitivity(model, data, match=match)
        curves = _curves(report, paths, sizes)
        _check_reach(curves, sizes, total)
        zeros = sensitivity_zeros(curves, total)
    timing = PolynomialDecay(0.0, sparsity) if schedule is None else schedule
    # The last rule that covers a weight wins, so this one comes first.
    others = [] if match is None else [Rule(".*", None)]
    rules = [
        # A name may contain characters that a regex would interpret.
        Rule(re.escape(path), count / size)
        for path, count, size in zip(paths, zeros, sizes, strict=True)
    ]
    # A float in a rule means the timing of the policy's schedule.
    return PrunePolicy(timing.with_final_sparsity(sparsity), others + rules)


def _check_options(method: object, data: Any, schedule: object) -> None:
    if not is_one_of(method, _METHODS):
        raise ValueError(
            f"method is one of {_METHODS}. Received: method={method!r}."
            + did_you_mean(method, _METHODS)
        )
    if method == "sensitivity" and data is None:
        raise ValueError(
            "method='sensitivity' measures the loss, so it needs data=(x, y), a sample "
            "of the training data, or a SensitivityReport. Received: data=None."
        )
    if method != "sensitivity" and data is not None:
        raise ValueError(
            f"method='{method}' uses no data. Leave data out, or choose "
            f"method='sensitivity'. Received: data of {type(data)}."
        )
    if schedule is not None and not isinstance(schedule, Schedule):
        raise TypeError(
            "schedule is a schedule such as PolynomialDecay(0, 0.9). "
            f"Received: schedule={schedule!r}."
        )


def _check_unique(paths: list[str]) -> None:
    twice = sorted({path for path in paths if paths.count(path) > 1})
    if twice:
        raise ValueError(
            "Rules identify weights by their paths, but some paths are not unique: "
            f"{', '.join(twice)}. Give the layers unique names."
        )


def _check_reach(curves: list[list[Point]], sizes: list[int], total: int) -> None:
    reach = sum(curve[-1][0] for curve in curves)
    if reach < total:
        raise ValueError(
            f"The measured levels reach a sparsity of {reach / sum(sizes):.4g}, less "
            f"than the required {total / sum(sizes):.4g}. Call sensitivity(model, "
            "data) with levels up to 1, as by default."
        )


def _curves(
    report: SensitivityReport, paths: list[str], sizes: list[int]
) -> list[list[Point]]:
    """Return the measured points `(zeros, increase of the loss)` of each weight."""
    measured = {weight.path: weight for weight in report.weights}
    known = {weight.path: weight.size for weight in report.weights}
    if any(known.get(p) != size for p, size in zip(paths, sizes, strict=True)):
        raise ValueError(
            "The report must be of the same model and layers. Received a report of "
            f"{sorted(known)}, where the model has {sorted(paths)}."
        )
    return [
        [
            # A level of 1 kept a single value when it was measured.
            (min(level * size, size - 1.0), loss - report.loss)
            for level, loss in zip(
                measured[path].sparsities, measured[path].losses, strict=True
            )
        ]
        for path, size in zip(paths, sizes, strict=True)
    ]
