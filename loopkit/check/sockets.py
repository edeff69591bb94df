"""What Linux tells of TCP sockets: who listens where, and how many bytes wait in whose buffers (proc(5))."""

from __future__ import annotations

import os
import socket
import struct
from typing import TYPE_CHECKING, NamedTuple

from .process import PROC, numbers

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["Queues", "is_socket", "lingering", "listener", "listening", "owner", "queues"]

#: States in /proc/net/tcp (net/tcp_states.h).
TIME_WAIT = "06"
CLOSE_WAIT = "08"
LISTEN = "0A"


class Queues(NamedTuple):
    """Bytes in the kernel for one end of a connection.

    ``sent`` are those that the other end's kernel has not taken yet, ``unread`` those that the program has
    not read.
    """

    sent: int
    unread: int


def listening(pids: Iterable[int]) -> list[tuple[str, int]]:
    """The TCP addresses on which they listen, as one connects to them: never the wildcard."""
    held = {inode for pid in pids for _, inode in _sockets(pid)}
    return sorted({(host, port) for host, port, inode in _listeners() if inode in held})


def listener(pid: int, port: int) -> int | None:
    """The descriptor by which the process listens on that port."""
    inodes = {inode for _, at, inode in _listeners() if at == port}
    return next((fd for fd, inode in _sockets(pid) if inode in inodes), None)


def is_socket(pid: int, fd: int) -> bool:
    """Whether that descriptor of the process is a socket."""
    return any(fd == held for held, _ in _sockets(pid))


def queues(local: int, remote: int) -> Queues | None:
    """What waits at this end of a connection between two ports; None if it is not to be seen here."""
    for fields in _tcp():
        if _port(fields[1]) == local and _port(fields[2]) == remote:
            sent, _, unread = fields[4].partition(":")
            return Queues(int(sent, 16), int(unread, 16))
    return None


def owner(host: str, port: int) -> int | None:
    """The process of this machine, and this user, that listens there; None if there is none to be seen."""
    inodes = {inode for at, number, inode in _listeners() if number == port and host in ("", at)}
    if inodes:
        for pid in numbers(PROC):
            if any(inode in inodes for _, inode in _sockets(pid)):
                return pid
    return None


def lingering(port: int) -> bool:
    """Whether the kernel still holds the port for a connection that has ended (TIME_WAIT, about a minute)."""
    return any(_port(fields[1]) == port for fields in _tcp(TIME_WAIT))


def _sockets(pid: int) -> Iterator[tuple[int, str]]:
    """(descriptor, inode) of every socket of the process."""
    for fd in numbers(PROC / str(pid) / "fd"):
        try:
            target = os.readlink(PROC / str(pid) / "fd" / str(fd))
        except OSError:
            continue
        if target.startswith("socket:["):
            yield fd, target[8:-1]


def _listeners() -> Iterator[tuple[str, int, str]]:
    """(host to connect to, port, inode) of every listening TCP socket."""
    for fields in _tcp(LISTEN):
        yield _host(fields[1].partition(":")[0]), _port(fields[1]), fields[9]


def _tcp(state: str = "") -> Iterator[list[str]]:
    """The fields of every TCP socket, or those in a state: number, local, remote, state, queues, ..."""
    for name in ("tcp", "tcp6"):
        try:
            lines = (PROC / "net" / name).read_text().splitlines()[1:]
        except OSError:
            continue
        for fields in map(str.split, lines):
            if state in ("", fields[3]):
                yield fields


def _port(address: str) -> int:
    return int(address.partition(":")[2], 16)


def _host(text: str) -> str:
    """An address as the kernel prints it: 32-bit words in the machine's byte order, in hexadecimal."""
    packed = b"".join(struct.pack("=I", int(text[at : at + 8], 16)) for at in range(0, len(text), 8))
    if len(packed) == 4:
        return "127.0.0.1" if not any(packed) else socket.inet_ntop(socket.AF_INET, packed)
    return "::1" if not any(packed) else socket.inet_ntop(socket.AF_INET6, packed)
