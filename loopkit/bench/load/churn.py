"""Connections that come and go: connect, TLS if wanted, echo one message, close, and again.

Each connection's life is a generator that yields whenever it waits; one `epoll` steps them.
"""

from __future__ import annotations

import select
import ssl
import time
from typing import TYPE_CHECKING

from loopkit.bench.load.connections import PATIENCE, Broken, make_payload

if TYPE_CHECKING:
    import socket
    from collections.abc import Generator

    from loopkit.bench.load.connections import Peer

PAYLOADS = 64


class ChurnLoad:
    """Keeps so many connections in the course of their short lives."""

    def __init__(self, peer: Peer, size: int, connections: int) -> None:
        self._peer = peer
        self._epoll = select.epoll()
        self._payloads = [make_payload(size, number) for number in range(PAYLOADS)]
        self._lives: dict[int, tuple[float, Generator[None]]] = {}
        self._open: set[socket.socket] = set()
        self._number = 0
        for _ in range(connections):
            self._begin()

    def pump(self, seconds: float, limit: float = float("inf")) -> list[float]:
        """Go on for some seconds, or until `limit` connections have ended.

        Returns: from connect to close, in seconds, for each connection.
        """
        latencies: list[float] = []
        now = time.perf_counter()
        end = now + seconds
        while now < end and len(latencies) < limit:
            ready = self._epoll.poll(PATIENCE)
            if not ready:
                raise Broken(f"nothing happened on {len(self._lives)} connections for {PATIENCE:g} s")
            for fd, _ in ready:
                began, life = self._lives[fd]
                if next(life, True):
                    del self._lives[fd]
                    latencies.append(time.perf_counter() - began)
                    self._begin()
            now = time.perf_counter()
        return latencies

    def close(self) -> None:
        """Drop what is under way."""
        for sock in self._open:
            sock.close()
        self._epoll.close()

    def _begin(self) -> None:
        self._number += 1
        began = time.perf_counter()
        sock = self._peer.open_socket()
        sock.setblocking(False)
        sock.connect_ex(self._peer.address)
        # TLS takes the socket over under the same number, which is what epoll knows it by.
        fd = sock.fileno()
        self._epoll.register(fd, select.EPOLLOUT)
        life = self._live(sock, fd, self._payloads[self._number % PAYLOADS])
        self._lives[fd] = began, life
        next(life)

    def _live(self, sock: socket.socket, fd: int, payload: bytes) -> Generator[None]:
        self._open.add(sock)
        yield
        self._epoll.modify(fd, select.EPOLLIN)
        if self._peer.context:
            self._open.discard(sock)
            sock = tls = self._peer.secure(sock, handshake=False)
            self._open.add(sock)
            while True:
                try:
                    tls.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    yield
        sock.send(payload)
        received = b""
        while len(received) < len(payload):
            yield
            try:
                data = sock.recv(len(payload))
            except ssl.SSLWantReadError:
                continue
            if not data:
                raise Broken("the server closed a new connection instead of replying")
            received += data
        if received != payload:
            raise Broken(f"wrong bytes on a new connection: sent {payload[:12]!r}, got {received[:12]!r}")
        self._open.discard(sock)
        sock.close()
