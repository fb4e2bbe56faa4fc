"""Masks near minus infinity become masks right below the scores."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from keras_prune_kit.tflite.masking.finding import EXPONENTIALS, Masked, find_masked
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
        unseen: Those that mask nothing in any sample.
    """

    changes: tuple[tuple[float, float], ...] = ()
    left: tuple[float, ...] = ()
    unseen: tuple[float, ...] = ()


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
    changes: dict[float, float] = {}
    for _ in range(_MOST_PASSES):  # A mask may hide a smaller one.
        content, done = _bound_largest(content, samples, quantization)
        changes.update(done.changes)
        if not done.changes:
            break
    return content, Bounded(tuple(changes.items()), done.left, done.unseen)


@dataclass
class _Range:
    """What samples show of masked scores."""

    low: float = math.inf
    high: float = -math.inf
    keys: int = 1
    has_masked: bool = False

    @property
    def has_both(self) -> bool:
        """Whether there are scores that are masked and others that are not."""
        return self.has_masked and self.low <= self.high

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
        return cls(masked, low - margin, reach * width + found.low - low + margin)

    def holds(self, old: np.ndarray, new: np.ndarray) -> bool:
        """Whether scores are what they were, and masked ones below."""
        is_kept = old >= self.masked.limit
        same = np.allclose(new[is_kept], old[is_kept], _TOLERANCE, _TOLERANCE)
        most = self.floor + _TOLERANCE * (1 + abs(self.floor))
        return same and bool((new[~is_kept] <= most).all())


def _bound_largest(
    content: bytes, samples: Samples, quantization: str
) -> tuple[bytes, Bounded]:
    found = _found(content, samples, quantization)
    ranges = _ranges(content, found, samples)
    seen = [masked for masked in found if ranges[masked.tensor].has_both]
    unseen = tuple(item.largest for item in found if not ranges[item.tensor].has_masked)
    left: tuple[float, ...] = ()
    while seen:
        wrong: list[Masked] = []
        for reach in _REACHES:
            bounds = [
                _Bound.below(masked, ranges[masked.tensor], quantization, reach)
                for masked in seen
            ]
            bounded, changes, wrong = _attempt(content, bounds, samples)
            if not wrong:
                return bounded, Bounded(changes, left, unseen)
        shared = {key for masked in wrong for key in masked.keys}
        left += tuple(item.largest for item in seen if not shared.isdisjoint(item.keys))
        seen = [masked for masked in seen if shared.isdisjoint(masked.keys)]
    return content, Bounded((), left, unseen)


def _attempt(
    content: bytes, bounds: list[_Bound], samples: Samples
) -> tuple[bytes, tuple[tuple[float, float], ...], list[Masked]]:
    """The file with other masks, what became what, and where that is not right."""
    rewriter = Rewriter(content)
    for bound in bounds:
        rewriter.bound(bound.masked, bound.floor, bound.push)
    changes = tuple(rewriter.changes())
    bounded, became = rewriter.finish()
    return bounded, changes, _wrong(content, bounded, bounds, became, samples)


def _found(content: bytes, samples: Samples, quantization: str) -> list[Masked]:
    """Masked scores that are to be quantized."""

    @functools.cache
    def is_mask(tensor: int) -> bool:
        runs = _run(content, [tensor], samples)
        return all(np.isin(values[tensor], (-1, 0, 1)).all() for values in runs)

    stay_float = _STAY_FLOAT.get(quantization, ())
    found = find_masked(unpack(content), is_mask)
    return [masked for masked in found if masked.kind not in stay_float]


def _ranges(content: bytes, found: list[Masked], samples: Samples) -> dict[int, _Range]:
    ranges = {masked.tensor: _Range() for masked in found}
    for values in _run(content, ranges, samples):
        for masked in found:
            ranges[masked.tensor].add(values[masked.tensor], masked.limit)
    return ranges


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


def _run(
    content: bytes, tensors: Collection[int], samples: Samples
) -> Iterator[dict[int, np.ndarray]]:
    """The tensors for each sample."""
    if tensors:
        yield from map(Probe(content, tensors).run, samples())
