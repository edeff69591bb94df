"""`loopkit dump PID`: what a running program is doing at this moment, also while its loop is stuck."""

from __future__ import annotations

import json

from loopkit.cli.attach import Words, ask
from loopkit.cli.options import UsageError
from loopkit.diagnostics import answers

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
    print(json.dumps(answer, indent=1) if words.json else answers.dump(answer))
    return 0


def save(pid: int, name: str) -> int:
    """Write the flight recording of a process."""
    from loopkit.diagnostics import files
    from loopkit.diagnostics.tracefile import decode

    try:
        path = files.check_name(name)
        files.write(decode(ask(pid, "record")["recording"]), path)
    except OSError as error:
        raise UsageError(f"cannot write {name}: {error.strerror}") from None
    except ValueError as error:
        raise UsageError(str(error)) from None
    print(f"wrote {files.shown(path)}")
    return 0
