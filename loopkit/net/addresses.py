"""Addresses: what `host` and `port` mean, and in which order several answers of the resolver are tried."""

from __future__ import annotations

import itertools
import socket
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..loop import Loop

#: (family, type, proto, canonname, sockaddr), as `socket.getaddrinfo` returns them.
AddrInfo = tuple[int, int, int, str, Any]

#: Unix sockets; None on a platform that has none.
AF_UNIX: int | None = getattr(socket, "AF_UNIX", None)

PROTO = {socket.SOCK_STREAM: socket.IPPROTO_TCP, socket.SOCK_DGRAM: socket.IPPROTO_UDP}


async def ensure_resolved(
    loop: Loop,
    address: Sequence[Any],
    *,
    family: int = 0,
    type: int = socket.SOCK_STREAM,
    proto: int = 0,
    flags: int = 0,
) -> list[AddrInfo]:
    """The meanings of *address*, (host, port, ...): its own if it is numeric, else the resolver's."""
    host, port = address[:2]
    literal = numeric(host, port, family, type, proto, *address[2:])
    if literal is not None:
        return [literal]
    return await loop.getaddrinfo(host, port, family=family, type=type, proto=proto, flags=flags)


def unix_socket() -> socket.socket:
    """A new Unix stream socket. Raises OSError where there are none."""
    if AF_UNIX is None:
        raise OSError("this platform has no Unix sockets; use TCP on 127.0.0.1")
    return socket.socket(AF_UNIX, socket.SOCK_STREAM)


def numeric(
    host: Any, port: Any, family: int, type: int, proto: int, flowinfo: int = 0, scopeid: int = 0
) -> AddrInfo | None:
    """The meaning of an address that needs no resolver; None if it needs one."""
    if host is None or proto not in {0, socket.IPPROTO_TCP, socket.IPPROTO_UDP} or type not in PROTO:
        return None
    if port in (None, "", b""):
        port = 0
    else:
        try:
            port = int(port)  # "80" means 80; "http" is the resolver's business
        except (TypeError, ValueError):
            return None
    if isinstance(host, bytes):
        try:
            host = host.decode("idna")
        except UnicodeError:
            return None
    if not isinstance(host, str) or "%" in host:
        return None  # a scope name ("fe80::1%eth0") is not numeric
    families = (family,) if family else (socket.AF_INET, socket.AF_INET6)
    for candidate in families:
        try:
            socket.inet_pton(candidate, host)
        except OSError:
            continue
        address = (host, port, flowinfo, scopeid) if candidate == socket.AF_INET6 else (host, port)
        return candidate, type, PROTO[socket.SocketKind(type)], "", address
    return None


def interleave(infos: Sequence[AddrInfo], first: int) -> list[AddrInfo]:
    """*infos* with the families taking turns, after *first* of the first family (RFC 8305, section 4)."""
    families: dict[int, list[AddrInfo]] = {}
    for info in infos:
        families.setdefault(info[0], []).append(info)
    lists = list(families.values())
    ordered: list[AddrInfo] = []
    if first > 1:
        ordered += lists[0][: first - 1]
        del lists[0][: first - 1]
    ordered += [info for infos in itertools.zip_longest(*lists) for info in infos if info is not None]
    return ordered


def bind_error(address: Any, exc: OSError) -> OSError:
    """What asyncio raises when `bind` to *address* has failed with *exc*."""
    reason = str(exc) if sys.version_info >= (3, 13) else str(exc.strerror)
    return OSError(exc.errno, f"error while attempting to bind on address {address!r}: {reason.lower()}")


def set_reuse_port(sock: socket.socket) -> None:
    """Let several sockets listen on one port. Raises ValueError where the system cannot do that."""
    if not hasattr(socket, "SO_REUSEPORT"):
        raise ValueError("reuse_port not supported by socket module")
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    except OSError:
        raise ValueError(
            "reuse_port not supported by socket module, SO_REUSEPORT defined but not implemented."
        ) from None


def set_no_delay(sock: socket.socket) -> None:
    """Send small writes of a TCP socket without waiting for the acknowledgement of earlier ones."""
    is_stream = sock.family in (socket.AF_INET, socket.AF_INET6) and sock.type == socket.SOCK_STREAM
    if is_stream and sock.proto in (0, socket.IPPROTO_TCP):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
