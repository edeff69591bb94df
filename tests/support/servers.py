"""Servers on the loop under test."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

from tests.support.protocols import Echo


@contextlib.asynccontextmanager
async def echo_server(factory: Callable[[], Any] = Echo) -> AsyncIterator[tuple[Any, list[Any]]]:
    """A TCP server on loopback; gives its address and the list of its protocols, one per connection."""
    loop = asyncio.get_running_loop()
    protocols: list[Any] = []

    def make() -> Any:
        protocols.append(factory())
        return protocols[-1]

    server = await loop.create_server(make, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname(), protocols
    finally:
        server.close()
        for protocol in protocols:
            if protocol.transport is not None and "lost" not in protocol.events:
                protocol.transport.abort()
                await protocol.lost()
        await server.wait_closed()
