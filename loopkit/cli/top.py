"""`loopkit top PID`: how busy a running program's loops are, and with what; again and again."""

from __future__ import annotations

import json
import os
import shutil
import time
from typing import Any

from loopkit.cli.attach import Words, ask
from loopkit.cli.options import UsageError
from loopkit.diagnostics.answers import header, loop_line, table

USAGE = """\
usage: loopkit top PID [--interval SECONDS] [--once] [--json]

How busy each loop is and how late, what ran on it by coroutine function, and
its connections by bytes; every SECONDS (default 2), or once over that time.
While it looks, the loop runs in its observed turn, which is slower. Ctrl-C
ends.
"""


def main(argv: list[str]) -> int:
    """Run the verb."""
    words = Words("top", argv, USAGE, ("--interval", "--once"))
    try:
        interval = float(words.values.get("--interval", "2"))
    except ValueError:
        interval = -1.0
    if not 0.05 <= interval <= 3600:
        raise UsageError(f"--interval needs seconds, from 0.05 to 3600, not {words.values['--interval']!r}")
    before = ask(words.pid, "top")
    forever = "--once" not in words.values and not words.json and os.isatty(1)
    try:
        while True:
            time.sleep(interval)
            now = ask(words.pid, "top")
            if words.json:
                print(json.dumps(now, indent=1))
            elif forever:
                width, height = shutil.get_terminal_size()
                shown = [line[:width] for line in text(before, now).splitlines()[: height - 1]]
                print("\x1b[H\x1b[2J" + "\n".join(shown), flush=True)
            else:
                print(text(before, now))
            if not forever:
                return 0
            before = now
    except KeyboardInterrupt:
        return 0


def text(before: dict[str, Any], now: dict[str, Any]) -> str:
    """What happened between two answers."""
    lines = [header(now)]
    for number, (old, new) in enumerate(zip(before["loops"], now["loops"], strict=False), 1):
        lines += ["", loop_line(number, new), *figures(old, new)]
        lines += ["", table(functions(old, new), "  ")]
        rows = [["FD", "PEER", "RECEIVED", "SENT", "UNSENT", "OWNER"]]
        for row in new["connections"][:10]:
            sent, received = (size(row[name]) for name in ("sent", "received"))
            unsent = size(row["unsent"])
            rows.append([str(row["fd"]), row["peer"] or "-", received, sent, unsent, row["owner"]])
        if len(rows) > 1:
            lines += ["", table(rows, "  ")]
    return "\n".join(lines)


def figures(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Utilisation and lateness, in two lines."""
    busy = new["busy"] - old["busy"]
    ran = busy + new["idle_seconds"] - old["idle_seconds"]
    seconds = max(new["taken"] - old["taken"], 1e-9)
    polls, events = new["polls"] - old["polls"], new["events"] - old["events"]
    share = busy / ran if ran > 0 else 0.0
    half, most = milliseconds(new["lateness"]["p50"]), milliseconds(new["lateness"]["p99"])
    return [
        f"  {share:.0%} busy; {polls / seconds:.0f} polls and {events / seconds:.0f} events a second; "
        f"{new['ready']} ready, {new['timers']} timers, {new['watches']} descriptors",
        f"  since counting began: lateness half below {half}, 99 % below {most}; "
        f"longest without a poll {milliseconds(new['longest']['stretch'])}",
    ]


def functions(old: dict[str, Any], new: dict[str, Any]) -> list[list[str]]:
    """Time on the loop by what was called."""
    known = {row["name"]: row for row in old["profile"]}
    seconds = max(new["taken"] - old["taken"], 1e-9)
    found = []
    for row in new["profile"]:
        last = known.get(row["name"], {"steps": 0, "seconds": 0.0, "waited": 0.0})
        steps = row["steps"] - last["steps"]
        if steps > 0:
            found.append((row["seconds"] - last["seconds"], steps, row, row["waited"] - last["waited"]))
    found.sort(key=lambda item: -item[0])
    rows = [["TIME", "STEPS", "LONGEST", "WAITED", "FUNCTION"]]
    for spent, steps, row, waited in found[:15]:
        share = f"{spent / seconds:.1%}"
        longest, each = milliseconds(row["longest"]), milliseconds(waited / steps)
        rows.append([share, str(steps), longest, each, row["name"]])
    return rows


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms" if seconds < 1 else f"{seconds:.1f} s"


def size(count: float | None) -> str:
    if count is None:
        return "-"
    for unit in ("B", "KB", "MB", "GB"):
        if count < 10_000 or unit == "GB":
            break
        count /= 1000
    return f"{count:.0f} {unit}"
