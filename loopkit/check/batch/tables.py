"""The marks: a line for each student as they come, a table for other programs, and a page for people."""

from __future__ import annotations

import csv
import html
import io
from typing import TYPE_CHECKING

from loopkit.check.words import say

from .marks import passed

if TYPE_CHECKING:
    from .marks import Mark
    from .rubric import Rubric

__all__ = ["as_csv", "as_html", "line", "summary"]

#: What a spreadsheet would take for a formula, if a cell began with it.
_FORMULAS = ("=", "+", "-", "@", "\t", "\r")

_SYMBOLS = {"passed": "✓", "limited": "✓", "fault": "✗", "skipped": "-", "undecided": "?", "unavailable": "·"}

_STYLE = """
:root { color-scheme: light dark; --bad: #b3261e; --good: #1b6e3c; --line: #8886; --soft: #8882; }
@media (prefers-color-scheme: dark) { :root { --bad: #ff9c94; --good: #7fd8a2; } }
body { font: 16px/1.5 system-ui, "Noto Sans CJK SC", sans-serif; margin: 1rem auto; max-width: 70rem;
  padding: 0 1rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; } th, td { border-bottom: 1px solid var(--line); padding: .3rem .6rem;
  text-align: left; vertical-align: top; }
th.check { writing-mode: vertical-rl; font-weight: normal; } td.number { text-align: right; }
td.fault { color: var(--bad); font-weight: bold; } td.passed, td.limited { color: var(--good); }
details { border-bottom: 1px solid var(--line); padding: .5rem 0; } summary { cursor: pointer; }
dt { font-weight: bold; margin-top: .6rem; } dd { margin: 0 0 0 1rem; }
pre { background: var(--soft); padding: .5rem; overflow-x: auto; }
@media print { details { break-inside: avoid; } .scroll { overflow: visible; } }
"""


def line(mark: Mark, rubric: Rubric, lang: str, done: int, of: int) -> str:
    """One student, as soon as he is marked."""
    head = f"{done:>{len(str(of))}}/{of}  {mark.student.name}"
    if mark.problem:
        return f"{head}  {say(lang, *mark.problem)}"
    got, possible = mark.points(rubric)
    words = [say(lang, "mark", {"got": _number(got), "possible": _number(possible)})]
    words += [_listed(mark.faults)] if mark.faults else []
    words += [say(lang, "undecided-checks", {"checks": _listed(mark.undecided)})] if mark.undecided else []
    words += [] if mark.steady else [say(lang, "unsteady")]
    words += [say(lang, "marked-before")] if mark.before else []
    return f"{head}  {'  '.join(words)}"


def summary(marks: list[Mark], rubric: Rubric, lang: str) -> str:
    """The last line."""
    counted = [mark for mark in marks if not mark.problem]
    good = sum(not mark.faults and not mark.undecided for mark in counted)
    mean = sum(mark.points(rubric)[0] for mark in counted) / max(1, len(counted))
    told = {"students": len(marks), "marked": len(counted), "good": good, "mean": _number(mean)}
    return say(lang, "class", told)


def as_csv(marks: list[Mark], rubric: Rubric, lang: str) -> str:
    """A line for each student. With a byte order mark, by which spreadsheets know that it is UTF-8."""
    checks = _checks(marks)
    out = io.StringIO()
    table = csv.writer(out)
    heads = ("student", "program", "mark", "of", "faults", "undecided", "steady", "seconds", "note")
    table.writerow([*(say(lang, f"column.{name}") for name in heads), *checks])
    for mark in marks:
        states = {check["name"]: check["status"] for check in mark.checks}
        got, possible = mark.points(rubric)
        row = [
            mark.student.name,
            str(mark.student.program or mark.student.folder or ""),
            "" if mark.problem else _number(got),
            "" if mark.problem else _number(possible),
            _listed(mark.faults),
            _listed(mark.undecided),
            "" if mark.problem else say(lang, "yes" if mark.steady else "no"),
            f"{mark.seconds:.1f}",
            say(lang, *mark.problem) if mark.problem else "",
        ]
        table.writerow([_cell(text) for text in (*row, *(states.get(name, "") for name in checks))])
    return "\ufeff" + out.getvalue()


def as_html(marks: list[Mark], rubric: Rubric, lang: str) -> str:
    """A page by itself: the table, and below it every student's faults with what explains them."""
    title = html.escape(say(lang, "page-title"))
    parts = [
        f'<!doctype html><html lang="{"zh-CN" if lang == "zh" else "en"}"><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{title}</title><style>{_STYLE}</style>",
        f"<h1>{title}</h1><p>{html.escape(summary(marks, rubric, lang))}</p>",
        _html_table(marks, rubric, lang),
        f"<p>{html.escape(_legend(lang))}</p>",
        *(_html_details(number, mark, rubric, lang) for number, mark in enumerate(marks)),
    ]
    return "\n".join(parts) + "\n"


def _html_table(marks: list[Mark], rubric: Rubric, lang: str) -> str:
    titles = {check["name"]: check["title"] for mark in marks for check in mark.checks}
    heads = [f"<th>{html.escape(say(lang, f'column.{name}'))}" for name in ("student", "mark", "of")]
    heads += [f'<th class="check" title="{html.escape(titles[name])}">{html.escape(name)}' for name in titles]
    rows = ["<tr>" + "".join(heads)]
    for number, mark in enumerate(marks):
        name = f'<td><a href="#s{number}">{html.escape(mark.student.name)}</a>'
        if mark.problem:
            rows.append(f'<tr id="r{number}">{name}<td><td><td>{html.escape(say(lang, *mark.problem))}')
            continue
        got, possible = mark.points(rubric)
        cells = [f'<td class="number">{_number(points)}' for points in (got, possible)]
        states = {check["name"]: check["status"] for check in mark.checks}
        for check in titles:
            state = states.get(check, "unavailable")
            cells.append(f'<td class="{state}" title="{state}">{_SYMBOLS[state]}')
        rows.append(f"<tr>{name}{''.join(cells)}")
    return f'<div class="scroll"><table>{"".join(rows)}</table></div>'


def _html_details(number: int, mark: Mark, rubric: Rubric, lang: str) -> str:
    """Everything that explains a student's mark, folded."""
    if mark.problem:
        head, notes = say(lang, *mark.problem), []
    else:
        got, possible = map(_number, mark.points(rubric))
        head = say(lang, "mark", {"got": got, "possible": possible})
        notes = [say(lang, "unsteady")] if not mark.steady else []
    parts = [f"<p>{html.escape(note)}" for note in notes]
    for check in mark.checks:
        if not passed(check) or check["text"]:
            status = html.escape(say(lang, f"status.{check['status']}").strip())
            parts.append(f"<dt>{status}: {html.escape(check['title'])}")
            parts += [f"<dd>{html.escape(check[key])}" for key in ("text", "hint") if check[key]]
            parts += [f"<dd><pre>{html.escape(check['stderr'])}</pre>"] if check["stderr"].strip() else []
    heading = f"<summary>{html.escape(mark.student.name)}: {html.escape(head)}</summary>"
    return f'<details id="s{number}">{heading}<dl>{"".join(parts)}</dl></details>'


def _legend(lang: str) -> str:
    """What the symbols mean."""
    return "  ".join(f"{symbol} {say(lang, f'status.{state}').strip()}" for state, symbol in _SYMBOLS.items())


def _checks(marks: list[Mark]) -> list[str]:
    return list(dict.fromkeys(check["name"] for mark in marks for check in mark.checks))


def _listed(names: list[str]) -> str:
    return ", ".join(names)


def _number(value: float) -> str:
    return f"{round(value, 1):g}"


def _cell(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULAS) else text
