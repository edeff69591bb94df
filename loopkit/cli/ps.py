"""`loopkit ps PID`: the tasks of a running program, who awaits whom, and what each waits for."""

from __future__ import annotations

import json
from typing import Any

from loopkit.cli.attach import Words, ask, header, loop_line, table

USAGE = """\
usage: loopkit ps PID [--json]

The tasks of a running program: state, coroutine, what each waits for, its
line, and who awaits it.
"""


def main(argv: list[str]) -> int:
    """Run the verb."""
    words = Words("ps", argv, USAGE)
    answer = ask(words.pid, "ps")
    print(json.dumps(answer, indent=1) if words.json else text(answer))
    return 0


def text(answer: dict[str, Any]) -> str:
    lines = [header(answer)]
    for number, loop in enumerate(answer["loops"], 1):
        lines += ["", f"{loop_line(number, loop)}, {len(loop['tasks'])} tasks"]
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
