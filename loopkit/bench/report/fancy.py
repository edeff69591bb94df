"""The terminal with rich: colours, a progress bar, tables that fit the window."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from loopkit.bench.report.rows import LEGEND, cells, headings

if TYPE_CHECKING:
    from loopkit.bench.results import Report, ScenarioResult


class RichProgress:
    """A bar on standard error. Drawn twice a second: drawing takes processor time from the load."""

    def __init__(self) -> None:
        columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
        self._progress = Progress(
            *columns, console=Console(stderr=True), transient=True, refresh_per_second=2
        )
        self._task = self._progress.add_task("", total=None)
        self._progress.start()

    def expect(self, steps: int) -> None:
        self._progress.update(self._task, total=steps)

    def begin(self, text: str) -> None:
        self._progress.update(self._task, description=text)

    def end(self) -> None:
        self._progress.advance(self._task)

    def close(self) -> None:
        self._progress.stop()


class RichScreen:
    """Tables on standard output."""

    def __init__(self) -> None:
        self.progress = RichProgress()

    def close(self) -> None:
        self.progress.close()

    def show(self, report: Report) -> None:
        console = Console()
        console.print(Text(", ".join(f"{key}: {value}" for key, value in report.about.items()), style="dim"))
        for scenario in report.scenarios:
            console.print(make_table(scenario))
        console.print(Text(LEGEND, style="dim"))


def make_table(scenario: ScenarioResult) -> Table:
    """One scenario. Everything is Text: in plain strings rich would take [brackets] for markup."""
    table = Table(title=Text(scenario.title), title_justify="left")
    for index, heading in enumerate(headings(scenario)):
        table.add_column(Text(heading), justify="right" if index else "left", no_wrap=True)
    failures = []
    for row in scenario.rows:
        line = cells(scenario, row)
        if len(line) == 1:
            table.add_row(Text(row.loop), Text("failed", style="red"))
            failures.append(f"{row.loop}: {row.failure or 'not measured'}")
        else:
            style = "bold" if row.loop.startswith("loopkit") else "dim" if row.loop == "floor" else ""
            table.add_row(*map(Text, line), style=style)
    table.caption = Text("\n".join(failures), style="red") if failures else None
    table.caption_justify = "left"
    return table
