"""TLS between two memory buffers, by `asyncio.sslproto`: over whatever is no plain socket of this loop.

It costs a second layer of transport and protocol, two copies of every byte, and 256 KiB a
connection. TLS in TLS needs it, and other loops' transports, and contexts with a `wrap_bio` of
their own; nothing else comes here.
"""

from __future__ import annotations

from asyncio import sslproto
from typing import TYPE_CHECKING, Any

from ..transports.stream import StreamTransport

if TYPE_CHECKING:
    import asyncio
    import socket
    from contextvars import Context

    from ..loop import Loop
    from ..net.serve import Server
    from .contexts import Settings


def _make_layer(
    loop: Loop,
    protocol: asyncio.BaseProtocol,
    settings: Settings,
    waiter: asyncio.Future[None] | None,
    call_connection_made: bool = True,
) -> Any:
    """asyncio's protocol for a transport that carries TLS; what it carries goes to *protocol*."""
    return sslproto.SSLProtocol(
        loop,
        protocol,
        settings.context,
        waiter,  # type: ignore[arg-type]
        settings.server_side,
        settings.server_hostname,
        call_connection_made=call_connection_made,
        ssl_handshake_timeout=settings.handshake_timeout,  # type: ignore[arg-type]
        ssl_shutdown_timeout=settings.shutdown_timeout,
    )


def over_socket(
    loop: Loop,
    sock: socket.socket,
    protocol: asyncio.BaseProtocol,
    settings: Settings,
    context: Context,
    peername: Any,
    waiter: asyncio.Future[None] | None,
    server: Server | None,
) -> asyncio.Transport:
    """TLS for *protocol* over a stream transport on *sock*."""
    layer = _make_layer(loop, protocol, settings, waiter)
    beneath = StreamTransport(loop, sock, layer, context, peername, server)
    loop.call_soon(layer.connection_made, beneath, context=context)
    loop.call_soon(beneath._begin, None, context=context)
    return layer._app_transport  # type: ignore[no-any-return]


async def over_transport(
    loop: Loop,
    beneath: asyncio.Transport,
    protocol: asyncio.BaseProtocol,
    settings: Settings,
    already_read: bytearray | None,
) -> asyncio.Transport:
    """TLS for *protocol*, which is connected already, over the transport *beneath*.

    *already_read*: the beginning of the handshake, which somebody has taken from the transport.
    """
    waiter = loop.create_future()
    layer = _make_layer(loop, protocol, settings, waiter, call_connection_made=False)
    if already_read:
        layer._incoming.write(already_read)
        already_read.clear()
    beneath.pause_reading()  # until connection_made() is through
    beneath.set_protocol(layer)
    begin = loop.call_soon(layer.connection_made, beneath)
    resume = loop.call_soon(beneath.resume_reading)
    try:
        await waiter
    except BaseException:
        beneath.close()
        begin.cancel()
        resume.cancel()
        raise
    return layer._app_transport  # type: ignore[no-any-return]
