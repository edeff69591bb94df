"""Datagram sockets of the simulated kernel: UDP, and Unix datagrams.

An error of a datagram that was sent comes with a later call, once, and only to a socket that is connected:
ICMP has no other way to tell. A full receive buffer drops what comes, by UDP; a Unix sender is told to wait.
"""

from __future__ import annotations

import errno
import socket
from collections import deque
from typing import TYPE_CHECKING, Any

from .families import READ, WRITE, Internet, Socket, Unix
from .files import fail_if, failure
from .network import takes

if TYPE_CHECKING:
    from .hosts import Host

#: The largest UDP payload; how many Unix datagrams wait at most.
LARGEST = {socket.AF_INET: 65507, socket.AF_INET6: 65527}
WAITING = 10


class Datagrams(Socket):
    """What UDP and Unix datagram sockets share."""

    type = socket.SOCK_DGRAM

    def __init__(self, host: Host, family: int) -> None:
        super().__init__(host, family)
        self.state = "open"
        self.received: deque[tuple[bytes, Any]] = deque()

    def recvfrom(self, size: int, peek: bool = False) -> tuple[bytes, Any]:
        if not self.received:
            self.raise_error()
            raise failure(errno.EAGAIN)
        data, address = self.received[0]
        if not peek:
            self.received.popleft()
            self.has_room()
        return data[:size], address

    def has_room(self) -> None:
        """A datagram was taken."""

    def recv(self, size: int, peek: bool = False) -> bytes:
        return self.recvfrom(size, peek)[0]

    def listen(self, backlog: int) -> None:
        raise failure(errno.EOPNOTSUPP)

    def accept(self, waits: bool = False) -> Any:
        raise failure(errno.EOPNOTSUPP)


class Udp(Internet, Datagrams):
    kind = "udp"

    def connect(self, address: Any) -> None:
        host, port = address[:2]
        host, _ = self.reach(host)
        self.bind_itself()
        self.local, self.remote = self.local_to(host), self.address(host, port)

    def send(self, data: Any) -> int:
        self.bind_itself()
        if self.remote is None:
            too_long = self.family == socket.AF_INET and len(data) > 0xFFFF
            raise failure(errno.EMSGSIZE if too_long else errno.EDESTADDRREQ)
        return self.sendto(data, self.remote)

    def sendto(self, data: Any, address: Any) -> int:
        self.bind_itself()
        host, port = address[:2]
        fail_if(len(data) > LARGEST[socket.AddressFamily(self.family)], errno.EMSGSIZE)
        fail_if(port == 0, errno.EINVAL)
        fail_if(host == "255.255.255.255" and not self.may_broadcast, errno.EACCES)
        host, target = self.reach(host)
        self.raise_error()
        fail_if(self.shut & WRITE, errno.EPIPE)
        self._dispatch(bytes(data), target, host, port)
        return len(data)

    def _dispatch(self, data: bytes, target: Host, host: str, port: int) -> None:
        world, link = self.world, self.world.network.link(self.host, target)
        source = self.local_to(host)
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
            # A connected socket hears its peer only.
            if takes(other, self.family, host) and other.remote in (None, other.address(*source[:2])):
                other.receive(data, source)
                return
        # ICMP: port unreachable.
        if self.remote is not None and self.numbers:
            self.error = errno.ECONNREFUSED
            self.changed()

    def receive(self, data: bytes, source: Any) -> None:
        held = sum(len(message) + 256 for message, _ in self.received)
        if held + len(data) <= self.receive_size:
            self.received.append((data, self.address(*source[:2])))
            self.changed()

    def shutdown(self, how: int) -> None:
        super().shutdown(how)
        fail_if(self.remote is None, errno.ENOTCONN)

    def release(self) -> None:
        self.release_port()


class UnixDatagrams(Unix, Datagrams):
    kind = "unix-datagram"

    @property
    def is_writable(self) -> bool:
        return self.peer is None or self.peer.is_orphan or len(self.peer.received) <= WAITING

    def connect(self, address: Any) -> None:
        other = self.find(address)
        if self.peer is not other:
            self._part()
        self.peer = other

    def _part(self) -> None:
        """Have no peer any more. What has come is lost, and a peer that is left behind hears an error."""
        peer, self.peer = self.peer, None
        if peer is not None and self.received:
            self.received.clear()
            self.changed()
            if not peer.is_orphan and peer.peer is self:
                peer.error = errno.ECONNRESET
                peer.changed()

    def send(self, data: Any) -> int:
        return self._send(data, self.peer)

    def sendto(self, data: Any, address: Any) -> int:
        return self._send(data, self.find(address))

    def _send(self, data: Any, other: Any) -> int:
        fail_if(len(data) > self.send_size - 32, errno.EMSGSIZE)
        self.raise_error()
        fail_if(self.shut & WRITE, errno.EPIPE)
        fail_if(other is None, errno.ENOTCONN)
        if other.is_orphan:
            if self.peer is other:
                self._part()
            raise failure(errno.ECONNREFUSED)
        fail_if(other.shut & READ, errno.EPIPE)
        fail_if(other.peer not in (None, self), errno.EPERM)
        fail_if(len(other.received) > WAITING, errno.EAGAIN)
        other.received.append((bytes(data), self))
        other.changed()
        return len(data)

    def recvfrom(self, size: int, peek: bool = False) -> tuple[bytes, Any]:
        data, sender = super().recvfrom(size, peek)
        return data, sender.local or None  # the name that it has by now

    def has_room(self) -> None:
        """Its senders may go on."""
        for file in self.world.files.all():
            if getattr(file, "peer", None) is self:
                file.changed()

    def release(self) -> None:
        super().release()
        self.received.clear()
        self.has_room()
