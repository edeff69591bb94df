"""The network between the hosts of a world: names, addresses, ports, links, and what is under way on them.

Facts
- Packets of one TCP connection arrive in order or not at all. What is lost is sent again, after 0.2 s, 0.4 s,
  and so on; after about 15 minutes the sender gives up (tcp_retries2), and a SYN after 127 s
  (tcp_syn_retries). The receiver of a connection whose other end has vanished notices nothing.
- A reset is sent once, behind what was sent before it. If it is lost, the other end learns of it when it
  sends something.
- On one host a packet is delivered before the call that sent it returns.
- A port belongs to an address or to all of them. SO_REUSEADDR lets a port be bound that nobody listens on,
  SO_REUSEPORT lets several listen; a connection that was closed here first keeps its port for a minute.
"""

from __future__ import annotations

import errno
import socket
from collections import deque
from dataclasses import dataclass, field, fields
from ipaddress import ip_address
from itertools import cycle, islice
from typing import TYPE_CHECKING, Any

from .clock import seconds
from .files import fail_if, failure

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from .hosts import Host
    from .world import World

#: Seconds: first retransmission, the longest pause between two, when a connection is given up, when a SYN is.
RETRY, LONGEST_RETRY, GIVE_UP, GIVE_UP_SYN = 0.2, 120.0, 924.6, 127.0

#: How long a port is not free after its connection was closed from this side, in seconds.
TIME_WAIT = 60.0

PORTS = range(32768, 61000)

ANY = ("0.0.0.0", "::", "")
LOOPBACK: dict[int, str] = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}

#: What a trace calls a packet, by what it does on arrival.
PACKETS = {
    "_knock": "SYN",
    "_answered": "SYN ACK",
    "_queued": "ACK",
    "_delivered": "{size} bytes",
    "_end_delivered": "FIN",
    "on_reset": "RST",
    "_on_window": "window",
}


@dataclass(eq=False, slots=True)
class Link:
    """What is between two hosts, in one direction.

    *latency* and *jitter*: seconds from one to the other, and by how much that varies; *rate*: bytes a
    second, None: as many as there are; *loss*, *duplicate*, *reorder*: how likely a datagram is to get lost,
    to come twice, to be overtaken. What TCP loses comes later.
    """

    latency: float = 0.0
    jitter: float = 0.0
    rate: float | None = None
    loss: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    is_cut: bool = field(default=False, init=False)
    free_at: float = field(default=0.0, init=False)  # when what was sent before has left

    def delay(self, now: float, size: int, dice: random.Random) -> float:
        """How long *size* bytes take that are sent *now*."""
        delay = self.latency
        if self.jitter:
            delay += self.jitter * dice.random()
        if self.rate:
            self.free_at = max(self.free_at, now) + size / self.rate
            delay += self.free_at - now
        return delay


class Flow:
    """One direction of a connection: what is sent arrives in order, late if the link is cut meanwhile."""

    def __init__(self, source: Host, target: Host, on_give_up: Callable[[], None] | None = None) -> None:
        self.source, self.target, self.on_give_up = source, target, on_give_up
        self.link = source.world.network.link(source, target)
        self.is_syn = True
        self._queue: deque[tuple[Callable[..., bool | None], tuple[Any, ...]]] = deque()
        self._last = self._pause = self._first_failure = 0.0

    def send(self, size: int, deliver: Callable[..., bool | None], *args: Any) -> None:
        """Have ``deliver(*args)`` called on arrival. If it returns False it is sent again."""
        world = self.source.world
        now, link = world.clock.now, self.link
        delay = link.delay(now, size, world.dice)
        if link.loss and world.dice.random() < link.loss:
            delay += RETRY
        delay += world.lateness("net")
        when = max(now + delay, self._last)
        if world.trace is not None and self.source is not self.target:
            world.tell("packet", f"{self.target.name} {_named(deliver, size)}", self.source.name)
        if when <= now and not self._queue and self._is_open():
            if deliver(*args) is False:
                self._fail(deliver, args)
            return
        if delay > link.latency + link.jitter and world.choices.said and not world.choices.said[-1]:
            way = f"from {self.source.name} to {self.target.name}"
            late = seconds(when - now - link.latency)
            world.choices.say(f"{_named(deliver, size)} {way} came {late} later")
        self._last = when
        self._queue.append((deliver, args))
        world.at(when, self._arrive, self._queue)

    def drop(self) -> None:
        """What is under way does not arrive."""
        self._queue = deque()

    def _is_open(self) -> bool:
        return not (self.link.is_cut or self.target.is_down or self.source.is_down)

    def _arrive(self, queue: deque[Any]) -> None:
        if queue is not self._queue:
            return  # dropped
        deliver, args = queue.popleft()
        if not self._is_open() or deliver(*args) is False:
            self._fail(deliver, args)
        else:
            self._pause = 0.0

    def _fail(self, deliver: Callable[..., bool | None], args: tuple[Any, ...]) -> None:
        if deliver.__name__ == "on_reset":
            return
        world = self.source.world
        now = world.clock.now
        if not self._pause:
            self._pause = 1.0 if self.is_syn else RETRY
            self._first_failure = now
        end = self._first_failure + (GIVE_UP_SYN if self.is_syn else GIVE_UP)
        if now + self._pause > end:
            self.drop()
            if self.on_give_up is not None:
                world.at(end, self.on_give_up)
            return
        self._queue.appendleft((deliver, args))
        self._last = now + self._pause
        world.at(self._last, self._arrive, self._queue)
        self._pause = min(2 * self._pause, LONGEST_RETRY)


def _named(deliver: Callable[..., Any], size: int) -> str:
    """What a trace calls the packet of *size* bytes that *deliver* takes."""
    return PACKETS[deliver.__name__].format(size=size - 40)


class Network:
    """Hosts by name and address, and the links between them."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.hosts: dict[str, Host] = {}
        self._by_address: dict[str, Host] = {}
        self._links: dict[tuple[Host, Host], Link] = {}

    # -- hosts -----------------------------------------------------------------------------------------------

    def add(self, host: Host) -> None:
        self.hosts[host.name] = host
        for address in host.addresses:
            self._by_address[address] = host

    def host_at(self, source: Host, address: str) -> Host | None:
        """The host that has *address*, as *source* sees it."""
        if address in ANY or ip_address(address).is_loopback:
            return source
        return self._by_address.get(address)

    def link(self, source: Host, target: Host) -> Link:
        """The link from *source* to *target*."""
        return self._links.setdefault((source, target), Link())

    def set_link(self, source: Host, target: Host, new: Link) -> None:
        """Have the link be like *new*. Connections know it already, and a partition lasts until `heal`."""
        link = self.link(source, target)
        for each in fields(new):
            if each.init:
                setattr(link, each.name, getattr(new, each.name))

    # -- names -----------------------------------------------------------------------------------------------

    def resolve(
        self, host: Any, port: Any, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0
    ) -> list[Any]:
        """As `socket.getaddrinfo`: numbers, localhost, the names of hosts. Raises `socket.gaierror`."""
        name = host.decode() if isinstance(host, bytes) else host
        if not name or _is_numeric(name) or "%" in str(name):
            return real_getaddrinfo(host, port, family, type, proto, flags)
        if flags & socket.AI_NUMERICHOST:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        if name != "localhost" and name not in self.hosts:
            text = f"Name or service not known: the world has no host {name!r}"
            raise socket.gaierror(socket.EAI_NONAME, text)
        addresses = LOOPBACK.values() if name == "localhost" else self.hosts[name].addresses
        found: list[Any] = []
        for address in addresses:
            kind = socket.AF_INET6 if ":" in address else socket.AF_INET
            if family in (0, kind):
                found += real_getaddrinfo(address, port, kind, type, proto, flags & ~socket.AI_CANONNAME)
        if not found:
            raise socket.gaierror(socket.EAI_ADDRFAMILY, "Address family for hostname not supported")
        if len(found) > 1 and self.world.choices.ask("net", 1):
            found.reverse()
            self.world.choices.say(f"the addresses of {name} came in another order")
        return found

    def resolve_one(self, name: str) -> str:
        """As `socket.gethostbyname`."""
        address: str = self.resolve(name, 0, socket.AF_INET)[0][4][0]
        return address


def _is_numeric(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


#: The real one, which needs no network for numbers.
real_getaddrinfo = socket.getaddrinfo


class Ports:
    """Who has which port of a host."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self._bound: dict[tuple[str, int], list[Any]] = {}
        self._waiting: dict[int, float] = {}
        self._free = cycle(PORTS)

    def bind(self, file: Any, address: str, port: int) -> int:
        """Give *file* the port (0: a free one). Raises OSError EADDRINUSE."""
        if port == 0:
            for port in islice(self._free, len(PORTS)):
                if not self.users(file.kind, port) and not self._is_waiting(port):
                    break
            else:
                raise failure(errno.EADDRINUSE)
        else:
            for other in self.users(file.kind, port):
                fail_if(_overlap(file, address, other) and not _may_share(file, other), errno.EADDRINUSE)
            waits = file.kind == "tcp" and self._is_waiting(port) and not file.reuses_address
            fail_if(waits, errno.EADDRINUSE)
        self.add(file, port)
        return port

    def add(self, file: Any, port: int) -> None:
        """Have *file* use *port*, whoever else does."""
        self._bound.setdefault((file.kind, port), []).append(file)

    def release(self, file: Any, port: int, waits: bool = False) -> None:
        """*file* gives *port* back; with *waits* only after a minute, unless SO_REUSEADDR is set."""
        if file in self.users(file.kind, port):
            self.users(file.kind, port).remove(file)
        if waits:
            self._waiting[port] = self.host.world.clock.now + TIME_WAIT

    def _is_waiting(self, port: int) -> bool:
        return self._waiting.get(port, -1.0) > self.host.world.clock.now

    def users(self, kind: str, port: int) -> list[Any]:
        """Who is bound to *port*."""
        return self._bound.get((kind, port), [])

    def check_listen(self, file: Any) -> None:
        """Raise OSError EADDRINUSE if another one listens where *file* wants to."""
        for other in self.users("tcp", file.local[1]):
            is_other = other is not file and other.state == "listening"
            share = file.reuses_port and other.reuses_port
            fail_if(is_other and not share and _overlap(file, file.local[0], other), errno.EADDRINUSE)


def takes(file: Any, family: int, address: str) -> bool:
    """Whether *file*, bound to an address, takes packets to *address*."""
    bound = file.local[0]
    if file.family == family:
        return bound in ANY or bound == address
    # An IPv6 socket of Linux takes IPv4, too, unless it was told not to.
    return file.family == socket.AF_INET6 and bound == "::" and not file.is_v6only


def _overlap(file: Any, address: str, other: Any) -> bool:
    bound = other.local[0]
    if file.family == other.family:
        return address in ANY or bound in ANY or address == bound
    six, its = (file, address) if file.family == socket.AF_INET6 else (other, bound)
    return its == "::" and not six.is_v6only


def _may_share(file: Any, other: Any) -> bool:
    if file.reuses_port and other.reuses_port:
        return True
    return bool(file.reuses_address and other.reuses_address and other.state != "listening")
