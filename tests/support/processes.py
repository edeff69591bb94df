"""Other processes, by what Linux says of them in /proc."""

import os
import time
from collections.abc import Iterable
from pathlib import Path

PROC = Path("/proc")

#: The state of a listening socket in /proc/net/tcp, as TCP_LISTEN is written there.
LISTENING = "0A"


def children(pid: int) -> set[int]:
    """The children of a process, zombies included; none if it is gone."""
    found = set()
    try:
        for thread in (PROC / str(pid) / "task").iterdir():
            found |= {int(child) for child in (thread / "children").read_text().split()}
    except (FileNotFoundError, ProcessLookupError):
        pass
    return found


def descendants(pid: int) -> set[int]:
    """The children of a process, theirs, and so on."""
    found = children(pid)
    return found.union(*map(descendants, found))


def is_running(pid: int) -> bool:
    """Whether there is such a process, and it has not ended yet."""
    try:
        after_name = (PROC / str(pid) / "stat").read_text().rpartition(")")[2]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return after_name.split()[0] not in {"Z", "X"}


def wait_until_gone(pids: Iterable[int], seconds: float) -> list[int]:
    """Those of the processes that still run after so many seconds; as soon as there is none, none."""
    deadline = time.monotonic() + seconds
    while running := [pid for pid in pids if is_running(pid)]:
        if time.monotonic() > deadline:
            break
        time.sleep(0.01)
    return running


def listens(pid: int) -> bool:
    """Whether a process has a listening TCP socket."""
    sockets = set()
    try:
        for entry in (PROC / str(pid) / "fd").iterdir():
            sockets.add(os.readlink(entry))
    except (FileNotFoundError, ProcessLookupError):
        return False
    for name in ("tcp", "tcp6"):
        for line in (PROC / "net" / name).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == LISTENING and f"socket:[{fields[9]}]" in sockets:
                return True
    return False
