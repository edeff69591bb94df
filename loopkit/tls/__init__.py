"""TLS on the sockets of this loop."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..loop import Loop

NOT_YET = "loopkit cannot do TLS in this version: pass ssl=None, or use another event loop for this connection"


def is_tls_socket(sock: socket.socket) -> bool:
    """Whether *sock* does TLS by itself."""
    import ssl

    return isinstance(sock, ssl.SSLSocket)


def check_context(context: Any) -> None:
    raise NotImplementedError(NOT_YET)


def make_transport(loop: Loop, sock: socket.socket, *args: Any, **kwargs: Any) -> asyncio.Transport:
    sock.close()
    raise NotImplementedError(NOT_YET)


async def start_tls(loop: Loop, *args: Any, **kwargs: Any) -> asyncio.Transport:
    raise NotImplementedError(NOT_YET)
