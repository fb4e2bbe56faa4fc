"""Reduction of masks near minus infinity to masks just below the scores."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from keras_prune_kit.tflite.masking.finding import (
    EXPONENTIALS,
    Masked,
    find_masked,
    operands,
)
from keras_prune_kit.tflite.masking.probing import Probe
from keras_prune_kit.tflite.masking.rewriting import Rewriter
from keras_prune_kit.tflite.shrinking.packing import Operator, unpack

Samples = Callable[[], Iterable[Mapping[str, np.ndarray]]]

# The number of quantization levels, and operators that the converter keeps in float.
_LEVELS = {"int8": 2**8, "int16x8": 2**16}
_STAY_FLOAT = {"int16x8": (Operator.LOG_SOFTMAX,)}
# Candidates for the amount that an added mask subtracts, in widths of the range of
# scores: some may be far above the others before they are masked.
_REACHES = (2.0, 8.0, 32.0)
_GAP = 1 / 16  # Of the width, if masked scores only must be below all others.
_TOLERANCE = 1e-3
_MOST_PASSES = 4


@dataclass(frozen=True)
class Bounded:
    """The changes to the masks of a file.

    Attributes:
        changes: The mask constants that were reduced, before and after.
        left: Those that could not be reduced without changing scores.
        ranges: Minimum and maximum of each tensor that masking involves, by index.
            They replace those of calibration, which reads an operator's inputs after
            it has run, when its outputs may have overwritten them.
    """

    changes: tuple[tuple[float, float], ...] = ()
    left: tuple[float, ...] = ()
    ranges: Mapping[int, tuple[float, float]] = field(default_factory=dict)


def bound_masks(
    content: bytes, samples: Samples, quantization: str
) -> tuple[bytes, Bounded]:
    """Return a file with masks that leave a quantization range for the scores.

    Masked scores are pushed towards minus infinity, by -1e9 or similar, and calibration
    would include that in the range of the scores. Instead they get a score just so far
    below all others in the samples that it vanishes in a step of the quantized result.

    Args:
        content: A float .tflite file with one signature.
        samples: Returns the samples, each an array per input by name.
        quantization: The later quantization, `"int8"` or `"int16x8"`.

    Returns:
        The file, and the changes. Scores that are not masked stay the same in each
        sample; masks for which they would not are left as they are.
    """
    done = _Done()
    for _ in range(_MOST_PASSES):  # A larger mask may hide a smaller one.
        number = len(done.changes)
        content = _bound_largest(content, samples, quantization, done)
        if len(done.changes) == number:
            break
    ranges = _ranges(content, done.values, samples)
    return content, Bounded(tuple(done.changes.items()), tuple(done.left), ranges)


@dataclass
class _Done:
    """The changes so far, as in `Bounded`.

    Attributes:
        values: By index of each tensor that masking involves, its values at masked
            positions if no sample has any.
    """

    changes: dict[float, float] = field(default_factory=dict)
    left: set[float] = field(default_factory=set)
    values: dict[int, list[float]] = field(default_factory=dict)


@dataclass
class _Range:
    """The range of unmasked scores in samples.

    Attributes:
        low: The least score.
        high: The greatest score.
        keys: The size of the last axis of the scores.
        has_masked: True if any score is masked.
    """

    low: float = math.inf
    high: float = -math.inf
    keys: int = 1
    has_masked: bool = False

    def add(self, scores: np.ndarray, limit: float) -> None:
        """Include the scores of a sample; those below the limit count as masked."""
        kept = scores[scores >= limit]
        self.has_masked |= kept.size < scores.size
        self.keys = max(self.keys, *scores.shape[-1:])
        if kept.size:
            self.low = min(self.low, float(kept.min()))
            self.high = max(self.high, float(kept.max()))


@dataclass(frozen=True)
class _Bound:
    """The new bound of masked scores.

    Attributes:
        masked: The scores, and the constants that mask them.
        floor: The new score of masked positions.
        push: The new amount that an added mask subtracts.
        is_seen: True if any sample has masked scores.
    """

    masked: Masked
    floor: float
    push: float
    is_seen: bool

    @classmethod
    def below(
        cls, masked: Masked, found: _Range, quantization: str, reach: float
    ) -> _Bound:
        """Return a bound below the scores in samples, with a reach of `_REACHES`."""
        width = found.high - found.low
        if masked.kind in EXPONENTIALS:
            # All masked keys together add up to half a step of the result.
            margin = math.log(2 * _LEVELS[quantization]) + math.log(found.keys)
        else:
            margin = _GAP * width
        low = found.low
        if masked.kind in (Operator.EXP, Operator.LOGISTIC):
            low = min(low, 0.0)  # Not relative to other scores, as a softmax is.
        push = reach * width + found.low - low + margin
        return cls(masked, low - margin, push, found.has_masked)

    def values(self, became: Mapping[int, int]) -> Iterator[tuple[int, list[float]]]:
        """Yield tensors that masking involves, with values that samples do not show."""
        for site in self.masked.sites:
            value = -self.push if site.is_added else self.floor
            for index, factor in site.path:
                yield index, [] if self.is_seen else [value / factor]
            if site.mask is not None:
                yield site.mask, [] if self.is_seen else [-1.0, 1.0]
        if self.masked.tensor in became:
            yield became[self.masked.tensor], [self.floor]

    def holds(self, old: np.ndarray, new: np.ndarray) -> bool:
        """Return True if unmasked scores are unchanged and masked ones below them."""
        is_kept = old >= self.masked.limit
        same = np.allclose(new[is_kept], old[is_kept], _TOLERANCE, _TOLERANCE)
        most = self.floor + _TOLERANCE * (1 + abs(self.floor))
        return same and bool((new[~is_kept] <= most).all())


def _bound_largest(
    content: bytes, samples: Samples, quantization: str, done: _Done
) -> bytes:
    """Reduce the largest masks, with the smallest reach that changes no scores."""
    found = _seen(content, _found(content, samples, quantization), samples)
    while found:
        wrong: list[Masked] = []
        for reach in _REACHES:
            bounds = [_Bound.below(*pair, quantization, reach) for pair in found]
            rewriter = Rewriter(content)
            for bound in bounds:
                rewriter.bound(bound.masked, bound.floor, bound.push)
            bounded, became = rewriter.finish()
            wrong = _wrong(content, bounded, bounds, became, samples)
            if not wrong:
                done.changes.update(rewriter.changes())
                for bound in bounds:
                    for index, values in bound.values(became):
                        done.values.setdefault(index, []).extend(values)
                return bounded
        # Scores that share a constant with wrong ones cannot be bounded without them.
        shared = {key for masked in wrong for key in masked.keys}
        done.left.update(item.largest for item, _ in found if shared & item.keys)
        found = [pair for pair in found if not shared & pair[0].keys]
    return content


def _found(content: bytes, samples: Samples, quantization: str) -> list[Masked]:
    """Return the masked scores that will be quantized."""

    # Cached, as each answer takes a run on all samples, and sites may share a mask.
    @functools.cache
    def is_mask(tensor: int) -> bool:
        runs = _run(content, [tensor], samples)
        return all(np.isin(values[tensor], (-1, 0, 1)).all() for values in runs)

    # Scores in float need no quantization range, so their masks may stay.
    stay_float = _STAY_FLOAT.get(quantization, ())
    found = find_masked(unpack(content), is_mask)
    return [masked for masked in found if masked.kind not in stay_float]


def _seen(
    content: bytes, found: list[Masked], samples: Samples
) -> list[tuple[Masked, _Range]]:
    """Return masked scores with their ranges in samples.

    A constant that is added to all scores is no mask if no sample has masked scores.
    """
    ranges = [_Range() for _ in found]
    for values in _run(content, {masked.tensor for masked in found}, samples):
        for masked, seen in zip(found, ranges, strict=True):
            seen.add(values[masked.tensor], masked.limit)
    certain = [
        (masked if seen.has_masked else masked.certain(), seen)
        for masked, seen in zip(found, ranges, strict=True)
        if seen.low <= seen.high
    ]
    return [(masked, seen) for masked, seen in certain if masked.sites]


def _wrong(
    content: bytes,
    bounded: bytes,
    bounds: list[_Bound],
    became: Mapping[int, int],
    samples: Samples,
) -> list[Masked]:
    """Return the masked scores whose bound does not hold in some sample."""
    wrong: list[Masked] = []
    tensors = [bound.masked.tensor for bound in bounds]
    news = [became.get(tensor, tensor) for tensor in tensors]
    runs = zip(
        _run(content, tensors, samples), _run(bounded, news, samples), strict=True
    )
    for before, after in runs:
        wrong += [
            bound.masked
            for bound, old, new in zip(bounds, tensors, news, strict=True)
            if bound.masked not in wrong and not bound.holds(before[old], after[new])
        ]
    return wrong


def _ranges(
    content: bytes, values: Mapping[int, list[float]], samples: Samples
) -> dict[int, tuple[float, float]]:
    """Return the ranges of tensors and of their operands, by index.

    They cover the given values and those in the samples.
    """
    known = {**{index: [] for index in operands(unpack(content), values)}, **values}
    for found in _run(content, known, samples):
        for index, value in found.items():
            known[index] = [*known[index], float(value.min()), float(value.max())]
            known[index] = [min(known[index]), max(known[index])]
    return {index: (min(found), max(found)) for index, found in known.items()}


def _run(
    content: bytes, tensors: Collection[int], samples: Samples
) -> Iterator[dict[int, np.ndarray]]:
    """Yield the values of tensors for each sample, by index."""
    if tensors:
        yield from map(Probe(content, tensors).run, samples())
