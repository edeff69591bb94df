"""Packets between hosts, drawn: as text for the terminal, and as a page of its own."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .report import Report
    from .trace import Event

#: How many packets are drawn: the last ones.
SHOWN = 30

WIDTH = 24


def packets(events: list[Event]) -> list[tuple[float, str, str, str]]:
    """(when, from, to, what) of every packet between two hosts."""
    found = []
    for event in events:
        if event.kind == "packet":
            target, _, what = event.text.partition(" ")
            if target != event.host:
                found.append((event.when, event.host, target, what))
    return found


def sequence(events: list[Event]) -> list[str]:
    """A sequence diagram as text; nothing if all happened on one host."""
    found = packets(events)
    hosts = list(dict.fromkeys(name for _, source, target, _ in found for name in (source, target)))
    if len(hosts) < 2:
        return []
    lines = [" " * 12 + "".join(f"{host:^{WIDTH}}" for host in hosts).rstrip()]
    for when, source, target, what in found[-SHOWN:]:
        left, right = sorted((hosts.index(source), hosts.index(target)))
        span = (right - left) * WIDTH - 1
        label = what[: span - 4]
        arrow = f"{label:-^{span - 1}}>" if hosts.index(source) == left else f"<{label:-^{span - 1}}"
        cells = " " * (left * WIDTH + WIDTH // 2) + "|" + arrow + "|"
        lines.append(f"{when:>10.6f}  {cells}".rstrip())
    return lines


def page(report: Report) -> str:
    """One self-contained HTML page: the report's text, and the packets between the hosts as a picture."""
    text = html.escape(str(report))
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{html.escape(report.token)}</title><style> :root {{
color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif }} body {{ max-width: 70rem; margin: 2rem auto;
padding: 0 1rem }} pre {{ overflow-x: auto; font: 13px/1.45 ui-monospace, monospace }} svg {{ width: 100%;
height: auto }} line, path {{ stroke: currentColor }}
text {{ fill: currentColor; font-size: 12px }}
</style></head><body><h1>A failing schedule</h1>{_picture(report.trace.events)}<pre>{text}</pre></body></html>
"""


def _picture(events: list[Event]) -> str:
    found = packets(events)[-SHOWN:]
    hosts = list(dict.fromkeys(name for _, source, target, _ in found for name in (source, target)))
    if len(hosts) < 2:
        return ""
    height = 60 + 26 * len(found)
    x = {host: 90 + 200 * place for place, host in enumerate(hosts)}
    parts = [f'<svg viewBox="0 0 {180 + 200 * (len(hosts) - 1)} {height}" role="img" aria-label="packets">']
    parts.append('<defs><marker id="a" markerWidth="8" markerHeight="8" refX="7" refY="4" orient="auto">')
    parts.append('<path d="M0 0 8 4 0 8z" fill="currentColor"/></marker></defs>')
    for host, place in x.items():
        parts.append(f'<text x="{place}" y="20" text-anchor="middle">{html.escape(host)}</text>')
        parts.append(f'<line x1="{place}" y1="30" x2="{place}" y2="{height}" stroke-opacity=".4"/>')
    for row, (when, source, target, what) in enumerate(found):
        y = 56 + 26 * row
        parts.append(f'<line x1="{x[source]}" y1="{y}" x2="{x[target]}" y2="{y}" marker-end="url(#a)"/>')
        middle = (x[source] + x[target]) / 2
        label = html.escape(f"{when:.6f} {what}")
        parts.append(f'<text x="{middle}" y="{y - 5}" text-anchor="middle">{label}</text>')
    return "".join([*parts, "</svg>"])
