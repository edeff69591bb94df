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
from select import POLLERR, POLLHUP, POLLIN, POLLOUT
from typing import TYPE_CHECKING, Any

from .files import File, failure

if TYPE_CHECKING:
    from .hosts import Host
    from .world import World

#: sk_shutdown: this side reads no more, writes no more.
READ, WRITE, BOTH = 1, 2, 3

#: Bytes a connection holds on each side, unless SO_SNDBUF or SO_RCVBUF say otherwise: net.core.wmem_default.
BUFFER = 208 * 1024

SEGMENT = 64 * 1024


class Stream(File):
    """What TCP and Unix streams share: buffers, a peer, a queue of clients."""

    family: int
    type = socket.SOCK_STREAM

    def __init__(self, world: World, host: Host) -> None:
        super().__init__(world, host)
        self.state = "closed"  # "listening", "connecting", "connected"
        self.shut = 0
        self.peer: Any = None
        self.received = bytearray()
        self.backlog = 0
        self.clients: deque[Any] = deque()
        self.options: dict[tuple[int, int], Any] = {}
        self.send_size = self.receive_size = host.buffers or BUFFER
        self.local: Any = None
        self.remote: Any = None

    # -- receiving -------------------------------------------------------------------------------------------

    def take(self, size: int, peek: bool = False) -> bytes:
        """At most *size* bytes of what has come; some may be left out, as if they had not come yet."""
        if not peek:
            size = self.cut(min(size, len(self.received)), "read")
        data = bytes(self.received[:size])
        if not peek:
            del self.received[:size]
            self.read_some()
        return data

    def read_some(self) -> None:
        """There is room in the receive buffer."""

    # -- accepting -------------------------------------------------------------------------------------------

    @property
    def is_full(self) -> bool:
        return len(self.clients) > self.backlog

    def accept(self, waits: bool = False) -> Any:
        """A client; with *waits* the call would block, were there none: where none can come it ends."""
        if self.state != "listening" or (waits and self.shut & READ and not self.clients):
            raise failure(errno.EINVAL)
        if not self.clients:
            raise failure(errno.EAGAIN)
        client = self.clients.popleft()
        self.accepted()
        return client

    def accepted(self) -> None:
        """There is room in the queue."""

    def tell(self) -> str:
        where = f"{self.local} - {self.remote}" if self.remote else f"{self.local}"
        what = f"{self.kind} {where}: {self.state}"
        if self.state == "connected":
            what += f", {len(self.received)} bytes to read"
        return what


class UnixStream(Stream):
    """A Unix stream socket: what is written is there at once."""

    family = socket.AF_UNIX
    protocol = kind = "unix"
    has_name = False

    def __init__(self, world: World, host: Host) -> None:
        super().__init__(world, host)
        self.local = self.remote = ""

    @property
    def is_writable(self) -> bool:
        held = len(self.peer.received) if self.peer is not None else 0
        return held * 4 <= self.send_size

    def readiness(self) -> int:
        mask = POLLERR if self.error else 0
        if self.shut == BOTH or self.state == "closed":
            mask |= POLLHUP
        if self.shut & READ or self.received or self.clients:
            mask |= POLLIN
        if self.state != "listening" and self.is_writable:
            mask |= POLLOUT
        return mask

    def bind(self, address: Any) -> None:
        if self.has_name:
            raise failure(errno.EINVAL)
        self.local = self.world.paths.bind(self, address)
        self.has_name = bool(self.local)

    def peername(self) -> Any:
        if self.state != "connected" or self.peer is None:
            raise failure(errno.ENOTCONN)
        return self.peer.local

    def listen(self, backlog: int) -> None:
        if not self.has_name or self.state == "connected":
            raise failure(errno.EINVAL)
        self.state, self.backlog = "listening", max(backlog, 0)
        self.changed()

    def connect(self, address: Any) -> None:
        listener = self.world.paths.find(address)
        if not isinstance(listener, UnixStream) or listener.state != "listening":
            raise failure(errno.ECONNREFUSED if not hasattr(listener, "messages") else errno.EPROTOTYPE)
        if listener.shut & READ:
            raise failure(errno.ECONNREFUSED)
        if listener.is_full:
            raise failure(errno.EAGAIN)
        if self.state != "closed":
            raise failure(errno.EISCONN if self.state == "connected" else errno.EINVAL)
        child = UnixStream(self.world, listener.host)
        child.local = listener.local
        child.has_name = True
        self.marry(child)
        listener.clients.append(child)
        listener.changed()

    def marry(self, other: UnixStream) -> None:
        """Be the peer of *other*."""
        self.peer, other.peer = other, self
        self.state = other.state = "connected"
        self.changed()

    def accepted(self) -> None:
        self.changed()

    def send(self, data: Any) -> int:
        if self.peer is None or self.state != "connected":
            raise failure(errno.ENOTCONN)
        if self.shut & WRITE:
            raise failure(errno.EPIPE)
        if len(data):
            self.raise_error()
        peer = self.peer
        if peer.shut & READ:
            raise failure(errno.EPIPE)
        room = self.send_size - len(peer.received)
        if room <= 0 and len(data):
            raise failure(errno.EAGAIN)
        count = self.cut(min(room, len(data)), "write")
        peer.received += data[:count]
        peer.changed()
        return count

    def recv(self, size: int, peek: bool = False) -> bytes:
        if self.state != "connected":
            raise failure(errno.EINVAL)
        if self.received:
            return self.take(size, peek)
        self.raise_error()
        if self.shut & READ:
            return b""
        raise failure(errno.EAGAIN)

    def read_some(self) -> None:
        if self.peer is not None:
            self.peer.changed()

    def shutdown(self, how: int) -> None:
        bits = how + 1
        self.shut |= bits
        peer = self.peer
        if peer is not None:
            peer.shut |= (READ if bits & WRITE else 0) | (WRITE if bits & READ else 0)
            peer.changed()
        self.changed()

    def release(self, waiting: bool = False) -> None:
        peer = self.peer
        if peer is not None:
            peer.shut = BOTH
            if self.received or waiting:
                peer.error = errno.ECONNRESET
            peer.changed()
        while self.clients:
            self.clients.popleft().release(True)
        self.state = "closed"
        self.shut = BOTH
        self.world.paths.forget(self)

    abort = vanish = release
