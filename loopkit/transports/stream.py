"""Stream transports: TCP and Unix. HOT: `on_readable` is the one frame between poller and protocol.

Some facts about reading and writing a stream

a) `recv(n)` allocates n bytes and gives back what it did not need. From 128 KiB on glibc takes such a block
   from mmap and returns it with munmap: three system calls a message, more than everything else together. 64
   KiB stay clear of that, and of giving the top of the heap back to the kernel and taking it again each time.
   A connection that fills them sends in bulk: it is read in blocks just below the threshold until it calms
   down. One event reads one block, so that a flood on one connection does not starve the others.
   PyPy has blocks below 132 KiB in the nursery, a few MiB of which make a collection, and each collection
   takes for old what just lives. Larger ones are malloc's, which soon has them ready: there each read takes
   what asyncio's does, and bulk is nothing special.
b) A write usually goes out at once: the send buffer of an idle connection has room. So it is tried before
   anything is queued, and the poller is only asked to watch for writing when the kernel said "not now".
c) With TCP_NODELAY, which interactive protocols need, every `send` is a packet. A header and a body written
   one after the other cost two packets, two system calls, and two wake-ups of the peer.

What we do about c. Small writes (`bytes` only: they cannot change behind our back) made during a callback of
the loop are held until that callback returns, and then leave in one `send`. Nothing waits longer than
that, nor for more than `HOLD` bytes; a write made while no callback runs is sent on the spot. For writes that
`data_received` makes to its own connection, the common case, `on_readable` itself sends on the way out, so
that holding costs neither a frame nor a list. `held.py` tells how nobody notices.

What it changes: an error of `send`, and `pause_writing`, come when the callback returns, and a callback that
writes and then blocks sends nothing meanwhile. Both are in `docs/explanation/differences.md`.

Held writes are joined: to copy a few KiB takes less time than `sendmsg` needs to read a list of them. Only a
large write that follows a held one goes out beside it, uncopied, by `sendmsg`. While bytes are held there is
no backlog.

d) A socket that is closed with unread data resets the connection, and takes from the peer what we sent last.
   asyncio reads 256 KiB at once, and so has seldom left any. Who closes in the middle of bulk drops as much.

What we chose not to do: `MSG_MORE` or TCP_CORK (another system call, and a delay if it is forgotten), and
holding until the end of the turn (uvloop did, and gave it up for its latency).
"""

from __future__ import annotations

import asyncio
import socket
import sys
from asyncio import _get_running_loop  # of this thread
from asyncio.constants import _SendfileMode
from asyncio.log import logger
from typing import TYPE_CHECKING, Any, NoReturn

from .backlog import IOV_MAX, Backlog, Buffer
from .base import DRAINING, LOST, REPLACED, SocketTransport
from .flow import WriteFlow
from .held import WatchedSocket

PYPY = sys.implementation.name == "pypy"

if PYPY:
    from asyncio.events import _running_loop  # type: ignore[attr-defined]

    def _get_running_loop() -> asyncio.AbstractEventLoop | None:
        # asyncio's own is Python there, and a system call: that this is a child is for `fork.py` to tell.
        loop: asyncio.AbstractEventLoop | None = _running_loop.loop_pid[0]
        return loop


if TYPE_CHECKING:
    from collections.abc import Iterable
    from contextvars import Context

    from ..loop import Loop
    from ..net.serve import Server

#: What one read of asyncio's takes: see facts a and d.
ASYNCIO_READ_SIZE = 256 * 1024

#: Bytes asked of one recv: usually, of a connection that sends in bulk, and where bulk ends.
READ_SIZE = ASYNCIO_READ_SIZE if PYPY else 64 * 1024
BULK_READ_SIZE = ASYNCIO_READ_SIZE if PYPY else 120 * 1024
BULK_ENDS = 16 * 1024

#: Bytes that asyncio's read has taken, and ours has left: see fact d.
MOST_DROPPED = 192 * 1024

#: Held writes leave, at the latest, when there are more bytes than this; a larger write never waits.
HOLD = 16 * 1024

#: asyncio named the method differently from 3.12 on, when writelines stopped being a join.
WRITELINES = "writelines" if sys.version_info >= (3, 12) else "write"

#: What one may write.
BYTES = (bytes, bytearray, memoryview)

DATA_EXPECTED = (
    "data argument must be a bytes, bytearray, or memoryview object, not "
    if sys.version_info >= (3, 14)
    else "data argument must be a bytes-like object, not "
)

FATAL_WRITE = "Fatal write error on socket transport"


class StreamTransport(SocketTransport, WriteFlow, asyncio.Transport):
    """A connected stream socket. *is_ours*: the program has neither it nor its number."""

    __slots__ = (
        "_backlog",  # what the kernel did not take yet; None before that ever happened
        "_held",  # bytes, or several joined in a bytearray, that leave when the callback in progress returns
        "_may_hold",  # False: write() has to look twice (see _settle_holding)
        "_read_size",
    )

    # Few connections ever need these: a slot in each of them would be idle.
    _drained: asyncio.Future[None] | None = None  # sendfile waits on it: the backlog is gone
    _eof = False  # write_eof() was called
    _is_shared = False  # the program can write to the socket without us

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
        is_ours: bool = True,
    ) -> None:
        super().__init__(loop, sock, context, peername, server)
        self._backlog: Backlog | None = None
        self._read_size = READ_SIZE
        self._held: bytes | bytearray | None = None
        self._may_hold = is_ours
        if not is_ours:
            self._is_shared = True
        self.set_protocol(protocol)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Have *protocol* receive from now on; an `asyncio.BufferedProtocol` gets data in its own buffer."""
        self._protocol = protocol
        if self._socket is not None:  # else: given back, and nothing is called any more
            buffered = isinstance(protocol, asyncio.BufferedProtocol)
            self._callback = self.on_readable_buffered if buffered else self.on_readable

    # -- reading ---------------------------------------------------------------------------------------------

    def on_readable(self) -> None:
        """The kernel has data, the end of the stream, or an error: pass it to `data_received`."""
        size = self._read_size
        try:
            data = self._socket.recv(size)
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
        loop = self._loop
        loop._gathering = self
        try:
            self._protocol.data_received(data)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            self._fatal_error(exc, "Fatal error: protocol.data_received() call failed.")
        finally:
            held = self._held
            if held is not None:
                # fast: the common case of _send_held without its frame; see performance.md#held-writes
                self._held = None
                try:
                    sent = self._socket.send(held)
                except Exception as exc:
                    self._on_send_failed(held, exc)
                else:
                    if sent < len(held):
                        self._queue(memoryview(held)[sent:])
            loop._gathering = None

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
            count = self._socket.recv_into(buffer)
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
        loop = self._loop
        loop._gathering = self
        try:
            self._protocol.buffer_updated(count)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            self._fatal_error(exc, "Fatal error: protocol.buffer_updated() call failed.")
        finally:
            if self._held is not None:
                self._send_held()
            loop._gathering = None

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
        elif self._state < DRAINING:
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
        if type(data) is bytes and self._may_hold and 0 < len(data) <= HOLD and not self._backlog:
            loop = self._loop
            if _get_running_loop() is loop and not loop._idle:
                held = self._held
                if held is None:
                    if loop._gathering is not self:
                        loop._unsent.append(self)
                    self._held = data
                    return
                if len(held) + len(data) <= HOLD:
                    if type(held) is bytes:
                        self._held = held = bytearray(held)
                    held += data
                    return
        self._write(data)

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        """Send the buffers of *list_of_data*, of whatever kind, as `write` does, in one system call."""
        if WRITELINES == "writelines" and (self._eof or self._drained is not None):
            self._complain(WRITELINES)
        parts = list(list_of_data)
        try:
            data = parts[0] if len(parts) == 1 and isinstance(parts[0], BYTES) else b"".join(parts)
        except TypeError:
            if WRITELINES == "writelines":
                for part in parts:
                    memoryview(part)  # says what asyncio says
            raise
        self.write(data)

    def _write(self, data: bytes | bytearray | memoryview) -> None:
        if not isinstance(data, BYTES):
            self._refuse(data)
        if self._eof or self._drained is not None:
            self._complain("write")
        if not data:
            return
        if not self._takes_writes():
            self._note_lost_write()
            return
        # Large, or it may change when the caller gets it back, or nothing would come to send it later.
        held, self._held = self._held, None
        if held is None:
            self._send(data)
        else:
            self._send(held, data)

    def _takes_writes(self) -> bool:
        # While a closed one drains, resume_writing() may have last words, as under asyncio.
        return self._state != LOST

    def _refuse(self, data: object) -> NoReturn:
        raise TypeError(f"{DATA_EXPECTED}{type(data).__name__!r}")

    def _complain(self, method: str) -> None:
        if self._eof:
            raise RuntimeError(f"Cannot call {method}() after write_eof()")
        raise RuntimeError(f"unable to {method}; sendfile is in progress")

    def _send(self, *parts: bytes | bytearray | memoryview) -> None:
        """Send *parts*, one or two, after what waits already; nothing is held before them."""
        sent = 0
        if not self._backlog:
            try:
                sent = (
                    self._socket.send(parts[0]) if len(parts) == 1 else self._socket.sendmsg(parts[:IOV_MAX])
                )
            except (BlockingIOError, InterruptedError):
                pass
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as exc:
                self._fatal_error(exc, FATAL_WRITE)
                return
            # fast: nothing is left of nearly all writes; see performance.md#whole-writes
            data = parts[0]
            if len(parts) == 1 and sent == (data.nbytes if type(data) is memoryview else len(data)):
                return
        rest: list[Buffer] = []
        for part in parts:
            size = len(part) if type(part) is bytes else memoryview(part).nbytes
            if not sent:
                rest.append(part if type(part) is bytes else bytes(part))
            elif sent < size:
                data = memoryview(part).cast("B")[sent:]
                rest.append(data if type(part) is bytes else bytes(data))
            sent = max(sent - size, 0)
        if rest:
            self._queue(*rest)

    def _send_held(self) -> None:
        """Send what is held back, if anything is."""
        held, self._held = self._held, None
        if held is None:
            return
        # fast: the common case of _send without its frame; see performance.md#held-writes
        try:
            sent = self._socket.send(held)
        except Exception as exc:
            self._on_send_failed(held, exc)
        else:
            if sent < len(held):
                self._queue(memoryview(held)[sent:])

    def _on_send_failed(self, data: Buffer, exc: BaseException) -> None:
        """*exc* came of sending *data*. The kernel tells a reset once: the next send would say EPIPE."""
        if isinstance(exc, (BlockingIOError, InterruptedError)):
            self._queue(data)
        else:
            self._fatal_error(exc, FATAL_WRITE)

    def _queue(self, *parts: Buffer) -> None:
        """The kernel does not take *parts* now."""
        backlog = self._backlog
        if not backlog:
            if backlog is None:
                self._backlog = backlog = Backlog()
            try:
                self._loop._watches.watch_write(
                    self._fd, self._loop._new_handle(self.on_writable, (), self._context)
                )
            except (OSError, ValueError) as exc:
                self._fatal_error(exc, FATAL_WRITE)
                return
        for part in parts:
            backlog.put(part)
        self._maybe_pause_protocol()

    def on_writable(self) -> None:
        """The kernel takes data again."""
        backlog = self._backlog
        if self._state == LOST or not backlog:
            return
        try:
            sent = self._socket.sendmsg(backlog.pieces())
        except (BlockingIOError, InterruptedError):
            return
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            self._fatal_error(exc, FATAL_WRITE)
            return
        backlog.took(sent)
        self._maybe_resume_protocol()  # may write, and so fill the backlog again
        if not backlog and self._state != LOST:
            self._loop._watches.unwatch_write(self._fd)
            self._on_drained()

    def _on_drained(self) -> None:
        """All that was written is with the kernel."""
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
        if self._state == DRAINING:
            self._lose(None)
        elif self._eof:
            self._socket.shutdown(socket.SHUT_WR)

    def can_write_eof(self) -> bool:
        """True: a stream socket has two directions that end separately."""
        return True

    def write_eof(self) -> None:
        """Close the writing side when everything written so far is sent. Idempotent.

        Raises OSError if the peer has reset the connection: what it sent before can still be read.
        """
        if self._state == REPLACED:
            self.write_eof()  # a bound method from before
            return
        if self._state >= DRAINING or self._eof:
            return
        self._eof = True
        self._settle_holding()
        self._send_held()
        if not self._backlog and self._state != LOST:
            self._socket.shutdown(socket.SHUT_WR)

    def get_write_buffer_size(self) -> int:
        """Bytes that the kernel did not take yet. What is held until the callback returns does not count:
        asyncio would have sent it."""
        return self._backlog.size if self._backlog else 0

    # -- holding: see held.py --------------------------------------------------------------------------------

    def _settle_holding(self) -> None:
        """Whether small writes may be held, now that something has changed."""
        self._may_hold = not (
            self._is_shared or self._eof or self._drained is not None or self._state >= DRAINING
        )

    def _stop_holding(self) -> None:
        """The program is about to get the socket, or its number."""
        self._is_shared = True
        self._settle_holding()
        self._send_held()

    def _shown_socket(self) -> WatchedSocket:
        return WatchedSocket(self._socket, self)

    @property
    def _sock(self) -> socket.socket:
        """asyncio's private name of the socket, by which programs may get at it."""
        self._stop_holding()
        return self._socket

    # -- sendfile --------------------------------------------------------------------------------------------

    def _bar_writes(self) -> asyncio.Future[None]:
        """Refuse writes from now on: `loop.sendfile` writes to the socket behind our back.

        The future is done when everything written so far is sent, and fails when the connection is lost.
        """
        if self._eof or self._drained is not None:
            self._complain("sendfile")
        self._send_held()
        drained = self._bar_writes_until_lost()
        if not self._backlog:
            drained.set_result(None)
        return drained

    def _bar_writes_until_lost(self) -> asyncio.Future[None]:
        """A future for the transfer itself, which fails when the connection is lost."""
        self._drained = drained = self._loop.create_future()
        self._settle_holding()
        return drained

    def _unbar_writes(self) -> None:
        self._drained = None
        self._settle_holding()

    # -- ending ----------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Stop reading, send what is buffered, then close; `connection_lost(None)` follows. Idempotent."""
        if self._state == REPLACED:
            self.close()  # a bound method from before
            return
        if self._held is not None:
            self._send_held()
        if self._state >= DRAINING:
            return
        self._state = DRAINING
        self._may_hold = False
        if self._backlog:
            self._loop._watches.unwatch_read(self._fd)
        else:
            self._lose(None)

    def _force_close(self, exc: BaseException | None) -> None:
        if self._held is not None:
            self._send_held()  # what the kernel did not take is dropped; but it was to be offered this
        super()._force_close(exc)

    def _lose(self, exc: BaseException | None) -> None:
        super()._lose(exc)
        self._may_hold = False

    def _drop_unsent(self) -> None:
        self._held = None
        if self._backlog:
            self._backlog.clear()

    def _call_connection_lost(self, exc: BaseException | None) -> None:
        super()._call_connection_lost(exc)
        if self._drained is not None and not self._drained.done():
            self._drained.set_exception(exc or ConnectionError("Connection is closed by peer"))

    def _give_back(self) -> None:
        if self._is_in_bulk():
            self._drop_unread(MOST_DROPPED)
        super()._give_back()

    def _is_in_bulk(self) -> bool:
        return self._read_size != READ_SIZE

    def _drop_unread(self, left: int) -> None:
        """Take up to *left* bytes from the kernel, for nobody: see fact d."""
        try:
            while left > 0 and (dropped := len(self._socket.recv(min(left, READ_SIZE)))):
                left -= dropped
        except OSError:
            pass  # there is no more; or the socket is closed, or reset
