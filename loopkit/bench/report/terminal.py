"""Tables and progress in a terminal: with rich where it is installed, as plain text everywhere."""

from __future__ import annotations

import sys
import textwrap
from typing import TYPE_CHECKING, Protocol, TextIO

from loopkit.bench.report.rows import about, align, legend, table

if TYPE_CHECKING:
    from loopkit.bench.plan import Progress
    from loopkit.bench.results import Report


class Screen(Protocol):
    """A progress that can also print a report."""

    @property
    def progress(self) -> Progress:
        """Whom to tell how far it is."""

    def show(self, report: Report) -> None:
        """Print the tables."""

    def close(self) -> None:
        """End the progress display."""


def open_screen(out: TextIO, err: TextIO) -> Screen:
    """rich if it is there and `out` is a terminal; otherwise plain text.

    Args:
        out: where tables go.
        err: where progress goes.
    """
    if out.isatty():
        try:
            from loopkit.bench.report.fancy import RichScreen
        except ImportError:
            pass
        else:
            return RichScreen()
    return PlainScreen(out, err)


class PlainProgress:
    """On a terminal one line that is rewritten; elsewhere a line for every scenario's round."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._rewrite = stream.isatty()
        self._steps = self._done = 0
        self._last = ""

    def expect(self, steps: int) -> None:
        self._steps = steps

    def begin(self, text: str) -> None:
        if self._rewrite:
            print(f"\r\x1b[K[{self._done + 1}/{self._steps}] {text}", end="", file=self._stream, flush=True)
        elif text.partition(":")[0] != self._last:
            self._last = text.partition(":")[0]
            print(f"[{self._done + 1}/{self._steps}] {self._last}", file=self._stream, flush=True)

    def end(self) -> None:
        self._done += 1

    def close(self) -> None:
        if self._rewrite:
            print("\r\x1b[K", end="", file=self._stream, flush=True)


class PlainScreen:
    """Text only."""

    def __init__(self, out: TextIO = sys.stdout, err: TextIO = sys.stderr) -> None:
        self._out = out
        self.progress = PlainProgress(err)

    def close(self) -> None:
        self.progress.close()

    def show(self, report: Report) -> None:
        print(plain_text(report), file=self._out)


def plain_text(report: Report) -> str:
    """The whole report as text of fixed-width columns."""
    lines = [about(report)]
    for scenario in report.scenarios:
        lines += ["", scenario.title, *align(table(scenario))]
        lines += [f"{row.loop}: {row.remark}" for row in scenario.rows if row.remark]
    return "\n".join([*lines, "", *textwrap.wrap(legend(report), 110)])
