"""The comparison as an SVG picture: a curve for each model, and bars for what it costs to do nothing."""

from __future__ import annotations

import math
import textwrap
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from loopkit.bench.models.results import KINDS
from loopkit.bench.report.chart import Bar, Panel
from loopkit.bench.report.rows import number, percent
from loopkit.bench.report.svg import document, height, place

if TYPE_CHECKING:
    from loopkit.bench.models.results import Comparison, Row

__all__ = ["draw"]

#: The classes of colour that the style sheet of all our pictures has.
COLOURS = {"busy": "uvloop", "select": "other", "poll": "asyncio", "epoll": "loopkit"}

# Pixels.
GAP = 28
LEFT = 56
PLOT_WIDTH = 400
PLOT_HEIGHT = 260
TOP = 80
RIGHT = 64
COLUMN = LEFT + PLOT_WIDTH + RIGHT


def draw(comparison: Comparison) -> str:
    """The whole picture."""
    about = ", ".join(comparison.about[key] for key in ("python", "system", "processor", "date"))
    width = 2 * COLUMN + GAP
    parts = [
        f'<text class="b" x="{GAP}" y="26">What one answer costs as silent clients grow in number</text>',
        *(
            f'<text class="s" x="{GAP}" y="{43 + 14 * line}">{escape(text)}</text>'
            for line, text in enumerate(textwrap.wrap(about, width // 6)[:2])
        ),
    ]
    bars_at = TOP + PLOT_HEIGHT + 84
    bottom = bars_at
    for column, kind in enumerate(KINDS):
        x = GAP // 2 + column * COLUMN
        parts.append(_plot(comparison, kind, x + LEFT, TOP))
        panel = _idle(comparison.of(kind))
        parts.append(place(panel, x + LEFT, bars_at))
        bottom = max(bottom, bars_at + height(panel) + GAP)
    return document(width, bottom, "".join(parts))


def _plot(comparison: Comparison, kind: str, x: int, y: int) -> str:
    """The curves of one kind, in axes that are the same for both: logarithmic, to show all models."""
    costs = [cost * 1e6 for row in comparison.rows for cost in row.cost.values()]
    if not costs:
        return ""
    low = 10 ** math.floor(math.log10(min(costs)))
    high = 10 ** math.ceil(math.log10(max(costs)))
    first, last = comparison.sizes[0], comparison.sizes[-1]

    def across(size: int) -> float:
        return (
            PLOT_WIDTH * math.log(size / first) / math.log(last / first) if last > first else PLOT_WIDTH / 2
        )

    def up(cost: float) -> float:
        return PLOT_HEIGHT * (1 - math.log(cost / low) / math.log(high / low)) if high > low else 0.0

    title = (
        "bare servers: us of CPU per answer" if kind == "bare" else "loopkit's pollers: us of CPU per answer"
    )
    parts = [f'<text class="b" x="0" y="-8">{title}</text>']
    for power in range(round(math.log10(low)), round(math.log10(high)) + 1):
        at = up(10.0**power)
        parts.append(f'<rect class="floor" x="0" y="{at:.1f}" width="{PLOT_WIDTH}" height="1"/>')
        parts.append(f'<text class="s" x="-6" y="{at + 4:.1f}" text-anchor="end">{10.0**power:,g}</text>')
    for size in comparison.sizes:
        place_of = f'x="{across(size):.1f}" y="{PLOT_HEIGHT + 16}" text-anchor="middle"'
        parts.append(f'<text class="s" {place_of}>{size:,}</text>')
    middle = f'x="{PLOT_WIDTH / 2}" y="{PLOT_HEIGHT + 34}" text-anchor="middle"'
    parts.append(f'<text class="s" {middle}>silent clients</text>')
    taken: list[float] = []
    for row in comparison.of(kind):
        points = [(across(size), up(cost * 1e6)) for size, cost in sorted(row.cost.items())]
        if points:
            parts.append(_curve(row, points, taken))
    return f'<g transform="translate({x} {y})">{"".join(parts)}</g>'


def _curve(row: Row, points: list[tuple[float, float]], taken: list[float]) -> str:
    colour = COLOURS[row.model]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    # The style sheet knows fills only: a line is a polygon that goes there and comes back a little lower.
    back = " ".join(f"{x:.1f},{y + 2:.1f}" for x, y in reversed(points))
    parts = [f'<polygon class="{colour}" points="{line} {back}"/>']
    parts += [
        f'<circle class="{colour}" cx="{x:.1f}" cy="{y + 1:.1f}" r="4"><title>{row.model}, {size:,} silent: '
        f"{number(row.cost[size], 1e6)} us</title></circle>"
        for size, (x, y) in zip(sorted(row.cost), points, strict=True)
    ]
    x, y = points[-1]
    y += 5
    while any(abs(y - other) < 13 for other in taken):  # names of curves that end together stand apart
        y += 1
    taken.append(y)
    parts.append(f'<text x="{x + 9:.1f}" y="{y:.1f}">{row.model}</text>')
    if row.failure:
        ends = f"{row.served:,} clients: {row.failure}"
        parts.append(
            f'<text class="f" x="{x + 9:.1f}" y="{y + 13:.1f}"><title>{escape(ends)}</title>ends</text>'
        )
        taken.append(y + 13)
    return "".join(parts)


def _idle(rows: list[Row]) -> Panel:
    bars = []
    for row in rows:
        if row.idle:
            share = row.idle[max(row.idle)]
            bars.append(Bar(row.model, COLOURS[row.model], share, percent(share)))
        else:
            bars.append(Bar(row.model, COLOURS[row.model], 0.0, "", row.failure or "not measured"))
    return Panel("While all are silent", "share of the time in which it runs or wants to", bars)
