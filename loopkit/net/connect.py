"""Outgoing connections, and the step they all share: from a connected socket to a transport."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from asyncio.log import logger
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, TypeVar

from ..descriptors import ensure_no_transport
from ..transports.base import name_of
from ..transports.stream import StreamTransport
from . import addresses, sockets
from .attempts import connect_any

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..loop import Loop
    from .addresses import AddrInfo

P = TypeVar("P", bound=asyncio.BaseProtocol)

#: If no transport can be made, a socket that the program has given is closed from 3.14.8 on.
CLOSES_GIVEN = sys.version_info >= (3, 14, 8)


async def create_connection(
    loop: Loop,
    protocol_factory: Callable[[], P],
    host: str | None = None,
    port: int | str | None = None,
    *,
    ssl: Any = None,
    family: int = 0,
    proto: int = 0,
    flags: int = 0,
    sock: socket.socket | None = None,
    local_addr: tuple[str, int] | None = None,
    server_hostname: str | None = None,
    ssl_handshake_timeout: float | None = None,
    ssl_shutdown_timeout: float | None = None,
    happy_eyeballs_delay: float | None = None,
    interleave: int | None = None,
    all_errors: bool = False,
) -> tuple[asyncio.Transport, P]:
    """Connect to a TCP server, or take over the connected stream socket *sock*: (transport, protocol).

    *happy_eyeballs_delay* (seconds), *interleave* and *all_errors* work on every Python. Raises ValueError
    for arguments that contradict each other, OSError if no address could be connected (with *all_errors* an
    ExceptionGroup of the causes).
    """
    if server_hostname is not None and not ssl:
        raise ValueError("server_hostname is only meaningful with ssl")
    if server_hostname is None and ssl:
        # An empty name switches the host name check off; a missing one must not do that by accident.
        if not host:
            raise ValueError("You must set server_hostname when using ssl without a host")
        server_hostname = host
    check_tls_arguments(ssl, ssl_handshake_timeout, ssl_shutdown_timeout)
    own = sock is None
    if sock is not None:
        check_plain(sock)
    if happy_eyeballs_delay is not None and interleave is None:
        interleave = 1

    if host is not None or port is not None:
        if sock is not None:
            raise ValueError("host/port and sock can not be specified at the same time")
        infos = await _resolve(loop, (host, port), family, proto, flags)
        local_infos = None if local_addr is None else await _resolve(loop, local_addr, family, proto, flags)
        if interleave:
            infos = addresses.interleave(infos, interleave)
        sock = await connect_any(loop, infos, local_infos, happy_eyeballs_delay, all_errors)
    else:
        if sock is None:
            raise ValueError("host and port was not specified and no sock specified")
        if sock.type != socket.SOCK_STREAM:
            raise ValueError(f"A Stream Socket was expected, got {sock!r}")

    transport, protocol = await connected(
        loop,
        sock,
        own,
        protocol_factory,
        ssl,
        server_hostname,
        False,
        ssl_handshake_timeout,
        ssl_shutdown_timeout,
    )
    if loop._debug:
        logger.debug(
            "%r connected to %s:%r: (%r, %r)",
            transport.get_extra_info("socket"),
            host,
            port,
            transport,
            protocol,
        )
    return transport, protocol


async def create_unix_connection(
    loop: Loop,
    protocol_factory: Callable[[], P],
    path: str | bytes | os.PathLike[str] | None = None,
    *,
    ssl: Any = None,
    sock: socket.socket | None = None,
    server_hostname: str | None = None,
    ssl_handshake_timeout: float | None = None,
    ssl_shutdown_timeout: float | None = None,
) -> tuple[asyncio.Transport, P]:
    """Connect to the Unix stream socket at *path*, or take over the connected *sock*: (transport, protocol).

    Raises ValueError for arguments that contradict each other, OSError if nobody listens there. A listener
    whose queue is full is tried again until it takes us (asyncio believes itself connected then).
    """
    if ssl and server_hostname is None:
        raise ValueError("you have to pass server_hostname when using ssl")
    if not ssl and server_hostname is not None:
        raise ValueError("server_hostname is only meaningful with ssl")
    check_tls_arguments(ssl, ssl_handshake_timeout, ssl_shutdown_timeout)
    own = sock is None
    if path is not None:
        if sock is not None:
            raise ValueError("path and sock can not be specified at the same time")
        sock = addresses.unix_socket()
        try:
            sock.setblocking(False)
            await loop.sock_connect(sock, os.fspath(path))
        except BaseException:
            sock.close()
            raise
    else:
        if sock is None:
            raise ValueError("no path and sock were specified")
        check_unix_stream(sock)
    return await connected(
        loop,
        sock,
        own,
        protocol_factory,
        ssl,
        server_hostname,
        False,
        ssl_handshake_timeout,
        ssl_shutdown_timeout,
    )


async def connect_accepted_socket(
    loop: Loop,
    protocol_factory: Callable[[], P],
    sock: socket.socket,
    *,
    ssl: Any = None,
    ssl_handshake_timeout: float | None = None,
    ssl_shutdown_timeout: float | None = None,
) -> tuple[asyncio.Transport, P]:
    """Take over *sock*, a connection accepted elsewhere, as a server would: (transport, protocol).

    Raises ValueError unless it is a stream socket, TypeError if it is a TLS socket.
    """
    if sock.type != socket.SOCK_STREAM:
        raise ValueError(f"A Stream Socket was expected, got {sock!r}")
    check_tls_arguments(ssl, ssl_handshake_timeout, ssl_shutdown_timeout)
    check_plain(sock)
    transport, protocol = await connected(
        loop, sock, False, protocol_factory, ssl, "", True, ssl_handshake_timeout, ssl_shutdown_timeout
    )
    if loop._debug:
        logger.debug("%r handled: (%r, %r)", transport.get_extra_info("socket"), transport, protocol)
    return transport, protocol


async def connected(
    loop: Loop,
    sock: socket.socket,
    own: bool,
    protocol_factory: Callable[[], P],
    ssl: Any,
    server_hostname: str | None,
    server_side: bool,
    handshake_timeout: float | None,
    shutdown_timeout: float | None,
) -> tuple[asyncio.Transport, P]:
    """A transport on the connected *sock*, and its protocol. If none can be made, an *own* sock is closed.

    From Python 3.14.8 on any is.

    In this order, as under asyncio: `connection_made`, then our caller resumes, then the first
    `data_received`.
    """
    sock.setblocking(False)
    waiter = loop.create_future()
    context = copy_context()
    transport: asyncio.Transport
    try:
        protocol = protocol_factory()
        ensure_no_transport(loop, sock.fileno(), sock)
        # The name now: a peer that resets takes it with it.
        peername = name_of(sock.getpeername)
        addresses.set_no_delay(sock)
        if ssl:
            from .. import tls

            transport = tls.make_transport(
                loop,
                sock,
                protocol,
                None if isinstance(ssl, bool) else ssl,
                context,
                peername,
                waiter=waiter,
                is_ours=own,
                server_side=server_side,
                server_hostname=server_hostname,
                handshake_timeout=handshake_timeout,
                shutdown_timeout=shutdown_timeout,
            )
        else:
            transport = StreamTransport(loop, sock, protocol, context, peername, is_ours=own)
            loop.call_soon(protocol.connection_made, transport, context=context)
            loop.call_soon(transport._begin, waiter, context=context)
    except BaseException:
        if own:
            loop._watches.free(sock)
        # Not one that a transport uses: it would find another file under its number (asyncio closes it).
        if own or (CLOSES_GIVEN and loop._watches.owner(sock.fileno()) is None):
            sock.close()
        raise
    try:
        await waiter
    except BaseException:
        transport.close()
        del waiter  # its exception refers to this frame
        raise
    return transport, protocol


def check_tls_arguments(ssl: Any, handshake_timeout: float | None, shutdown_timeout: float | None) -> None:
    """Raise ValueError for TLS timeouts without TLS, or of no positive number of seconds."""
    if handshake_timeout is not None and not ssl:
        raise ValueError("ssl_handshake_timeout is only meaningful with ssl")
    if shutdown_timeout is not None and not ssl:
        raise ValueError("ssl_shutdown_timeout is only meaningful with ssl")
    if ssl:
        from .. import tls

        tls.check_timeouts(handshake_timeout, shutdown_timeout)


def check_plain(sock: socket.socket) -> None:
    """Raise TypeError if *sock* does TLS by itself."""
    if isinstance(sock, sockets.TLS_SOCKET):
        raise TypeError("Socket cannot be of type SSLSocket")


def check_unix_stream(sock: socket.socket) -> None:
    """Raise ValueError unless *sock* is a Unix stream socket."""
    if sock.family != addresses.AF_UNIX or sock.type != socket.SOCK_STREAM:
        raise ValueError(f"A UNIX Domain Stream Socket was expected, got {sock!r}")


async def _resolve(
    loop: Loop, address: tuple[Any, Any], family: int, proto: int, flags: int
) -> list[AddrInfo]:
    infos = await addresses.ensure_resolved(loop, address, family=family, proto=proto, flags=flags)
    if not infos:
        raise OSError("getaddrinfo() returned empty list")
    return infos
