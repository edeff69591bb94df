"""`loopkit fds PID`: the descriptors of a running program, and who holds them."""

from __future__ import annotations

import json
from typing import Any

from loopkit.cli.attach import Words, ask
from loopkit.diagnostics.answers import header, loop_line, table

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
    unknown: dict[int, str] = {}
    for number, loop in enumerate(answer["loops"], 1):
        rows = [["FD", "WANTED", "ARMED", "UNSENT", "IDLE", "LOCAL", "PEER", "OWNER"]]
        for row in loop["fds"]:
            if row["kind"] == "unknown":
                if row["fd"] not in known:
                    unknown[row["fd"]] = row["owner"]
                continue
            idle = "-" if row["idle"] is None else f"{row['idle']:.1f} s"
            cells = [str(row["fd"]), row["wanted"], row["armed"], str(row["unsent"]), idle]
            rows.append([*cells, row["local"] or "-", row["peer"] or "-", row["owner"]])
        lines += ["", f"{loop_line(number, loop)}, {len(rows) - 1} descriptors", table(rows, "  ")]
    if unknown:
        lines += ["", f"{len(unknown)} descriptors that no loop knows"]
        lines.append(table([[str(fd), owner] for fd, owner in sorted(unknown.items())], "  "))
    if answer.get("cut"):
        lines.append("(too many to be told: the rest is left out)")
    return "\n".join(lines)
