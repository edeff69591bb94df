"""Sockets of the simulated kernel: what all of them share, and what those of a family do.

A kind of socket is a family, which has the names (addresses and ports, or paths), and a type, which has the
data: `streams.py` and `datagrams.py`. `KINDS` in `sockets.py` has the four of them.
"""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING, Any

from ..pollers.masks import POLLERR, POLLHUP, POLLIN, POLLOUT
from .files import File, fail_if, failure
from .network import ANY, LOOPBACK

if TYPE_CHECKING:
    from .hosts import Host

#: sk_shutdown: this side reads no more, writes no more.
READ, WRITE, BOTH = 1, 2, 3

#: Bytes a socket holds on each side, unless SO_SNDBUF or SO_RCVBUF say otherwise: net.core.wmem_default.
BUFFER = 208 * 1024


class Socket(File):
    """What sockets of every kind share."""

    type: int
    clients: Any = ()
    #: The address of the peer, if there is one.
    remote: Any

    # Options, see `sockets.OPTIONS`; the others are kept in `options`, and forgotten.
    reuses_address = reuses_port = is_v6only = may_broadcast = False
    linger = bytes(8)

    def __init__(self, host: Host, family: int) -> None:
        super().__init__(host)
        # Not defaults of the class: an attribute that hides one is not looked up the fast way.
        self.family = family
        self.state = "closed"  # streams: "listening", "connecting", "connected"; datagrams: "open"
        self.shut = 0
        self.options: dict[tuple[int, int], Any] = {}
        self.send_size = self.receive_size = host.buffers or BUFFER
        #: What has come and was not read: bytes of a stream, or datagrams.
        self.received: Any = None
        self.local: Any = ""
        self.peer: Any = None
        self.is_bound = False
        self.is_orphan = False  # no descriptor refers to it any more

    def readiness(self) -> int:
        mask = POLLERR if self.error else 0
        if self.shut == BOTH or self.state == "closed":
            mask |= POLLHUP
        if self.shut & READ or self.received or self.clients:
            mask |= POLLIN
        if self.is_writable and self.state not in ("listening", "connecting"):
            mask |= POLLOUT
        return mask

    @property
    def is_writable(self) -> Any:
        """Whether there is room for what is sent."""
        return True

    @property
    def is_listening(self) -> bool:
        return self.state == "listening"

    def shutdown(self, how: int) -> None:
        self.shut |= how + 1
        self.changed()

    def tell(self) -> str:
        return f"{self.kind} {self.local}" + (f" - {self.remote}" if self.remote else "")


class Internet(Socket):
    """One with an address and a port."""

    is_locked = False  # SOCK_BINDPORT_LOCK: the port was asked for, and is kept when a connection has ended

    def __init__(self, host: Host, family: int) -> None:
        super().__init__(host, family)
        self.local, self.remote = self.address("::" if family == socket.AF_INET6 else "0.0.0.0", 0), None

    def address(self, host: str, port: int) -> Any:
        """As this family writes it."""
        if self.family == socket.AF_INET:
            return host, port
        return host if ":" in host else f"::ffff:{host}", port, 0, 0

    def bind(self, address: Any) -> None:
        host, port = address[:2]
        fail_if(self.is_bound or self.state == "connected", errno.EINVAL)
        fail_if(not self.host.has(host), errno.EADDRNOTAVAIL)
        self.local = self.address(host, self.host.ports.bind(self, host, port))
        self.is_bound, self.is_locked = True, port != 0

    def bind_itself(self) -> None:
        """Have a port."""
        if not self.is_bound:
            self.bind((self.local[0], 0))

    def release_port(self, waits: bool = False) -> None:
        """Have none any more. With *waits* nobody has it for a minute."""
        if self.is_bound:
            self.is_bound = False
            self.host.ports.release(self, self.local[1], waits)

    def reach(self, host: str) -> tuple[str, Host]:
        """The address that *host* means to us, and the machine there. Raises OSError ENETUNREACH."""
        if host in ANY:
            host = LOOPBACK[self.family]
        target = self.world.network.host_at(self.host, host)
        if target is None:
            raise failure(errno.ENETUNREACH)
        return host, target

    def local_to(self, host: str) -> Any:
        """Our address as *host* sees it."""
        own, port = self.local[:2]
        return self.address(self.host.address_to(host, self.family) if own in ANY else own, port)

    def peername(self) -> Any:
        fail_if(self.remote is None or self.state in ("closed", "connecting"), errno.ENOTCONN)
        return self.remote


class Unix(Socket):
    """One with a path, an abstract name, or none."""

    def bind(self, address: Any) -> None:
        fail_if(self.is_bound, errno.EINVAL)
        self.local = self.world.paths.bind(self, address)
        self.is_bound = True

    def find(self, address: Any) -> Any:
        """The socket of our type at *address*. Raises OSError ECONNREFUSED, EPROTOTYPE."""
        other = self.world.paths.find(address)
        if type(other) is not type(self):
            raise failure(errno.ECONNREFUSED if other is None else errno.EPROTOTYPE)
        return other

    def marry(self, other: Unix) -> None:
        """Be the peer of *other*."""
        self.peer, other.peer = other, self
        self.state = other.state = "connected"
        self.changed()

    @property
    def remote(self) -> Any:
        return None if self.peer is None else self.peer.local

    def peername(self) -> Any:
        fail_if(self.peer is None, errno.ENOTCONN)
        return self.remote

    def release(self) -> None:
        self.is_orphan = True
        self.world.paths.forget(self)
