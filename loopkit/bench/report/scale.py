"""What grows with the number of connections: a table, what it comes to for more of them, and curves."""

from __future__ import annotations

import math
import textwrap
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from loopkit.bench.report.chart import kind_of
from loopkit.bench.report.rows import NONE, about, align, number
from loopkit.bench.report.svg import document
from loopkit.bench.scenarios import SIZES

if TYPE_CHECKING:
    from loopkit.bench.results import LoopResult, Report, ScenarioResult

__all__ = ["draw", "has_crowds", "summary"]

#: The crowd that a course on network models asks about.
DREAM = 800_000
#: A request may cost this much more among the most connections than among the fewest, and be called flat.
FLAT = 0.10

# Pixels.
GAP = 28
LEFT = 56
WIDTH = 480
HEIGHT = 260
TOP = 80
RIGHT = 120


def has_crowds(report: Report) -> bool:
    """Whether there is anything to say about growth."""
    return len(crowds(report)) > 1


def crowds(report: Report) -> dict[int, ScenarioResult]:
    """The scenarios that differ by the number of connections, by that number."""
    found = {scenario.name: scenario for scenario in report.scenarios}
    return {size: found[f"scale-{size}"] for size in SIZES if f"scale-{size}" in found}


def names(report: Report) -> list[str]:
    """The loops, in the order of the tables."""
    rows = [row.loop for scenario in crowds(report).values() for row in scenario.rows]
    return list(dict.fromkeys(rows))


def summary(report: Report) -> str:
    """Cost by number of connections, for every loop, and what that comes to."""
    sizes = crowds(report)
    heads = [f"{size:,}" for size in sizes]
    lines = ["CPU us per request, among so many connections"]
    table = [["loop", *heads, "growth", "of that, over the floor's"]]
    floor = growth(report, "floor")
    for name in names(report):
        grown = growth(report, name)
        cells = [number(value(scenario, name, "cpu"), 1e6) for scenario in sizes.values()]
        over = None if grown is None or floor is None or name == "floor" else grown / floor
        table.append([name, *cells, factor(grown), factor(over)])
    lines += align(table)
    for key, scale, title in (
        ("connect", 1e6, "CPU us per connection that came (accepted, one message echoed)"),
        ("rss", 1.0, "bytes of the process per silent connection"),
    ):
        table = [["loop", *heads, ""]]
        for name in names(report):
            table.append([name, *(number(value(s, name, key), scale) for s in sizes.values()), ""])
        lines += ["", title, *align(table)]
    told = [text for name in names(report) if (text := project(report, name))]
    return "\n".join([*lines, "", *told])


def value(scenario: ScenarioResult, name: str, key: str) -> float | None:
    """A loop's median of a figure."""
    row: LoopResult | None = scenario.row(name)
    return row.median(key) if row else None


def growth(report: Report, name: str) -> float | None:
    """What a request costs among the most connections, as a multiple of what it costs among the fewest."""
    sizes = crowds(report)
    first, last = (value(sizes[size], name, "cpu") for size in (min(sizes), max(sizes)))
    return last / first if first and last else None


def factor(multiple: float | None) -> str:
    """A multiple, as the share that was added."""
    return NONE if multiple is None else f"{(multiple - 1) * 100:+.0f}%"


def project(report: Report, name: str) -> str:
    """The arithmetic of a crowd that this machine cannot hold; empty without figures."""
    sizes = crowds(report)
    last = sizes[max(sizes)]
    memory, connect, request = (value(last, name, key) for key in ("rss", "connect", "cpu"))
    if memory is None or connect is None or request is None:
        return ""
    grown = growth(report, name) or 1.0
    shape = (
        "flat" if grown <= 1 + FLAT else f"growing ({factor(grown)} from {min(sizes):,} to {max(sizes):,})"
    )
    return textwrap.fill(
        f"{name}: a request's cost is {shape}. {DREAM:,} silent connections would need {DREAM:,} x "
        f"{memory:,.0f} bytes = {DREAM * memory / 1e9:.2f} GB in the process (the kernel's own memory of a "
        f"socket comes on top), {DREAM:,} x {connect * 1e6:.1f} us = {DREAM * connect:.0f} s of one core to "
        f"come, and a request among them what it costs here, {request * 1e6:.1f} us, for no step of the loop "
        "looks at those that are silent.",
        110,
    )


def draw(report: Report) -> str:
    """The cost of a request by the number of connections, as curves in logarithmic axes."""
    sizes, loops = crowds(report), names(report)
    figures = {name: {n: value(s, name, "cpu") for n, s in sizes.items()} for name in loops}
    known = {name: {n: cost * 1e6 for n, cost in by.items() if cost} for name, by in figures.items()}
    costs = [cost for by in known.values() for cost in by.values()]
    width = LEFT + WIDTH + RIGHT
    parts = [f'<text class="b" x="{GAP}" y="26">us of CPU per request among so many connections</text>']
    for line, text in enumerate(textwrap.wrap(about(report), width // 6)[:2]):
        parts.append(f'<text class="s" x="{GAP}" y="{43 + 14 * line}">{escape(text)}</text>')
    if costs:
        plot = axes(list(sizes), max(costs)) + curves(list(sizes), known, max(costs))
        parts.append(f'<g transform="translate({LEFT} {TOP})">{plot}</g>')
    return document(width, TOP + HEIGHT + 56, "".join(parts))


def across(sizes: list[int], size: int) -> float:
    """The place of a size on the logarithmic axis."""
    return WIDTH * math.log(size / sizes[0]) / math.log(sizes[-1] / sizes[0]) if len(sizes) > 1 else 0.0


def axes(sizes: list[int], highest: float) -> str:
    """Grid and labels. The cost starts at nothing: a slope that is flat has to look flat."""
    parts = []
    power: float = 10 ** math.floor(math.log10(highest))
    step = next(step for step in (power / 5, power / 2, power, 2 * power) if highest / step <= 8)
    for line in range(int(highest / step) + 1):
        at = HEIGHT * (1 - line * step / highest)
        parts.append(f'<rect class="floor" x="0" y="{at:.1f}" width="{WIDTH}" height="1"/>')
        parts.append(f'<text class="s" x="-6" y="{at + 4:.1f}" text-anchor="end">{line * step:g}</text>')
    for size in sizes:
        where = f'x="{across(sizes, size):.1f}" y="{HEIGHT + 16}" text-anchor="middle"'
        parts.append(f'<text class="s" {where}>{size:,}</text>')
    where = f'x="{WIDTH / 2}" y="{HEIGHT + 34}" text-anchor="middle"'
    parts.append(f'<text class="s" {where}>open connections</text>')
    return "".join(parts)


def curves(sizes: list[int], known: dict[str, dict[int, float]], highest: float) -> str:
    """A line with its name at the end for each loop."""
    parts: list[str] = []
    taken: list[float] = []
    for name, costs in known.items():
        if not costs:
            continue
        kind = kind_of(name)
        points = [(across(sizes, n), HEIGHT * (1 - cost / highest)) for n, cost in costs.items()]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        # The style sheet knows fills only: a line is a polygon that goes there and comes back a little lower.
        back = " ".join(f"{x:.1f},{y + 2:.1f}" for x, y in reversed(points))
        parts.append(f'<polygon class="{kind}" points="{line} {back}"/>')
        for (x, y), (n, cost) in zip(points, costs.items(), strict=True):
            told = f"<title>{escape(name)}, {n:,}: {number(cost)} us</title>"
            parts.append(f'<circle class="{kind}" cx="{x:.1f}" cy="{y + 1:.1f}" r="4">{told}</circle>')
        x, y = points[-1][0], points[-1][1] + 5
        while any(abs(y - other) < 13 for other in taken):  # names of curves that end together stand apart
            y += 1
        taken.append(y)
        parts.append(f'<text x="{x + 9:.1f}" y="{y:.1f}">{escape(name)}</text>')
    return "".join(parts)
