"""Charts of a report page as SVG, each with its numbers as a table for those who cannot see it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import ArrayLike, NDArray

_WIDTH, _HEIGHT = 640, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 74, 26, 12, 42
_COLOURS = 4
_TICKS = 5
_TABLE_ROWS = 60  # of the numbers below a chart; a long line is thinned out


@dataclass(frozen=True, eq=False)
class Series:
    """A line: its name, and as many x as y; NaN in y interrupts it."""

    name: str
    x: ArrayLike
    y: ArrayLike


@dataclass(frozen=True, eq=False)
class LineChart:
    """Lines over one axis.

    Attributes:
        title: Heading.
        x_label: With unit.
        y_label: With unit.
        series: The lines.
        diagonal: Draw y = x, as in a reliability diagram.
    """

    title: str
    x_label: str
    y_label: str
    series: Sequence[Series]
    diagonal: bool = False

    def to_html(self, name: str) -> str:
        """The chart and its numbers."""
        lines = [(one.name, np.asarray(one.x, float), np.asarray(one.y, float)) for one in self.series]
        shown = [
            (x[known], y[known]) for _, x, y in lines if (known := np.isfinite(x) & np.isfinite(y)).any()
        ]
        if not shown:
            return "<p>no values</p>"
        xs, ys = (np.concatenate(values) for values in zip(*shown))
        axes = _Axes(_limits(xs), _limits(ys))
        parts = [axes.frame(self.x_label, self.y_label)]
        if self.diagonal:
            low, high = max(axes.x[0], axes.y[0]), min(axes.x[1], axes.y[1])
            parts.append(
                f'<path class="ideal" d="{axes.path(np.array([low, high]), np.array([low, high]))}"/>'
            )
        for i, (_, x, y) in enumerate(lines):
            parts.append(f'<path class="line" stroke="var(--series-{i % _COLOURS})" d="{axes.path(x, y)}"/>')
        legend = "".join(
            f'<span style="--colour: var(--series-{i % _COLOURS})">{escape(key)}</span>'
            for i, (key, _, _) in enumerate(lines)
            if key
        )
        table = "".join(_numbers(key, self.x_label, self.y_label, x, y) for key, x, y in lines)
        return _figure(self.title, parts, f'<div class="legend">{legend}</div>' if legend else "", table)


@dataclass(frozen=True, eq=False)
class Histogram:
    """How often values occur; values that are not finite are left out.

    Attributes:
        title: Heading.
        x_label: With unit.
        values: Any shape.
        bins: Number of bars, between the 0.5th and the 99.5th percentile.
    """

    title: str
    x_label: str
    values: ArrayLike
    bins: int = 40

    def to_html(self, name: str) -> str:
        """The chart and its numbers."""
        values = np.asarray(self.values, float).ravel()
        values = values[np.isfinite(values)]
        if not values.size:
            return "<p>no values</p>"
        low, high = np.percentile(values, (0.5, 99.5))
        counts, edges = np.histogram(values, self.bins, _widened(float(low), float(high)))
        share = 100.0 * counts / values.size
        axes = _Axes((float(edges[0]), float(edges[-1])), (0.0, float(share.max()) or 1.0))
        bars = []
        for left, right, percent in zip(edges, edges[1:], share):
            x0, x1, y = axes.to_px_x(left), axes.to_px_x(right), axes.to_px_y(percent)
            bars.append(
                f'<rect x="{x0:.1f}" y="{y:.1f}" width="{max(0.5, x1 - x0 - 1):.1f}" '
                f'height="{_HEIGHT - _BOTTOM - y:.1f}" fill="var(--series-0)"/>'
            )
        table = _numbers("", self.x_label, "share [%]", (edges[:-1] + edges[1:]) / 2, share)
        return _figure(self.title, [axes.frame(self.x_label, "share [%]"), *bars], "", table)


class _Axes:
    """Values to pixels of the SVG."""

    def __init__(self, x: tuple[float, float], y: tuple[float, float]) -> None:
        self.x, self.y = x, y

    def to_px_x(self, value: float) -> float:
        return _LEFT + (value - self.x[0]) / (self.x[1] - self.x[0]) * (_WIDTH - _LEFT - _RIGHT)

    def to_px_y(self, value: float) -> float:
        return _HEIGHT - _BOTTOM - (value - self.y[0]) / (self.y[1] - self.y[0]) * (_HEIGHT - _TOP - _BOTTOM)

    def path(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> str:
        words, pen_up = [], True
        for one_x, one_y in zip(x, y):
            if not (math.isfinite(one_x) and math.isfinite(one_y)):
                pen_up = True
                continue
            words.append(f"{'M' if pen_up else 'L'}{self.to_px_x(one_x):.1f} {self.to_px_y(one_y):.1f}")
            pen_up = False
        return "".join(words)

    def frame(self, x_label: str, y_label: str) -> str:
        """Axes, ticks and labels."""
        bottom, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
        parts = [f'<path class="axis" fill="none" d="M{_LEFT} {_TOP}V{bottom}H{right}"/>']
        for value in np.linspace(*self.x, _TICKS):
            x = self.to_px_x(float(value))
            parts.append(f'<text x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">{_tick(value)}</text>')
        for value in np.linspace(*self.y, _TICKS):
            y = self.to_px_y(float(value))
            parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{_tick(value)}</text>')
            parts.append(f'<path class="axis" d="M{_LEFT} {y:.1f}H{right}"/>')
        middle = (_LEFT + right) / 2
        parts.append(f'<text x="{middle}" y="{_HEIGHT - 8}" text-anchor="middle">{escape(x_label)}</text>')
        parts.append(
            f'<text x="14" y="{bottom / 2 + _TOP}" text-anchor="middle" '
            f'transform="rotate(-90 14 {bottom / 2 + _TOP})">{escape(y_label)}</text>'
        )
        return "".join(parts)


def _tick(value: float) -> str:
    """Three digits; thousands in full, as an exponent would need the place of the label beside them."""
    return f"{value:.0f}" if 1000 <= abs(value) < 1e6 else f"{value:.3g}"


def _limits(values: NDArray[np.float64]) -> tuple[float, float]:
    return _widened(float(values.min()), float(values.max()))


def _widened(low: float, high: float) -> tuple[float, float]:
    """Limits that are apart, as one value alone has none."""
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _figure(title: str, parts: Sequence[str], legend: str, table: str) -> str:
    return (
        f'<figure><svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" role="img" '
        f'aria-label="{escape(title)}">{"".join(parts)}</svg>{legend}'
        f"<details><summary>numbers</summary>{table}</details></figure>"
    )


def _numbers(name: str, x_label: str, y_label: str, x: NDArray[np.float64], y: NDArray[np.float64]) -> str:
    step = max(1, math.ceil(len(x) / _TABLE_ROWS))
    rows = "".join(f"<tr><td>{a:.4g}</td><td>{b:.4g}</td></tr>" for a, b in zip(x[::step], y[::step]))
    caption = f"<caption>{escape(name)}</caption>" if name else ""
    return (
        f'<table>{caption}<thead><tr><th scope="col">{escape(x_label)}</th>'
        f'<th scope="col">{escape(y_label)}</th></tr></thead><tbody>{rows}</tbody></table>'
    )
