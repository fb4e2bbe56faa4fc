"""Masks near minus infinity become masks right below the scores."""

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

# How many steps a number has, and what has none.
_LEVELS = {"int8": 2**8, "int16x8": 2**16}
_STAY_FLOAT = {"int16x8": (Operator.LOG_SOFTMAX,)}
# How far a mask that is added pushes, in widths of the scores: those that are masked
# may lie far above the others.
_REACHES = (2.0, 8.0, 32.0)
_GAP = 1 / 16  # Of the width, where a mask only has to be below all scores.
_TOLERANCE = 1e-3
_MOST_PASSES = 4


@dataclass(frozen=True)
class Bounded:
    """What was done about the masks of a file.

    Attributes:
        changes: Constants that stood for minus infinity, and what each became.
        left: Those that could not be changed, as scores would have changed too.
        ranges: Least and greatest value of each tensor that masking has to do with, by
            index. What calibration finds is not right there: it looks at what an
            operator took when that may have been overwritten with what it gave.
    """

    changes: tuple[tuple[float, float], ...] = ()
    left: tuple[float, ...] = ()
    ranges: Mapping[int, tuple[float, float]] = field(default_factory=dict)


def bound_masks(
    content: bytes, samples: Samples, quantization: str
) -> tuple[bytes, Bounded]:
    """The same file with masks that leave a range for the scores.

    What is masked is pushed towards minus infinity, by -1e9 or the like, and whoever
    looks for the range of the scores finds that. Instead it gets a score so far below
    all others that samples show that nothing is left of it in steps of the result.

    Args:
        content: A float .tflite file with one signature.
        samples: Gives an array for each input of the signature, sample by sample.
        quantization: What becomes of the file: `"int8"` or `"int16x8"`.

    Returns:
        The file, and what was done. Scores that are not masked are the same in each
        sample; where they would not be, nothing is done.
    """
    done = _Done()
    for _ in range(_MOST_PASSES):  # A mask may hide a smaller one.
        number = len(done.changes)
        content = _bound_largest(content, samples, quantization, done)
        if len(done.changes) == number:
            break
    ranges = _ranges(content, done.values, samples)
    return content, Bounded(tuple(done.changes.items()), tuple(done.left), ranges)


@dataclass
class _Done:
    """What has been done so far, as in `Bounded`; and what tensors that masking has to
    do with hold, by index, where no sample has anything masked."""

    changes: dict[float, float] = field(default_factory=dict)
    left: set[float] = field(default_factory=set)
    values: dict[int, list[float]] = field(default_factory=dict)


@dataclass
class _Range:
    """What samples show of masked scores."""

    low: float = math.inf
    high: float = -math.inf
    keys: int = 1
    has_masked: bool = False

    def add(self, scores: np.ndarray, limit: float) -> None:
        kept = scores[scores >= limit]
        self.has_masked |= kept.size < scores.size
        self.keys = max(self.keys, *scores.shape[-1:])
        if kept.size:
            self.low = min(self.low, float(kept.min()))
            self.high = max(self.high, float(kept.max()))


@dataclass(frozen=True)
class _Bound:
    """Masked scores, and what is to become of those that are masked."""

    masked: Masked
    floor: float
    push: float
    is_seen: bool

    @classmethod
    def below(
        cls, masked: Masked, found: _Range, quantization: str, reach: float
    ) -> _Bound:
        width = found.high - found.low
        if masked.kind in EXPONENTIALS:
            # All keys that are masked together have half a step of the result.
            margin = math.log(2 * _LEVELS[quantization]) + math.log(found.keys)
        else:
            margin = _GAP * width
        low = found.low
        if masked.kind in (Operator.EXP, Operator.LOGISTIC):
            low = min(low, 0.0)  # It takes no score relative to others.
        push = reach * width + found.low - low + margin
        return cls(masked, low - margin, push, found.has_masked)

    def values(self, became: Mapping[int, int]) -> Iterator[tuple[int, list[float]]]:
        """What tensors hold where something is masked, unless samples show it."""
        for site in self.masked.sites:
            value = -self.push if site.is_added else self.floor
            for index, factor in site.path:
                yield index, [] if self.is_seen else [value / factor]
            if site.mask is not None:
                yield site.mask, [] if self.is_seen else [-1.0, 1.0]
        if self.masked.tensor in became:
            yield became[self.masked.tensor], [self.floor]

    def holds(self, old: np.ndarray, new: np.ndarray) -> bool:
        """Whether scores are what they were, and masked ones below."""
        is_kept = old >= self.masked.limit
        same = np.allclose(new[is_kept], old[is_kept], _TOLERANCE, _TOLERANCE)
        most = self.floor + _TOLERANCE * (1 + abs(self.floor))
        return same and bool((new[~is_kept] <= most).all())


def _bound_largest(
    content: bytes, samples: Samples, quantization: str, done: _Done
) -> bytes:
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
        shared = {key for masked in wrong for key in masked.keys}
        done.left.update(item.largest for item, _ in found if shared & item.keys)
        found = [pair for pair in found if not shared & pair[0].keys]
    return content


def _found(content: bytes, samples: Samples, quantization: str) -> list[Masked]:
    """Masked scores that are to be quantized."""

    @functools.cache
    def is_mask(tensor: int) -> bool:
        runs = _run(content, [tensor], samples)
        return all(np.isin(values[tensor], (-1, 0, 1)).all() for values in runs)

    stay_float = _STAY_FLOAT.get(quantization, ())
    found = find_masked(unpack(content), is_mask)
    return [masked for masked in found if masked.kind not in stay_float]


def _seen(
    content: bytes, found: list[Masked], samples: Samples
) -> list[tuple[Masked, _Range]]:
    """What samples show of masked scores.

    Where they show nothing masked, what is added everywhere is no mask.
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
    """Those whose scores are not what they were in each sample."""
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
    """Least and greatest of some values, and of all that samples show of the tensors
    and of what those are made of."""
    known = {**{index: [] for index in operands(unpack(content), values)}, **values}
    for found in _run(content, known, samples):
        for index, value in found.items():
            known[index] = [*known[index], float(value.min()), float(value.max())]
            known[index] = [min(known[index]), max(known[index])]
    return {index: (min(found), max(found)) for index, found in known.items()}


def _run(
    content: bytes, tensors: Collection[int], samples: Samples
) -> Iterator[dict[int, np.ndarray]]:
    """The tensors for each sample."""
    if tensors:
        yield from map(Probe(content, tensors).run, samples())
