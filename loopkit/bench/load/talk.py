"""The closed loop for any protocol: every connection says something, waits for the answer, and goes on.

What is said is an exchange (`exchanges.py`). Where an answer ends its connection, the server has to close it,
and another one takes its place.
"""

from __future__ import annotations

import select
import ssl
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loopkit.bench.load.connections import PATIENCE, Broken

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from loopkit.bench.load.connections import Peer
    from loopkit.bench.load.exchanges import Exchange

CHUNK = 65536


@dataclass(slots=True)
class Talker:
    """A connection: what is said on it, since when an answer is awaited, whether only its end is."""

    sock: socket.socket
    exchange: Exchange
    started: float = 0.0
    ending: bool = False


class TalkLoad:
    """Drives exchanges over so many connections."""

    def __init__(self, peer: Peer, make_exchange: Callable[[int], Exchange], connections: int) -> None:
        self._peer = peer
        self._make_exchange = make_exchange
        self._epoll = select.epoll()
        self._talkers: dict[int, Talker] = {}
        self._number = 0
        for _ in range(connections):
            self._begin()

    def pump(self, seconds: float, limit: float = float("inf")) -> list[float]:
        """Talk for some seconds, or until `limit` answers have come; until the first one in any case.

        Returns: the latency of each answer, in seconds; where an answer ends its connection, from before the
        connection was made to its end.
        """
        latencies: list[float] = []
        now = time.perf_counter()
        end = now + seconds
        while not latencies or (now < end and len(latencies) < limit):
            ready = self._epoll.poll(PATIENCE)
            if not ready:
                raise Broken(f"no answer on any of {len(self._talkers)} connections for {PATIENCE:g} s")
            for fd, _ in ready:
                if (started := self._answer(fd, self._talkers[fd])) is not None:
                    latencies.append(time.perf_counter() - started)
            now = time.perf_counter()
        return latencies

    def close(self) -> None:
        """Close every connection."""
        for talker in self._talkers.values():
            talker.sock.close()
        self._epoll.close()

    def _answer(self, fd: int, talker: Talker) -> float | None:
        """Take what has come. Returns when the request was sent that is now answered, or None."""
        data = receive(talker.sock)
        if data is None:
            return None
        if not data:
            if not talker.ending:
                raise Broken("the server closed a connection instead of answering")
            del self._talkers[fd]
            talker.sock.close()
            self._begin()
            return talker.started
        if talker.ending:
            raise Broken(f"after the last answer came {data[:20]!r}")
        if not talker.exchange.take(data):
            return None
        if talker.exchange.once:
            talker.ending = True
            return None
        started, talker.started = talker.started, time.perf_counter()
        send(talker.sock, talker.exchange.request())
        return started

    def _begin(self) -> None:
        started = time.perf_counter()
        exchange = self._make_exchange(self._number)
        self._number += 1
        sock = self._peer.connect()
        self._talkers[sock.fileno()] = Talker(sock, exchange, started)
        if exchange.opening:
            sock.sendall(exchange.opening)
            while not exchange.take(data := sock.recv(CHUNK)):
                if not data:
                    raise Broken("the server closed a connection that was being opened")
        sock.setblocking(False)
        send(sock, exchange.request())
        self._epoll.register(sock, select.EPOLLIN)


def send(sock: socket.socket, data: bytes) -> None:
    """Send a request. It is small, and there is one at a time: it always fits."""
    if (sent := sock.send(data)) != len(data):
        raise Broken(f"the server has not read {len(data) - sent} bytes of a request of {len(data)}")


def receive(sock: socket.socket) -> bytes | None:
    """What has come, all of it where a record of TLS brought more; None if nothing has, after all."""
    try:
        data = sock.recv(CHUNK)
    except (BlockingIOError, ssl.SSLWantReadError):
        return None
    except ConnectionResetError:
        raise Broken("the server reset a connection") from None
    if isinstance(sock, ssl.SSLSocket):
        # epoll does not know of bytes that wait inside OpenSSL.
        while pending := sock.pending():
            data += sock.recv(pending)
    return data
