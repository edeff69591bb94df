"""`loopkit ps PID`: the tasks of a running program, who awaits whom, and what each waits for."""

from __future__ import annotations

import json

from loopkit.cli.attach import Words, ask
from loopkit.diagnostics import answers

USAGE = """\
usage: loopkit ps PID [--all] [--json]

The tasks of a running program: state, coroutine, what each waits for, its
line, and who awaits it. Where more than five are alike, the first stands for
all; --all gives each a row.
"""


def main(argv: list[str]) -> int:
    """Run the verb."""
    words = Words("ps", argv, USAGE, ("--all",))
    answer = ask(words.pid, "ps")
    print(json.dumps(answer, indent=1) if words.json else answers.tasks(answer, each="--all" in words.values))
    return 0
