"""`loopkit fds PID`: the descriptors of a running program, and who holds them."""

from __future__ import annotations

import json
from typing import Any

from loopkit.cli.attach import Words, ask
from loopkit.diagnostics.answers import header, loop_line, many, table

USAGE = """\
usage: loopkit fds PID [--json]

The fd table of each loop: owner, what somebody waits for and what the poller
was told, peer, unsent bytes, seconds since the last byte; then the
descriptors that the kernel has and no loop knows.
"""


def main(argv: list[str]) -> int:
    """Run the verb."""
    words = Words("fds", argv, USAGE)
    answer = ask(words.pid, "fds")
    print(json.dumps(answer, indent=1) if words.json else text(answer))
    return 0


def text(answer: dict[str, Any]) -> str:
    lines = [header(answer)]
    known = {row["fd"] for loop in answer["loops"] for row in loop["fds"] if row["kind"] != "unknown"}
    unknown: dict[int, dict[str, Any]] = {}
    for number, loop in enumerate(answer["loops"], 1):
        rows = [["FD", "WANTED", "ARMED", "UNSENT", "IDLE", "LOCAL", "PEER", "OWNER"]]
        for row in loop["fds"]:
            if row["kind"] != "unknown":
                cells = [str(row["fd"]), row["wanted"], row["armed"], str(row["unsent"]), *where(row)]
                rows.append([*cells, row["owner"]])
            elif row["fd"] not in known:
                unknown[row["fd"]] = row
        lines += ["", f"{loop_line(number, loop)}, {many(loop['count'], 'descriptor')}", table(rows, "  ")]
    if unknown:
        rows = [["FD", "IDLE", "LOCAL", "PEER", "WHAT"]]
        rows += [[str(fd), *where(row), row["owner"]] for fd, row in sorted(unknown.items())]
        lines += ["", f"{many(len(unknown), 'descriptor')} that no loop knows", table(rows, "  ")]
    return "\n".join(lines)


def where(row: dict[str, Any]) -> list[str]:
    """Since when nothing came or went, and between whom."""
    idle = "-" if row["idle"] is None else f"{row['idle']:.1f} s"
    return [idle, row["local"] or "-", (row["peer"] or "-") + (" (has closed)" if row["ended"] else "")]
