"""Client connections that know what must come back."""

from __future__ import annotations

import random
import socket
import ssl
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

# Seconds without a single event after which the server counts as stuck.
PATIENCE = 5.0


class Broken(Exception):
    """The server did something an echo server must not do; the text says what."""


def make_payload(size: int, owner: int, turn: int = 0) -> bytes:
    """`size` bytes that differ by connection and by turn, one line long, so that any mix-up shows."""
    text = random.Random(owner * 2 + turn).randbytes(size).replace(b"\n", b" ")
    mark = b"%d/%d " % (owner, turn)
    return (mark + text)[: size - 1] + b"\n"


class Connection:
    """One non-blocking connection: what it sent, what has come back, since when it waits.

    `recv` returns None, and `send` returns 0, where the socket is not ready after all.
    """

    __slots__ = ("expected", "following", "index", "received", "recv", "send", "sock", "started", "unsent")

    def __init__(self, sock: socket.socket, index: int, size: int) -> None:
        sock.setblocking(False)
        self.sock = sock
        self.index = index
        self.recv: Callable[[int], bytes | None] = sock.recv
        self.send: Callable[[Any], int] = sock.send
        if isinstance(sock, ssl.SSLSocket):
            self.recv = self._recv_tls
            self.send = self._send_tls
        # Two payloads take turns: a reply that comes twice, or one turn late, is seen.
        self.expected = make_payload(size, index, 0)
        self.following = make_payload(size, index, 1)
        self.received = 0
        self.unsent: memoryview | None = None
        self.started = 0.0

    def _recv_tls(self, size: int) -> bytes | None:
        try:
            return self.sock.recv(size)
        except ssl.SSLWantReadError:
            return None

    def _send_tls(self, data: bytes) -> int:
        try:
            return self.sock.send(data)
        except ssl.SSLWantWriteError:
            return 0

    def take(self, data: bytes) -> bool:
        """Check a piece of the reply. True when the reply is complete; raises Broken when it is wrong."""
        if not data:
            raise Broken(f"the server closed connection {self.index} instead of replying")
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


class Peer:
    """How to reach the server: "tcp", "tls" or "udp" at (host, port), "unix" at a path."""

    def __init__(self, transport: str, address: Any, certificate: str) -> None:
        self.transport = transport
        self.address = address if transport == "unix" else tuple(address)
        self.context = ssl.create_default_context(cafile=certificate) if transport == "tls" else None

    def open_socket(self) -> socket.socket:
        """A socket, not yet connected."""
        if self.transport == "unix":
            return socket.socket(socket.AF_UNIX)
        if self.transport == "udp":
            return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock = socket.socket(socket.AF_INET)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    def connect(self) -> socket.socket:
        """A connected socket that blocks for at most PATIENCE seconds. Raises OSError."""
        sock = self.open_socket()
        try:
            sock.settimeout(PATIENCE)
            sock.connect(self.address)
            return self.secure(sock) if self.context else sock
        except OSError:
            sock.close()
            raise

    def secure(self, sock: socket.socket, *, handshake: bool = True) -> ssl.SSLSocket:
        """TLS on a connected socket; without `handshake`, the first steps are the caller's."""
        assert self.context is not None
        return self.context.wrap_socket(
            sock, server_hostname=self.address[0], do_handshake_on_connect=handshake
        )
