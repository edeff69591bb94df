"""Connecting to pipes: from an open file to a transport."""

from __future__ import annotations

import asyncio
import stat
from asyncio.log import logger

# Bound at import: tools that replace functions of ``os`` to catch blocking calls shall not see our own.
from os import fstat
from typing import TYPE_CHECKING, Any, TypeVar

from ..descriptors import ensure_no_transport
from ..transports.pipe import ReadPipeTransport, WritePipeTransport

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..loop import Loop

try:
    from os import set_blocking
except ImportError:  # Windows, before Python 3.12
    set_blocking = None  # type: ignore[assignment]

P = TypeVar("P", bound=asyncio.BaseProtocol)
T = TypeVar("T", ReadPipeTransport, WritePipeTransport)


async def connect_read_pipe(
    loop: Loop, protocol_factory: Callable[[], P], pipe: Any
) -> tuple[asyncio.ReadTransport, P]:
    """Read from *pipe*, an open file or socket object, which is made non-blocking: (transport, protocol).

    The transport closes *pipe* in the end. Raises ValueError unless it is a FIFO, a socket or a character
    device.
    """
    complaint = "Pipe transport is for pipes/sockets only."
    return await _connect(loop, protocol_factory, pipe, ReadPipeTransport, "Read", complaint)


async def connect_write_pipe(
    loop: Loop, protocol_factory: Callable[[], P], pipe: Any
) -> tuple[asyncio.WriteTransport, P]:
    """Write to *pipe*, an open file or socket object, which is made non-blocking: (transport, protocol).

    The transport closes *pipe* in the end. Raises ValueError unless it is a FIFO, a socket or a character
    device.
    """
    complaint = "Pipe transport is only for pipes, sockets and character devices"
    return await _connect(loop, protocol_factory, pipe, WritePipeTransport, "Write", complaint)


async def _connect(
    loop: Loop, protocol_factory: Callable[[], P], pipe: Any, kind: type[T], name: str, complaint: str
) -> tuple[T, P]:
    """In this order: `connection_made`, then our caller resumes, then the first `data_received`."""
    if set_blocking is None:
        raise NotImplementedError("this platform has no non-blocking pipes; use sockets, or a thread")
    protocol = protocol_factory()
    fd = pipe.fileno()
    mode = fstat(fd).st_mode
    if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or stat.S_ISCHR(mode)):
        raise ValueError(complaint)
    ensure_no_transport(loop, fd)
    set_blocking(fd, False)
    transport = kind(loop, pipe, protocol)
    waiter = loop.create_future()
    loop.call_soon(protocol.connection_made, transport, context=transport._context)
    loop.call_soon(transport._begin, waiter, context=transport._context)
    try:
        await waiter
    except BaseException:
        transport.close()
        raise
    if loop._debug:
        logger.debug("%s pipe %r connected: (%r, %r)", name, fd, transport, protocol)
    return transport, protocol
