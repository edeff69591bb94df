"""Datagram endpoints: `create_datagram_endpoint`, its arguments and its addresses."""

from __future__ import annotations

import asyncio
import socket
import sys
from asyncio.log import logger
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, TypeVar

from ..descriptors import ensure_no_transport
from ..transports.datagram import DatagramTransport
from . import addresses
from .listen import remove_stale

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ..loop import Loop

P = TypeVar("P", bound=asyncio.BaseProtocol)

#: One way to make the endpoint: family, proto, local and remote address.
Candidate = tuple[int, int, Any, Any]

#: Until 3.12 asyncio took nothing but SOCK_DGRAM; since then anything but a stream (SOCK_RAW, say).
TAKES_ANY_DATAGRAMS = sys.version_info >= (3, 13)


async def create_datagram_endpoint(
    loop: Loop,
    protocol_factory: Callable[[], P],
    local_addr: tuple[str, int] | str | None = None,
    remote_addr: tuple[str, int] | str | None = None,
    *,
    family: int = 0,
    proto: int = 0,
    flags: int = 0,
    reuse_port: bool | None = None,
    allow_broadcast: bool | None = None,
    sock: socket.socket | None = None,
) -> tuple[asyncio.DatagramTransport, P]:
    """A socket bound to *local_addr* and connected to *remote_addr*, or *sock*: (transport, protocol).

    Addresses are (host, port), or paths if *family* is AF_UNIX (a stale socket file at *local_addr* is
    removed). With *allow_broadcast* the socket is not connected: datagrams go to *remote_addr*, and come from
    anywhere. Raises ValueError for arguments that contradict each other, TypeError for addresses of the wrong
    type, OSError if no socket could be made.
    """
    options = {
        "local_addr": local_addr,
        "remote_addr": remote_addr,
        "family": family,
        "proto": proto,
        "flags": flags,
        "reuse_port": reuse_port,
        "allow_broadcast": allow_broadcast,
    }
    ours = sock is None
    address: Any = None
    if sock is not None:
        _check_socket(loop, sock, options)
    else:
        candidates = await _candidates(loop, local_addr, remote_addr, family, proto, flags)
        sock, address = await _open_any(loop, candidates, options)
    try:
        protocol = protocol_factory()
        context = copy_context()
        transport = DatagramTransport(loop, sock, protocol, address, context)
    except BaseException:
        if ours:
            loop._watches.free(sock)
            sock.close()
        raise
    waiter = loop.create_future()
    loop.call_soon(protocol.connection_made, transport, context=context)
    loop.call_soon(transport._begin, waiter, context=context)
    if loop._debug:
        if local_addr:
            logger.info(
                "Datagram endpoint local_addr=%r remote_addr=%r created: (%r, %r)",
                local_addr,
                remote_addr,
                transport,
                protocol,
            )
        else:
            logger.debug(
                "Datagram endpoint remote_addr=%r created: (%r, %r)", remote_addr, transport, protocol
            )
    try:
        await waiter
    except BaseException:
        transport.close()
        raise
    return transport, protocol


def _check_socket(loop: Loop, sock: socket.socket, options: dict[str, Any]) -> None:
    if TAKES_ANY_DATAGRAMS:
        if sock.type == socket.SOCK_STREAM:
            raise ValueError(f"A datagram socket was expected, got {sock!r}")
    elif sock.type != socket.SOCK_DGRAM:
        raise ValueError(f"A UDP Socket was expected, got {sock!r}")
    if any(options.values()):
        problems = ", ".join(f"{name}={value}" for name, value in options.items() if value)
        raise ValueError(
            f"socket modifier keyword arguments can not be used when sock is specified. ({problems})"
        )
    ensure_no_transport(loop, sock.fileno(), sock)
    sock.setblocking(False)


# -- which addresses -----------------------------------------------------------------------------------------


async def _candidates(
    loop: Loop, local_addr: Any, remote_addr: Any, family: int, proto: int, flags: int
) -> list[Candidate]:
    if not (local_addr or remote_addr):
        if family == 0:
            raise ValueError("unexpected address family")
        return [(family, proto, None, None)]
    if family == addresses.AF_UNIX:
        for path in (local_addr, remote_addr):
            if path is not None and not isinstance(path, str):
                raise TypeError("string is expected")
        if local_addr:
            remove_stale(local_addr)
        return [(family, proto, local_addr, remote_addr)]
    local = await _resolve(loop, local_addr, family, proto, flags)
    remote = await _resolve(loop, remote_addr, family, proto, flags)
    # In the order of the resolver's answers, of which an address of ours must have one of the peer's kind.
    kinds = [
        kind
        for kind in {**local, **remote}
        if (not local_addr or kind in local) and (not remote_addr or kind in remote)
    ]
    if not kinds:
        raise ValueError("can not get address information")
    return [(*kind, local.get(kind), remote.get(kind)) for kind in kinds]


async def _resolve(loop: Loop, addr: Any, family: int, proto: int, flags: int) -> dict[tuple[int, int], Any]:
    """(family, proto) -> address."""
    if addr is None:
        return {}
    if not (isinstance(addr, tuple) and len(addr) == 2):
        raise TypeError("2-tuple is expected")
    infos = await addresses.ensure_resolved(
        loop, addr, family=family, type=socket.SOCK_DGRAM, proto=proto, flags=flags
    )
    if not infos:
        raise OSError("getaddrinfo() returned empty list")
    return {(family, proto): address for family, _, proto, _, address in infos}


# -- the socket ----------------------------------------------------------------------------------------------


async def _open_any(
    loop: Loop, candidates: Iterable[Candidate], options: dict[str, Any]
) -> tuple[socket.socket, Any]:
    """A socket for the first candidate that works, and where it sends. Raises the first one's error."""
    first: OSError | None = None
    for candidate in candidates:
        try:
            return await _open(loop, candidate, options), candidate[3]
        except OSError as exc:
            first = first or exc
    assert first is not None
    try:
        raise first
    finally:
        del first  # its traceback would hold itself


async def _open(loop: Loop, candidate: Candidate, options: dict[str, Any]) -> socket.socket:
    family, proto, local, remote = candidate
    sock = socket.socket(family, socket.SOCK_DGRAM, proto)
    try:
        if options["reuse_port"]:
            addresses.set_reuse_port(sock)
        if options["allow_broadcast"]:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        sock.setblocking(False)
        if local:
            sock.bind(local)
        if remote and not options["allow_broadcast"]:
            await loop.sock_connect(sock, remote)
        return sock
    except BaseException:
        sock.close()
        raise
