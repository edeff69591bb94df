"""`loopkit dump PID`: what a running program is doing at this moment, also while its loop is stuck."""

from __future__ import annotations

import json
from typing import Any

from loopkit.cli.attach import Words, ask, header, loop_line
from loopkit.cli.options import UsageError

USAGE = """\
usage: loopkit dump PID [--json]
       loopkit dump PID --record FILE

What each loop is calling, in which task, and who awaits that; then the stacks
of all threads. Works while the loop is stuck, unless a C call keeps the
interpreter's lock. --record writes the flight recording of a program that has
one (loopkit --record) to FILE: .html, .json or .txt.
"""


def main(argv: list[str]) -> int:
    """Run the verb."""
    words = Words("dump", argv, USAGE, ("--record",))
    if "--record" in words.values:
        return save(words.pid, words.values["--record"])
    answer = ask(words.pid, "dump")
    print(json.dumps(answer, indent=1) if words.json else text(answer))
    return 0


def save(pid: int, name: str) -> int:
    """Write the flight recording of a process."""
    from loopkit.diagnostics import files
    from loopkit.diagnostics.recording import decode

    try:
        path = files.check_name(name)
        files.write(decode(ask(pid, "record")["recording"]), path)
    except OSError as error:
        raise UsageError(f"cannot write {name}: {error.strerror}") from None
    except ValueError as error:
        raise UsageError(str(error)) from None
    print(f"wrote {path}")
    return 0


def text(answer: dict[str, Any]) -> str:
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
