"""What Linux tells of a process and its children to whoever may look: files below /proc.

A process may end while it is looked at: then it has nothing, and that is no error.
"""

from __future__ import annotations

import os
import socket
import struct
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = [
    "bearing",
    "descriptor_limit",
    "descriptors",
    "family",
    "highest_descriptor",
    "listening",
    "owner",
    "threads",
    "unread",
    "wanted_seconds",
]

PROC = Path("/proc")

#: States in /proc/net/tcp (net/tcp_states.h).
ESTABLISHED = "01"
LISTEN = "0A"


def family(pid: int) -> list[int]:
    """The process and all that descend from it, zombies excepted."""
    parents: dict[int, int] = {}
    for entry in _numbers(PROC):
        try:
            # The name in brackets may hold anything, brackets too: what follows the last one counts.
            state, parent = (PROC / str(entry) / "stat").read_text().rpartition(")")[2].split()[:2]
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
    for pid in _numbers(PROC):
        try:
            if mark.encode() in (PROC / str(pid) / "environ").read_bytes().split(b"\0"):
                found.append(pid)
        except OSError:
            pass
    return found


def threads(pids: Iterable[int]) -> int:
    """How many threads they have together."""
    return sum(len(_numbers(PROC / str(pid) / "task")) for pid in pids)


def descriptors(pids: Iterable[int]) -> int:
    """How many descriptors they have open together."""
    return sum(len(_numbers(PROC / str(pid) / "fd")) for pid in pids)


def highest_descriptor(pids: Iterable[int]) -> int:
    """The highest number of an open descriptor; -1 if there is none."""
    return max((fd for pid in pids for fd in _numbers(PROC / str(pid) / "fd")), default=-1)


def descriptor_limit(pid: int) -> int | None:
    """How many descriptors the process may have open; None if unlimited or unknown."""
    try:
        limits = (PROC / str(pid) / "limits").read_text()
    except OSError:
        return None
    soft = limits.partition("Max open files")[2].split()[0]
    return int(soft) if soft.isdecimal() else None


def wanted_seconds(pids: Iterable[int]) -> float:
    """How long all their threads so far have run or waited for a processor, in seconds.

    Unlike processor time it says the same on a crowded machine: who never sleeps wants one all the time.
    """
    total = 0
    for pid in pids:
        for thread in _numbers(PROC / str(pid) / "task"):
            try:
                ran, waited, _ = (PROC / str(pid) / "task" / str(thread) / "schedstat").read_text().split()
            except OSError:
                continue
            total += int(ran) + int(waited)
    return total / 1e9


def listening(pids: Iterable[int]) -> list[tuple[str, int]]:
    """The TCP addresses on which they listen, as one connects to them: never the wildcard."""
    held = {inode for pid in pids for inode in _sockets(pid)}
    return sorted({(host, port) for host, port, inode in _listeners() if inode in held})


def unread(port: int, client: int) -> int:
    """How many bytes from the client's port a server on *port* of this machine has not read yet.

    0 as well if nothing is known: no such connection can be seen.
    """
    for fields in _tcp(ESTABLISHED):
        if _port(fields[1]) == port and _port(fields[2]) == client:
            return int(fields[4].partition(":")[2], 16)
    return 0


def owner(host: str, port: int) -> int | None:
    """The process of this machine, and this user, that listens there; None if there is none to be seen."""
    inodes = {inode for at, number, inode in _listeners() if number == port and at == host}
    for pid in _numbers(PROC):
        if inodes & set(_sockets(pid)):
            return pid
    return None


def _numbers(folder: Path) -> list[int]:
    try:
        return [int(name) for name in os.listdir(folder) if name.isdecimal()]
    except OSError:
        return []


def _sockets(pid: int) -> Iterator[str]:
    for fd in _numbers(PROC / str(pid) / "fd"):
        try:
            target = os.readlink(PROC / str(pid) / "fd" / str(fd))
        except OSError:
            continue
        if target.startswith("socket:["):
            yield target[8:-1]


def _listeners() -> Iterator[tuple[str, int, str]]:
    """(host to connect to, port, inode) of every listening TCP socket."""
    for fields in _tcp(LISTEN):
        yield _host(fields[1].partition(":")[0]), _port(fields[1]), fields[9]


def _tcp(state: str) -> Iterator[list[str]]:
    """The fields of every TCP socket in this state: number, local, remote, state, queues, ... (proc(5))."""
    for name in ("tcp", "tcp6"):
        try:
            lines = (PROC / "net" / name).read_text().splitlines()[1:]
        except OSError:
            continue
        for fields in map(str.split, lines):
            if fields[3] == state:
                yield fields


def _port(address: str) -> int:
    return int(address.partition(":")[2], 16)


def _host(text: str) -> str:
    """An address as the kernel prints it: 32-bit words in the machine's byte order, in hexadecimal."""
    packed = b"".join(struct.pack("=I", int(text[at : at + 8], 16)) for at in range(0, len(text), 8))
    if len(packed) == 4:
        return "127.0.0.1" if not any(packed) else socket.inet_ntop(socket.AF_INET, packed)
    return "::1" if not any(packed) else socket.inet_ntop(socket.AF_INET6, packed)
