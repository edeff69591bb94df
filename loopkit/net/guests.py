"""A socket of the program's that `sock_*` operations receive from.

What is known of it outlives the operation: whether the poller watches it, so that a coroutine which receives
in a loop makes no `epoll_ctl` after the first time; and whether it was found empty (`net/sockets.py`).

Both are true of the socket object, not of the number. As long as that very object has the descriptor, nobody
can have closed it and nobody else can have got it; another object with the same number is a stranger, who
begins anew. The object is referred to weakly: it is the program's.
"""

from __future__ import annotations

import weakref
from contextvars import Context
from select import POLLIN
from typing import TYPE_CHECKING

from ..watches import ensure_no_transport

if TYPE_CHECKING:
    import asyncio
    import socket
    from collections.abc import Callable

    from ..loop import Loop
    from ..watches import Watches


def nobody() -> None:
    """For a socket that cannot be referred to weakly: a stranger each time."""


#: Who waits is woken in this one: that calls nobody's code, and so needs nobody's context.
CONTEXT = Context()


class Guest:
    """Among the fd table's readers while somebody waits; there is then one future, of whoever came last."""

    __slots__ = ("_fd", "_future", "_is_armed", "_tables", "is_drained", "sock")

    # What the turn looks at, as in a handle.
    _args = ()
    _context = CONTEXT

    def __init__(self, tables: Watches, sock: socket.socket) -> None:
        try:
            self.sock: Callable[[], object] = weakref.ref(sock)
        except TypeError:  # the C class beneath socket.socket, say
            self.sock = nobody
        #: The last receive got less than it asked for. A hint: to wait is always right.
        self.is_drained = False
        self._is_armed = False  # by us: what others armed may have been another file
        self._future: asyncio.Future[None] | None = None
        self._tables = tables
        self._fd = fd = sock.fileno()
        tables.guests[fd] = self

    def _callback(self) -> None:
        future = self._future
        if future is not None and not future.done():  # else: cancelled, and the coroutine will part
            future.set_result(None)

    def expect(self, loop: Loop) -> asyncio.Future[None]:
        """A future that is done when the socket is readable. Takes the place of a reader that is there."""
        tables, fd = self._tables, self._fd
        if fd in tables.owners:
            ensure_no_transport(loop, fd)
        replaced = tables.readers.get(fd)
        if self._is_armed and tables.armed.get(fd, 0) & POLLIN:
            tables.readers[fd] = self  # as we left it: the poller need not be told
        else:
            tables.watch_read(fd, self)
            self._is_armed = True
        if replaced is not None and replaced is not self:
            replaced.cancel()
        self._future = future = loop.create_future()
        return future

    def cancel(self) -> None:
        """A reader of the program's takes our place. Who waits here is not told, as under asyncio."""
        self._future = None

    def part(self, future: asyncio.Future[None]) -> None:
        """Who waited for *future* does so no more."""
        if self._future is future:
            self._future = None
            if self._tables.readers.get(self._fd) is self:  # else: somebody else has taken our place
                self._tables.rest_read(self._fd)
