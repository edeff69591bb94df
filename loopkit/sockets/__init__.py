"""Sockets for coroutines, with the names of the standard library's ``socket`` module.

Take a program of blocking sockets, write ``from loopkit import sockets as socket`` over it and ``await`` in
front of each call that may wait, and it serves many clients in one thread::

    async def talk(client):
        with client:
            async for line in client:
                await client.sendall(line.upper())

    async def main():
        async with asyncio.TaskGroup() as group:
            with socket.create_server(("127.0.0.1", 9898)) as server:
                async for client, address in server.clients():
                    group.create_task(talk(client))

Everything is built on the event loop's public methods (``sock_recv`` and its kin), so that it runs on any
asyncio loop. What is added to them:

- **Turns.** A call whose data is there already need not wait, and then nobody else would run: a client that
  never stops talking would have the loop for itself. So every few calls a socket lets the others go first. It
  does so *before* it receives, when a cancellation can lose nothing.
- **Several tasks on one socket.** The loop knows one reader and one writer for each descriptor; a second one
  takes the place of the first, which then waits for ever. Here the second waits its turn, and what
  ``sendall`` sends leaves in one piece.
- **Closing.** Who waits on a socket that another task closes gets ``OSError`` (``EBADF``). The loop alone
  would let it wait for an event that cannot come any more.
- **Lines.** ``readline`` reads ahead; what it has too much, the next call that receives gets first.

Time limits are asyncio's: ``async with asyncio.timeout(5): await sock.recv(100)``.
"""

from __future__ import annotations

import socket as blocking
from typing import Any

from .awaited import socket
from .waiting import loop

__all__ = [
    "create_connection",
    "create_server",
    "fromfd",
    "getaddrinfo",
    "getnameinfo",
    "socket",
    "socketpair",
]

#: What else of the socket module can be used as it is, because it never waits. Constants come besides.
PLAIN = (
    *("AddressFamily", "AddressInfo", "MsgFlag", "SocketKind", "error", "gaierror", "herror", "timeout"),
    *("gethostname", "has_dualstack_ipv6", "has_ipv6", "htonl", "htons", "ntohl", "ntohs"),
    *("if_indextoname", "if_nameindex", "if_nametoindex", "inet_aton", "inet_ntoa", "inet_ntop", "inet_pton"),
)


def create_server(
    address: Any,
    *,
    family: int = blocking.AF_INET,
    backlog: int | None = None,
    reuse_port: bool = False,
    dualstack_ipv6: bool = False,
) -> socket:
    """A listening TCP socket on *address*, ``(host, port)``, with ``SO_REUSEADDR``; as in the socket module.

    It is no coroutine, because nothing waits; give the host as a number, or empty for all of them.

    Raises:
        OSError: the port is taken, or the address is not of this machine.
    """
    server = blocking.create_server(
        address, family=family, backlog=backlog, reuse_port=reuse_port, dualstack_ipv6=dualstack_ipv6
    )
    return socket.wrap(server)


async def create_connection(
    address: tuple[str | None, int], *, source_address: Any = None, all_errors: bool = False
) -> socket:
    """Connect to ``(host, port)`` by TCP, trying every address that the host's name has, in order.

    Unlike the socket module's it has no ``timeout``: put ``asyncio.timeout`` around it.

    Args:
        source_address: the local address to come from.
        all_errors: raise an ExceptionGroup of what each address answered, not only the last answer.

    Raises:
        OSError: no address could be connected to, or the name is unknown (``gaierror``).
    """
    host, port = address
    errors: list[OSError] = []
    for family, kind, proto, _, target in await getaddrinfo(host, port, 0, blocking.SOCK_STREAM):
        try:
            sock = socket(family, kind, proto)
        except OSError as error:
            errors.append(error)
            continue
        try:
            if source_address is not None:
                sock.bind(source_address)
            await sock.connect(target)
            return sock
        except OSError as error:
            sock.close()
            errors.append(error)
        except BaseException:
            sock.close()
            raise
    if all_errors:
        raise ExceptionGroup(f"could not connect to {host}, port {port}", errors)
    raise errors[-1] if errors else OSError(f"the name {host!r} has no address")


def socketpair(
    family: int | None = None, type: int = blocking.SOCK_STREAM, proto: int = 0
) -> tuple[socket, socket]:
    """Two sockets connected with each other."""
    ours, theirs = blocking.socketpair(family, type, proto)
    return socket.wrap(ours), socket.wrap(theirs)


def fromfd(fd: int, family: int, type: int, proto: int = 0) -> socket:
    """A socket for a duplicate of *fd*, which stays open and the caller's."""
    return socket.wrap(blocking.fromfd(fd, family, type, proto))


async def getaddrinfo(
    host: Any, port: Any, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0
) -> list[Any]:
    """Look a host's name up in another thread; as ``socket.getaddrinfo``. Raises ``gaierror``."""
    return await loop().getaddrinfo(host, port, family=family, type=type, proto=proto, flags=flags)


async def getnameinfo(sockaddr: Any, flags: int) -> tuple[str, str]:
    """Look an address's name up in another thread; as ``socket.getnameinfo``. Raises ``gaierror``."""
    return await loop().getnameinfo(sockaddr, flags)


def __getattr__(name: str) -> Any:
    """Constants and functions of the socket module that never wait."""
    if name in PLAIN or (name.isupper() and not name.startswith("_")):
        return getattr(blocking, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
