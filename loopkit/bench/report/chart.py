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


@dataclass(frozen=True)
class Bar:
    """One loop: `share` of the panel's width, what is written beside it, or how the loop failed."""

    label: str
    kind: str
    share: float
    text: str
    failure: str = ""


@dataclass(frozen=True)
class Panel:
    """One scenario."""

    title: str
    unit: str
    bars: list[Bar]


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
        bars.append(Bar(row.loop, kind_of(row.loop), max(value, 0.0) / longest, text))
    per = f"{figure.title}, {figure.unit} per {scenario.operation}"
    return Panel(scenario.title, f"{per}; in brackets: / {control}" if control else per, bars)
