"""What changed between two results.

Two runs are never on equally quiet machines. So where both ran stdlib asyncio as a control, what is judged is
the ratio to it; a change counts only if it is larger than what the rounds of either run scatter by.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopkit.bench.report.rows import align, figure

if TYPE_CHECKING:
    from loopkit.bench.results import LoopResult, Report, ScenarioResult

CONTROL = "asyncio"
# Changes smaller than this are never called one, however little the rounds scatter.
LEAST = 0.03


def compare_reports(old: Report, new: Report) -> tuple[str, bool]:
    """A table as text: old and new figure, change, change relative to the control, verdict.

    Returns: the text, and whether a loop of loopkit's is worse or fails now.
    """
    worse = False
    lines = [f"old: {describe(old)}", f"new: {describe(new)}"]
    earlier = {scenario.name: scenario for scenario in old.scenarios}
    for scenario in new.scenarios:
        before = earlier.pop(scenario.name, None)
        lines += ["", f"{scenario.title} ({scenario.measure.title}, {scenario.measure.unit})"]
        if before is None or before.metric != scenario.metric:
            lines.append("only in the new result")
        else:
            cells = table(before, scenario)
            worse = worse or any(
                line[0].startswith("loopkit") and line[-1].startswith(("worse", "fails now"))
                for line in cells[1:]
            )
            lines += align(cells)
    lines += [f"\n{scenario.title}\nonly in the old result" for scenario in earlier.values()]
    return "\n".join(lines), worse


def describe(report: Report) -> str:
    """When and where a report was made."""
    about = report.about
    return ", ".join(about[key] for key in ("date", "python", "processor") if key in about) + (
        f", {about.get('heap', '?')} heap"
    )


def table(before: ScenarioResult, after: ScenarioResult) -> list[list[str]]:
    """The cells of one scenario's comparison."""
    cells = [["loop", "old", "new", "change", f"change/{CONTROL}", "verdict"]]
    for row in after.rows:
        earlier = before.row(row.loop)
        if earlier is None:
            cells.append([row.loop, "-", figure(after, row), "-", "-", "only in the new result"])
            continue
        change = relative(row.median(after.metric), earlier.median(after.metric))
        against = relative(after.ratio(row, CONTROL), before.ratio(earlier, CONTROL))
        if row.loop == CONTROL:
            against = None
        verdict = judge(earlier, row, after.metric, change if against is None else against)
        cells.append(
            [row.loop, figure(before, earlier), figure(after, row), signed(change), signed(against), verdict]
        )
    gone = [row.loop for row in before.rows if after.row(row.loop) is None]
    return cells + [[loop, "", "-", "-", "-", "only in the old result"] for loop in gone]


def relative(new: float | None, old: float | None) -> float | None:
    """By which share it changed."""
    return new / old - 1 if new is not None and old else None


def signed(change: float | None) -> str:
    """A change in percent."""
    return "-" if change is None else f"{change * 100:+.1f}%"


def judge(old: LoopResult, new: LoopResult, metric: str, change: float | None) -> str:
    """Better, worse, or no more than noise; less is better."""
    if bool(old.failure) != bool(new.failure):
        return f"fails now: {new.failure}" if new.failure else "works now"
    if change is None:
        return f"still fails: {new.failure}" if new.failure else "-"
    noise = max(LEAST, (old.spread(metric) or 0) + (new.spread(metric) or 0))
    if abs(change) <= noise:
        return f"same (within {noise * 100:.0f}%)"
    return "better" if change < 0 else "worse"
