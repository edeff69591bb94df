"""Results as one HTML page that needs nothing beside it: an overview, then a picture and a table each."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from loopkit.bench.report import svg
from loopkit.bench.report.chart import control_of, panel
from loopkit.bench.report.rows import has_figures, legend, number, ratio, table

if TYPE_CHECKING:
    from loopkit.bench.results import LoopResult, Report, ScenarioResult

CSS = """
:root { color-scheme: light dark; --paper: #fff; --ink: #1f2328; --dim: #656d76; --line: #d0d7de; --bad:
#cf222e; } @media (prefers-color-scheme: dark) { :root { --paper: #0d1117; --ink: #e6edf3; --dim: #8b949e;
--line: #30363d; --bad: #ff7b72; } } body { font: 15px/1.5 system-ui, sans-serif; background: var(--paper);
color: var(--ink); max-width: 76rem; margin: 2rem auto; padding: 0 1rem; } .wide { overflow-x: auto; } table {
border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; } th, td { padding: .2rem
.6rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; } th:first-child,
td:first-child, td.how { text-align: left; } td.how { color: var(--bad); white-space: normal; } td small {
color: var(--dim); } h2 { font-size: 1.05rem; margin: 2.2rem 0 .4rem; } p, dl { color: var(--dim); } dl {
display: grid; grid-template-columns: max-content 1fr; gap: 0 1rem; font-size: 13px; } dd { margin: 0; } svg {
max-width: 100%; height: auto; }
"""


def write(report: Report) -> str:
    """The whole page."""
    about = "".join(f"<dt>{escape(key)}</dt><dd>{escape(value)}</dd>" for key, value in report.about.items())
    sections = "".join(section(scenario) for scenario in report.scenarios if scenario.rows)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"/>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"/>'
        f"<title>Event loops compared</title><style>{CSS}</style></head><body>"
        f"<h1>Event loops compared by loopkit bench</h1><dl>{about}</dl>"
        f"<h2>Overview</h2>{overview(report)}<p>{escape(legend(report))}</p>{sections}</body></html>\n"
    )


def overview(report: Report) -> str:
    """Every scenario and loop in one table: the figure, and coloured by its ratio to the control."""
    loops = list(dict.fromkeys(row.loop for scenario in report.scenarios for row in scenario.rows))
    head = "".join(f"<th>{escape(loop)}</th>" for loop in loops)
    lines = []
    for scenario in report.scenarios:
        name, unit = escape(scenario.name), scenario.measure.unit
        line = [f'<td><a href="#{name}">{name}</a> <small>{unit}</small></td>']
        line += [overview_cell(scenario, scenario.row(loop)) for loop in loops]
        lines.append(f"<tr>{''.join(line)}</tr>")
    return (
        "<p>Less is better. In brackets: ratio to uvloop, or to asyncio where uvloop did not run.</p>"
        f'<div class="wide"><table><thead><tr><th>scenario</th>{head}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


def overview_cell(scenario: ScenarioResult, row: LoopResult | None) -> str:
    """One figure; greener the lower and redder the higher its ratio to the control is."""
    if row is None:
        return "<td></td>"
    if not has_figures(row):
        return f'<td title="{escape(row.failure, quote=True)}">failed</td>'
    figure, control = scenario.measure, control_of(scenario)
    text = number(row.median(figure.key), figure.scale)
    against = scenario.ratio(row, control) if control else None
    if against is None or row.loop == control:
        return f"<td>{text}</td>"
    colour = "46 160 67" if against < 1 else "248 81 73"
    strength = min(0.5, abs(1 - against) if against < 1 else abs(1 - 1 / against))
    style = f"background: rgb({colour} / {strength:.2f})"
    return f'<td style="{style}">{text} <small>({ratio(against)})</small></td>'


def section(scenario: ScenarioResult) -> str:
    """One scenario: its picture and its table."""
    drawn = panel(scenario)
    picture = svg.document(svg.WIDTH, svg.height(drawn), svg.place(drawn, 0, 0))
    head, *lines = table(scenario)
    headings = "".join(f"<th>{escape(heading)}</th>" for heading in head)
    body = "".join(f"<tr>{line_cells(line, len(head))}</tr>" for line in lines)
    return (
        f'<h2 id="{escape(scenario.name)}">{escape(scenario.name)}</h2>{picture}'
        f'<div class="wide"><table><thead><tr>{headings}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def line_cells(line: list[str], columns: int) -> str:
    """The cells of a table's line; a failure takes the place of all figures."""
    if len(line) < columns:
        return f'<td>{escape(line[0])}</td><td class="how" colspan="{columns - 1}">{escape(line[1])}</td>'
    return "".join(f"<td>{escape(cell)}</td>" for cell in line)
