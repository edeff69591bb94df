"""Stream transports: TCP and Unix. HOT: `on_readable` is the one frame between poller and protocol.

Some facts about reading and writing a stream

a) `recv(n)` allocates n bytes and gives back what it did not need. From 128 KiB on glibc takes such a block
   from mmap and returns it with munmap: three system calls a message, more than everything else together. 64
   KiB stay clear of that, and of giving the top of the heap back to the kernel and taking it again each time.
   A connection that fills them sends in bulk: it is read in blocks just below the threshold until it calms
   down. One event reads one block, so that a flood on one connection does not starve the others.
b) A write usually goes out at once: the send buffer of an idle connection has room. So it is tried before
   anything is queued, and the poller is only asked to watch for writing when the kernel said "not now".
c) With TCP_NODELAY, which interactive protocols need, every `send` is a packet. A header and a body written
   one after the other cost two packets, two system calls, and two wake-ups of the peer.

What we do about c. Small writes (`bytes` only: they cannot change behind our back) made during a callback of
the loop are held until that callback returns, and then leave in one `send`. Nothing waits longer than
that, nor for more than `HOLD` bytes; a write made while no callback runs is sent on the spot. For writes that
`data_received` makes to its own connection, the common case, `on_readable` itself sends on the way out, so
that holding costs neither a frame nor a list.

What it changes: an error of `send`, and `pause_writing`, come when the callback returns, and a callback that
writes and then blocks sends nothing meanwhile. Both are in `docs/explanation/differences.md`.

Held writes are joined: to copy a few KiB takes less time than `sendmsg` needs to read a list of them. Only a
large write that follows a held one goes out beside it, uncopied, by `sendmsg`.

What we chose not to do: `MSG_MORE` or TCP_CORK (another system call, and a delay if it is forgotten), and
holding until the end of the turn (uvloop did, and gave it up for its latency).
"""

from __future__ import annotations

import asyncio
import socket
import sys
from asyncio.constants import _SendfileMode
from asyncio.log import logger
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Any

from .base import SocketTransport
from .flow import WriteFlow

if TYPE_CHECKING:
    from collections.abc import Iterable
    from contextvars import Context

    from ..loop import Loop
    from ..net.serve import Server

#: Bytes asked of one recv: usually, of a connection that sends in bulk, and where bulk ends.
READ_SIZE = 64 * 1024
BULK_READ_SIZE = 120 * 1024
BULK_ENDS = 16 * 1024

#: Held writes leave, at the latest, when there are more bytes than this; a larger write never waits.
HOLD = 16 * 1024

#: How many buffers one sendmsg takes (Linux: IOV_MAX is 1024).
IOV_MAX = 1024

#: asyncio named the method differently from 3.12 on, when writelines stopped being a join.
WRITELINES = "writelines" if sys.version_info >= (3, 12) else "write"

DATA_EXPECTED = (
    "data argument must be a bytes, bytearray, or memoryview object, not "
    if sys.version_info >= (3, 14)
    else "data argument must be a bytes-like object, not "
)

Buffer = bytes | memoryview


class StreamTransport(SocketTransport, WriteFlow, asyncio.Transport):
    """A connected stream socket."""

    __slots__ = (
        "_backlog",  # what the kernel did not take yet, oldest first; None before that ever happened
        "_backlog_size",  # its bytes
        "_barred",  # write() has to look twice: after write_eof() or a loss, and while sendfile is at work
        "_gathering",  # on_readable is on the stack, and sends what is held when the protocol returns
        "_held",  # bytes, or several joined in a bytearray, that leave when the callback in progress returns
        "_read_size",
    )

    # Few connections ever need these: a slot in each of them would be idle.
    _drained: asyncio.Future[None] | None = None  # sendfile waits on it: the backlog is gone
    _eof = False  # write_eof() was called

    #: asyncio's markers, by which its helpers and other loops' code know what a transport can do.
    _start_tls_compatible = True
    _sendfile_compatible = _SendfileMode.TRY_NATIVE

    def __init__(
        self,
        loop: Loop,
        sock: socket.socket,
        protocol: asyncio.BaseProtocol,
        context: Context,
        peername: Any,
        server: Server | None = None,
    ) -> None:
        super().__init__(loop, sock, context, peername, server)
        self._backlog: deque[Buffer] | None = None
        self._backlog_size = 0
        self._read_size = READ_SIZE
        self._held: bytes | bytearray | None = None
        self._gathering = self._barred = False
        self.set_protocol(protocol)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Have *protocol* receive from now on; an `asyncio.BufferedProtocol` gets data in its own buffer."""
        self._protocol = protocol
        buffered = isinstance(protocol, asyncio.BufferedProtocol)
        self._callback = self.on_readable_buffered if buffered else self.on_readable

    # -- reading ---------------------------------------------------------------------------------------------

    def on_readable(self) -> None:
        """The kernel has data, the end of the stream, or an error: pass it to `data_received`."""
        size = self._read_size
        try:
            data = self._sock.recv(size)
        except (BlockingIOError, InterruptedError):
            return
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            self._fatal_error(exc, "Fatal read error on socket transport")
            return
        if not data:
            self._on_eof()
            return
        if len(data) >= READ_SIZE or size != READ_SIZE:
            self._read_size = READ_SIZE if len(data) < BULK_ENDS else BULK_READ_SIZE
        self._gathering = True
        try:
            self._protocol.data_received(data)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            self._fatal_error(exc, "Fatal error: protocol.data_received() call failed.")
        finally:
            self._gathering = False
            held = self._held
            if held is not None:
                # fast: the common case of _send_held without its frame; see performance.md#held-writes
                try:
                    sent = self._sock.send(held)
                except OSError:
                    sent = 0  # _send_held meets it again, and deals with it
                if sent == len(held):
                    self._held = None
                else:
                    self._send_held(sent)

    def on_readable_buffered(self) -> None:
        """The same for a `BufferedProtocol`: the data goes into the buffer that it offers."""
        try:
            buffer = self._protocol.get_buffer(-1)
            if not len(buffer):
                raise RuntimeError("get_buffer() returned an empty buffer")
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            self._fatal_error(exc, "Fatal error: protocol.get_buffer() call failed.")
            return
        try:
            count = self._sock.recv_into(buffer)
        except (BlockingIOError, InterruptedError):
            return
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            self._fatal_error(exc, "Fatal read error on socket transport")
            return
        if not count:
            self._on_eof()
            return
        self._gathering = True
        try:
            self._protocol.buffer_updated(count)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            self._fatal_error(exc, "Fatal error: protocol.buffer_updated() call failed.")
        finally:
            self._gathering = False
            if self._held is not None:
                self._send_held()

    def _on_eof(self) -> None:
        if self._loop._debug:
            logger.debug("%r received EOF", self)
        try:
            keep_open = self._protocol.eof_received()
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            self._fatal_error(exc, "Fatal error: protocol.eof_received() call failed.")
            return
        if not keep_open:
            self.close()
        elif not self._closing:
            # The protocol may go on writing; a descriptor at its end would be reported readable for ever.
            self._loop._watches.unwatch_read(self._fd)
            self._loop._watches.let_go(self._fd)

    # -- writing ---------------------------------------------------------------------------------------------

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send *data*, now or as soon as the connection takes it, after what was written before.

        Raises TypeError if *data* is not bytes-like, RuntimeError after `write_eof` or while `loop.sendfile`
        is at work. Writing to a closed or lost connection does nothing.
        """
        # fast: a small write that has only to be held takes one frame; see performance.md#held-writes
        if type(data) is bytes and 0 < len(data) <= HOLD and not self._barred and not self._backlog:
            held = self._held
            if held is None:
                if self._gathering:
                    self._held = data
                    return
                loop = self._loop
                if not loop._idle:
                    self._held = data
                    loop._unsent.append(self)
                    return
            elif len(held) + len(data) <= HOLD and not self._loop._idle:
                if type(held) is bytes:
                    self._held = held = bytearray(held)
                held += data
                return
        self._write(data)

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        """`write` each of *list_of_data*, in one system call where possible."""
        parts = list(list_of_data)
        for data in parts:
            if not isinstance(data, (bytes, bytearray, memoryview)):
                raise TypeError(f"{DATA_EXPECTED}{type(data).__name__!r}")
        if self._eof or self._drained is not None:
            self._complain(WRITELINES)
        if parts:
            self.write(parts[0] if len(parts) == 1 else b"".join(parts))

    def _write(self, data: bytes | bytearray | memoryview) -> None:
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError(f"{DATA_EXPECTED}{type(data).__name__!r}")
        if self._barred:
            if self._eof or self._drained is not None:
                self._complain("write")
            if data:
                self._note_lost_write()
            return
        if not data:
            return
        if self._backlog:
            self._queue(data if type(data) is bytes else bytes(data))
            return
        # Large, or it may change when the caller gets it back, or nothing would come to send it later.
        held, self._held = self._held, None
        self._send((data,) if held is None else (held, data))

    def _complain(self, method: str) -> None:
        if self._eof:
            raise RuntimeError(f"Cannot call {method}() after write_eof()")
        raise RuntimeError(f"unable to {method}; sendfile is in progress")

    def _send(self, parts: tuple[bytes | bytearray | memoryview, ...]) -> None:
        """Send *parts*, one or two, now; nothing is held or waiting before them."""
        try:
            sent = self._sock.send(parts[0]) if len(parts) == 1 else self._sock.sendmsg(parts)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            self._fatal_error(exc, "Fatal write error on socket transport")
            return
        rest: list[Buffer] = []
        for part in parts:
            data = memoryview(part).cast("B")
            if sent < len(data):
                rest.append(data[sent:] if type(part) is bytes else bytes(data[sent:]))
            sent = max(sent - len(data), 0)
        if rest:
            self._queue(*rest)

    def _send_held(self, sent: int = 0) -> None:
        """Send what is held back; *sent* bytes of it have left already."""
        held, self._held = self._held, None
        if held is None or self._lost:
            return
        if not sent:
            try:
                sent = self._sock.send(held)
            except (BlockingIOError, InterruptedError):
                pass
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as exc:
                self._fatal_error(exc, "Fatal write error on socket transport")
                return
        if sent < len(held):
            self._queue(memoryview(held)[sent:])

    def _queue(self, *parts: Buffer) -> None:
        """The kernel does not take *parts* now."""
        if not self._backlog:
            if self._backlog is None:
                self._backlog = deque()
            try:
                self._loop._watches.watch_write(
                    self._fd, self._loop._new_handle(self.on_writable, (), self._context)
                )
            except (OSError, ValueError) as exc:
                self._fatal_error(exc, "Fatal write error on socket transport")
                return
        self._backlog += parts
        self._backlog_size += sum(map(len, parts))
        self._maybe_pause_protocol()

    def on_writable(self) -> None:
        """The kernel takes data again."""
        backlog = self._backlog
        if self._lost or not backlog:
            return
        try:
            sent = self._sock.sendmsg(islice(backlog, IOV_MAX))
        except (BlockingIOError, InterruptedError):
            return
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            self._fatal_error(exc, "Fatal write error on socket transport")
            return
        self._backlog_size -= sent
        while sent:
            part = backlog.popleft()
            if len(part) > sent:
                backlog.appendleft(memoryview(part)[sent:])
                break
            sent -= len(part)
        self._maybe_resume_protocol()  # may write, and so fill the backlog again
        if backlog or self._lost:
            return
        self._loop._watches.unwatch_write(self._fd)
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
        if self._closing:
            self._lose(None)
        elif self._eof:
            self._shut_down()

    def can_write_eof(self) -> bool:
        """True: a stream socket has two directions that end separately."""
        return True

    def write_eof(self) -> None:
        """Close the writing side when everything written so far is sent. Idempotent."""
        if self._closing or self._eof:
            return
        self._eof = self._barred = True
        if self._held is not None:
            self._send_held()
        if not self._backlog and not self._lost:
            self._shut_down()

    def _shut_down(self) -> None:
        try:
            self._sock.shutdown(socket.SHUT_WR)
        except OSError as exc:  # reset meanwhile
            self._fatal_error(exc, "Fatal write error on socket transport")

    def get_write_buffer_size(self) -> int:
        """Bytes that the kernel did not take yet. What is held until the callback returns does not count:
        asyncio would have sent it."""
        return self._backlog_size

    # -- sendfile --------------------------------------------------------------------------------------------

    def _bar_writes(self) -> asyncio.Future[None]:
        """Refuse writes from now on: `loop.sendfile` writes to the socket behind our back.

        The future is done when everything written so far is sent, and fails when the connection is lost.
        """
        if self._eof or self._drained is not None:
            self._complain("sendfile")
        if self._held is not None:
            self._send_held()
        self._barred = True
        drained = self._bar_writes_until_lost()
        if not self._backlog:
            drained.set_result(None)
        return drained

    def _bar_writes_until_lost(self) -> asyncio.Future[None]:
        """A future for the transfer itself, which fails when the connection is lost."""
        self._drained = self._loop.create_future()
        return self._drained

    def _unbar_writes(self) -> None:
        self._drained = None
        self._barred = bool(self._eof or self._lost)

    # -- ending ----------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Stop reading, send what is buffered, then close; `connection_lost(None)` follows. Idempotent."""
        if self._closing:
            return
        if self._held is not None:
            self._send_held()
            if self._closing:
                return  # type: ignore[unreachable]  # that failed: the end is on its way
        self._closing = True
        if self._backlog:
            self._loop._watches.unwatch_read(self._fd)
        else:
            self._lose(None)

    def _force_close(self, exc: BaseException | None) -> None:
        if self._held is not None:
            self._send_held()  # what the kernel did not take is dropped; but it was to be offered this
        super()._force_close(exc)

    def _lose(self, exc: BaseException | None) -> None:
        self._barred = True
        super()._lose(exc)

    def _drop_unsent(self) -> None:
        self._held = None
        if self._backlog:
            self._backlog.clear()
        self._backlog_size = 0

    def _call_connection_lost(self, exc: BaseException | None) -> None:
        super()._call_connection_lost(exc)
        if self._drained is not None and not self._drained.done():
            self._drained.set_exception(exc or ConnectionError("Connection is closed by peer"))
