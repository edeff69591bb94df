"""What an agent answers, in words: for the commands that ask it, and for a signal."""

from __future__ import annotations

from typing import Any


def tasks(answer: dict[str, Any]) -> str:
    """The tasks of each loop."""
    lines = [header(answer)]
    for number, loop in enumerate(answer["loops"], 1):
        many = len(loop["tasks"])
        lines += ["", f"{loop_line(number, loop)}, {many} task{'s' * (many != 1)}"]
        rows = [["TASK", "STATE", "COROUTINE", "AWAITED BY", "WAITS FOR"]]
        for task in loop["tasks"]:
            waits = task["waits"] or "-"
            place = f"  ({task['place']})" if task["place"] else ""
            by = ", ".join(task["awaited_by"]) or "-"
            rows.append([task["name"], task["state"], task["coroutine"], by, waits + place])
        lines.append(table(rows, "  "))
    if answer.get("cut"):
        lines.append("(too many to be told: the rest is left out)")
    return "\n".join(lines)


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


def header(answer: dict[str, Any]) -> str:
    versions = f"Python {answer['python']}, loopkit {answer['loopkit']}"
    return f"process {answer['pid']}: {answer['program']} ({versions})"


def loop_line(number: int, loop: dict[str, Any]) -> str:
    state = "closed" if loop.get("closed") else "runs" if loop["running"] else "does not run"
    if loop["running"]:
        state = "asleep in its poll" if loop["idle"] else "at work"
    thread = f" in {loop['thread']}" if loop["thread"] else ""
    return f"loop {number}: {loop['poller']}{thread}, {state}"
