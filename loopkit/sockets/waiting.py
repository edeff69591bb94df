"""For what the loop has no method: try, wait for the descriptor, try again."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import socket as blocking
    from collections.abc import Callable

__all__ = ["loop", "when_readable", "when_writable"]

T = TypeVar("T")


def loop() -> asyncio.AbstractEventLoop:
    """The running loop."""
    return asyncio.get_running_loop()


async def when_readable(sock: blocking.socket, call: Callable[..., T], *arguments: Any) -> T:
    """Call until it does not block, each time after *sock* has become readable."""
    return await _retried(loop().add_reader, loop().remove_reader, sock, call, arguments)


async def when_writable(sock: blocking.socket, call: Callable[..., T], *arguments: Any) -> T:
    """Call until it does not block, each time after *sock* has become writable."""
    return await _retried(loop().add_writer, loop().remove_writer, sock, call, arguments)


async def _retried(
    add: Callable[..., Any],
    remove: Callable[..., Any],
    sock: blocking.socket,
    call: Callable[..., T],
    arguments: tuple[Any, ...],
) -> T:
    while True:
        try:
            return call(*arguments)
        except BlockingIOError:
            pass
        ready = loop().create_future()
        # By number: once it is closed, a socket does not know any more which one it was.
        fd = sock.fileno()
        add(fd, _wake, ready)
        try:
            await ready
        finally:
            if sock.fileno() == fd:  # else close() has done so, and the number may be somebody else's
                remove(fd)


def _wake(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)
