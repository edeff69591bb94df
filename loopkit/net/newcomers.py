"""Connections that were accepted a moment ago, among the tasks that a program can cancel.

asyncio has a task for each connection that it accepts, which ends when the connection has begun. Programs
never see it, but one kind relies on it: who shuts down cancels all tasks there are, and the cancelled one
closes its connection. Without it a handler that was made in `connection_made`, and cancelled before its first
step, leaves a connection that is nobody's, and `Server.wait_closed()` waits for it.

A task for each connection would cost as much as the connection. So a server has one future, which is among
`asyncio.all_tasks()` and is done, except for as long as there is somebody it could close: a connection whose
first handle, of those that `connection_made` has scheduled, has not run yet, or one that is still shaking
hands.
"""

from __future__ import annotations

import asyncio
import weakref
from typing import TYPE_CHECKING, Any

from ..transports.base import SHAKING

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator
    from contextvars import Context

    from ..transports.base import SocketTransport
    from .serve import Server


async def accepting() -> None:
    """The name."""


class Newcomers(asyncio.Future[None]):
    """What `asyncio.all_tasks()` shows of the connections that *server* is about to welcome."""

    def __init__(self, server: Server) -> None:
        super().__init__(loop=server._loop)
        self._server = weakref.ref(server)
        self._server_context = server._context
        #: Weak references to a transport, and to a handle that runs when it has begun.
        self._fresh: list[tuple[weakref.ref[SocketTransport], weakref.ref[asyncio.Handle]]] = []
        asyncio.tasks._register_task(self)  # type: ignore[arg-type]  # it need not be a Task

    def add(self, transport: SocketTransport, handle: asyncio.Handle) -> None:
        """*handle* is the last that *transport* has scheduled in its `connection_made`."""
        fresh = self._fresh
        if fresh and fresh[0][1]() is None:
            fresh.clear()  # of an earlier turn
        fresh.append((weakref.ref(transport), weakref.ref(handle)))

    def _waiting(self) -> Iterator[SocketTransport]:
        server = self._server()
        if server is None:
            return
        ready = server._loop._ready
        for transport, handle in self._fresh:
            new = transport()
            if new is not None and any(other is handle() for other in ready):
                yield new
        if server._ssl_context is not None:
            yield from (new for new in server._connections() if new._state == SHAKING)

    # -- what a program can do with it -----------------------------------------------------------------------

    def done(self) -> bool:
        return super().done() or next(self._waiting(), None) is None

    def cancel(self, msg: Any = None) -> bool:
        """Close them, as the cancelled tasks of asyncio do."""
        waiting = list(self._waiting())
        for transport in waiting:
            transport.close()
        return bool(waiting) and super().cancel(msg)

    def add_done_callback(self, callback: Any, *, context: Any = None) -> None:
        super().add_done_callback(callback, context=context)
        self._finish()

    def _finish(self) -> None:
        if super().done():
            return
        if next(self._waiting(), None) is None:
            self.set_result(None)
        else:
            self.get_loop().call_soon(self._finish)

    def get_name(self) -> str:
        return "accepting"

    def get_coro(self) -> Coroutine[Any, Any, None]:
        """One that has ended: for who asks each task for its coroutine's name."""
        coro = accepting()
        coro.close()
        return coro

    def get_context(self) -> Context:
        return self._server_context

    def cancelling(self) -> int:
        return 0

    def uncancel(self) -> int:
        return 0

    def get_stack(self, *, limit: int | None = None) -> list[Any]:
        return []

    def print_stack(self, *, limit: int | None = None, file: Any = None) -> None:
        print(f"No stack for {self!r}", file=file)
