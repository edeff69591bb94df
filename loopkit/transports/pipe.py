"""Pipe transports: FIFOs, sockets, terminals and other character devices, one direction each.

Some facts about pipes

a) There is no `recv` for them: `read` and `write` it is, and a non-blocking descriptor. O_NONBLOCK belongs to
   the open file, which others may share: a child that gives the terminal back in blocking mode changes ours.
   So these descriptors are no *owned* ones (`pollers/busy.py`): they are read and written when the poller
   says so, never on trial.
b) The writer of a pipe is told of the reader's end by EPIPE, at its next write; or at once by a poller that
   watches the write end, as POLLERR. A socket at its end is "readable" instead, but so is one that has data,
   and a FIFO opened for both directions too: who has really hung up is told by a second look for POLLRDHUP,
   POLLHUP or POLLERR.
c) A terminal whose other side is gone reads EIO. That is its end of file, and nothing to report.
d) A pipe holds 64 KiB (Linux); larger reads would only cost a larger allocation.
"""

from __future__ import annotations

import asyncio
import errno
import select
import stat
import warnings
from asyncio.log import logger
from contextvars import copy_context

# Bound at import: tools that replace functions of ``os`` to catch blocking calls shall not see our own.
from os import fstat, read, write
from typing import TYPE_CHECKING, Any

from ..pollers.masks import POLLRDHUP
from .backlog import Backlog, Buffer
from .base import DRAINING, LOST, LOST_WRITES_BEFORE_WARNING, OPEN
from .flow import KIB, WriteFlow

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..loop import Loop

try:
    from os import writev
except ImportError:  # Windows, whose pipes cannot be watched: `net/pipes.py` refuses them

    def writev(fd: int, buffers: Any, /) -> int:  # type: ignore[misc]
        return write(fd, b"".join(buffers))


#: Bytes asked of one read.
READ_SIZE = 64 * KIB


class PipeTransport(asyncio.BaseTransport):
    """What the two directions share. Two transports, one for each, may be on one descriptor."""

    __slots__ = (
        "__dict__",  # programs hang things on transports, and replace methods of theirs
        "__weakref__",
        "_context",  # what the protocol's methods run in
        "_fileno",
        "_loop",
        "_pipe",
        "_protocol",
        "_reader",  # the handle called when the pipe is readable, or hung up
        "_state",  # OPEN, DRAINING or LOST: see base.py
    )

    _extra: dict[str, Any]

    def __init__(self, loop: Loop, pipe: Any, protocol: asyncio.BaseProtocol) -> None:
        super().__init__({"pipe": pipe})
        self._loop = loop
        self._fileno: int = pipe.fileno()
        self._protocol: Any = protocol
        self._context = copy_context()
        self._state = OPEN
        self._reader = loop._new_handle(self.on_readable, (), self._context)
        self._pipe = pipe  # last: what Ctrl-C has torn in its making has none, and `__del__` nothing to say

    def on_readable(self) -> None:
        raise NotImplementedError

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Have *protocol* be told what happens from now on."""
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        """The protocol in use."""
        return self._protocol  # type: ignore[no-any-return]

    def is_closing(self) -> bool:
        """True once it is closed, or about to be."""
        return self._state >= DRAINING

    def _describe(self, direction: str) -> list[str]:
        info = [type(self).__name__]
        if self._pipe is None:
            return [*info, "closed", f"fd={self._fileno}"]
        if self.is_closing():
            info.append("closing")
        info.append(f"fd={self._fileno}")
        if self._loop.is_closed():
            info.append("open")
        else:
            watcher = getattr(self._loop._watches, direction)(self._fileno)
            info.append("idle" if watcher is None else "polling")
        return info

    def _begin(self, waiter: asyncio.Future[None]) -> None:
        """connection_made() has been called: watch the pipe, and resume who waits for the connection."""
        try:
            self._start()
        except (OSError, ValueError) as exc:  # the poller cannot watch it
            self._lose(exc)
            if not waiter.done():
                waiter.set_exception(exc)
            return
        if not waiter.done():
            waiter.set_result(None)

    def _start(self) -> None:
        raise NotImplementedError

    def _is_expected(self, exc: BaseException) -> bool:
        raise NotImplementedError

    def _fatal_error(self, exc: BaseException, message: str) -> None:
        """Report *exc*, unless pipes end like that, and close at once."""
        if self._is_expected(exc):
            if self._loop._debug:
                logger.debug("%r: %s", self, message, exc_info=True)
        else:
            self._loop.call_exception_handler(
                {"message": message, "exception": exc, "transport": self, "protocol": self._protocol}
            )
        self._lose(exc)

    def _lose(self, exc: BaseException | None) -> None:
        """No more events; `connection_lost(exc)` is on its way."""
        if self._state == LOST:
            return
        self._state = LOST
        self._stop()
        self._loop.call_soon(self._call_connection_lost, exc, context=self._context)

    def _stop(self) -> None:
        """Watch the pipe no longer. What the other direction watches is not ours to remove."""
        tables = self._loop._watches
        if tables.reader(self._fileno) is self._reader:
            tables.unwatch_read(self._fileno)

    def _call_connection_lost(self, exc: BaseException | None) -> None:
        try:
            self._protocol.connection_lost(exc)
        finally:
            tables = self._loop._watches
            if tables.reader(self._fileno) is None and tables.writer(self._fileno) is None:
                tables.forget(self._fileno)  # it may be armed still: see rest_read
            self._pipe.close()
            self._reader.cancel()  # it refers to us, as we to it
            self._pipe = self._protocol = self._loop = None  # type: ignore[assignment]

    def __del__(self, _warn: Callable[..., None] = warnings.warn) -> None:
        if getattr(self, "_pipe", None) is not None:
            _warn(f"unclosed transport {self!r}", ResourceWarning, source=self)
            self._pipe.close()


class ReadPipeTransport(PipeTransport, asyncio.ReadTransport):
    """The reading end of a pipe."""

    __slots__ = ("_paused",)

    #: Bytes asked of one read; may be changed, as on asyncio's transports.
    max_size = READ_SIZE

    def __init__(self, loop: Loop, pipe: Any, protocol: asyncio.BaseProtocol) -> None:
        self._paused = False
        super().__init__(loop, pipe, protocol)

    def __repr__(self) -> str:
        return f"<{' '.join(self._describe('reader'))}>"

    def is_reading(self) -> bool:
        """True unless closing or paused."""
        return not self._paused and self._state < DRAINING

    def pause_reading(self) -> None:
        """Call the protocol's `data_received` no more until `resume_reading`. Idempotent."""
        if not self.is_reading():
            return
        self._paused = True
        self._loop._watches.rest_read(self._fileno)
        if self._loop._debug:
            logger.debug("%r pauses reading", self)

    def resume_reading(self) -> None:
        """Undo `pause_reading`. Idempotent."""
        if self._state >= DRAINING or not self._paused:
            return
        self._paused = False
        self._start()
        if self._loop._debug:
            logger.debug("%r resumes reading", self)

    def _start(self) -> None:
        if self.is_reading():
            self._loop._watches.watch_read(self._fileno, self._reader)

    def on_readable(self) -> None:
        """The pipe has data, or has come to its end."""
        try:
            data = read(self._fileno, self.max_size)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as exc:
            self._fatal_error(exc, "Fatal read error on pipe transport")
            return
        if data:
            self._protocol.data_received(data)
            return
        if self._loop._debug:
            logger.info("%r was closed by peer", self)
        self._loop.call_soon(self._protocol.eof_received, context=self._context)
        self._lose(None)

    def _is_expected(self, exc: BaseException) -> bool:
        return isinstance(exc, OSError) and exc.errno == errno.EIO

    def close(self) -> None:
        """Stop reading; `connection_lost(None)` follows. Idempotent."""
        self._lose(None)


class WritePipeTransport(PipeTransport, WriteFlow, asyncio.WriteTransport):
    """The writing end of a pipe. It ends when the reading end is closed, not only when a write fails."""

    __slots__ = (
        "_backlog",  # what the pipe did not take yet
        "_ignored",  # writes since the pipe was lost or closed
        "_protocol_paused",  # pause_writing() was called on it
        "_writer",  # the handle called when the pipe takes data again
    )

    def __init__(self, loop: Loop, pipe: Any, protocol: asyncio.BaseProtocol) -> None:
        self._protocol_paused = False
        self._backlog = Backlog()
        self._ignored = 0
        super().__init__(loop, pipe, protocol)
        self._writer = loop._new_handle(self.on_writable, (), self._context)

    def __repr__(self) -> str:
        info = self._describe("writer")
        if self._pipe is not None and info[-1] != "open":
            info.append(f"bufsize={self._backlog.size}")
        return f"<{' '.join(info)}>"

    def get_write_buffer_size(self) -> int:
        """Bytes that the pipe did not take yet."""
        return self._backlog.size

    # -- the reader's end ------------------------------------------------------------------------------------

    def _start(self) -> None:
        # A device is readable when somebody types: that says nothing about its other side.
        tables = self._loop._watches
        is_device = stat.S_ISCHR(fstat(self._fileno).st_mode)
        if not is_device and self._state < DRAINING and tables.reader(self._fileno) is None:
            tables.watch_read(self._fileno, self._reader)

    def on_readable(self) -> None:
        """The reader has closed its end; or this is a socket that has data: see fact b."""
        if POLLRDHUP:
            poller = select.poll()
            poller.register(self._fileno, POLLRDHUP)
            if not poller.poll(0):
                self._loop._watches.unwatch_read(self._fileno)
                return
        if self._loop._debug:
            logger.info("%r was closed by peer", self)
        self._lose(BrokenPipeError() if self._backlog else None)

    # -- writing ---------------------------------------------------------------------------------------------

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Write *data*, now or as soon as the pipe takes it, after what was written before.

        Raises AssertionError if *data* is not bytes-like, as asyncio does. Writing to a closed pipe does
        nothing.
        """
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise AssertionError(repr(data))
        if not data:
            return
        if self._state >= DRAINING:
            if self._ignored >= LOST_WRITES_BEFORE_WARNING:
                logger.warning("pipe closed by peer or os.write(pipe, data) raised exception.")
            self._ignored += 1
            return
        if self._backlog:
            self._queue(data if type(data) is bytes else bytes(data))
            return
        try:
            sent = write(self._fileno, data)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            self._ignored += 1
            self._fatal_error(exc, "Fatal write error on pipe transport")
            return
        rest = memoryview(data).cast("B")[sent:]
        if not rest:
            return
        try:
            self._loop._watches.watch_write(self._fileno, self._writer)
        except (OSError, ValueError) as exc:  # the poller cannot watch it
            self._fatal_error(exc, "Fatal write error on pipe transport")
            return
        self._queue(rest if type(data) is bytes else bytes(rest))

    def _queue(self, data: Buffer) -> None:
        self._backlog.put(data)
        self._maybe_pause_protocol()

    def on_writable(self) -> None:
        """The pipe takes data again."""
        backlog = self._backlog
        try:
            sent = writev(self._fileno, list(backlog.pieces()))
        except (BlockingIOError, InterruptedError):
            return
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            self._ignored += 1
            self._fatal_error(exc, "Fatal write error on pipe transport")
            return
        backlog.took(sent)
        self._maybe_resume_protocol()  # may write, and so fill the backlog again
        if backlog or self._state == LOST:
            return
        self._loop._watches.unwatch_write(self._fileno)
        if self._state == DRAINING:
            self._lose(None)

    def can_write_eof(self) -> bool:
        """True: to close a pipe is to end its stream."""
        return True

    def write_eof(self) -> None:
        """Close the pipe when everything written so far is gone. Idempotent."""
        if self._state >= DRAINING:
            return
        self._state = DRAINING
        if not self._backlog:
            self._lose(None)

    # -- ending ----------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Write what is buffered, then close; `connection_lost(None)` follows. Idempotent."""
        self.write_eof()

    def abort(self) -> None:
        """Close at once: what is buffered is lost. `connection_lost(None)` follows."""
        self._lose(None)

    def _is_expected(self, exc: BaseException) -> bool:
        return isinstance(exc, OSError)

    def _stop(self) -> None:
        super()._stop()
        self._backlog.clear()
        tables = self._loop._watches
        if tables.writer(self._fileno) is self._writer:
            tables.unwatch_write(self._fileno)

    def _call_connection_lost(self, exc: BaseException | None) -> None:
        super()._call_connection_lost(exc)
        self._writer.cancel()
