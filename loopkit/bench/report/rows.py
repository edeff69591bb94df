"""What a table of results says, as plain cells; how it looks is the business of others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopkit.bench.results import CONTROLS

if TYPE_CHECKING:
    from loopkit.bench.results import LoopResult, ScenarioResult

LEGEND = (
    "CPU: microseconds of processor time (user and system) the loop's process used per operation; less is "
    "better, and it is the figure to trust on a busy machine. +-: half the interquartile range over the "
    "rounds. busy: share of the time in which that process worked; well below 100 %, it waited for the "
    "load and could have served more. /asyncio, /uvloop: median over the rounds of this loop's figure "
    "divided by theirs in the same round."
)


PLURALS = {"process": "processes"}


def headings(scenario: ScenarioResult) -> list[str]:
    """The names of the columns."""
    figure = scenario.measure
    return [
        "loop",
        f"{PLURALS.get(scenario.operation, scenario.operation + 's')}/s",
        f"{'CPU' if figure.key == 'cpu' else figure.title} {figure.unit}",
        "+-",
        "p50 us",
        "p99 us",
        "busy",
        *(f"/{control}" for control in CONTROLS),
        *(["calls"] if has_syscalls(scenario) else []),
    ]


def has_syscalls(scenario: ScenarioResult) -> bool:
    """Whether system calls were counted for any loop."""
    return any(row.syscalls for row in scenario.rows)


def cells(scenario: ScenarioResult, row: LoopResult) -> list[str]:
    """One loop's line; a failed loop's has its name only, and the failure stands in its place."""
    if row.failure or not row.samples:
        return [row.loop]
    figure = scenario.measure
    return [
        row.loop,
        number(row.median("rate")),
        number(row.median(figure.key), figure.scale),
        percent(row.spread(figure.key)),
        number(row.median("p50"), 1e6),
        number(row.median("p99"), 1e6),
        percent(row.median("busy")),
        *(ratio(scenario.ratio(row, control)) for control in CONTROLS),
        *([describe_syscalls(row)] if has_syscalls(scenario) else []),
    ]


def describe_syscalls(row: LoopResult) -> str:
    """System calls per operation: all together, and the most frequent ones."""
    if not row.syscalls:
        return "-"
    ranking = sorted(row.syscalls.items(), key=lambda item: -item[1])
    names = ", ".join(f"{name} {count:.2f}" for name, count in ranking[:5] if count >= 0.005)
    return f"{sum(row.syscalls.values()):.2f} ({names})"


def align(table: list[list[str]]) -> list[str]:
    """Lines of text, the first column to the left and the others to the right but the last."""
    full = [line for line in table if len(line) == len(table[0])]
    widths = [max(len(line[column]) for line in full) for column in range(len(table[0]))]
    widths[0] = max(len(line[0]) for line in table)
    lines = []
    for line in table:
        cells = [line[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(line[1:-1], widths[1:-1], strict=False)]
        lines.append("  ".join([*cells, *line[1:][-1:]]).rstrip())
    return lines


def number(value: float | None, scale: float = 1.0) -> str:
    """Three significant digits, whole numbers from 100 on."""
    if value is None:
        return "-"
    value *= scale
    return f"{value:,.0f}" if value >= 99.95 else f"{value:.1f}" if value >= 9.995 else f"{value:.2f}"


def percent(value: float | None) -> str:
    """A share as whole percents."""
    return "-" if value is None else f"{value * 100:.0f}%"


def ratio(value: float | None) -> str:
    """A ratio with two decimals."""
    return "-" if value is None else f"{value:.2f}"
