"""Charts as SVG without a script: axes, markers, steps, values on hover."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import escape

from keras_prune_kit.reports.tables import bytes_text

INK = "currentColor"  # What is around a chart may be light or dark.

_WIDTH, _HEIGHT = 760, 380
_LEFT, _RIGHT, _TOP, _BOTTOM = 84, 20, 14, 54  # pixels around the plot
_TICKS = 8  # at most about that many


@dataclass(frozen=True)
class Axis:
    """The scale of one direction.

    Attributes:
        title: What is measured, with its unit.
        low: The value at the left or lower end.
        high: The value at the other end.
        ticks: Values and their labels.
        is_log: True for a logarithmic scale.
    """

    title: str
    low: float
    high: float
    ticks: Sequence[tuple[float, str]]
    is_log: bool = False

    def share(self, value: float) -> float:
        """Return the place of a value: 0 at the low end, 1 at the high one."""
        low, high = self.low, self.high
        if self.is_log:
            low, high, value = (math.log10(max(x, 1e-12)) for x in (low, high, value))
        return min(max((value - low) / (high - low), 0.0), 1.0)


def linear(title: str, values: Iterable[float], *, zero: bool = False) -> Axis:
    """Return an axis for values, with ticks at round numbers.

    Args:
        title: What is measured.
        values: Values that must fit; NaN and infinity have no place.
        zero: If True, it begins at zero. Defaults to `False`.
    """
    values = [value for value in values if math.isfinite(value)] or [0.0]
    low, high = min(values), max(values)
    room = 0.08 * (high - low) or 0.01 * abs(high) or 0.01
    low, high = (0.0 if zero else low - room), high + room
    step = _round_step((high - low) / _TICKS)
    decimals = max(0, -math.floor(math.log10(step)))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    # Adding zero makes a zero of a negative zero.
    ticks = [
        (i * step, f"{i * step + 0.0:.{decimals}f}") for i in range(first, last + 1)
    ]
    return Axis(title, low, high, ticks)


def sizes(title: str, values: Iterable[float]) -> Axis:
    """Return a logarithmic axis for sizes in bytes."""
    values = list(values)
    low, high = max(min(values), 1) / 2, max(*values, 1) * 1.5
    ticks = []
    # From coarse to fine: sizes may span less than a power of ten, or many.
    for digits in ((1,), (1, 2, 5), range(1, 10)):
        marks = [digit * 10**power for power in range(13) for digit in digits]
        finer = [mark for mark in marks if low <= mark <= high]
        if len(ticks) < 3 or len(finer) <= _TICKS:
            ticks = finer
    return Axis(title, low, high, [(t, bytes_text(t)) for t in ticks], is_log=True)


def counts(title: str, values: Iterable[float]) -> Axis:
    """Return a logarithmic axis for counts, from half of one."""
    high = max([*values, 1]) * 1.5
    powers = range(math.floor(math.log10(high)) + 1)
    ticks = [(10.0**power, f"{10**power:,}") for power in powers]
    return Axis(title, 0.5, high, ticks, is_log=True)


def _round_step(least: float) -> float:
    """Return the smallest of 1, 2 and 5 times a power of ten that is not below."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(d * power for d in (1, 2, 5, 10) if d * power >= least * 0.999)


@dataclass
class Chart:
    """A chart with two axes; what is added later lies above.

    Attributes:
        title: The line above.
        x: The horizontal axis.
        y: The vertical axis.
    """

    title: str
    x: Axis
    y: Axis
    _parts: list[str] = field(default_factory=list, init=False)
    _legend: list[tuple[str, str]] = field(default_factory=list, init=False)

    def marker(self, x: float, y: float, color: str, hover: str, size: int = 6) -> None:
        """Add a disc whose text shows when the pointer is over it."""
        if not math.isfinite(y):
            return
        self._parts.append(
            f'<circle cx="{self._x(x):.1f}" cy="{self._y(y):.1f}" r="{size}" '
            f'fill="{color}" stroke="{INK}"><title>{escape(hover)}</title></circle>'
        )

    def steps(self, xs: Sequence[float], ys: Sequence[float], color: str) -> None:
        """Add a line that keeps each value up to the next place."""
        moves = [f"M{self._x(xs[0]):.1f} {self._y(ys[0]):.1f}"]
        moves += [
            f"H{self._x(x):.1f}V{self._y(y):.1f}"
            for x, y in zip(xs[1:], ys[1:], strict=True)
        ]
        self._path("".join(moves), color)

    def line(self, xs: Sequence[float], ys: Sequence[float], color: str) -> None:
        """Add a straight line from point to point, without those that have no place."""
        points = [
            f"{self._x(x):.1f} {self._y(y):.1f}"
            for x, y in zip(xs, ys, strict=True)
            if math.isfinite(y)
        ]
        if points:
            self._path("M" + "L".join(points), color)

    def level(self, y: float, dash: str = "6 4") -> None:
        """Add a dashed line across the chart."""
        if not math.isfinite(y):
            return
        at = f'{self._y(y):.1f}"'
        self._parts.append(
            f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{at} y2="{at} '
            f'stroke="{INK}" stroke-opacity=".6" stroke-dasharray="{dash}"/>'
        )

    def name(self, color: str, name: str) -> None:
        """Add a colour to the legend below the chart."""
        self._legend.append((color, name))

    def html(self) -> str:
        """Return the chart as an HTML fragment, which scrolls where it is narrow."""
        title = escape(self.title)
        names = "".join(
            f'<li><svg width="12" height="12" aria-hidden="true"><circle cx="6" cy="6" '
            f'r="5" fill="{color}" stroke="{INK}"/></svg> {escape(name)}</li>'
            for color, name in self._legend
        )
        legend = f'<ul class="kpk-legend">{names}</ul>' if names else ""
        return (
            f'<figure class="kpk-chart"><figcaption>{title}</figcaption>'
            f'<div class="kpk-scroll" tabindex="0" role="group" aria-label="{title}">'
            f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{title}: '
            f'{escape(self.y.title)} against {escape(self.x.title)}">'
            f"{self._axes()}{''.join(self._parts)}</svg></div>{legend}</figure>"
        )

    def _path(self, moves: str, color: str) -> None:
        self._parts.append(
            f'<path d="{moves}" fill="none" stroke="{color}" stroke-width="2"/>'
        )

    def _x(self, value: float) -> float:
        return _LEFT + self.x.share(value) * (_WIDTH - _LEFT - _RIGHT)

    def _y(self, value: float) -> float:
        return _HEIGHT - _BOTTOM - self.y.share(value) * (_HEIGHT - _TOP - _BOTTOM)

    def _axes(self) -> str:
        bottom, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
        parts = [
            f'<path d="M{_LEFT} {_TOP}V{bottom}H{right}" fill="none" stroke="{INK}"/>'
        ]
        for value, label in self.x.ticks:
            at = self._x(value)
            parts.append(_grid(f"M{at:.1f} {_TOP}V{bottom}"))
            parts.append(_text(at, bottom + 20, label))
        for value, label in self.y.ticks:
            at = self._y(value)
            parts.append(_grid(f"M{_LEFT} {at:.1f}H{right}"))
            parts.append(_text(_LEFT - 8, at + 5, label, "end"))
        parts.append(_text((_LEFT + right) / 2, _HEIGHT - 8, self.x.title))
        middle = (_TOP + bottom) / 2
        turned = f' transform="rotate(-90 16 {middle:.0f})"'
        parts.append(_text(16, middle, self.y.title, more=turned))
        return "".join(parts)


def _grid(moves: str) -> str:
    return f'<path d="{moves}" stroke="{INK}" stroke-opacity=".15"/>'


def _text(x: float, y: float, text: str, anchor: str = "middle", more: str = "") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{INK}" '
        f'font-size="14"{more}>{escape(text)}</text>'
    )
