"""Charts as inline SVG, 360 units wide so that their text is readable on a phone; colours are the page's."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

_WIDTH = 360.0
_ROW = 36.0
_SERIES = 6
"""Colours that the page has."""


@dataclass(frozen=True)
class Bar:
    """A value with its interval, fractions of 1; `series` picks the colour."""

    label: str
    value: float
    low: float
    high: float
    series: int


def bars(title: str, rows: Sequence[Bar]) -> str:
    """Horizontal bars from 0 to 100 %, each with its label above it and its 95 % interval; what is below 0 is not drawn."""
    height = _ROW * len(rows) + 6
    drawn = []
    for i, row in enumerate(rows):
        y, width = i * _ROW, 300 * row.value
        low, high = 300 * max(row.low, 0), 300 * max(row.high, 0)
        middle = y + 22
        drawn.append(
            f'<text x="0" y="{y + 12:.0f}">{escape(row.label)}</text>'
            f'<rect class="s{row.series % _SERIES}" x="0" y="{y + 16:.0f}" width="{max(width, 0.5):.1f}" height="12" rx="2"/>'
            f'<path class="whisker" d="M{low:.1f} {middle:.0f}H{high:.1f}{_end(low, middle)}{_end(high, middle)}"/>'
            f'<text class="value" x="{_WIDTH}" y="{y + 26:.0f}">{100 * row.value:.1f}</text>'
        )
    return _svg(title, height, "".join(drawn))


def lines(title: str, x_title: str, series: Mapping[str, Sequence[tuple[float, float, str]]]) -> str:
    """Quality (fractions of 1) against cost on a logarithmic axis: points `(cost, quality, label)` of each series, joined."""
    points = [point for each in series.values() for point in each]
    left, right, top, bottom = 34.0, _WIDTH - 12, 10.0, 190.0
    costs, values = [math.log2(x) for x, _, _ in points], [y for _, y, _ in points]
    floor, ceiling = _round(min(values), down=True), _round(max(values), down=False)
    span = (max(costs) - min(costs)) or 1.0

    def place(cost: float, value: float) -> tuple[float, float]:
        x = left + (right - left) * (math.log2(cost) - min(costs)) / span
        return x, bottom - (bottom - top) * (value - floor) / (ceiling - floor)

    grid = [
        f'<path class="grid" d="M{left} {y:.1f}H{right}"/>'
        f'<text class="axis" x="{left - 8}" y="{y + 4:.1f}">{100 * value:.0f}</text>'
        for value in (floor, (floor + ceiling) / 2, ceiling)
        for y in [place(2 ** min(costs), value)[1]]
    ]
    ticks = [
        f'<text class="tick" x="{place(cost, floor)[0]:.1f}" y="{bottom + 15:.0f}">{cost:g}</text>'
        for cost in sorted({cost for cost, _, _ in points if math.log2(cost).is_integer()})
    ]
    drawn = []
    for i, each in enumerate(series.values()):
        placed = [(*place(cost, value), label) for cost, value, label in each]
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y, _ in placed)
        dots = (
            f'<circle class="s{i % _SERIES}" cx="{x:.1f}" cy="{y:.1f}" r="4"><title>{escape(t)}</title></circle>'
            for x, y, t in placed
        )
        drawn.append(f'<path class="line l{i % _SERIES}" d="M{path}"/>{"".join(dots)}')
    name = f'<text class="tick" x="{(left + right) / 2}" y="{bottom + 32:.0f}">{escape(x_title)}</text>'
    return _svg(title, bottom + 38, "".join([*grid, *ticks, *drawn, name])) + legend(list(series))


def radar(title: str, axes: Sequence[str], series: Mapping[str, Sequence[float | None]]) -> str:
    """A polygon for each series over three axes or more, 0 or less in the middle, 100 % at the rim, without missing values."""
    middle, radius = (_WIDTH / 2, 140.0), 100.0

    def place(axis: int, value: float) -> tuple[float, float]:
        angle = 2 * math.pi * axis / len(axes) - math.pi / 2
        return middle[0] + radius * value * math.cos(angle), middle[1] + radius * value * math.sin(angle)

    def polygon(values: Sequence[tuple[int, float]]) -> str:
        return " ".join(f"{x:.1f},{y:.1f}" for axis, value in values for x, y in [place(axis, value)])

    rings = [f'<polygon class="grid" points="{polygon([(i, r) for i in range(len(axes))])}"/>' for r in (0.25, 0.5, 0.75, 1.0)]
    names = []
    for i, axis in enumerate(axes):
        x, y = place(i, 1.14)
        side = "middle" if abs(x - middle[0]) < 20 else ("start" if x > middle[0] else "end")
        names.append(f'<text x="{x:.1f}" y="{y + 4:.1f}" text-anchor="{side}">{escape(axis)}</text>')
    drawn = [
        f'<polygon class="area a{i % _SERIES}" points="{polygon(known)}"/>'
        for i, values in enumerate(series.values())
        for known in [[(axis, max(value, 0)) for axis, value in enumerate(values) if value is not None]]
    ]
    return _svg(title, 280, "".join([*rings, *drawn, *names])) + legend(list(series))


def _end(x: float, middle: float) -> str:
    return f"M{x:.1f} {middle - 4:.0f}v8"


def legend(names: Sequence[str]) -> str:
    """Which colour is which series."""
    items = (f'<li><span class="dot b{i % _SERIES}"></span>{escape(name)}</li>' for i, name in enumerate(names))
    return f'<ul class="legend">{"".join(items)}</ul>'


def _svg(title: str, height: float, body: str) -> str:
    box = f'viewBox="0 0 {_WIDTH:.0f} {height:.0f}"'
    return f'<svg role="img" aria-label="{escape(title, quote=True)}" {box} xmlns="http://www.w3.org/2000/svg">{body}</svg>'


def _round(value: float, *, down: bool) -> float:
    """To the next tenth, with room between the two ends."""
    return max(0.0, math.floor(10 * value - 1e-9) / 10) if down else min(1.0, math.floor(10 * value + 1e-9) / 10 + 0.1)
