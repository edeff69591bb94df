"""Streams of the simulated kernel: what TCP (`tcp.py`) and Unix stream sockets share, and the latter.

The states and the order in which a call looks at them are Linux's (`tcp_recvmsg`, `tcp_sendmsg`, `tcp_poll`,
`inet_stream_connect`, `unix_stream_*`), since programs and transports live by them: data before an error, an
error once, EPIPE after it; HUP when both directions are shut; a reset where data was not read. What is not
Linux's is sizes: buffers here count bytes, and not the memory that packets take.
"""

from __future__ import annotations

import errno
import socket
from collections import deque
from typing import TYPE_CHECKING, Any, ClassVar

from .families import BOTH, READ, WRITE, Socket, Unix
from .files import fail_if, failure

if TYPE_CHECKING:
    from .hosts import Host


class Stream(Socket):
    """What TCP and Unix streams share: bytes that have come, a queue of clients."""

    type = socket.SOCK_STREAM
    #: In these states recv is an error of its own.
    deaf: ClassVar[dict[str, int]]

    def __init__(self, host: Host, family: int) -> None:
        super().__init__(host, family)
        self.received = bytearray()
        self.clients: deque[Any] = deque()
        self.backlog = 0
        self.is_at_end = False  # the peer has said that nothing follows

    # -- data ------------------------------------------------------------------------------------------------

    def fitting(self, data: Any, room: int) -> Any:
        """As much of *data* as is sent now. Raises OSError EAGAIN if there is no room."""
        size = min(room, len(data))
        if size <= 0 and len(data):
            raise failure(errno.EAGAIN)
        return data[: self.cut(size, "write")]

    def recv(self, size: int, peek: bool = False) -> bytes:
        """At most *size* bytes of what has come; some may be left out, as if they had not come yet."""
        if self.state in self.deaf:
            raise failure(self.deaf[self.state])
        if not self.received:
            if self.is_at_end:
                return b""
            self.raise_error()
            if self.shut & READ:
                return b""
            raise failure(errno.ENOTCONN if self.state == "closed" else errno.EAGAIN)
        if peek:
            return bytes(self.received[:size])
        size = self.cut(min(size, len(self.received)), "read")
        data = bytes(self.received[:size])
        del self.received[:size]
        self.read_some()
        return data

    def recvfrom(self, size: int, peek: bool = False) -> tuple[bytes, Any]:
        return self.recv(size, peek), None

    def read_some(self) -> None:
        """There is room in the receive buffer."""
        raise NotImplementedError

    # -- accepting -------------------------------------------------------------------------------------------

    @property
    def is_full(self) -> bool:
        return len(self.clients) > self.backlog

    def accept(self, waits: bool = False) -> Any:
        """A client; with *waits* the call would block, were there none: where none can come it ends."""
        is_shut = waits and self.shut & READ and not self.clients
        fail_if(self.state != "listening" or is_shut, errno.EINVAL)
        fail_if(not self.clients, errno.EAGAIN)
        self.changed()
        client = self.clients.popleft()
        return client, client.remote

    def refuse_clients(self) -> None:
        """Nobody is going to accept those who wait."""
        while self.clients:
            self.clients.popleft().abort()

    def tell(self) -> str:
        what = f", {len(self.received)} bytes to read" if self.state == "connected" else ""
        return f"{super().tell()}: {self.state}{what}"


class UnixStream(Unix, Stream):
    """A Unix stream socket: what is written is there at once."""

    kind = "unix"
    deaf: ClassVar = dict.fromkeys(("closed", "listening"), errno.EINVAL)

    @property
    def is_writable(self) -> bool:
        return self.peer is None or len(self.peer.received) * 4 <= self.send_size

    def listen(self, backlog: int) -> None:
        fail_if(not self.is_bound or self.state == "connected", errno.EINVAL)
        self.state, self.backlog = "listening", max(backlog, 0)
        self.changed()

    def connect(self, address: Any) -> None:
        listener = self.find(address)
        fail_if(listener.state != "listening" or listener.shut & READ, errno.ECONNREFUSED)
        fail_if(listener.is_full, errno.EAGAIN)
        fail_if(self.state == "connected", errno.EISCONN)
        fail_if(self.state != "closed", errno.EINVAL)
        child = UnixStream(listener.host, self.family)
        child.local, child.is_bound = listener.local, True
        self.marry(child)
        listener.clients.append(child)
        listener.changed()

    def send(self, data: Any) -> int:
        fail_if(self.state != "connected", errno.ENOTCONN)
        fail_if(self.shut & WRITE, errno.EPIPE)
        if len(data):
            self.raise_error()
        peer = self.peer
        fail_if(peer.shut & READ, errno.EPIPE)
        piece = self.fitting(data, self.send_size - len(peer.received))
        peer.received += piece
        peer.changed()
        return len(piece)

    def recvfrom(self, size: int, peek: bool = False) -> tuple[bytes, Any]:
        data = self.recv(size, peek)
        return data, (data and self.remote) or None

    def read_some(self) -> None:
        self.peer.changed()

    def shutdown(self, how: int) -> None:
        super().shutdown(how)
        if self.peer is not None:
            self.peer.shut |= (0, WRITE, READ, BOTH)[how + 1]
            self.peer.changed()

    def release(self) -> None:
        self._part(bool(self.received))

    def abort(self) -> None:
        """End without having been accepted."""
        self._part(True)

    def _part(self, resets: bool) -> None:
        super().release()
        if self.peer is not None:
            self.peer.shut = BOTH
            if resets:
                self.peer.error = errno.ECONNRESET
            self.peer.changed()
        self.refuse_clients()
        self.state, self.shut = "closed", BOTH
