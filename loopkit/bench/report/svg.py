"""Results as an SVG picture, drawn by hand: no dependency, no script, no font or file from elsewhere."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from loopkit.bench.report.chart import COLOURS, TITLE, Panel, about, notes, panels

if TYPE_CHECKING:
    from loopkit.bench.results import Report

# Pixels.
COLUMNS = 3
WIDTH = 400
LABEL = 112
VALUE = 100
ROW = 20
BAR = 13
HEAD = 52
GAP = 28
TOP = 64
LINE = 14
TITLE_CHARACTERS = 60
FAILURE_CHARACTERS = 50


def style() -> str:
    """The style sheet, for light and dark surroundings."""
    light = "".join(f".{kind}{{fill:{colours[0]}}}" for kind, colours in COLOURS.items())
    dark = "".join(f".{kind}{{fill:{colours[1]}}}" for kind, colours in COLOURS.items())
    return (
        "<style>text{font:12px system-ui,sans-serif;fill:#1f2328}.b{font-weight:600}"
        f".s{{font-size:11px;fill:#656d76}}.f{{font-size:11px;fill:#cf222e}}.paper{{fill:#fff}}.spread{{fill:#1f2328}}{light}@media(prefers-color-scheme:dark){{"
        f"text{{fill:#e6edf3}}.s{{fill:#8b949e}}.f{{fill:#ff7b72}}.paper{{fill:#0d1117}}.spread{{fill:#e6edf3}}{dark}}}}}</style>"
    )


def draw(report: Report) -> str:
    """The whole picture."""
    drawn = panels(report)
    parts: list[str] = []
    y = TOP
    for start in range(0, len(drawn), COLUMNS):
        line = drawn[start : start + COLUMNS]
        parts += [place(panel, GAP + column * (WIDTH + GAP), y) for column, panel in enumerate(line)]
        y += max(map(height, line)) + GAP
    width = GAP + min(COLUMNS, max(1, len(drawn))) * (WIDTH + GAP)
    head = [
        f'<text class="b" x="{GAP}" y="26">{TITLE}</text>',
        *small(about(report), 43, width, most=2),
    ]
    for note in notes(report):
        lines = small(note, y, width)
        y += LINE * len(lines)
        head += lines
    return document(width, y + LINE // 2, "".join(head + parts))


def small(text: str, y: int, width: int, most: int = 9) -> list[str]:
    """Text in small letters, in as many lines as it takes."""
    return [
        f'<text class="s" x="{GAP}" y="{y + LINE * number}">{escape(line)}</text>'
        for number, line in enumerate(textwrap.wrap(text, width // 6)[:most])
    ]


def document(width: int, height: int, content: str) -> str:
    """A complete SVG file."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" role="img">{style()}'
        f'<rect class="paper" width="100%" height="100%"/>{content}</svg>\n'
    )


def height(panel: Panel) -> int:
    """How high a panel is."""
    return HEAD + ROW * len(panel.bars)


def place(panel: Panel, x: int, y: int) -> str:
    """A panel as a group at a position."""
    title, *rest = textwrap.wrap(panel.title, TITLE_CHARACTERS) or [""]
    shown = title + ("..." if rest else "")
    parts = [
        f"<title>{escape(panel.title)}</title>",
        f'<text class="b" x="0" y="14">{escape(shown)}</text>',
        f'<text class="s" x="0" y="32">{escape(panel.unit)}</text>',
    ]
    for number, bar in enumerate(panel.bars):
        top = HEAD - ROW // 2 + number * ROW
        base = top + BAR - 2
        parts.append(f'<text x="{LABEL - 8}" y="{base}" text-anchor="end">{escape(bar.label)}</text>')
        if bar.failure:
            text = bar.failure[:FAILURE_CHARACTERS] + "..." * (len(bar.failure) > FAILURE_CHARACTERS)
            parts.append(f'<text class="f" x="{LABEL}" y="{base}"><title>{escape(bar.failure)}</title>')
            parts.append(f"{escape(text)}</text>")
            continue
        room = WIDTH - LABEL - VALUE
        length, spread = max(1, round(bar.share * room)), round(bar.spread * room)
        size = f'width="{length}" height="{BAR}" rx="2"'
        parts.append(f'<rect class="{bar.kind}" x="{LABEL}" y="{top}" {size}/>')
        if spread:
            left = max(LABEL, LABEL + length - spread)
            line = f'x="{left}" y="{top + BAR // 2}" width="{LABEL + length + spread - left}" height="1"'
            parts.append(f'<rect class="spread" {line}/>')
        beside = LABEL + length + min(spread, VALUE // 4) + 6
        parts.append(f'<text x="{beside}" y="{base}">{escape(bar.text)}</text>')
    return f'<g transform="translate({x} {y})">{"".join(parts)}</g>'
