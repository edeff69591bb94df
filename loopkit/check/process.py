"""What Linux tells of a process and its children to whoever may look: files below /proc.

A process may end while it is looked at: then it has nothing, and that is no error.
"""

from __future__ import annotations

import os
import platform
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "Thread",
    "asleep",
    "awake_seconds",
    "bearing",
    "blocks",
    "descriptor_limit",
    "descriptors",
    "exceeds",
    "family",
    "highest_descriptor",
    "numbers",
    "ran_seconds",
    "read",
    "stopped",
    "syscall",
    "tasks",
    "threads",
    "waited_seconds",
]

#: A thread of a process: their numbers.
Thread = tuple[int, int]

#: System calls in which a server may be found asleep, by their numbers (asm/unistd_64.h; the generic table).
_CALLS: dict[str, dict[int, str]] = {
    "x86_64": {
        0: "read",
        1: "write",
        20: "writev",
        35: "sleep",
        42: "connect",
        43: "accept",
        44: "send",
        45: "recv",
        46: "send",
        47: "recv",
        61: "wait",
        230: "sleep",
        247: "wait",
        288: "accept",
    },
    "aarch64": {
        63: "read",
        64: "write",
        66: "writev",
        95: "wait",
        101: "sleep",
        115: "sleep",
        202: "accept",
        203: "connect",
        206: "send",
        207: "recv",
        211: "send",
        212: "recv",
        242: "accept",
        260: "wait",
    },
}


def family(pid: int) -> list[int]:
    """The process and all that descend from it, zombies excepted."""
    parents: dict[int, int] = {}
    for entry in numbers():
        try:
            # The name in brackets may hold anything, brackets too: what follows the last one counts.
            state, parent = read(entry, "stat").rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if state != "Z":
            parents[entry] = int(parent)
    found = [pid] if pid in parents else []
    for known in found:  # grows while it is walked: children, then theirs
        found += [child for child, parent in parents.items() if parent == known]
    return found


def bearing(mark: str) -> list[int]:
    """Every process of this user in whose environment *mark* stands: whoever has inherited it."""
    found = []
    for pid in numbers():
        try:
            if mark in read(pid, "environ").split("\0"):
                found.append(pid)
        except OSError:
            pass
    return found


def threads(pids: Iterable[int]) -> int:
    """How many threads they have together."""
    return sum(len(numbers(pid, "task")) for pid in pids)


def descriptors(pids: Iterable[int]) -> int:
    """How many descriptors they have open together."""
    return sum(len(numbers(pid, "fd")) for pid in pids)


def highest_descriptor(pids: Iterable[int]) -> int:
    """The highest number of an open descriptor; -1 if there is none."""
    return max((fd for pid in pids for fd in numbers(pid, "fd")), default=-1)


def descriptor_limit(pid: int) -> int | None:
    """How many descriptors the process may have open; None if unlimited or unknown."""
    try:
        limits = read(pid, "limits")
    except OSError:
        return None
    soft = limits.partition("Max open files")[2].split()[0]
    return int(soft) if soft.isdecimal() else None


def tasks(pids: Iterable[int]) -> list[Thread]:
    """All their threads."""
    return [(pid, thread) for pid in pids for thread in numbers(pid, "task")]


def ran_seconds(pids: Iterable[int]) -> float:
    """The processor time of all their threads so far."""
    return sum(_scheduled(thread)[0] for thread in tasks(pids))


def exceeds(pids: Iterable[int], most: int) -> bool:
    """Whether they use more than *most* bytes of memory together; pages that several share count once.

    What each has resident is read at once, but a hundred forks of one Python share most of it. Who has how
    large a part of each page takes the kernel a walk through them all: only if the first sum is too large.
    """
    pids = list(pids)
    return _resident(pids) > most and _proportional(pids) > most


def _resident(pids: Iterable[int]) -> int:
    pages = 0
    for pid in pids:
        try:
            pages += int(read(pid, "statm").split()[1])
        except (OSError, IndexError):
            continue
    return pages * os.sysconf("SC_PAGE_SIZE")


def _proportional(pids: Iterable[int]) -> int:
    kilobytes = 0
    for pid in pids:
        try:
            text = read(pid, "smaps_rollup")
            kilobytes += int(text.partition("\nPss:")[2].split()[0])
        except (OSError, IndexError):  # it has ended, or is somebody else's by a set-user-ID bit
            continue
    return kilobytes << 10


def awake_seconds(pids: Iterable[int]) -> float:
    """How long all their threads so far have run, or waited for a processor."""
    return sum(sum(_scheduled(thread)) for thread in tasks(pids))


def waited_seconds(thread: Thread | None = None) -> float:
    """How long a thread, or the calling one, has been ready to run and had no processor."""
    return _scheduled(thread)[1]


def _scheduled(thread: Thread | None) -> tuple[float, float]:
    """How long it has run, and how long it has waited for a processor, in seconds; (0, 0) if it has ended."""
    names = ["thread-self"] if thread is None else [thread[0], "task", thread[1]]
    try:
        ran, waited, _ = read(*names, "schedstat").split()
    except (OSError, ValueError):
        return 0.0, 0.0
    return int(ran) / 1e9, int(waited) / 1e9


def asleep(pids: Iterable[int]) -> bool:
    """Whether none of their threads runs, wants to, or waits for a disk."""
    return all(_state(thread) in "SZX" for thread in tasks(pids))


def stopped(pids: Iterable[int]) -> bool:
    """Whether all their threads have been stopped by a signal."""
    return all(_state(thread) in "TtZX" for thread in tasks(pids))


def _state(thread: Thread) -> str:
    try:
        text = read(thread[0], "task", thread[1], "stat")
    except OSError:
        return "X"
    return text.rpartition(")")[2].split()[0]


def syscall(thread: Thread) -> tuple[str, int] | None:
    """In which call a thread sleeps, and that call's first argument; None if it runs, or nobody may know.

    The names are those of :data:`_CALLS`, "" for any other: waiting in a poller is no more worth knowing.
    """
    try:
        words = read(thread[0], "task", thread[1], "syscall").split()
        return _CALLS[platform.machine()].get(int(words[0]), ""), int(words[1], 16)
    except (OSError, ValueError, IndexError, KeyError):
        return None


def blocks(pid: int, fd: int) -> bool | None:
    """Whether a descriptor is a blocking one; None if that cannot be seen."""
    try:
        text = read(pid, "fdinfo", fd)
        return not int(text.partition("flags:")[2].split()[0], 8) & os.O_NONBLOCK
    except (OSError, ValueError, IndexError):
        return None


def read(*names: str | int) -> str:
    """The file of these names below /proc. Raises OSError if it is gone, or somebody else's.

    Plain text, because an examination reads tens of thousands: a Path for each takes as long as the kernel.
    """
    with open(_path(names), "rb") as file:
        return file.read().decode(errors="surrogateescape")


def numbers(*names: str | int) -> list[int]:
    """The entries of that folder below /proc that are numbers; none if it is gone, or somebody else's."""
    try:
        return [int(name) for name in os.listdir(_path(names)) if name.isdecimal()]
    except OSError:
        return []


def _path(names: tuple[str | int, ...]) -> str:
    return "/".join(["/proc", *map(str, names)])
