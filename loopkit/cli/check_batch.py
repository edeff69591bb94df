"""``loopkit check --batch``: a whole class by one command."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from loopkit.check.batch import students, tables
from loopkit.check.batch.marking import Journal, Plan, mark_all
from loopkit.check.batch.rubric import BadRubric, Rubric, load
from loopkit.check.checks import CHECKS
from loopkit.check.client_checks import CLIENT_CHECKS
from loopkit.check.words import say
from loopkit.cli.options import UsageError

if TYPE_CHECKING:
    from loopkit.check.batch.marks import Mark
    from loopkit.check.batch.students import Student

__all__ = ["Class", "main"]


class Class(NamedTuple):
    """What the user asked for.

    ``csv`` and ``html`` are where the marks go, ``""`` for nowhere; ``options`` are for each examination.
    """

    paths: list[str]
    options: list[str]
    lang: str
    client: bool = False
    csv: str = ""
    html: str = ""
    rubric: str = ""
    repeat: int = 1
    jobs: int = 0
    again: bool = False


def main(wanted: Class, interruptions: tuple[type[BaseException], ...]) -> int:
    """Mark everybody: 0 if all have a mark, 1 if somebody has none, 130 if it was stopped.

    Args:
        wanted: what to do.
        interruptions: the exceptions by which it is stopped.

    Raises UsageError for what is not there or cannot be written.
    """
    class_ = _students(wanted)
    rubric = _rubric(wanted)
    outputs = {
        option: Path(name) for option, name in (("--csv", wanted.csv), ("--html", wanted.html)) if name
    }
    for option, path in outputs.items():
        _require_writable(option, path, wanted.lang)
    plan = Plan(wanted.options, wanted.repeat, wanted.jobs or os.cpu_count() or 1)
    beside = next(iter(outputs.values()), None)
    journal = Journal(beside and beside.with_name(f"{beside.name}.journal"), plan, again=wanted.again)
    marks: list[Mark] = []

    def tell(mark: Mark) -> None:
        marks.append(mark)
        print(tables.line(mark, rubric, wanted.lang, len(marks), len(class_)), flush=True)

    code = 0
    try:
        marks = mark_all(class_, plan, journal, tell)
    except interruptions:
        told = {"done": sum(not mark.problem for mark in marks), "of": len(class_)}
        print(f"loopkit check: {say(wanted.lang, 'batch-stopped', told)}", file=sys.stderr)
        code = 130
    for option, path in outputs.items():
        write = tables.as_csv if option == "--csv" else tables.as_html
        _write(path, write(marks, rubric, wanted.lang), option, wanted.lang)
    if code == 0:
        print(f"\n{tables.summary(marks, rubric, wanted.lang)}")
        code = 1 if any(mark.problem or mark.undecided for mark in marks) else 0
    return code


def _students(wanted: Class) -> list[Student]:
    paths = [Path(name) for name in wanted.paths]
    for path in paths:
        if not path.exists():
            raise UsageError(say(wanted.lang, "not-found", {"target": str(path)}))
    found = students.find(paths, "client" if wanted.client else "server")
    if not found:
        raise UsageError(say(wanted.lang, "nobody-here", {"folder": wanted.paths[0]}))
    return found


def _rubric(wanted: Class) -> Rubric:
    names = [check.name for check in (CLIENT_CHECKS if wanted.client else CHECKS)]
    try:
        return load(Path(wanted.rubric), names) if wanted.rubric else Rubric()
    except BadRubric as error:
        raise UsageError(say(wanted.lang, error.how, error.values)) from None


def _require_writable(option: str, path: Path, lang: str) -> None:
    """Find out before the long run, not after it; what is there already stays."""
    try:
        path.open("a").close()
    except OSError as error:
        told = {"option": option, "file": str(path), "error": error.strerror}
        raise UsageError(say(lang, "unwritable", told)) from None


def _write(path: Path, text: str, option: str, lang: str) -> None:
    """All of it or nothing: a table that is there already is not lost for half of a new one."""
    part = path.with_name(f"{path.name}.part")
    try:
        part.write_text(text, encoding="utf-8", newline="")
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        told = {"option": option, "file": str(path), "error": error.strerror}
        raise UsageError(say(lang, "unwritable", told)) from None
    print(say(lang, "wrote", {"file": str(path)}), file=sys.stderr)
