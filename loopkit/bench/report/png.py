"""Results as a PNG picture, drawn by matplotlib where that is installed."""

from __future__ import annotations

import textwrap
from importlib.util import find_spec
from typing import TYPE_CHECKING

from loopkit.bench.report.chart import COLOURS, TITLE, about, notes, panels

if TYPE_CHECKING:
    from pathlib import Path

    from loopkit.bench.results import Report

COLUMNS = 3


def require() -> None:
    """Raise ImportError, which says what to install, if matplotlib is missing."""
    if find_spec("matplotlib") is None:
        raise ImportError("--png needs matplotlib (python -m pip install matplotlib); --svg needs nothing")


def draw(report: Report, path: Path) -> None:
    """Write the picture."""
    require()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    drawn = panels(report)
    columns = min(COLUMNS, max(1, len(drawn)))
    rows = max(1, -(-len(drawn) // columns))
    figure = Figure(figsize=(6.2 * columns, 2.6 * rows + 1.2), layout="constrained", dpi=110)
    FigureCanvasAgg(figure)
    figure.suptitle(f"{TITLE}\n{textwrap.fill(about(report), 90 * columns)}", fontsize=9)
    figure.supxlabel("\n".join(notes(report)), fontsize=7, x=0.01, ha="left")
    axes = figure.subplots(rows, columns, squeeze=False).flat
    for panel, axis in zip(drawn, axes, strict=False):
        places = range(len(panel.bars))
        colours = [COLOURS[bar.kind][0] for bar in panel.bars]
        spread = [bar.spread for bar in panel.bars]
        axis.barh(places, [bar.share for bar in panel.bars], xerr=spread, color=colours, ecolor="#1f2328")
        axis.set_yticks(places, [bar.label for bar in panel.bars], fontsize=8)
        axis.invert_yaxis()
        axis.set_xlim(0, 1.45)
        axis.set_xticks([])
        axis.set_title(f"{panel.title}\n{panel.unit}", fontsize=8, loc="left")
        axis.spines[["top", "right", "bottom"]].set_visible(False)
        for place, bar in enumerate(panel.bars):
            colour = "#cf222e" if bar.failure else "black"
            axis.text(
                bar.share + bar.spread + 0.01,
                place,
                bar.failure[:50] or bar.text,
                va="center",
                fontsize=8,
                color=colour,
            )
    for axis in list(axes)[len(drawn) :]:
        axis.set_visible(False)
    figure.savefig(path, format="png")
