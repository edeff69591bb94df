"""Datagram sockets of the simulated kernel: UDP, and Unix datagrams.

An error of a datagram that was sent comes with a later call, once, and only to a socket that is connected:
ICMP has no other way to tell. A full receive buffer drops what comes, by UDP; a Unix sender is told to wait.
"""

from __future__ import annotations

import errno
import socket
from collections import deque
from select import POLLERR, POLLHUP, POLLIN, POLLOUT
from typing import TYPE_CHECKING, Any

from .files import File, failure
from .network import takes
from .streams import BOTH, READ, WRITE

if TYPE_CHECKING:
    from .hosts import Host
    from .world import World

#: The largest UDP payload; what a receive buffer holds; how many Unix datagrams wait at most.
LARGEST = {socket.AF_INET: 65507, socket.AF_INET6: 65527}
BUFFER = 212992
WAITING = 10


class Datagrams(File):
    """What UDP and Unix datagram sockets share."""

    family: int
    type = socket.SOCK_DGRAM
    state = "closed"

    def __init__(self, world: World, host: Host) -> None:
        super().__init__(world, host)
        self.shut = 0
        self.messages: deque[tuple[bytes, Any]] = deque()
        self.options: dict[tuple[int, int], Any] = {}
        self.send_size = self.receive_size = BUFFER
        self.local: Any = None
        self.remote: Any = None

    is_writable = True

    def readiness(self) -> int:
        mask = POLLERR if self.error else 0
        if self.shut & READ or self.messages:
            mask |= POLLIN
        if self.shut == BOTH:
            mask |= POLLHUP
        return mask | (POLLOUT if self.is_writable else 0)

    def recvfrom(self, size: int, peek: bool = False) -> tuple[bytes, Any]:
        if self.messages:
            data, address = self.messages[0] if peek else self.messages.popleft()
            if not peek:
                self.has_room()
            return data[:size], address
        self.raise_error()
        raise failure(errno.EAGAIN)

    def has_room(self) -> None:
        """A message was taken."""

    def recv(self, size: int, peek: bool = False) -> bytes:
        return self.recvfrom(size, peek)[0]

    def listen(self, backlog: int) -> None:
        raise failure(errno.EOPNOTSUPP)

    def accept(self, waits: bool = False) -> Any:
        raise failure(errno.EOPNOTSUPP)

    def tell(self) -> str:
        return f"{self.kind} {self.local}" + (f" - {self.remote}" if self.remote else "")


class Udp(Datagrams):
    protocol = kind = "udp"

    def __init__(self, world: World, host: Host, family: int) -> None:
        super().__init__(world, host)
        self.family = family
        self.is_bound = False
        self.reuses_address = self.reuses_port = self.is_v6only = self.may_broadcast = False
        self.local = self._address("::" if family == socket.AF_INET6 else "0.0.0.0", 0)

    def _address(self, host: str, port: int) -> Any:
        return (host, port, 0, 0) if self.family == socket.AF_INET6 else (host, port)

    def bind(self, address: Any) -> None:
        host, port = address[:2]
        if self.is_bound:
            raise failure(errno.EINVAL)
        if not self.host.has(host):
            raise failure(errno.EADDRNOTAVAIL)
        self.local = self._address(host, self.host.ports.bind(self, host, port))
        self.is_bound = True

    def _bind_itself(self) -> None:
        if not self.is_bound:
            self.bind((self.local[0], 0))

    def connect(self, address: Any) -> None:
        host, port = address[:2]
        if host in ("0.0.0.0", "::"):
            host = "::1" if self.family == socket.AF_INET6 else "127.0.0.1"
        if self.world.network.host_at(self.host, host) is None:
            raise failure(errno.ENETUNREACH)
        self._bind_itself()
        if self.local[0] in ("0.0.0.0", "::"):
            self.local = self._address(self.host.address_to(host, self.family), self.local[1])
        self.remote = self._address(host, port)

    def peername(self) -> Any:
        if self.remote is None:
            raise failure(errno.ENOTCONN)
        return self.remote

    def send(self, data: Any) -> int:
        self._bind_itself()
        if self.remote is None:
            too_long = self.family == socket.AF_INET and len(data) > 0xFFFF
            raise failure(errno.EMSGSIZE if too_long else errno.EDESTADDRREQ)
        return self.sendto(data, self.remote)

    def sendto(self, data: Any, address: Any) -> int:
        self._bind_itself()
        host, port = address[:2]
        if len(data) > LARGEST[socket.AddressFamily(self.family)]:
            raise failure(errno.EMSGSIZE)
        if port == 0:
            raise failure(errno.EINVAL)
        if host == "255.255.255.255" and not self.may_broadcast:
            raise failure(errno.EACCES)
        if host in ("0.0.0.0", "::"):
            host = "::1" if self.family == socket.AF_INET6 else "127.0.0.1"
        target = self.world.network.host_at(self.host, host)
        if target is None:
            raise failure(errno.ENETUNREACH)
        self.raise_error()
        if self.shut & WRITE:
            raise failure(errno.EPIPE)
        self._dispatch(bytes(data), target, host, port)
        return len(data)

    def _dispatch(self, data: bytes, target: Host, host: str, port: int) -> None:
        world, link = self.world, self.world.network.link(self.host, target)
        own = self.local[0]
        if own in ("0.0.0.0", "::"):
            own = self.host.address_to(host, self.family)
        source = self._address(own, self.local[1])
        if link.is_cut or target.is_down or (link.loss and world.dice.random() < link.loss):
            return
        if world.trace is not None and self.host is not target:
            world.tell("packet", f"{target.name} datagram of {len(data)} bytes", self.host.name)
        copies = 2 if link.duplicate and world.dice.random() < link.duplicate else 1
        for _ in range(copies):
            delay = link.delay(world.clock.now, len(data) + 28, world.dice)
            if link.reorder and world.dice.random() < link.reorder:
                delay += max(link.latency, 0.001) * 2
            late = world.lateness("net")
            if late:
                world.choices.say(f"a datagram to {host}:{port} came later")
            world.after(delay + late, self._delivered, data, source, target, host, port)

    def _delivered(self, data: bytes, source: Any, target: Host, host: str, port: int) -> None:
        if target.is_down:
            return
        for other in target.ports.users("udp", port):
            if takes(other, self.family, host) and other.accepts(source):
                other.receive(data, source)
                return
        # ICMP: port unreachable.
        if self.remote is not None and self.numbers:
            self.error = errno.ECONNREFUSED
            self.changed()

    def accepts(self, source: Any) -> bool:
        """A connected socket hears its peer only."""
        return self.remote is None or self.remote[:2] == source[:2]

    def receive(self, data: bytes, source: Any) -> None:
        held = sum(len(message) + 256 for message, _ in self.messages)
        if held + len(data) <= self.receive_size:
            host, port = source[:2]
            if self.family == socket.AF_INET6 and ":" not in host:
                host = f"::ffff:{host}"
            self.messages.append((data, self._address(host, port)))
            self.changed()

    def shutdown(self, how: int) -> None:
        self.shut |= how + 1
        self.changed()
        if self.remote is None:
            raise failure(errno.ENOTCONN)

    def release(self) -> None:
        if self.is_bound:
            self.is_bound = False
            self.host.ports.release(self, self.local[1])


class UnixDatagrams(Datagrams):
    family = socket.AF_UNIX
    protocol = kind = "unix-datagram"
    has_name = False

    def __init__(self, world: World, host: Host) -> None:
        super().__init__(world, host)
        self.local = ""
        self.peer: Any = None
        self.is_dead = False

    @property
    def is_writable(self) -> bool:  # type: ignore[override]
        return self.peer is None or self.peer.is_dead or len(self.peer.messages) <= WAITING

    def bind(self, address: Any) -> None:
        if self.has_name:
            raise failure(errno.EINVAL)
        self.local = self.world.paths.bind(self, address)
        self.has_name = bool(self.local)

    def marry(self, other: UnixDatagrams) -> None:
        self.peer, other.peer = other, self

    def connect(self, address: Any) -> None:
        other = self.world.paths.find(address)
        if not isinstance(other, UnixDatagrams):
            raise failure(errno.ECONNREFUSED if other is None else errno.EPROTOTYPE)
        if self.peer is not other:
            self._part()
        self.peer = other

    def _part(self) -> None:
        """Have no peer any more. What has come is lost, and a peer that is left behind hears an error."""
        peer, self.peer = self.peer, None
        if peer is None:
            return
        if self.messages:
            self.messages.clear()
            self.changed()
            if not peer.is_dead and peer.peer is self:
                peer.error = errno.ECONNRESET
                peer.changed()

    def peername(self) -> Any:
        if self.peer is None:
            raise failure(errno.ENOTCONN)
        return self.peer.local

    def send(self, data: Any) -> int:
        return self._send(data, self.peer)

    def sendto(self, data: Any, address: Any) -> int:
        other = self.world.paths.find(address)
        if not isinstance(other, UnixDatagrams):
            raise failure(errno.ECONNREFUSED if other is None else errno.EPROTOTYPE)
        return self._send(data, other)

    def _send(self, data: Any, other: UnixDatagrams | None) -> int:
        if len(data) > self.send_size - 32:
            raise failure(errno.EMSGSIZE)
        self.raise_error()
        if self.shut & WRITE:
            raise failure(errno.EPIPE)
        if other is None:
            raise failure(errno.ENOTCONN)
        if other.is_dead:
            if self.peer is other:
                self._part()
            raise failure(errno.ECONNREFUSED)
        if other.shut & READ:
            raise failure(errno.EPIPE)
        if other.peer is not None and other.peer is not self:
            raise failure(errno.EPERM)
        if len(other.messages) > WAITING:
            raise failure(errno.EAGAIN)
        other.messages.append((bytes(data), self.local or None))
        other.changed()
        return len(data)

    def has_room(self) -> None:
        for file in self.world.files.all():
            if getattr(file, "peer", None) is self:
                file.changed()

    def shutdown(self, how: int) -> None:
        bits = how + 1
        self.shut |= bits
        self.changed()

    def release(self) -> None:
        self.is_dead = True
        self.messages.clear()
        for file in self.world.files.all():
            if getattr(file, "peer", None) is self:
                file.changed()
        self.world.paths.forget(self)
