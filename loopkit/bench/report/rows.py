"""What a table of results says, as plain cells; how it looks is the business of others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopkit.bench.results import PLAIN

if TYPE_CHECKING:
    from loopkit.bench.results import LoopResult, Report, ScenarioResult

LEGEND = (
    "CPU: microseconds of processor time (user and system) that the loop's process used per operation; "
    "less is better, and it is the figure to trust. +-: half the interquartile range over the rounds. "
    "busy: share of the time in which that process ran; well below 100%, it waited for the load or for "
    "its turn on a busy machine, and could have served more. /asyncio, /uvloop: this loop's figure "
    "divided by theirs in the same round; the median over the rounds."
)
# Where there is such a column.
PRICE = f" /{PLAIN}: what it costs more than the plain loop, likewise."
# What a cell without a figure says.
NONE = "-"
SYSCALLS = "system calls"
PLURALS = {"process": "processes", "query": "queries"}


def legend(report: Report) -> str:
    """What the columns of a report's tables mean."""
    return LEGEND + (PRICE if any(PLAIN in scenario.controls for scenario in report.scenarios) else "")


def table(scenario: ScenarioResult) -> list[list[str]]:
    """A line of headings and a line for every loop; columns in which nobody has a figure are left out.

    A loop that failed has two cells only: its name, and how it failed.
    """
    lines = [headings(scenario), *(cells(scenario, row) for row in scenario.rows if has_figures(row))]
    kept = [any(line[column] != NONE for line in lines[1:]) for column in range(len(lines[0]))]
    kept[0] = True
    full = iter([[cell for cell, keep in zip(line, kept, strict=True) if keep] for line in lines])
    failed = [
        [row.loop, f"failed: {row.failure}" if row.failure else "not measured"] for row in scenario.rows
    ]
    return [
        next(full),
        *(next(full) if has_figures(row) else how for row, how in zip(scenario.rows, failed, strict=True)),
    ]


def has_figures(row: LoopResult) -> bool:
    """Whether the loop was measured and did not fail."""
    return bool(row.samples) and not row.failure


def headings(scenario: ScenarioResult) -> list[str]:
    """The names of all columns."""
    figure = scenario.measure
    return [
        "loop",
        f"{PLURALS.get(scenario.operation, scenario.operation + 's')}/s",
        f"{figure.title} {figure.unit}",
        "+-",
        "p50 us",
        "p99 us",
        "busy",
        *(f"/{control}" for control in scenario.controls),
        SYSCALLS,
    ]


def cells(scenario: ScenarioResult, row: LoopResult) -> list[str]:
    """A loop's figures, one for every heading."""
    figure = scenario.measure
    return [
        row.loop,
        number(row.median("rate")),
        number(row.median(figure.key), figure.scale),
        percent(row.spread(figure.key)),
        number(row.median("p50"), 1e6),
        number(row.median("p99"), 1e6),
        percent(row.median("busy")),
        *(ratio(scenario.ratio(row, control), control == PLAIN) for control in scenario.controls),
        describe_syscalls(row),
    ]


def figure(scenario: ScenarioResult, row: LoopResult) -> str:
    """A row's figure of merit, in its unit."""
    return "failed" if row.failure else number(row.median(scenario.metric), scenario.measure.scale)


def about(report: Report) -> str:
    """When, where and how a report was made, in one line."""
    return ", ".join(f"{key}: {value}" for key, value in report.about.items())


def describe_syscalls(row: LoopResult) -> str:
    """System calls per operation: all together, and the most frequent ones."""
    if not row.syscalls:
        return NONE
    ranking = sorted(row.syscalls.items(), key=lambda item: -item[1])
    names = ", ".join(f"{name} {count:.2f}" for name, count in ranking[:5] if count >= 0.005)
    total = f"{sum(row.syscalls.values()):.2f}"
    return f"{total} ({names})" if names else total


def align(table: list[list[str]]) -> list[str]:
    """Lines of text: figures to the right, names and remarks (the first and the last cell) to the left.

    A line with fewer cells than the first is a remark, and does not widen the columns.
    """
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
        return NONE
    value *= scale
    return f"{value:,.0f}" if value >= 99.95 else f"{value:.1f}" if value >= 9.995 else f"{value:.2f}"


def percent(value: float | None) -> str:
    """A share as whole percents."""
    return NONE if value is None else f"{value * 100:.0f}%"


def ratio(value: float | None, as_price: bool = False) -> str:
    """A ratio with two decimals, or how much is added to the whole in percent."""
    if value is None:
        return NONE
    return f"{value - 1:+.1%}" if as_price else f"{value:.2f}"
