"""A socket of the program's that `sock_*` operations wait for.

What is known of it outlives the operation: whether the poller watches it, so that a coroutine which receives
in a loop makes no `epoll_ctl` after the first time; and whether it was found empty (`net/sockets.py`).

Both are true of the socket object, not of the number. As long as that very object has the descriptor, nobody
can have closed it and nobody else can have got it; another object with the same number is a stranger, for
whom the poller is asked. The object is referred to weakly: it is the program's.

A socket that is closed while it is armed leaves the poller to the kernel, which does not drop it where a dup
or a child has the file still. Programs that hand sockets over (a dispatcher and its workers) read a request
and part with the socket; so a guest is left armed only once it has come back a few times.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

from ..descriptors import ensure_no_transport
from ..pollers.masks import POLLIN

if TYPE_CHECKING:
    import asyncio
    import socket
    from collections.abc import Callable

    from ..loop import Loop
    from ..watches import Watches

#: How often a guest waits, and is disarmed, before it is believed to come back.
VISITS = 3


def nobody() -> None:
    """For a socket that cannot be referred to weakly: a stranger each time."""


class Guest:
    """Among the fd table's readers while somebody waits; there is then one future, of whoever came last."""

    __slots__ = ("_context", "_fd", "_future", "_tables", "_visits", "alone", "sock", "tail")

    # What the turn looks at, as in a handle.
    _args = ()

    def __init__(self, tables: Watches, sock: socket.socket) -> None:
        try:
            self.sock: Callable[[], object] = weakref.ref(sock)
        except TypeError:  # the C class beneath socket.socket, say
            self.sock = nobody
        #: Not None: the last receive got less than it asked for, and what stood at the end of the ready queue
        #: then (`net/sockets.py`). Weakly: a handle that has run holds what it has called.
        self.tail: Callable[[], asyncio.Handle | None] | None = None
        #: The same of a listener, and of the last that was accepted.
        self.alone: Callable[[], asyncio.Handle | None] | None = None
        self._visits = 0
        self._future: asyncio.Future[None] | None = None
        self._tables = tables
        self._context = tables.context
        self._fd = fd = sock.fileno()
        entry = tables.entries.get(fd)
        if entry is None or entry.owner is None:  # else: a transport's: nobody else may wait
            tables.entry_of(fd).guest = self

    def _callback(self) -> None:
        future = self._future
        if future is not None and not future.done():  # else: cancelled, and the coroutine will part
            future.set_result(None)

    def expect(self, loop: Loop) -> asyncio.Future[None]:
        """A future that is done when the socket is readable. Takes the place of a reader that is there."""
        tables, fd = self._tables, self._fd
        entry = tables.entries.get(fd)
        if entry is not None and entry.owner is not None:
            ensure_no_transport(loop, fd)
        if entry is None or entry.guest is not self:
            entry = tables.entry_of(fd)  # somebody else was here meanwhile
            entry.guest = self
        replaced = entry.reader
        if entry.armed & POLLIN:
            entry.reader = self  # as we left it: the poller need not be told
            entry.read_since = tables.newest = tables.polls
        else:
            tables.watch_read(fd, self)
        if replaced is not None and replaced is not self:
            replaced.cancel()
        self._future = future = loop.create_future()
        return future

    def cancel(self) -> None:
        """A reader of the program's takes our place. Who waits here is not told, as under asyncio."""
        self._future = None

    def abandon(self, exc: OSError) -> None:
        """The number means another file."""
        future, self._future = self._future, None
        if future is not None and not future.done():
            future.set_exception(exc)

    def part(self, future: asyncio.Future[None]) -> None:
        """Who waited for *future* does so no more."""
        if self._future is not future:
            return
        self._future = None
        tables, fd = self._tables, self._fd
        entry = tables.entries.get(fd)
        if entry is None or entry.reader is not self:
            return  # somebody else has taken our place
        if self._visits < VISITS:
            self._visits += 1
            tables.unwatch_read(fd)
        else:
            entry.reader = None  # as tables.rest_read(fd)
            entry.read_since = tables.polls


class Waiter:
    """Among the fd table's writers while an operation waits, for as long as its future is not done."""

    __slots__ = ("_args", "_callback", "_context", "future")

    def __init__(self, tables: Watches, future: asyncio.Future[None], callback: Callable[[], None]) -> None:
        self.future = future
        self._callback: Callable[[], None] | None = callback
        self._args = ()
        self._context = tables.context

    def cancel(self) -> None:
        """A writer of the program's takes our place. Who waits here is not told, as under asyncio."""

    def abandon(self, exc: OSError) -> None:
        """The number means another file."""
        if not self.future.done():
            self.future.set_exception(exc)


def wait_to_write(loop: Loop, fd: int, callback: Callable[[], None], future: asyncio.Future[None]) -> Waiter:
    """Have *callback* called whenever *fd* is writable. Takes the place of a writer that is there."""
    tables = loop._watches
    waiter = Waiter(tables, future, callback)
    replaced = tables.writer(fd)
    tables.watch_write(fd, waiter)
    if replaced is not None:
        replaced.cancel()
    return waiter


def stop_writing(loop: Loop, fd: int, waiter: Waiter) -> None:
    """Who waited with *waiter* does so no more."""
    if loop._watches.writer(fd) is waiter:
        loop._watches.unwatch_write(fd)
