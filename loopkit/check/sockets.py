"""What Linux tells of TCP sockets: who listens where, and how many bytes wait in whose buffers (proc(5))."""

from __future__ import annotations

import os
import socket
import struct
from typing import TYPE_CHECKING, NamedTuple

from .process import numbers, read

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["Queues", "is_socket", "lingering", "listener", "listening", "owner", "queues"]

#: States in /proc/net/tcp (net/tcp_states.h).
TIME_WAIT = "06"
CLOSE_WAIT = "08"
LISTEN = "0A"

#: Of linux/netlink.h and linux/sock_diag.h.
NETLINK_SOCK_DIAG = 4
SOCK_DIAG_BY_FAMILY = 20
NLM_F_REQUEST = 1
ANY = 0xFFFFFFFF


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


def queues(local: tuple[str, int], remote: tuple[str, int]) -> Queues | None:
    """What waits at this end of a connection between two addresses; None if it is not to be seen here.

    The kernel is asked for this one connection: the table of them all takes it a tenth of a second, where
    thousands have ended within the last minute.
    """
    try:
        return _asked(local, remote)
    except OSError:  # such questions are not answered here, or there is no such connection
        pass
    for fields in _tcp():
        if _port(fields[1]) == local[1] and _port(fields[2]) == remote[1]:
            sent, _, unread = fields[4].partition(":")
            return Queues(int(sent, 16), int(unread, 16))
    return None


def _asked(local: tuple[str, int], remote: tuple[str, int]) -> Queues:
    """The same, by sock_diag(7). Raises OSError."""
    family = socket.AF_INET6 if ":" in local[0] else socket.AF_INET
    ends = [socket.inet_pton(family, host).ljust(16, b"\0") for host, _ in (local, remote)]
    # Its ports and addresses; on whichever interface, and whichever generation of it.
    which = struct.pack(">HH", local[1], remote[1]) + b"".join(ends) + struct.pack("=III", 0, ANY, ANY)
    question = struct.pack("=BBBxI", family, socket.IPPROTO_TCP, 0, ANY) + which
    with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, NETLINK_SOCK_DIAG) as asking:
        asking.send(
            struct.pack("=IHHII", 16 + len(question), SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST, 0, 0) + question
        )
        answer = asking.recv(8192)
    kind = struct.unpack_from("=H", answer, 4)[0]
    if kind != SOCK_DIAG_BY_FAMILY:
        error = -struct.unpack_from("=i", answer, 16)[0]
        raise OSError(error, os.strerror(error))
    # struct inet_diag_msg, after the header of 16 bytes: 4 of what it is, 48 of which, when it expires.
    unread, sent = struct.unpack_from("=II", answer, 16 + 4 + 48 + 4)
    return Queues(sent, unread)


def owner(host: str, port: int) -> int | None:
    """The process of this machine, and this user, that listens there; None if there is none to be seen."""
    inodes = {inode for at, number, inode in _listeners() if number == port and host in ("", at)}
    if inodes:
        for pid in numbers():
            if any(inode in inodes for _, inode in _sockets(pid)):
                return pid
    return None


def lingering(port: int) -> bool:
    """Whether the kernel still holds the port for a connection that has ended (TIME_WAIT, about a minute)."""
    return any(_port(fields[1]) == port for fields in _tcp(TIME_WAIT))


def _sockets(pid: int) -> Iterator[tuple[int, str]]:
    """(descriptor, inode) of every socket of the process."""
    for fd in numbers(pid, "fd"):
        try:
            target = os.readlink(f"/proc/{pid}/fd/{fd}")
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
            lines = read("net", name).splitlines()[1:]
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
