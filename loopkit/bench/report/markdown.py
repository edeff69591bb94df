"""A summary in Markdown: one line a scenario, one column a loop, to be pasted into a page or an issue."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopkit.bench.report.rows import NONE, about, figure, ratio
from loopkit.bench.results import CONTROLS

if TYPE_CHECKING:
    from loopkit.bench.results import Report


def write(report: Report) -> str:
    """The summary: what each loop needs, and the first loop's ratio to each control."""
    loops = list(dict.fromkeys(row.loop for scenario in report.scenarios for row in scenario.rows))
    controls = [name for name in CONTROLS if name in loops[1:]]
    head = ["scenario", "per", *loops, *(f"{loops[0]} / {name}" for name in controls)] if loops else []
    lines = [head, ["---", "---", *["---:"] * (len(head) - 2)]] if loops else []
    for scenario in report.scenarios:
        found = [scenario.row(name) for name in loops]
        figures = [figure(scenario, row) if row else NONE for row in found]
        first = found[0]
        ratios = [ratio(scenario.ratio(first, name)) if first else NONE for name in controls]
        unit = f"{scenario.operation}, {scenario.measure.unit}"
        lines.append([f"{scenario.title} (`{scenario.name}`)", unit, *figures, *ratios])
    return "\n".join([about(report), "", *(f"| {' | '.join(line)} |" for line in lines), ""])
