"""TLS: a stream transport whose bytes pass through OpenSSL.

- ``contexts.py``: what programs pass as `ssl`, and the step from a context to a connection
- ``transport.py``: that connection as a transport: handshake, reading, writing, close_notify (HOT)
- ``upgrade.py``: `start_tls`, TLS on a connection that has been in use
- ``memory.py``: the general way, for whatever is no plain socket of this loop
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .contexts import Settings, check_context, check_timeouts
from .transport import SSLTransport
from .upgrade import start_tls

if TYPE_CHECKING:
    import asyncio
    import socket
    from contextvars import Context

    from ..loop import Loop
    from ..net.serve import Server

__all__ = ["check_context", "check_timeouts", "make_transport", "start_tls"]


def make_transport(
    loop: Loop,
    sock: socket.socket,
    protocol: asyncio.BaseProtocol,
    ssl_context: Any,
    context: Context,
    peername: Any,
    *,
    waiter: asyncio.Future[None] | None = None,
    server: Server | None = None,
    is_ours: bool = True,
    server_side: bool = False,
    server_hostname: str | None = None,
    handshake_timeout: float | None = None,
    shutdown_timeout: float | None = None,
) -> asyncio.Transport:
    """A transport on the connected, non-blocking *sock* that begins with a handshake.

    `connection_made` follows the handshake, and then *waiter* gets its result; what else ends the handshake
    is raised there. *is_ours*: nobody else has *sock*. *ssl_context* None stands for the default one. Raises
    ValueError for timeouts (seconds) that are not positive, and what the context raises about
    *server_hostname*.
    """
    settings = Settings(ssl_context, server_side, server_hostname, handshake_timeout, shutdown_timeout)
    transport = SSLTransport(loop, sock, protocol, settings, context, peername, waiter, server, is_ours)
    transport.begin()
    return transport
