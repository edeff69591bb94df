"""Which CPUs the loop under test and the load run on, so that neither takes the other's time."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class Placement:
    """CPU numbers with commas between them; empty: wherever the kernel likes."""

    server: str = ""
    load: str = ""

    @classmethod
    def choose(cls) -> Placement:
        """One CPU for the loop under test; for the load all the others but its hyper-threading sibling."""
        cpus = os.sched_getaffinity(0)
        server = max(cpus)
        others = cpus - {server}
        if not others:
            return cls()
        apart = others - siblings(server)
        return cls(str(server), ",".join(map(str, sorted(apart or others))))

    @contextlib.contextmanager
    def keep_off(self) -> Iterator[None]:
        """Keep this process, which draws the progress, off the CPU of the loop under test."""
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, map(int, self.load.split(",")) if self.load else before)
        try:
            yield
        finally:
            os.sched_setaffinity(0, before)

    def __str__(self) -> str:
        return f"loop on CPU {self.server}, load on CPU {self.load}" if self.server else "no"


def siblings(cpu: int) -> set[int]:
    """The CPUs that share a core with this one, as far as the kernel tells."""
    try:
        text = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list").read_text()
    except OSError:
        return set()
    found: set[int] = set()
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        found |= set(range(int(first), int(last or first) + 1))
    return found
