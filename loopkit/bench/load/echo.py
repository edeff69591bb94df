"""The closed loop: every connection sends a message, waits for its echo, checks it, and sends the next.

Its own cost must stay below the server's, or it would measure itself. So there is one function with one
`epoll`, bound methods looked up once per connection, and no work per message but: receive, compare, note the
time, send. Whatever is rare (a message in pieces, a full socket buffer) is handled in functions beside it.
"""

from __future__ import annotations

import select
import ssl
import time
from typing import TYPE_CHECKING

from loopkit.bench.load.connections import PATIENCE, Broken, Connection

if TYPE_CHECKING:
    import socket

# glibc maps blocks of 128 KiB and more anew each time: stay below.
CHUNK = 65536


class EchoLoad:
    """Drives echoes over connected non-blocking sockets."""

    def __init__(self, socks: list[socket.socket], size: int) -> None:
        self._size = size
        # A TLS record must be taken whole: epoll does not know of bytes that wait inside OpenSSL.
        secure = any(isinstance(sock, ssl.SSLSocket) for sock in socks)
        self._chunk = CHUNK if secure else min(size, CHUNK)
        self._epoll = select.epoll()
        self._connections = {sock.fileno(): Connection(sock, index, size) for index, sock in enumerate(socks)}
        for fd in self._connections:
            self._epoll.register(fd, select.EPOLLIN)

    def start(self) -> None:
        """Send the first message on every connection."""
        for connection in self._connections.values():
            connection.started = time.perf_counter()
            self._send(connection)

    def pump(self, seconds: float, limit: float = float("inf")) -> list[float]:
        """Echo for some seconds, or until `limit` echoes are done.

        Returns: the latency of each echo, in seconds.
        """
        connections, poll, clock, size = self._connections, self._epoll.poll, time.perf_counter, self._size
        chunk = self._chunk
        latencies: list[float] = []
        note = latencies.append
        now = clock()
        end = now + seconds
        while now < end and len(latencies) < limit:
            ready = poll(PATIENCE)
            if not ready:
                raise Broken(f"no reply on any of {len(connections)} connections for {PATIENCE:g} s")
            for fd, events in ready:
                connection = connections[fd]
                if events & select.EPOLLOUT:
                    self._flush(connection)
                    if not events & select.EPOLLIN:
                        continue
                data = connection.recv(chunk)
                if data != connection.expected and (data is None or not connection.take(data)):
                    continue
                now = clock()
                note(now - connection.started)
                connection.started = now
                payload = connection.following
                connection.following = connection.expected
                connection.expected = payload
                sent = connection.send(payload)
                if sent != size:
                    self._keep(connection, memoryview(payload)[sent:])
            now = clock()
        return latencies

    def finish(self) -> None:
        """Take the replies that are still under way, see that nothing else comes, and close everything."""
        waiting = dict(self._connections)
        while waiting:
            ready = self._epoll.poll(PATIENCE)
            if not ready:
                raise Broken(
                    f"{len(waiting)} of {len(self._connections)} connections wait for ever for a reply"
                )
            for fd, events in ready:
                if events & select.EPOLLOUT:
                    self._flush(self._connections[fd])
                if events & ~select.EPOLLOUT:
                    self._finish_one(fd, waiting)
        self.close()

    def _finish_one(self, fd: int, waiting: dict[int, Connection]) -> None:
        connection = self._connections[fd]
        data = connection.recv(self._chunk)
        if data is None:
            return
        if fd not in waiting:
            what = "closed it" if not data else f"sent {data[:12]!r} more"
            raise Broken(f"after the last reply on connection {connection.index} the server {what}")
        if connection.take(data):
            del waiting[fd]

    def close(self) -> None:
        """Close every connection."""
        for connection in self._connections.values():
            connection.sock.close()
        self._epoll.close()

    def _send(self, connection: Connection) -> None:
        sent = connection.send(connection.expected)
        if sent != self._size:
            self._keep(connection, memoryview(connection.expected)[sent:])

    def _keep(self, connection: Connection, rest: memoryview) -> None:
        connection.unsent = rest
        self._epoll.modify(connection.sock, select.EPOLLIN | select.EPOLLOUT)

    def _flush(self, connection: Connection) -> None:
        assert connection.unsent is not None
        connection.unsent = connection.unsent[connection.send(connection.unsent) :]
        if not connection.unsent:
            connection.unsent = None
            self._epoll.modify(connection.sock, select.EPOLLIN)
