"""The `sock_*` operations: one non-blocking call on a socket of the program's, awaited. HOT.

Each tries first: data is often there already, and then nothing has to be waited for, nor does the loop get a
turn. What would block waits for the descriptor with a one-shot reader or writer that makes the same call
again.

A reader stays armed in the poller when its operation is done (`Watches.rest_read`), bound to the socket
object: a coroutine that receives in a loop makes no `epoll_ctl` after the first time. A writer is disarmed: a
socket is writable nearly always.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from typing import TYPE_CHECKING, Any

from ..watches import ensure_no_transport
from .addresses import ensure_resolved

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..loop import Loop

AGAIN = (BlockingIOError, InterruptedError)

#: How long to wait, in seconds, before knocking again at a Unix listener whose queue is full: first, and at
#: most.
KNOCK = (0.001, 0.1)


async def sock_recv(loop: Loop, sock: socket.socket, nbytes: int) -> bytes:
    """Receive at most *nbytes* bytes; ``b""`` at the end of the stream. Raises what ``sock.recv`` raises."""
    if loop._debug or isinstance(sock, ssl.SSLSocket):
        check(loop, sock)
    try:
        return sock.recv(nbytes)
    except AGAIN:
        return await when_readable(loop, sock, sock.recv, nbytes)  # type: ignore[no-any-return]


async def sock_recv_into(loop: Loop, sock: socket.socket, buf: Any) -> int:
    """Receive into the buffer *buf*; the number of bytes received. Raises what ``sock.recv_into`` raises."""
    if loop._debug or isinstance(sock, ssl.SSLSocket):
        check(loop, sock)
    try:
        return sock.recv_into(buf)
    except AGAIN:
        return await when_readable(loop, sock, sock.recv_into, buf)  # type: ignore[no-any-return]


async def sock_recvfrom(loop: Loop, sock: socket.socket, bufsize: int) -> tuple[bytes, Any]:
    """Receive a datagram of up to *bufsize* bytes: (data, address). Raises what ``sock.recvfrom`` raises."""
    if loop._debug or isinstance(sock, ssl.SSLSocket):
        check(loop, sock)
    try:
        return sock.recvfrom(bufsize)
    except AGAIN:
        return await when_readable(loop, sock, sock.recvfrom, bufsize)  # type: ignore[no-any-return]


async def sock_recvfrom_into(loop: Loop, sock: socket.socket, buf: Any, nbytes: int = 0) -> tuple[int, Any]:
    """Receive a datagram of at most *nbytes* bytes (0: what fits) into *buf*: (number of bytes, address)."""
    if loop._debug or isinstance(sock, ssl.SSLSocket):
        check(loop, sock)
    nbytes = nbytes or len(buf)
    try:
        return sock.recvfrom_into(buf, nbytes)
    except AGAIN:
        return await when_readable(loop, sock, sock.recvfrom_into, buf, nbytes)  # type: ignore[no-any-return]


async def sock_sendall(loop: Loop, sock: socket.socket, data: Any) -> None:
    """Send all of *data*. Raises what ``sock.send`` raises; how much was sent is then unknown."""
    if loop._debug or isinstance(sock, ssl.SSLSocket):
        check(loop, sock)
    try:
        sent = sock.send(data)
    except AGAIN:
        sent = 0
    if sent != len(data):
        await when_writable(loop, sock, send_rest, sock, memoryview(data).cast("B"), [sent])


async def sock_sendto(loop: Loop, sock: socket.socket, data: Any, address: Any) -> int:
    """Send a datagram to *address*; the number of bytes sent. Raises what ``sock.sendto`` raises."""
    if loop._debug or isinstance(sock, ssl.SSLSocket):
        check(loop, sock)
    try:
        return sock.sendto(data, address)
    except AGAIN:
        return await when_writable(loop, sock, sock.sendto, data, address)  # type: ignore[no-any-return]


async def sock_accept(loop: Loop, sock: socket.socket) -> tuple[socket.socket, Any]:
    """Accept a connection: (non-blocking socket, peer's address). Raises what ``sock.accept`` raises."""
    check(loop, sock)
    try:
        return accept(sock)
    except AGAIN:
        return await when_readable(loop, sock, accept, sock)  # type: ignore[no-any-return]


async def sock_connect(loop: Loop, sock: socket.socket, address: Any) -> None:
    """Connect *sock* to *address*, whose host may be a name.

    Raises OSError ``Connect call failed`` with the peer's answer, or what ``sock.connect`` raises.
    """
    check(loop, sock)
    if sock.family in (socket.AF_INET, socket.AF_INET6):
        infos = await ensure_resolved(loop, address, family=sock.family, type=sock.type, proto=sock.proto)
        address = infos[0][4]
    pause, longest = KNOCK
    while True:
        try:
            sock.connect(address)
            return
        except AGAIN as exc:
            if sock.family != socket.AF_UNIX or exc.errno != errno.EAGAIN:
                break  # on its way
        # unix(7): the listener's queue is full, nothing is on its way, and nobody will tell us when there is
        # room.
        await asyncio.sleep(pause)
        pause = min(2 * pause, longest)
    await when_writable(loop, sock, check_connected, sock, address)


# -- what is called, now or when the descriptor is ready -----------------------------------------------------


def accept(sock: socket.socket) -> tuple[socket.socket, Any]:
    conn, address = sock.accept()
    conn.setblocking(False)
    return conn, address


def check_connected(sock: socket.socket, address: Any) -> None:
    error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if error:
        raise OSError(error, f"Connect call failed {address}")


def send_rest(sock: socket.socket, view: memoryview, position: list[int]) -> None:
    position[0] += sock.send(view[position[0] :])
    if position[0] < len(view):
        raise BlockingIOError


def check(loop: Loop, sock: socket.socket) -> None:
    """Raise TypeError for a TLS socket; in debug mode ValueError for one that may block."""
    if isinstance(sock, ssl.SSLSocket):
        raise TypeError("Socket cannot be of type SSLSocket")
    if loop._debug and sock.gettimeout() != 0:
        raise ValueError("the socket must be non-blocking")


# -- waiting -------------------------------------------------------------------------------------------------


async def when_readable(loop: Loop, sock: socket.socket, call: Callable[..., Any], *args: Any) -> Any:
    """The result of ``call(*args)`` once it does not raise BlockingIOError, tried when *sock* is readable."""
    fd = sock.fileno()
    ensure_no_transport(loop, fd)
    tables = loop._watches
    future = loop.create_future()
    handle = loop._new_handle(_try, (future, call, args), None)
    replaced = tables.readers.get(fd)
    tables.watch_read(fd, handle, sock)
    if replaced is not None:
        replaced.cancel()
    try:
        return await future
    finally:
        # Unless somebody else has taken our place meanwhile.
        if tables.readers.get(fd) is handle:
            tables.rest_read(fd, sock)


async def when_writable(loop: Loop, sock: socket.socket, call: Callable[..., Any], *args: Any) -> Any:
    """The result of ``call(*args)`` once it does not raise BlockingIOError, tried when *sock* is writable."""
    fd = sock.fileno()
    ensure_no_transport(loop, fd)
    tables = loop._watches
    future = loop.create_future()
    handle = loop._new_handle(_try, (future, call, args), None)
    replaced = tables.writers.get(fd)
    tables.watch_write(fd, handle, sock)
    if replaced is not None:
        replaced.cancel()
    try:
        return await future
    finally:
        if tables.writers.get(fd) is handle:
            tables.unwatch_write(fd)


def _try(future: asyncio.Future[Any], call: Callable[..., Any], args: tuple[Any, ...]) -> None:
    if future.done():
        return  # cancelled; the coroutine will take us out
    try:
        result = call(*args)
    except AGAIN:
        return
    except (SystemExit, KeyboardInterrupt):
        raise
    except BaseException as exc:
        future.set_exception(exc)
    else:
        future.set_result(result)
