"""The comparison as a table: with rich where it is installed and somebody looks, else as plain text."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Literal, TextIO

from loopkit.bench.report.rows import NONE, align, number, percent

if TYPE_CHECKING:
    from loopkit.bench.models.results import Comparison, Row

__all__ = ["show"]

LEGEND = (
    "N silent: microseconds of processor time (user and system) that the server used for each answer to one "
    "active client, while N others were connected and silent. idle: share of the time in which it ran, or "
    "waited for a processor, while all were silent (with the most clients it had)."
)


def show(comparison: Comparison, out: TextIO) -> None:
    """Print it."""
    if out.isatty():
        try:
            from rich.console import Console
        except ImportError:
            pass
        else:
            _show_rich(comparison, Console(file=out))
            return
    _show_plain(comparison, out)


def _head(comparison: Comparison) -> list[str]:
    return ["server", *(f"{size:,} silent" for size in comparison.sizes), "idle"]


def _cells(comparison: Comparison, row: Row) -> list[str]:
    costs = [number(row.cost.get(size), 1e6) for size in comparison.sizes]
    return [f"{row.kind} {row.model}", *costs, percent(row.idle[max(row.idle)]) if row.idle else NONE]


def _remarks(comparison: Comparison) -> list[str]:
    return [
        f"{row.kind} {row.model} ends with {row.served:,} clients: {row.failure}"
        for row in comparison.rows
        if row.failure
    ]


def _show_plain(comparison: Comparison, out: TextIO) -> None:
    table = align([_head(comparison), *(_cells(comparison, row) for row in comparison.rows)])
    about = ", ".join(f"{key}: {value}" for key, value in comparison.about.items())
    print(about, "", *table, "", *_remarks(comparison), *textwrap.wrap(LEGEND, 110), sep="\n", file=out)


def _show_rich(comparison: Comparison, console: object) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    assert isinstance(console, Console)
    table = Table(box=box.SIMPLE_HEAD, show_edge=False)
    for index, heading in enumerate(_head(comparison)):
        justify: Literal["left", "right"] = "right" if index else "left"
        table.add_column(Text(heading), justify=justify)
    for row in comparison.rows:
        table.add_row(*map(Text, _cells(comparison, row)), style="bold" if row.kind == "loopkit" else "")
    about = ", ".join(f"{key}: {value}" for key, value in comparison.about.items())
    console.print(Text(about, style="dim"), Text(), table)
    for remark in _remarks(comparison):
        console.print(Text(remark, style="red"))
    console.print(Text(LEGEND, style="dim"))
