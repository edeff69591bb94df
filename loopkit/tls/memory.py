"""TLS over a transport, by `asyncio.sslproto`: for `start_tls` on whatever is no plain socket of this loop.

It costs a second layer of transport and protocol, and 256 KiB a connection. TLS in TLS needs it, and other
loops' transports; nothing else comes here.
"""

from __future__ import annotations

from asyncio import sslproto
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio

    from ..loop import Loop
    from .contexts import Settings


def _make_layer(
    loop: Loop,
    protocol: asyncio.BaseProtocol,
    settings: Settings,
    waiter: asyncio.Future[None],
) -> Any:
    """asyncio's protocol for a transport that carries TLS; what it carries goes to *protocol*."""
    return sslproto.SSLProtocol(
        loop,
        protocol,
        settings.context,
        waiter,
        settings.server_side,
        settings.server_hostname,
        call_connection_made=False,
        ssl_handshake_timeout=settings.handshake_timeout,  # type: ignore[arg-type]
        ssl_shutdown_timeout=settings.shutdown_timeout,
    )


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
    layer = _make_layer(loop, protocol, settings, waiter)
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
        del waiter  # its exception refers to this frame
        raise
    return layer._app_transport  # type: ignore[no-any-return]
