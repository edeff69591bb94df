"""Sending files: `sendfile` on a transport, `sock_sendfile` on a socket.

Facts
- `sendfile(2)` moves bytes from the page cache into a socket without showing them to the process. It takes
  its own offset: the file's position is neither used nor moved, so that it is set afterwards, however the
  transfer ends.
- It wants a file it can map: a pipe, a terminal or a BytesIO has to be read and written (the fallback), in an
  executor, since reading a file may block. So does TLS, where the bytes must be encrypted first.
- A file of the size 0 need not be empty (``/proc``): only a read tells.

While a transport's socket is being written to behind its back, the transport refuses writes; what was written
before goes out first, and losing the connection ends the transfer.
"""

from __future__ import annotations

import asyncio
import errno
import io
import socket
import stat
import sys
from asyncio import constants
from functools import partial
from os import SEEK_SET, fstat, lseek
from typing import TYPE_CHECKING, Any

from ..descriptors import ensure_no_transport
from .guests import stop_writing, wait_to_write
from .sockets import AGAIN, check

try:
    # Not from ``os``, whose functions tools replace to catch blocking calls, maybe before this file is
    # loaded.
    from posix import sendfile as os_sendfile
except ImportError:
    os_sendfile = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..loop import Loop
    from ..transports.stream import StreamTransport

#: The fallback of `sendfile` reads so many bytes at a time.
READ_SIZE = 64 * 1024

#: What one call is asked for at most: more is an OverflowError on 32-bit machines.
MOST = sys.maxsize // 2 + 1

#: From 3.14.6 on a file is at *offset* when its transfer begins. Before, the fallback took offset 0 for the
#: file's position, and a transfer of nothing left that alone.
SEEKS_TO_ZERO = sys.version_info >= (3, 14, 6)


async def sock_sendfile(
    loop: Loop,
    sock: socket.socket,
    file: Any,
    offset: int = 0,
    count: int | None = None,
    *,
    fallback: bool | None = True,
) -> int:
    """Send *file*, open in binary mode, from *offset* on: *count* bytes, or all. Returns how many were sent.

    The file's position is behind the last byte sent, also after an error. Raises ValueError or TypeError for
    wrong arguments, `asyncio.SendfileNotAvailableError` if the system call cannot do it and *fallback* is
    false, OSError as sending does.
    """
    check(loop, sock)
    _check_arguments(sock, file, offset, count)
    try:
        transfer = _Transfer(sock, file, offset, count)
        ensure_no_transport(loop, sock.fileno())
        return await transfer.run(loop, loop.create_future())
    except asyncio.SendfileNotAvailableError:
        if not fallback:
            raise
    return await _copy(
        loop,
        file,
        offset,
        count,
        constants.SENDFILE_FALLBACK_READBUFFER_SIZE,
        partial(loop.sock_sendall, sock),
    )


async def sendfile(
    loop: Loop,
    transport: Any,
    file: Any,
    offset: int = 0,
    count: int | None = None,
    *,
    fallback: bool = True,
) -> int:
    """Send *file*, open in binary mode, from *offset* on: *count* bytes, or all. Returns how many were sent.

    What was written before goes first; writing meanwhile raises RuntimeError, and nothing is read. The file's
    position is behind the last byte sent, also after an error. Raises RuntimeError if *transport* is closing
    or cannot do it, ConnectionError if the connection is lost, `asyncio.SendfileNotAvailableError` if the
    system call cannot do it and *fallback* is false.
    """
    if transport.is_closing():
        raise RuntimeError("Transport is closing")
    unsupported = constants._SendfileMode.UNSUPPORTED
    mode = getattr(transport, "_sendfile_compatible", unsupported)
    if mode is unsupported:
        raise RuntimeError(f"sendfile is not supported for transport {transport!r}")
    if mode is constants._SendfileMode.TRY_NATIVE:
        # By asyncio's name for it: that is where the system call is switched off.
        native = getattr(loop, "_sendfile_native", partial(_send_natively, loop))
        try:
            return await native(transport, file, offset, count)
        except asyncio.SendfileNotAvailableError:
            if not fallback:
                raise
    if not fallback:
        raise RuntimeError(
            f"fallback is disabled and native sendfile is not supported for transport {transport!r}"
        )
    writer = _Writer(loop, transport)
    try:
        return await _copy(loop, file, offset, count, READ_SIZE, writer.write)
    finally:
        writer.restore()


def _check_arguments(sock: socket.socket, file: Any, offset: Any, count: Any) -> None:
    if "b" not in getattr(file, "mode", "b"):
        raise ValueError("file should be opened in binary mode")
    if sock.type != socket.SOCK_STREAM:
        raise ValueError("only SOCK_STREAM type sockets are supported")
    if count is not None:
        if not isinstance(count, int):
            raise TypeError(f"count must be a positive integer (got {count!r})")
        if count <= 0:
            raise ValueError(f"count must be a positive integer (got {count!r})")
    if not isinstance(offset, int):
        raise TypeError(f"offset must be a non-negative integer (got {offset!r})")
    if offset < 0:
        raise ValueError(f"offset must be a non-negative integer (got {offset!r})")


# -- by the system call --------------------------------------------------------------------------------------


async def _send_natively(
    loop: Loop, transport: StreamTransport, file: Any, offset: int, count: int | None
) -> int:
    sock = transport._socket
    _check_arguments(sock, file, offset, count)
    transfer = _Transfer(sock, file, offset, count)
    was_reading = transport.is_reading()
    drained = transport._bar_writes()
    transport.pause_reading()  # a protocol that is told of data would want to answer
    try:
        await drained
        if transport.is_closing():
            raise ConnectionError("Connection is closed by peer")
        return await transfer.run(loop, transport._bar_writes_until_lost())
    finally:
        transport._unbar_writes()
        if was_reading:
            transport.resume_reading()


class _Transfer:
    """One file on its way to one socket."""

    __slots__ = ("_count", "_file", "_fileno", "_offset", "_sent", "_size", "_sock")

    def __init__(self, sock: socket.socket, file: Any, offset: int, count: int | None) -> None:
        if os_sendfile is None:
            raise asyncio.SendfileNotAvailableError("os.sendfile() is not available")
        try:
            self._fileno: int = file.fileno()
            status = fstat(self._fileno)
        except (AttributeError, io.UnsupportedOperation, OSError):
            raise asyncio.SendfileNotAvailableError("not a regular file") from None
        if not stat.S_ISREG(status.st_mode):
            raise asyncio.SendfileNotAvailableError("not a regular file")
        self._sock = sock
        self._file = file
        self._offset = offset
        self._count = count
        self._size = status.st_size or READ_SIZE
        self._sent = 0

    async def run(self, loop: Loop, future: asyncio.Future[None]) -> int:
        """The number of bytes sent in the end. Who fails *future* ends the transfer."""
        try:
            if not self._step():
                fd = self._sock.fileno()
                waiter = wait_to_write(loop, fd, lambda: self._on_writable(future), future)
                try:
                    await future
                finally:
                    stop_writing(loop, fd, waiter)
        finally:
            if self._sent or SEEKS_TO_ZERO:
                self._set_position()
        return self._sent

    def _step(self) -> bool:
        """Have the socket take what it has room for. True when everything is sent."""
        while True:
            wanted = self._size if self._count is None else self._count - self._sent
            wanted = min(wanted, MOST)
            try:
                # Asked anew each time: closed meanwhile, the number may be somebody else's.
                sent = os_sendfile(self._sock.fileno(), self._fileno, self._offset + self._sent, wanted)
            except AGAIN:
                return False
            except OSError as exc:
                if not self._sent:  # for one, this kind of file cannot be mapped
                    raise asyncio.SendfileNotAvailableError("os.sendfile call failed") from exc
                if exc.errno == errno.ENOTCONN:
                    raise ConnectionError("socket is not connected", errno.ENOTCONN) from exc
                raise
            self._sent += sent
            if not sent or self._sent == self._count:
                return True
            if sent < wanted:
                return False  # most likely the socket is full now; else it is writable at once

    def _on_writable(self, future: asyncio.Future[None]) -> None:
        if future.done():
            return  # cancelled; the coroutine will take us out
        try:
            if self._step():
                future.set_result(None)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            future.set_exception(exc)

    def _set_position(self) -> None:
        if hasattr(self._file, "seek"):
            self._file.seek(self._offset + self._sent)  # lseek alone would not be noticed by a buffered file
        else:
            lseek(self._fileno, self._offset + self._sent, SEEK_SET)


# -- by reading and writing ----------------------------------------------------------------------------------


async def _copy(
    loop: Loop, file: Any, offset: int, count: int | None, size: int, write: Callable[[memoryview], Any]
) -> int:
    """Read *file* in an executor, at most *size* bytes at a time, and await ``write(data)`` for each."""
    if offset or (SEEKS_TO_ZERO and _is_seekable(file)):
        file.seek(offset)
    view = memoryview(bytearray(size if count is None else min(count, size)))
    sent = 0
    try:
        while count is None or sent < count:
            wanted = view if count is None else view[: count - sent]
            read = await loop.run_in_executor(None, file.readinto, wanted)
            if not read:
                break
            await write(wanted[:read])
            sent += read
        return sent
    finally:
        if sent and _is_seekable(file):
            file.seek(offset + sent)


def _is_seekable(file: Any) -> bool:
    return hasattr(file, "seek") and (not hasattr(file, "seekable") or bool(file.seekable()))


class _Writer(asyncio.Protocol):
    """Stands in for a transport's protocol while a file is written to it, to be told when to pause."""

    def __init__(self, loop: Loop, transport: Any) -> None:
        self._loop = loop
        self._transport = transport
        self._protocol = transport.get_protocol()
        self._was_reading = transport.is_reading()
        self._was_paused = transport._protocol_paused
        self._resumed: asyncio.Future[None] | None = loop.create_future() if self._was_paused else None
        self._lost_with: BaseException | None = None
        transport.pause_reading()
        transport.set_protocol(self)

    async def write(self, data: memoryview) -> None:
        """Write a copy of *data* when the transport has room. Raises ConnectionError if it is closed."""
        if self._resumed is not None:
            await self._resumed
        if self._transport.is_closing():
            raise self._lost_with or ConnectionError("Connection closed by peer")
        self._transport.write(bytes(data))

    def pause_writing(self) -> None:
        if self._resumed is None:
            self._resumed = self._loop.create_future()

    def resume_writing(self) -> None:
        resumed, self._resumed = self._resumed, None
        if resumed is not None and not resumed.done():
            resumed.set_result(None)

    def data_received(self, data: bytes) -> None:
        raise RuntimeError("Invalid state: reading should be paused")

    def eof_received(self) -> bool:
        raise RuntimeError("Invalid state: reading should be paused")

    def connection_lost(self, exc: BaseException | None) -> None:
        self._lost_with = exc
        self.resume_writing()
        self._protocol.connection_lost(exc)

    def restore(self) -> None:
        """Put the protocol back in its place, knowing whether it may write."""
        if self._transport.get_protocol() is not self:
            return  # the connection was lost
        self._transport.set_protocol(self._protocol)
        if self._was_reading:
            self._transport.resume_reading()
        is_paused = self._transport._protocol_paused
        if is_paused and not self._was_paused:
            self._protocol.pause_writing()
        elif self._was_paused and not is_paused:
            self._protocol.resume_writing()
