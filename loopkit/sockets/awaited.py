"""The socket itself: every method of ``socket.socket``, and how waiting on one works."""

from __future__ import annotations

import asyncio
import errno
import os
import socket as blocking
from typing import IO, TYPE_CHECKING, Any, Self, TypeVar

from ..net.accepting import OUT_OF_RESOURCES
from .waiting import loop, when_readable, when_writable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

    from _typeshed import ReadableBuffer, WriteableBuffer

__all__ = ["INSTEAD", "socket"]

T = TypeVar("T")

#: After so many calls in a row a socket lets the other tasks run, even if it would not have to wait.
STREAK = 8

#: How much ``readline`` asks the kernel for, and how long a line it returns in one piece, in bytes.
CHUNK = 65536

#: Names of socket.socket that make no sense here, and what to use instead.
INSTEAD = {
    "gettimeout": "there is no time limit but asyncio.timeout(seconds)",
    "settimeout": "write: async with asyncio.timeout(seconds)",
    "setblocking": "these sockets never block the thread; a call waits if it is awaited",
    "makefile": "readline() and `async for line in sock` read lines; sendall() writes",
}


class socket:
    """A socket whose calls are awaited instead of blocking the thread.

    Methods have the names, arguments and results of ``socket.socket``. Those that may wait are coroutines;
    the others are plain. A ``with`` or ``async with`` block closes it. Several tasks may use it at once.

    Args:
        family, type, proto, fileno: as for ``socket.socket``; ``fileno`` takes over an open descriptor.

    Raises:
        OSError: the system makes no such socket, or has no descriptor left.
    """

    __slots__ = ("_ahead", "_reading", "_sock", "_streak", "_waiting", "_writing")

    def __init__(self, family: int = -1, type: int = -1, proto: int = -1, fileno: int | None = None) -> None:
        self._adopt(blocking.socket(family, type, proto, fileno))

    @classmethod
    def wrap(cls, sock: blocking.socket) -> Self:
        """Make one of a socket of the standard library, which from now on belongs to it.

        Raises:
            TypeError: it is a TLS socket; asyncio speaks TLS through streams only.
        """
        # `ssl` is not imported for this: who has a TLS socket has imported it.
        if hasattr(sock, "do_handshake"):
            raise TypeError("a TLS socket cannot be awaited; use asyncio.open_connection(ssl=...)")
        self = cls.__new__(cls)
        self._adopt(sock)
        return self

    def _adopt(self, sock: blocking.socket) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._ahead = bytearray()  # read by readline(), and not yet asked for
        self._reading = asyncio.Lock()
        self._writing = asyncio.Lock()
        self._waiting: set[asyncio.Task[Any]] = set()
        self._streak = 0

    def __getattr__(self, name: str) -> Any:
        hint = f"; {INSTEAD[name]}" if name in INSTEAD else ""
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}{hint}")

    def __repr__(self) -> str:
        return f"<loopkit.sockets.{type(self).__name__} of {self._sock!r}>"

    # -- Making and ending connections.

    async def accept(self) -> tuple[Self, Any]:
        """Wait for a client; returns ``(socket, address)``.

        Raises:
            OSError: the socket does not listen, is closed meanwhile, or no descriptor is left (``EMFILE``).
        """
        sock, address = await self._wait(self._reading, loop().sock_accept, self._sock)
        return self.wrap(sock), address

    async def connect(self, address: Any) -> None:
        """Connect to *address*; a host's name is looked up without blocking.

        Raises:
            OSError: nobody listens there, it is out of reach, or the name is unknown (``gaierror``).
        """
        try:
            await self._wait(self._writing, loop().sock_connect, self._sock, address)
        except OSError as error:
            if error.errno is None or isinstance(error, blocking.gaierror):
                raise
            # The loop's text is "Connect call failed"; a blocking socket's says why.
            raise OSError(error.errno, os.strerror(error.errno)) from error

    async def connect_ex(self, address: Any) -> int:
        """As :meth:`connect`, but returns the error's number, 0 for success. An unknown name is raised."""
        try:
            await self.connect(address)
        except OSError as error:
            if error.errno is None or isinstance(error, blocking.gaierror):
                raise
            return error.errno
        return 0

    def bind(self, address: Any) -> None:
        """Take a local address. Give numbers: a host's name is looked up at once, which blocks."""
        self._sock.bind(address)

    def listen(self, backlog: int | None = None) -> None:
        """Let clients queue, at most *backlog* of them (None: what the system finds reasonable)."""
        self._sock.listen() if backlog is None else self._sock.listen(backlog)

    def shutdown(self, how: int) -> None:
        """End one direction or both: ``SHUT_RD``, ``SHUT_WR``, ``SHUT_RDWR``. The peer reads to its end."""
        self._sock.shutdown(how)

    def close(self) -> None:
        """Close it. Tasks that wait on it get OSError (``EBADF``). Closing again does nothing.

        Call it in the thread of the loop.
        """
        fd = self._sock.fileno()
        if self._waiting and fd >= 0:
            # The loop must forget the number before somebody else gets it.
            loop().remove_reader(fd)
            loop().remove_writer(fd)
            for task in self._waiting:
                task.cancel()
        self._sock.close()

    def detach(self) -> int:
        """Give the descriptor away, open; this object is then closed.

        Raises:
            RuntimeError: a task waits on it, or ``readline`` has read ahead what would be lost.
        """
        if self._waiting:
            raise RuntimeError(f"cannot detach a socket on which {len(self._waiting)} task(s) wait")
        if self._ahead:
            raise RuntimeError(f"cannot detach: {len(self._ahead)} bytes are read ahead; recv() them first")
        return self._sock.detach()

    def dup(self) -> Self:
        """Another socket object for the same connection, with a descriptor of its own."""
        return self.wrap(self._sock.dup())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.close()

    # -- Receiving.

    async def recv(self, bufsize: int, flags: int = 0) -> bytes:
        """Receive what is there, at most *bufsize* bytes, waiting until there is something.

        Returns ``b""`` at the end of the stream.

        Raises:
            OSError: the connection is lost (``ConnectionResetError``), or closed by another task.
        """
        async with self._reading:
            if self._ahead and bufsize:
                return self._take(bufsize, peek=bool(flags & blocking.MSG_PEEK))
            if flags:
                return await self._wait(None, when_readable, self._sock, self._sock.recv, bufsize, flags)
            return await self._wait(None, loop().sock_recv, self._sock, bufsize)

    async def recv_into(self, buffer: WriteableBuffer, nbytes: int = 0, flags: int = 0) -> int:
        """As :meth:`recv`, into *buffer*, at most *nbytes* bytes (0: as many as it holds); the number."""
        room = memoryview(buffer).cast("B")
        room = room[: nbytes or len(room)]
        if len(room) < nbytes:
            raise ValueError(f"the buffer holds {len(room)} bytes, {nbytes} were asked for")
        async with self._reading:
            if self._ahead and room:
                data = self._take(len(room), peek=bool(flags & blocking.MSG_PEEK))
                room[: len(data)] = data
                return len(data)
            if flags:
                call = self._sock.recv_into
                return await self._wait(None, when_readable, self._sock, call, room, 0, flags)
            return await self._wait(None, loop().sock_recv_into, self._sock, room)

    async def recvfrom(self, bufsize: int, flags: int = 0) -> tuple[bytes, Any]:
        """Receive a datagram; returns ``(data, sender's address)``. What is longer is cut at *bufsize*."""
        if flags:
            call = self._sock.recvfrom
            return await self._wait(self._reading, when_readable, self._sock, call, bufsize, flags)
        return await self._wait(self._reading, loop().sock_recvfrom, self._sock, bufsize)

    async def recvfrom_into(
        self, buffer: WriteableBuffer, nbytes: int = 0, flags: int = 0
    ) -> tuple[int, Any]:
        """Receive a datagram into *buffer*; returns ``(number of bytes, sender's address)``."""
        call = self._sock.recvfrom_into
        return await self._wait(self._reading, when_readable, self._sock, call, buffer, nbytes, flags)

    async def recvmsg(self, bufsize: int, ancbufsize: int = 0, flags: int = 0) -> tuple[bytes, Any, int, Any]:
        """Receive with ancillary data, such as descriptors over a Unix socket; as ``socket.recvmsg``."""
        call = self._sock.recvmsg
        return await self._wait(self._reading, when_readable, self._sock, call, bufsize, ancbufsize, flags)

    async def readline(self, size: int = CHUNK) -> bytes:
        """The next line with its ``\\n``; the last one may have none; ``b""`` at the end of the stream.

        A cancelled call (``asyncio.timeout``) loses nothing: the next one goes on where it was.

        Args:
            size: at most so many bytes; a longer line comes in pieces, so that nobody can fill the memory
                by never ending a line. Negative: no limit.
        """
        limit = size if size >= 0 else None
        searched = 0
        async with self._reading:
            while True:
                end = self._ahead.find(b"\n", searched, limit)
                if end >= 0:
                    return self._take(end + 1)
                searched = len(self._ahead)
                if limit is not None and searched >= limit:
                    return self._take(limit)
                data = await self._wait(None, loop().sock_recv, self._sock, CHUNK)
                if not data:
                    return self._take(searched)
                self._ahead += data

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """``async for line in sock``: the lines, until the peer ends its stream. See :meth:`readline`."""
        while line := await self.readline():
            yield line

    async def clients(self) -> AsyncIterator[tuple[Self, Any]]:
        """``async for client, address in server.clients()``: what :meth:`accept` returns, again and again.

        When no descriptor is left it tells the loop's exception handler once, and tries again each second:
        clients that wait in the queue are not lost. Other errors of :meth:`accept` are raised; a client that
        has gone again before it was accepted is none.
        """
        told = False
        while True:
            try:
                accepted = await self.accept()
            except ConnectionAbortedError:
                continue
            except OSError as error:
                if error.errno not in OUT_OF_RESOURCES:
                    raise
                if not told:
                    message = "socket.accept() out of system resource; nobody is let in until that changes"
                    loop().call_exception_handler({"message": message, "exception": error, "socket": self})
                told = True
                await asyncio.sleep(1)
            else:
                told = False
                yield accepted

    # -- Sending.

    async def send(self, data: ReadableBuffer, flags: int = 0) -> int:
        """Send what the system takes now, waiting until it takes something; how many bytes that were.

        Raises:
            OSError: the peer has gone (``BrokenPipeError``, ``ConnectionResetError``).
        """
        call = self._sock.send
        return await self._wait(self._writing, when_writable, self._sock, call, data, flags)

    async def sendall(self, data: ReadableBuffer, flags: int = 0) -> None:
        """Send all of *data*; what other tasks send comes before or after it, not in between.

        Raises:
            OSError: as :meth:`send`. How much had been sent is not known then, nor after a cancellation.
        """
        if not flags:
            return await self._wait(self._writing, loop().sock_sendall, self._sock, data)
        async with self._writing:
            rest = memoryview(data).cast("B")
            while rest:
                call = self._sock.send
                rest = rest[await self._wait(None, when_writable, self._sock, call, rest, flags) :]

    async def sendto(self, data: ReadableBuffer, *flags_and_address: Any) -> int:
        """Send a datagram, ``sendto(data, [flags,] address)``; the number of bytes."""
        call = self._sock.sendto
        return await self._wait(self._writing, when_writable, self._sock, call, data, *flags_and_address)

    async def sendmsg(self, buffers: Iterable[ReadableBuffer], *more: Any) -> int:
        """Send several buffers at once, with ancillary data; as ``socket.sendmsg``. The number of bytes."""
        call = self._sock.sendmsg
        return await self._wait(self._writing, when_writable, self._sock, call, buffers, *more)

    async def sendfile(self, file: IO[bytes], offset: int = 0, count: int | None = None) -> int:
        """Send a file opened for reading bytes, from *offset*, at most *count* bytes; how many it were."""
        return await self._wait(self._writing, loop().sock_sendfile, self._sock, file, offset, count)

    # -- What never waits.

    def fileno(self) -> int:
        """The descriptor; -1 once it is closed."""
        return self._sock.fileno()

    def getsockname(self) -> Any:
        """The local address."""
        return self._sock.getsockname()

    def getpeername(self) -> Any:
        """The peer's address. Raises OSError (``ENOTCONN``) without one."""
        return self._sock.getpeername()

    def getsockopt(self, level: int, optname: int, *buflen: int) -> Any:
        """An option: an int, or bytes if *buflen* is given."""
        return self._sock.getsockopt(level, optname, *buflen)

    def setsockopt(self, level: int, optname: int, value: Any, *optlen: int) -> None:
        """Set an option."""
        self._sock.setsockopt(level, optname, value, *optlen)

    def get_inheritable(self) -> bool:
        """Whether programs that this one starts keep it."""
        return self._sock.get_inheritable()

    def set_inheritable(self, inheritable: bool) -> None:
        """Let programs that this one starts keep it, or not."""
        self._sock.set_inheritable(inheritable)

    @property
    def family(self) -> int:
        """The address family."""
        return self._sock.family

    @property
    def type(self) -> int:
        """The kind of socket."""
        return self._sock.type

    @property
    def proto(self) -> int:
        """The protocol's number."""
        return self._sock.proto

    # -- How waiting works.

    def _take(self, size: int, peek: bool = False) -> bytes:
        data = bytes(self._ahead[:size])
        if not peek:
            del self._ahead[:size]
        return data

    async def _wait(
        self, lock: asyncio.Lock | None, operation: Callable[..., Awaitable[T]], *arguments: Any
    ) -> T:
        """Await *operation*, after those that *lock* lets go first (None: the caller holds it)."""
        if lock is not None:
            async with lock:
                return await self._wait(None, operation, *arguments)
        self._streak += 1
        if self._streak >= STREAK:
            self._streak = 0
            await asyncio.sleep(0)
        task = asyncio.current_task()
        assert task is not None, "a coroutine of a socket runs in a task"
        if self._sock.fileno() < 0:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        cancelled_before = task.cancelling()
        self._waiting.add(task)
        try:
            return await operation(*arguments)
        except asyncio.CancelledError:
            # Whose cancellation is it? If close() alone asked for it, take it back, as asyncio.timeout does.
            if self._sock.fileno() < 0 and task.uncancel() <= cancelled_before:
                raise OSError(errno.EBADF, "the socket was closed while waiting on it") from None
            raise
        finally:
            self._waiting.discard(task)
