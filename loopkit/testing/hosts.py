"""Machines of a world: what runs on them, what they have open, and how they fail.

Code runs on a host by its context: a task that `Host.run` starts, and everything that comes of it (its tasks,
its protocols, its callbacks) carries the host in a context variable. So a callback can be told to be of a
machine that stands still, or has lost its power, and be kept from running.

Power loss means that nothing of the machine runs again, no `except` and no `finally`; its peers hear nothing
either. Their packets are sent again and again, until they give up, or the machine is up again and answers
that it knows nothing of the connection.
"""

from __future__ import annotations

import contextvars
import socket
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from .network import ANY, LOOPBACK, Ports
from .outside import LIFE

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from .world import World


class Life:
    """A host from one start to its crash."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.is_over = False
        self.tasks: list[Any] = []
        host.world.lives.append(self)


class Host:
    """A machine: ``world.host(name)`` makes one."""

    def __init__(self, world: World, name: str, addresses: tuple[str, ...]) -> None:
        self.world = world
        self.name = name
        self.addresses = addresses
        self.ports = Ports(self)
        #: It stands still: its callbacks wait, its kernel goes on.
        self.stalled = False
        self.is_down = False
        #: How many descriptors it may have open at once; None: as many as it likes.
        self.fd_limit: int | None = None
        #: Bytes that a socket made on it sends and receives ahead; None: Linux's default.
        self.buffers: int | None = None
        self.fds = 0
        self.life = Life(self)
        self._started: list[tuple[Callable[..., Any], tuple[Any, ...]]] = []
        self._kept: list[Any] = []

    def __repr__(self) -> str:
        return f"<Host {self.name} {', '.join(self.addresses)}>"

    # -- addresses -------------------------------------------------------------------------------------------

    @property
    def is_out_of_fds(self) -> bool:
        return self.fd_limit is not None and self.fds >= self.fd_limit

    def has(self, address: str) -> bool:
        """Whether sockets of this host can be bound to *address*."""
        return address in ANY or address in self.addresses or ip_address(address).is_loopback

    def address_to(self, other: str, family: int) -> str:
        """From which address of ours packets to *other* go."""
        if ip_address(other).is_loopback:
            return LOOPBACK[family]
        if other in self.addresses:
            return other
        colon = family == socket.AF_INET6
        return next((address for address in self.addresses if (":" in address) == colon), other)

    # -- running ---------------------------------------------------------------------------------------------

    def run(self, main: Callable[..., Any], *args: Any) -> asyncio.Task[Any]:
        """Start ``main(*args)``, a coroutine function, on this host, now and after each `restart`."""
        self._started.append((main, args))
        return self._start(main, args)

    def _start(self, main: Callable[..., Any], args: tuple[Any, ...]) -> asyncio.Task[Any]:
        context = contextvars.copy_context()
        context.run(LIFE.set, self.life)
        coro = context.run(main, *args)
        task: asyncio.Task[Any] = self.world.loop.create_task(coro, context=context)
        return task

    # -- failing ---------------------------------------------------------------------------------------------

    def stall(self, seconds: float) -> None:
        """Nothing runs on this host for so long; what comes meanwhile waits in its kernel."""
        self.stalled = True
        self.world.halt()
        self.world.tell("fault", f"{self.name} stands still for {seconds:g} s")
        self.world.at(self.world.clock.now + seconds, self._go_on)

    def _go_on(self) -> None:
        self.stalled = False
        self.world.loop._ready.extend(self._kept)
        self._kept.clear()
        for file in self.world.files.all():
            if file.host is self:
                file.changed()

    def crash(self) -> None:
        """Power loss: nothing of this host runs again, and nobody is told. Idempotent."""
        if self.is_down:
            return
        self.world.tell("fault", f"{self.name} crashes")
        self.is_down, self.life.is_over = True, True
        self.world.halt()
        self._kept.clear()
        for file in self.world.files.all():
            if file.host is self:
                self.world.files.lose(file)
                file.vanish()

    def restart(self) -> list[asyncio.Task[Any]]:
        """Be up again, with nothing but the addresses; start again what `run` has started."""
        if not self.is_down:
            self.crash()
        self.world.tell("fault", f"{self.name} starts")
        self.is_down, self.stalled = False, False
        self.ports, self.fds, self.life = Ports(self), 0, Life(self)
        return [self._start(main, args) for main, args in self._started]

    def keep(self, handle: Any) -> None:
        """*handle* has to wait until this host goes on."""
        self._kept.append(handle)
