"""The `sock_*` operations: one non-blocking call on a socket of the program's, awaited. HOT.

Each tries first: often the data is there already, and nothing has to be waited for. What would block waits
until the loop reports the descriptor ready, and tries again, in the coroutine: a cancelled receiver has then
received nothing, and nothing is lost. (asyncio receives in the callback, and loses the data if the task is
cancelled before it resumes.)

A reader stays armed in the poller when its operation is done (`net/guests.py`). And when the last receive got
less than it asked for, the queue was empty a moment ago: the next one waits at once, instead of asking the
kernel and catching its BlockingIOError, which costs as much as receiving does. Should data have come
meanwhile, the poll says so immediately; but what is ready runs before the poll is heard, and may be a
`timeout(0)` that ends the waiting. So it only waits at once if nothing has been scheduled since: if the end
of the ready queue is what it was (`Guest.tail`). A writer is disarmed: a socket is writable nearly always.

Buffers may be of any kind: what is counted are bytes, not items, and a buffer is examined before anything is
sent or received. (asyncio compares bytes with items, and sends the half of an ``array("H")``.)
"""

from __future__ import annotations

import asyncio
import errno
import socket
import weakref
from functools import partial
from typing import TYPE_CHECKING, Any

from ..descriptors import ensure_no_transport
from .addresses import AF_UNIX, ensure_resolved
from .guests import Guest, stop_writing, wait_to_write

if TYPE_CHECKING:
    from ..loop import Loop

try:
    import ssl
except ImportError:  # a Python that was built without it can do everything else
    TLS_SOCKET: tuple[type, ...] = ()
else:
    TLS_SOCKET = (ssl.SSLSocket,)

AGAIN = (BlockingIOError, InterruptedError)

#: How long to wait, in seconds, before knocking again at a Unix listener whose queue is full: first, and at
#: most.
KNOCK = (0.001, 0.1)


#: The tail of an empty queue: a reference to something that is gone is None, without a frame.
EMPTY: weakref.ref[Any] = weakref.ref(set())


async def sock_recv(loop: Loop, sock: socket.socket, nbytes: int) -> bytes:
    """Receive at most *nbytes* bytes; ``b""`` at the end of the stream. Raises what ``sock.recv`` raises."""
    entry = loop._watches.entries.get(sock.fileno())
    if entry is None or (guest := entry.guest) is None or guest.sock() is not sock or loop._debug:
        guest = welcome(loop, sock)
    # fast: no failing recv on a socket that was found empty; see performance.md#drained-sockets
    tail, ready = guest.tail, loop._ready
    must_wait = tail is not None and tail() is (ready[-1] if ready else None) and nbytes > 0
    while True:
        if must_wait:
            future = guest.expect(loop)
            try:
                await future
            finally:
                guest.part(future)
        try:
            data = sock.recv(nbytes)
        except AGAIN:
            must_wait = True
        else:
            if 0 < len(data) < nbytes:
                guest.tail = weakref.ref(ready[-1]) if ready else EMPTY
            else:
                guest.tail = None
            return data


async def sock_recv_into(loop: Loop, sock: socket.socket, buf: Any) -> int:
    """Receive into the writable buffer *buf*; the number of bytes. Raises what ``sock.recv_into`` raises."""
    entry = loop._watches.entries.get(sock.fileno())
    if entry is None or (guest := entry.guest) is None or guest.sock() is not sock or loop._debug:
        guest = welcome(loop, sock)
    # fast: as in sock_recv; see performance.md#drained-sockets
    tail, ready = guest.tail, loop._ready
    must_wait = tail is not None and tail() is (ready[-1] if ready else None) and memoryview(buf).nbytes > 0
    while True:
        if must_wait:
            future = guest.expect(loop)
            try:
                await future
            finally:
                guest.part(future)
        try:
            count = sock.recv_into(buf)
        except AGAIN:
            must_wait = True
        else:
            if 0 < count < memoryview(buf).nbytes:
                guest.tail = weakref.ref(ready[-1]) if ready else EMPTY
            else:
                guest.tail = None
            return count


async def sock_recvfrom(loop: Loop, sock: socket.socket, bufsize: int) -> tuple[bytes, Any]:
    """Receive a datagram of at most *bufsize* bytes: (data, sender's address).

    Raises what ``sock.recvfrom`` raises.
    """
    if loop._debug or isinstance(sock, TLS_SOCKET):
        check(loop, sock)
    while True:
        try:
            return sock.recvfrom(bufsize)
        except AGAIN:
            await readable(loop, sock)


async def sock_recvfrom_into(loop: Loop, sock: socket.socket, buf: Any, nbytes: int = 0) -> tuple[int, Any]:
    """Receive a datagram of at most *nbytes* bytes (0: all of *buf*) into *buf*: (number of bytes, address).

    Raises what ``sock.recvfrom_into`` raises.
    """
    if loop._debug or isinstance(sock, TLS_SOCKET):
        check(loop, sock)
    nbytes = nbytes or memoryview(buf).nbytes
    while True:
        try:
            return sock.recvfrom_into(buf, nbytes)
        except AGAIN:
            await readable(loop, sock)


async def sock_sendall(loop: Loop, sock: socket.socket, data: Any) -> None:
    """Send all of *data*. Raises what ``sock.send`` raises; how much was sent is then unknown."""
    if loop._debug or isinstance(sock, TLS_SOCKET):
        check(loop, sock)
    if type(data) is not bytes:
        data = bytes_of(data)
    try:
        sent = sock.send(data)
    except AGAIN:
        sent = 0
    if sent == len(data):
        return
    rest = memoryview(data)[sent:]
    while rest:
        await writable(loop, sock)
        try:
            rest = rest[sock.send(rest) :]
        except AGAIN:
            continue


async def sock_sendto(loop: Loop, sock: socket.socket, data: Any, address: Any) -> int:
    """Send a datagram to *address*; the number of bytes sent. Raises what ``sock.sendto`` raises."""
    if loop._debug or isinstance(sock, TLS_SOCKET):
        check(loop, sock)
    while True:
        try:
            return sock.sendto(data, address)
        except AGAIN:
            await writable(loop, sock)


async def sock_accept(loop: Loop, sock: socket.socket) -> tuple[socket.socket, Any]:
    """Accept a connection: (a non-blocking socket, the peer's address). Raises as ``sock.accept`` does."""
    guest = welcome(loop, sock)
    tail, ready = guest.alone, loop._ready
    must_wait = tail is not None and tail() is (ready[-1] if ready else None)
    while True:
        if must_wait:
            await readable(loop, sock)
        try:
            conn, address = sock.accept()
        except AGAIN:
            must_wait = True
        else:
            # Very likely there is nobody else; and to find out costs as much as to accept.
            guest.alone = weakref.ref(ready[-1]) if ready else EMPTY
            conn.setblocking(False)
            return conn, address


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
            if sock.family != AF_UNIX or exc.errno != errno.EAGAIN:
                break  # on its way
        # unix(7): the listener's queue is full, nothing is on its way, nobody will tell when there is room.
        await asyncio.sleep(pause)
        pause = min(2 * pause, longest)
    await writable(loop, sock)
    error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if error:
        raise OSError(error, f"Connect call failed {address}")


def bytes_of(data: Any) -> memoryview:
    """*data*, which has a buffer of any kind, as bytes. Raises TypeError if it has none, or one with gaps."""
    try:
        view = memoryview(data)
    except TypeError:
        raise TypeError(f"a bytes-like object is required, not {type(data).__name__!r}") from None
    return view.cast("B") if view.nbytes else memoryview(b"")  # one of no items may have no shape to cast


def check(loop: Loop, sock: socket.socket) -> None:
    """Raise TypeError for a TLS socket; in debug mode ValueError for one that may block."""
    if isinstance(sock, TLS_SOCKET):
        raise TypeError("Socket cannot be of type SSLSocket")
    if loop._debug and sock.gettimeout() != 0:
        raise ValueError("the socket must be non-blocking")


def welcome(loop: Loop, sock: socket.socket) -> Guest:
    """What is known of *sock*, which is examined first. Raises as `check` does."""
    check(loop, sock)
    return guest_of(loop, sock)


def guest_of(loop: Loop, sock: socket.socket) -> Guest:
    """What is known of *sock*: nothing yet, if it is a new one."""
    entry = loop._watches.entries.get(sock.fileno())
    guest = None if entry is None else entry.guest
    return guest if guest is not None and guest.sock() is sock else Guest(loop._watches, sock)


# -- waiting -------------------------------------------------------------------------------------------------


async def readable(loop: Loop, sock: socket.socket) -> None:
    """Wait until *sock* is readable. Takes the place of a reader that is there."""
    guest = guest_of(loop, sock)
    future = guest.expect(loop)
    try:
        await future
    finally:
        guest.part(future)


async def writable(loop: Loop, sock: socket.socket) -> None:
    """Wait until *sock* is writable. Takes the place of a writer that is there."""
    fd = sock.fileno()
    ensure_no_transport(loop, fd)
    future = loop.create_future()
    waiter = wait_to_write(loop, fd, partial(_wake, future), future)
    try:
        await future
    finally:
        stop_writing(loop, fd, waiter)


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():  # else: cancelled, and the coroutine will take us out
        future.set_result(None)
