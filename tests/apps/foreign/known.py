"""The differences that are known, from `known.txt`: which suite, which tests, and why."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass
from pathlib import Path

FILE = Path(__file__).with_name("known.txt")


@dataclass(frozen=True)
class Known:
    suite: str
    pattern: str
    reason: str

    def is_of(self, suite: str, test: str) -> bool:
        return suite == self.suite and fnmatch.fnmatchcase(test, self.pattern.replace("[", "[[]"))


def read() -> list[Known]:
    """The entries of the file: a line "suite  pattern", and an indented reason below it."""
    found = []
    lines = [line for line in FILE.read_text().splitlines() if line.strip() and not line.startswith("#")]
    for head, reason in zip(lines[::2], lines[1::2], strict=True):
        suite, pattern = head.split(None, 1)
        if head[0].isspace() or not reason[0].isspace():
            raise ValueError(f"{FILE.name}: a reason must stand, indented, below {head!r}")
        found.append(Known(suite, pattern.strip(), reason.strip()))
    return found
