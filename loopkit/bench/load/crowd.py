"""What crowds cost: each connection of many, each request among them, and all that come at once.

The connections are closed with a reset. Otherwise each would keep its port for a minute after its end, and a
few rounds of 19,000 would use up the ports of the machine.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import struct
import time
from typing import TYPE_CHECKING

from loopkit.bench.load.connections import PATIENCE, Broken, Connection
from loopkit.bench.load.echo import EchoLoad
from loopkit.bench.load.meter import Meter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loopkit.bench.load.connections import Peer

__all__ = ["Backlog", "Crowd", "open_idle"]

#: Connections are opened so many at a time.
TOGETHER = 100
#: SO_LINGER with no time to linger: close() resets.
RESET = struct.pack("ii", 1, 0)


def open_idle(peer: Peer, count: int, size: int, stack: contextlib.ExitStack, *, reset: bool = False) -> None:
    """Open connections, and echo one message on each, so that the server has certainly accepted it.

    Some at a time: a loop whose turns get longer with every connection would take for ever one by one.

    Args:
        peer: the server.
        count: how many.
        size: bytes of the message.
        stack: closes them.
        reset: whether their end is a reset.
    """
    for start in range(0, count, TOGETHER):
        indexes = range(start, min(start + TOGETHER, count))
        opened = [Connection(stack.enter_context(peer.connect()), index, size) for index in indexes]
        for connection in opened:
            if reset:
                connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            connection.sock.settimeout(PATIENCE)
            connection.sock.sendall(connection.expected)
        for connection in opened:
            while not connection.take(connection.sock.recv(size)):
                pass


class Crowd:
    """A few that talk among many that do not. `cost` says what each of the many has cost."""

    def __init__(self, peer: Peer, size: int, talking: int, silent: int, pid: int) -> None:
        self._stack = contextlib.ExitStack()
        meter = Meter(pid)
        with contextlib.ExitStack() as undo:
            undo.push(self._stack)
            # The first ones fill caches and free lists; they are not counted.
            socks = []
            for _ in range(talking):
                sock = self._stack.enter_context(peer.connect())
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                socks.append(sock)
            self._load = EchoLoad(socks, size)
            self._stack.callback(self._load.close)
            self._load.start()
            self._load.pump(0.05)
            memory, before = meter.resident_bytes(), meter.read()
            open_idle(peer, silent, size, self._stack, reset=True)
            used = meter.read().since(before)["cpu"]
            growth = meter.resident_bytes() - memory
            undo.pop_all()
        self.cost = {"rss": growth / silent, "connect": used / silent} if silent else {}
        self.pump = self._load.pump

    def close(self) -> None:
        """Close everything; raises Broken if an answer is still missing."""
        with self._stack:
            self._load.finish()


class Backlog:
    """Connections that all wait to be accepted when the server wakes: it is stopped while they come."""

    def __init__(self, peer: Peer, size: int, connections: int, pid: int) -> None:
        self._peer = peer
        self._size = size
        self._connections = connections
        self._pid = pid

    def pump(self, seconds: float, limit: float = float("inf")) -> list[float]:
        """One crowd after the other, for some seconds or up to a limit.

        Returns: from the server's waking to the answer, in seconds, for each connection.
        """
        latencies: list[float] = []
        end = time.perf_counter() + seconds
        while not latencies or (time.perf_counter() < end and len(latencies) < limit):
            latencies += self._crowd()
        return latencies

    def _crowd(self) -> list[float]:
        latencies = []
        with contextlib.ExitStack() as stack:
            with self._stopped():
                opened = [
                    Connection(stack.enter_context(self._peer.connect()), index, self._size)
                    for index in range(self._connections)
                ]
                for connection in opened:
                    connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                    connection.sock.settimeout(PATIENCE)
                    connection.sock.sendall(connection.expected)
            began = time.perf_counter()
            for connection in opened:
                try:
                    while not connection.take(connection.sock.recv(self._size)):
                        pass
                except TimeoutError:
                    which = f"connection {connection.index} of {self._connections}"
                    raise Broken(f"{which} was not served in {PATIENCE:g} s") from None
                latencies.append(time.perf_counter() - began)
        return latencies

    @contextlib.contextmanager
    def _stopped(self) -> Iterator[None]:
        os.kill(self._pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self._pid, signal.SIGCONT)
