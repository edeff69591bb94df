"""Counting what a test leaves behind: descriptors, threads, child processes.

Tasks are counted where the loop is still at hand (see conftest); references show as ResourceWarning and as
asyncio's "destroyed but it is pending" after the garbage collection that precedes the count.
"""

import os
import threading
import time
from dataclasses import dataclass

from tests.support.processes import children

# Seconds that a thread which was told to end may take to do so. Nobody waits this long unless it leaks.
GRACE = 5.0


def open_descriptors() -> dict[int, str]:
    """Descriptor -> what it points at, of this process, without the one that this very listing opens."""
    found = {}
    for entry in os.listdir("/proc/self/fd"):
        try:
            found[int(entry)] = os.readlink(f"/proc/self/fd/{entry}")
        except FileNotFoundError:
            pass
    return found


def child_processes() -> set[int]:
    """Pids of the children of this process, zombies included."""
    return children(os.getpid())


@dataclass
class Snapshot:
    """What the process held before a test."""

    fds: dict[int, str]
    threads: set[threading.Thread]
    children: set[int]

    @classmethod
    def take(cls) -> "Snapshot":
        return cls(open_descriptors(), set(threading.enumerate()), child_processes())

    def leaks(self) -> dict[str, str]:
        """Kind of leak -> description, of what is here now and was not then."""
        found = {}
        deadline = time.monotonic() + GRACE
        threads = [thread for thread in threading.enumerate() if thread not in self.threads]
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        if alive := [thread.name for thread in threads if thread.is_alive()]:
            found["threads"] = f"threads still running: {alive}"
        fds = {fd: to for fd, to in open_descriptors().items() if self.fds.get(fd) != to}
        if fds:
            found["fds"] = f"descriptors still open: {fds}"
        if children := child_processes() - self.children:
            found["children"] = f"child processes not reaped: {sorted(children)}"
        return found
