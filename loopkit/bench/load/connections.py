"""Client connections that know what must come back."""

from __future__ import annotations

import random
import socket
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

# Seconds without a single event after which the server counts as stuck.
PATIENCE = 5.0


class Broken(Exception):
    """The server did something an echo server must not do; the text says what."""


def make_payload(size: int, owner: int, turn: int) -> bytes:
    """`size` bytes that differ by connection and by turn, one line long, so that any mix-up shows."""
    text = random.Random(owner * 2 + turn).randbytes(size).replace(b"\n", b" ")
    mark = b"%d/%d " % (owner, turn)
    return (mark + text)[: size - 1] + b"\n"


class Connection:
    """One connection: what it sent, what has come back, since when it waits."""

    __slots__ = ("expected", "following", "index", "received", "recv", "send", "sock", "started", "unsent")

    def __init__(self, sock: socket.socket, index: int, size: int) -> None:
        self.sock = sock
        self.index = index
        self.recv: Callable[[int], bytes | None] = sock.recv
        self.send: Callable[[Any], int] = sock.send
        # Two payloads take turns: a reply that comes twice, or one turn late, is seen.
        self.expected = make_payload(size, index, 0)
        self.following = make_payload(size, index, 1)
        self.received = 0
        self.unsent: memoryview | None = None
        self.started = 0.0

    def take(self, data: bytes) -> bool:
        """Check a piece of the reply. True when the reply is complete."""
        if not data:
            raise Broken(f"the server closed connection {self.index} in the middle of a reply")
        if not self.expected.startswith(data, self.received):
            raise Broken(self._describe(data))
        self.received += len(data)
        if self.received < len(self.expected):
            return False
        self.received = 0
        return True

    def _describe(self, data: bytes) -> str:
        wanted = self.expected[self.received : self.received + len(data)]
        at = next((i for i, (a, b) in enumerate(zip(wanted, data, strict=False)) if a != b), len(wanted))
        return (
            f"wrong bytes on connection {self.index} at offset {self.received + at} of {len(self.expected)}: "
            f"sent {wanted[at : at + 12]!r}, got {data[at : at + 12]!r}"
        )


def connect(transport: str, address: Any, timeout: float = PATIENCE) -> socket.socket:
    """A connected blocking socket.

    Args:
        transport: "tcp" or "unix".
        address: (host, port), or a path.
        timeout: seconds until TimeoutError.
    """
    if transport == "unix":
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(timeout)
        sock.connect(address)
        return sock
    sock = socket.create_connection(tuple(address), timeout=timeout)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock
