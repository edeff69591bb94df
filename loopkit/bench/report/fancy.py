"""The terminal with rich: colours, a progress bar, tables that fit the window."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from loopkit.bench.loops import FLOOR
from loopkit.bench.report import rows

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

    def expect(self, steps: int) -> None:
        self._progress.update(self._task, total=steps)
        self._progress.start()  # whoever only shows a result expects nothing

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
            console.print(make_table(scenario), Text())
        console.print(Text(rows.legend(report), style="dim"))


def make_table(scenario: ScenarioResult) -> Table:
    """One scenario. Everything is Text: in plain strings rich would take [brackets] for markup."""
    head, *lines = rows.table(scenario)
    # Without frames and wide gaps all figures fit 80 columns.
    drawn = Table(title=Text(scenario.title), title_justify="left", box=box.SIMPLE_HEAD, show_edge=False)
    drawn.padding = (0, 1, 0, 0)
    for index, heading in enumerate(head):
        text = heading == rows.SYSCALLS
        justify: Literal["left", "right"] = "right" if index and not text else "left"
        drawn.add_column(Text(heading), justify=justify, no_wrap=not text)
    remarks = [f"{row.loop}: {row.remark}" for row in scenario.rows if row.remark]
    for line in lines:
        style = "bold" if line[0].startswith("loopkit") else "dim" if line[0] == FLOOR else ""
        if len(line) < len(head):
            # How it failed does not fit a column of figures: it stands below the table.
            remarks.append(": ".join(line))
            line = [line[0], "failed"]
        drawn.add_row(*map(Text, line), style=style)
    drawn.caption = Text("\n".join(remarks), style="red") if remarks else None
    drawn.caption_justify = "left"
    return drawn
