"""The transport of a child process, and the protocols at our ends of its pipes.

What a protocol is told, in this order: `connection_made`; data and ends of the pipes and `process_exited` as
they happen; `connection_lost` when the child has ended *and* every pipe is at its end. That is when `wait()`
returns too: output that is still in a pipe has been delivered then. (A grandchild that inherited a pipe keeps
it open.)

Events of the pipes may come while others of the same child are still being connected. They are kept, and
replayed after `connection_made`; from then on each is passed on directly. The child's end is not watched for
before that.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import warnings
from asyncio.log import logger
from collections import deque
from contextvars import copy_context
from functools import partial

# Bound at import: tools that replace functions of ``os`` to catch blocking calls shall not see our own.
from os import kill as os_kill
from typing import TYPE_CHECKING, Any

from ..errors import callback_failed
from .watch import ExitWatch

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    from ..loop import Loop

#: A child that has changed its user may not be killed; from 3.13 on close() does not complain about that.
NOT_KILLABLE: tuple[type[OSError], ...] = (ProcessLookupError,)
if sys.version_info >= (3, 13):
    NOT_KILLABLE += (PermissionError,)


#: `Process.wait()` returns when the child has ended from 3.14.7 on; before, it waited for the end of its
#: pipes too, which a grandchild may hold.
WAITS_FOR_PIPES = sys.version_info < (3, 14, 7)


class SubprocessTransport(asyncio.SubprocessTransport):
    """A child process."""

    _extra: dict[str, Any]

    def __init__(self, loop: Loop, protocol: asyncio.BaseProtocol, process: subprocess.Popen[bytes]) -> None:
        super().__init__({"subprocess": process})
        self._loop = loop
        self._protocol: Any = protocol
        self._proc: subprocess.Popen[bytes] | None = process
        self._pid = process.pid
        self._context = copy_context()
        self._returncode: int | None = None
        self._finished = False
        self._exit_watch: ExitWatch | None = None
        self._waiters: list[asyncio.Future[int]] = []
        #: Events before connection_made(); None after it.
        self._early: deque[tuple[Callable[..., Any], tuple[Any, ...]]] | None = deque()
        #: Our ends of stdin, stdout and stderr; None as long as one is not being connected.
        self._pipes: dict[int, WritePipeProtocol | None] = {
            fd: None for fd, file in enumerate(_files(process)) if file is not None
        }
        self._closed = False  # last: what was not begun to the end needs no end, see __del__

    def __repr__(self) -> str:
        info = [type(self).__name__]
        if self._closed:
            info.append("closed")
        info.append(f"pid={self._pid}")
        info.append("running" if self._returncode is None else f"returncode={self._returncode}")
        for fd, name in enumerate(("stdin", "stdout", "stderr")):
            pipe = self._pipes.get(fd)
            if pipe is not None:
                info.append(f"{name}={pipe.pipe}")
        return f"<{' '.join(info)}>"

    # -- starting --------------------------------------------------------------------------------------------

    async def _connect(self) -> None:
        """Connect the pipes, call `connection_made`, and in any case watch for the child's end."""
        loop = self._loop
        try:
            for fd, file in enumerate(_files(self._proc)):
                if file is None:
                    continue
                # By the loop's public methods: programs replace them to get at the pipes.
                if fd == 0:
                    await loop.connect_write_pipe(partial(self._pipe, WritePipeProtocol, fd), file)
                else:
                    await loop.connect_read_pipe(partial(self._pipe, ReadPipeProtocol, fd), file)
        except BaseException:
            self._watch_exit()  # the protocol never hears of this child, but it must be reaped
            raise
        waiter = loop.create_future()
        loop.call_soon(self._protocol.connection_made, self, context=self._context)
        loop.call_soon(self._begin, waiter, context=self._context)
        await waiter

    def _pipe(self, kind: type[WritePipeProtocol], fd: int) -> WritePipeProtocol:
        self._pipes[fd] = pipe = kind(self, fd)
        return pipe

    def _begin(self, waiter: asyncio.Future[None]) -> None:
        """connection_made() has been called: replay what came before it, and resume who waits."""
        early = self._early
        while early:
            callback, args = early.popleft()
            try:
                callback(*args)
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as exc:
                # A copy: the exception handler is called in it, and we are in this one already.
                handle = self._loop._new_handle(callback, args, self._context.copy())
                callback_failed(self._loop, handle, exc)
        self._early = None
        self._watch_exit()
        if not waiter.done():
            waiter.set_result(None)

    def _tell(self, callback: Callable[..., Any], *args: Any) -> None:
        if self._early is None:
            callback(*args)
        else:
            self._early.append((callback, args))

    # -- what happens to the child ---------------------------------------------------------------------------

    def _watch_exit(self) -> None:
        assert self._proc is not None
        if self._proc.returncode is not None:  # reaped by close()
            self._loop.call_soon(self._on_exit, self._proc.returncode, context=self._context)
        else:
            self._exit_watch = ExitWatch(self._loop, self._pid, self._on_exit)

    def _on_exit(self, returncode: int | None) -> None:
        assert self._proc is not None
        if returncode is None:
            returncode = self._proc.returncode  # reaped through the Popen object, which has kept it
        if returncode is None:
            returncode = 255
            logger.warning(
                "child process pid %d exit status already read:  will report returncode 255", self._pid
            )
        if self._loop._debug:
            logger.info("%r exited with return code %r", self, returncode)
        self._returncode = self._proc.returncode = returncode
        try:
            self._tell(self._protocol.process_exited)
        finally:
            self._end_if_finished()
            if not WAITS_FOR_PIPES:
                self._wake_waiters()

    def _on_pipe_lost(self, fd: int, exc: BaseException | None) -> None:
        try:
            self._tell(self._protocol.pipe_connection_lost, fd, exc)
        finally:
            self._end_if_finished()

    def _end_if_finished(self) -> None:
        if self._finished or self._returncode is None:
            return
        if all(pipe is not None and pipe.disconnected for pipe in self._pipes.values()):
            self._finished = True
            self._loop.call_soon(self._call_connection_lost, context=self._context)

    def _call_connection_lost(self) -> None:
        try:
            if self._early is None:  # else: creation was cancelled
                self._protocol.connection_lost(None)
        finally:
            self._wake_waiters()
            self._loop = self._proc = self._protocol = self._exit_watch = None  # type: ignore[assignment]

    def _wake_waiters(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(self._returncode)  # type: ignore[arg-type]
        self._waiters.clear()

    async def _wait(self) -> int:
        """The return code, as soon as the child's end is known.

        Before Python 3.14.7 whoever waits already hears of it after `connection_lost`.
        """
        # asyncio.subprocess.Process.wait() calls this.
        if self._returncode is not None:
            return self._returncode
        waiter = self._loop.create_future()
        self._waiters.append(waiter)
        return await waiter  # type: ignore[no-any-return]

    # -- asking and telling ----------------------------------------------------------------------------------

    def get_pid(self) -> int:
        """The child's process id."""
        return self._pid

    def get_returncode(self) -> int | None:
        """The child's return code, -N if signal N ended it; None as long as its end has not been noticed."""
        return self._returncode

    def get_pipe_transport(self, fd: int) -> asyncio.BaseTransport | None:
        """The transport of our end of stdin (0), stdout (1) or stderr (2); None if it is no pipe."""
        pipe = self._pipes.get(fd)
        return None if pipe is None else pipe.pipe

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Have *protocol* be told what happens from now on."""
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        """The protocol in use."""
        return self._protocol  # type: ignore[no-any-return]

    def send_signal(self, signal: int) -> None:
        """Send *signal* to the child; nothing happens if it has ended.

        Raises ProcessLookupError after `connection_lost`, PermissionError if the child belongs to another
        user.
        """
        if self._proc is None:
            raise ProcessLookupError()
        if self._returncode is not None:
            return  # reaped: the number may be somebody else's by now
        try:
            os_kill(self._pid, signal)
        except ProcessLookupError:
            pass

    def terminate(self) -> None:
        """Send SIGTERM; otherwise as `send_signal`."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL; otherwise as `send_signal`."""
        self.send_signal(signal.SIGKILL)

    # -- ending ----------------------------------------------------------------------------------------------

    def is_closing(self) -> bool:
        """True after `close()`."""
        return self._closed

    def close(self) -> None:
        """Close the pipes and kill the child if it is running; `connection_lost` follows. Idempotent."""
        if self._closed:
            return
        self._closed = True
        for fd, pipe in list(self._pipes.items()):
            if pipe is None:
                _files(self._proc)[fd].close()
                del self._pipes[fd]
            elif pipe.pipe is not None:
                pipe.pipe.close()
        self._kill_if_running()

    def _kill_if_running(self) -> None:
        if self._proc is None or self._returncode is not None or self._proc.poll() is not None:
            return
        if self._loop._debug:
            logger.warning("Close running child process: kill %r", self)
        try:
            self._proc.kill()
        except NOT_KILLABLE:
            pass

    def __del__(self, _warn: Callable[..., None] = warnings.warn) -> None:
        if getattr(self, "_closed", True):
            return
        _warn(f"unclosed transport {self!r}", ResourceWarning, source=self)
        if self._proc is not None and self._loop.is_closed():
            self._kill_if_running()  # the pipes' own transports close them, with a warning each
        else:
            self.close()


def _files(process: subprocess.Popen[bytes] | None) -> tuple[Any, Any, Any]:
    assert process is not None
    return process.stdin, process.stdout, process.stderr


class WritePipeProtocol(asyncio.BaseProtocol):
    """Our end of the child's stdin."""

    def __init__(self, process: SubprocessTransport, fd: int) -> None:
        self.process = process
        self.fd = fd
        self.pipe: Any = None
        self.disconnected = False

    def __repr__(self) -> str:
        return f"<{type(self).__name__} fd={self.fd} pipe={self.pipe!r}>"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.pipe = transport

    def connection_lost(self, exc: BaseException | None) -> None:
        self.disconnected = True
        process = self.process
        del self.process  # it refers to us, as we to it
        process._on_pipe_lost(self.fd, exc)

    def pause_writing(self) -> None:
        self.process._protocol.pause_writing()

    def resume_writing(self) -> None:
        self.process._protocol.resume_writing()


class ReadPipeProtocol(WritePipeProtocol, asyncio.Protocol):
    """Our end of the child's stdout or stderr."""

    def data_received(self, data: bytes) -> None:
        self.process._tell(self.process._protocol.pipe_data_received, self.fd, data)
