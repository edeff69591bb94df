"""What an agent answers, in words: for the commands that ask it, and for a signal."""

from __future__ import annotations

import re
from typing import Any

#: Tasks that are alike are told in one row, if they are more than this.
FEW = 5

#: Where the standard library lies, and installed packages.
LIBRARIES = re.compile(r"^.*/(?:(?:site|dist)-packages|lib/(?:python|pypy)3\.\d+t?)/(?=.)")


def tasks(answer: dict[str, Any], *, each: bool = False) -> str:
    """The tasks of each loop.

    Args:
        each: a row for each of them, also if many are alike.
    """
    lines = [header(answer)]
    for number, loop in enumerate(answer["loops"], 1):
        lines += ["", f"{loop_line(number, loop)}, {many(loop['count'], 'task')}"]
        rows = [["TASK", "STATE", "COROUTINE", "AWAITED BY", "WAITS FOR"]]
        for task, more in alike(loop["tasks"], len(loop["tasks"]) if each else FEW):
            place = f"  ({shorter(task['place'], answer)})" if task["place"] else ""
            name = task["name"] + (f" and {more} more" if more else "")
            by = ", ".join(task["awaited_by"]) or "-"
            rows.append([name, task["state"], task["coroutine"], by, (task["waits"] or "-") + place])
        lines.append(table(rows, "  "))
    return "\n".join(lines)


def alike(tasks: list[dict[str, Any]], few: int) -> list[tuple[dict[str, Any], int]]:
    """Tasks, and how many others like each are left out: where more than *few* wait at the same place."""
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for task in tasks:
        waits = re.sub(r"'.*'|[\d.:]+", "", task["waits"])  # without names and figures
        key = task["coroutine"], task["state"], task["place"], waits, bool(task["awaited_by"])
        groups.setdefault(key, []).append(task)
    found = []
    for group in groups.values():
        if len(group) > few:
            found.append((group[0], len(group) - 1))
        else:
            found += [(task, 0) for task in group]
    order = {id(task): place for place, task in enumerate(tasks)}
    return sorted(found, key=lambda item: order[id(item[0])])


def dump(answer: dict[str, Any]) -> str:
    """What each loop is calling, in which task, and who awaits that; the stacks of all threads."""
    lines = [header(answer)]
    for number, loop in enumerate(answer["loops"], 1):
        lines += ["", loop_line(number, loop)]
        if loop["task"]:
            lines.append(f"  in {loop['task']}")
            lines += [f"  awaited by {waiter}" for waiter in loop["awaiters"]]
        lines += frames(loop["stack"])
    for thread in answer["threads"]:
        lines += ["", f"thread {thread['name']}", *frames(thread["stack"])]
    return "\n".join(lines)


def frames(stack: list[list[Any]]) -> list[str]:
    """A stack as Python prints it."""
    lines = []
    for file, line, function, source in stack:
        lines.append(f'  File "{file}", line {line}, in {function}')
        if source:
            lines.append(f"    {source}")
    return lines


def table(rows: list[list[str]], indent: str = "") -> str:
    """Columns; the last is as wide as it likes."""
    if not rows:
        return ""
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]) - 1)]
    return "\n".join(
        (
            indent
            + "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]])
        ).rstrip()
        for row in rows
    )


def shorter(place: str, answer: dict[str, Any]) -> str:
    """A file and line of that process: from its folder on, or from that of the libraries."""
    inner = LIBRARIES.sub("", place)
    return inner if inner != place else place.removeprefix(answer["folder"] + "/")


def header(answer: dict[str, Any]) -> str:
    versions = f"Python {answer['python']}, loopkit {answer['loopkit']}"
    cut = "\n(there is more than an answer can hold: the rest is left out)" if answer.get("cut") else ""
    return f"process {answer['pid']}: {answer['program']} ({versions}){cut}"


def many(count: int, what: str) -> str:
    return f"{count} {what}{'s' * (count != 1)}"


def loop_line(number: int, loop: dict[str, Any]) -> str:
    state = "closed" if loop.get("closed") else "runs" if loop["running"] else "does not run"
    if loop["running"]:
        state = "asleep in its poll" if loop["idle"] else "at work"
    thread = f" in {loop['thread']}" if loop["thread"] else ""
    return f"loop {number}: {loop['poller']}{thread}, {state}"
