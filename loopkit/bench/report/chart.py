"""What a picture of results shows, before anybody draws it: one panel per scenario, one bar per loop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from loopkit.bench.loops import FLOOR
from loopkit.bench.report.rows import number, ratio
from loopkit.bench.results import CONTROLS

if TYPE_CHECKING:
    from loopkit.bench.results import Report, ScenarioResult

# One colour each for light and for dark backgrounds; the names are those of `kind_of`.
COLOURS = {
    "loopkit": ("#1f6feb", "#58a6ff"),
    "asyncio": ("#8c959f", "#8b949e"),
    "uvloop": ("#d4721a", "#f0883e"),
    "floor": ("#d0d7de", "#484f58"),
    "other": ("#2da44e", "#3fb950"),
}


TITLE = "Event loops compared by loopkit bench: less is better"

FLOOR_SAYS = "floor: no event loop, but a bare select.epoll server: what remains when a loop costs nothing."
HEAP_SAYS = {
    "cold": "cold heap: a young process: each block of 128 KiB (asyncio reads into such) is a system call.",
    "warm": "warm heap: a process that once freed a large block, and gets the next without a system call.",
}


@dataclass(frozen=True)
class Bar:
    """One loop: `share` of the panel's width, what is written beside it, or how the loop failed.

    The rounds scatter by `spread` to either side, as a share of the panel's width too.
    """

    label: str
    kind: str
    share: float
    text: str
    failure: str = ""
    spread: float = 0.0


@dataclass(frozen=True)
class Panel:
    """One scenario."""

    title: str
    unit: str
    bars: list[Bar]


def about(report: Report) -> str:
    """On which machine, by which Python and when this was measured."""
    known = report.about
    told = ", ".join(known[key] for key in ("python", "system", "processor", "date") if key in known)
    return f"{told}; {known.get('heap', '?')} heap, median of {known.get('rounds', '?')} rounds"


def notes(report: Report) -> list[str]:
    """What the reader of the picture must know, as far as it is in this one."""
    rows = [row for scenario in report.scenarios for row in scenario.rows]
    told = ["line at a bar's end: half the distance between the quartiles of the rounds, to either side."]
    if any(map(control_of, report.scenarios)):
        told.append(
            "in brackets: the ratio within each round, of which the median counts; not that of the medians."
        )
    if any(row.loop == FLOOR for row in rows):
        told.append(FLOOR_SAYS)
    if (heap := report.about.get("heap")) in HEAP_SAYS:
        told.append(HEAP_SAYS[heap])
    return told


def control_of(scenario: ScenarioResult) -> str | None:
    """The loop that ratios in pictures refer to: uvloop if it ran, else asyncio, else none."""
    for control in reversed(CONTROLS):
        row = scenario.row(control)
        if row is not None and row.samples and not row.failure:
            return control
    return None


def kind_of(loop: str) -> str:
    """Which colour a loop has."""
    if loop.startswith("loopkit"):
        return "loopkit"
    return loop if loop in (*CONTROLS, FLOOR) else "other"


def panels(report: Report) -> list[Panel]:
    """A panel for every scenario that has a row."""
    return [panel(scenario) for scenario in report.scenarios if scenario.rows]


def panel(scenario: ScenarioResult) -> Panel:
    """The bars of one scenario; the longest is as long as the panel allows."""
    figure, control = scenario.measure, control_of(scenario)
    medians = {row.loop: row.median(figure.key) for row in scenario.rows}
    longest = max((value for value in medians.values() if value), default=1.0)
    bars = []
    for row in scenario.rows:
        value = medians[row.loop]
        if value is None:
            bars.append(Bar(row.loop, kind_of(row.loop), 0.0, "", row.failure or "not measured"))
            continue
        text = number(value, figure.scale)
        if control and row.loop != control:
            text += f"  ({ratio(scenario.ratio(row, control))})"
        share = max(value, 0.0) / longest
        spread = share * (row.spread(figure.key) or 0.0)
        bars.append(Bar(row.loop, kind_of(row.loop), share, text, spread=spread))
    per = f"{figure.title}, {figure.unit} per {scenario.operation}"
    return Panel(scenario.title, f"{per}; in brackets: / {control}" if control else per, bars)
