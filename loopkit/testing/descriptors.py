"""What is done with descriptors by their numbers: `os.read` and its kin, `open`, `select` and `poll`.

Numbers of the simulated kernel begin where no real one comes; what is done with those is done here. Each
works on sockets and pipes, and blocks if the file is a blocking one.
"""

from __future__ import annotations

import builtins
import errno
import io
import os
import select
from contextlib import ExitStack
from stat import S_IFSOCK
from typing import TYPE_CHECKING, Any

from ..net import pipes as connecting
from ..net import sendfile as sending
from ..pollers.masks import POLLERR, POLLHUP, POLLIN, POLLOUT, POLLPRI, POLLRDHUP
from ..transports import pipe as transports
from . import outside
from .errors import EscapedError
from .files import copied, fail_if, in_bytes
from .pipes import PipeEnd

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

#: Bytes of a file that one sendfile reads.
MOST = 1 << 20

#: What `select` calls readable and writable.
READABLE, WRITABLE = POLLIN | POLLHUP | POLLERR, POLLOUT | POLLERR


def is_simulated(fd: object) -> bool:
    """Whether the program means a descriptor of the simulated kernel by *fd*."""
    return outside.is_simulated_fd(fd) and outside.simulation() is not None


def file_of(fd: int) -> Any:
    """The open file. Raises OSError EBADF."""
    return outside.here().files.file(fd)


# -- os ------------------------------------------------------------------------------------------------------


@outside.replaces(os, "pipe")
def _pipe(original: Any) -> Any:
    def pipe() -> tuple[int, int]:
        if not outside.simulates():
            return original()  # type: ignore[no-any-return]
        world = outside.here()
        with world.lock:
            writer = PipeEnd(outside.current_host(world))
            return world.files.install(PipeEnd(writer.host, writer)), world.files.install(writer)

    return pipe


def by_number(name: str, do: Callable[..., Any], *others: tuple[Any, str]) -> None:
    """Have ``os.name(fd, ...)`` be ``do(fd, file, ...)`` for a simulated *fd*, and *others* that mean it."""

    def replacement(original: Any) -> Any:
        def call(fd: Any, *args: Any) -> Any:
            if not is_simulated(fd):
                return original(fd, *args)
            with outside.here().lock:
                return do(fd, file_of(fd), *args)

        return call

    for owner, attribute in ((os, name), *others):
        outside.replaces(owner, attribute)(replacement)


def _waiting(file: Any, call: Callable[..., Any], *args: Any) -> Any:
    return file.world.blocked(lambda: call(*args), None) if file.blocks else call(*args)


def _read(fd: int, file: Any, size: int) -> Any:
    return _waiting(file, file.recv, size)


def _write(fd: int, file: Any, data: Any) -> int:
    """As much as there is room for; a blocking file takes all."""
    rest = memoryview(copied(data))
    sent: int = _waiting(file, file.send, rest)
    while file.blocks and sent < len(rest):
        sent += _waiting(file, file.send, rest[sent:])
    return sent


def _writev(fd: int, file: Any, buffers: Sequence[Any]) -> int:
    return _write(fd, file, b"".join(buffers))


def _readv(fd: int, file: Any, buffers: Sequence[Any]) -> int:
    with ExitStack() as stack:
        views = [stack.enter_context(in_bytes(buffer)) for buffer in buffers]
        data = io.BytesIO(_read(fd, file, sum(map(len, views))))
        return sum(map(data.readinto, views))


def _fstat(fd: int, file: Any) -> os.stat_result:
    return os.stat_result((file.mode or S_IFSOCK, file.numbers[0], 0, 1, 0, 0, 0, 0, 0, 0))


def _set_blocking(fd: int, file: Any, blocks: bool) -> None:
    file.blocks = bool(blocks)


def _sendfile(fd: int, file: Any, source: int, offset: int, count: int) -> int:
    data = os.pread(source, min(count, MOST), offset)
    return _waiting(file, file.send, data) if data else 0


by_number("read", _read, (transports, "read"))
by_number("write", _write, (transports, "write"))
by_number("readv", _readv)
by_number("writev", _writev, (transports, "writev"))
by_number("sendfile", _sendfile, (sending, "os_sendfile"))
by_number("fstat", _fstat, (transports, "fstat"), (connecting, "fstat"))
by_number("set_blocking", _set_blocking, (connecting, "set_blocking"))
by_number("get_blocking", lambda fd, file: file.blocks)
by_number("close", lambda fd, file: file.world.files.close(fd))
by_number("dup", lambda fd, file: file.world.files.install(file))
by_number("fchmod", lambda fd, file, mode: setattr(file, "mode", S_IFSOCK | mode))
by_number("isatty", lambda fd, file: False)
by_number("get_inheritable", lambda fd, file: False)
by_number("set_inheritable", lambda fd, file, inheritable: None)


# -- open ----------------------------------------------------------------------------------------------------


class Descriptor(io.RawIOBase):
    """What `io.FileIO` is for a descriptor of the real kernel."""

    def __init__(self, fd: int, mode: str, closefd: bool) -> None:
        file_of(fd)
        self._fd, self.mode, self._closes = fd, mode, closefd
        self.name = fd

    def fileno(self) -> int:
        if self.closed:
            raise ValueError("I/O operation on closed file")
        return self._fd

    def readable(self) -> bool:
        return "r" in self.mode or "+" in self.mode

    def writable(self) -> bool:
        return "r" not in self.mode or "+" in self.mode

    def readinto(self, buffer: Any) -> int | None:
        with in_bytes(buffer) as view:
            try:
                data = os.read(self._fd, len(view))
            except BlockingIOError:
                return None
            view[: len(data)] = data
            return len(data)

    def write(self, data: Any) -> int | None:
        try:
            return os.write(self._fd, data)
        except BlockingIOError:
            return None

    def close(self) -> None:
        if not self.closed:
            super().close()
            if self._closes and is_simulated(self._fd):  # else: its kernel is gone
                os.close(self._fd)


def _open(original: Any) -> Any:
    def open(
        file: Any, mode: str = "r", buffering: int = -1, *text: Any, closefd: bool = True, **options: Any
    ) -> Any:
        if not is_simulated(file):
            return original(file, mode, buffering, *text, closefd=closefd, **options)
        raw = Descriptor(file, mode, closefd)
        if buffering == 0:
            return raw
        buffered: Any = io.BufferedReader(raw) if not raw.writable() else io.BufferedWriter(raw)
        return buffered if "b" in mode else io.TextIOWrapper(buffered, *text, **options)

    return open


outside.replaces(builtins, "open")(_open)
outside.replaces(io, "open")(_open)


# -- select and poll -----------------------------------------------------------------------------------------


def _number(thing: Any) -> int:
    number: int = thing if isinstance(thing, int) else thing.fileno()
    return number


def _all_simulated(fds: list[int], what: str) -> bool:
    """Whether all of *fds* are of the simulated kernel, not none. Raises `EscapedError` for a mixture."""
    count = sum(map(is_simulated, fds))
    if count and count < len(fds):
        raise EscapedError(
            f"{what} of simulated descriptors and real ones, {min(fds)} for instance: no kernel has both. "
            "Make all of them while the simulation runs, or run this test on loopkit.Loop"
        )
    return count > 0


def _first(look: Callable[[], Any], seconds: float | None) -> Any:
    """What *look* finds, as soon as it is not empty; at the end of *seconds* whatever it finds."""

    def found() -> Any:
        if result := look():
            return result
        raise BlockingIOError

    world = outside.here()
    with world.lock:
        try:
            return world.blocked(found, seconds)
        except TimeoutError:
            return look()


@outside.replaces(select, "select")
def _select(original: Any) -> Any:
    def select(rlist: Any, wlist: Any, xlist: Any, timeout: float | None = None) -> Any:
        things = [list(rlist), list(wlist), list(xlist)]
        if not _all_simulated([_number(thing) for group in things for thing in group], "a select()"):
            return original(*things, timeout)

        def look() -> tuple[list[Any], ...] | None:
            found = [
                [thing for thing in group if file_of(_number(thing)).readiness() & mask]
                for group, mask in zip(things, (READABLE, WRITABLE, 0), strict=True)
            ]
            return tuple(found) if any(found) else None

        return _first(look, timeout) or ([], [], [])

    return select


@outside.replaces(select, "poll")
def _poll(original: Any) -> Any:
    class Poll:
        """A `select.poll` for either kind of descriptors."""

        def __init__(self) -> None:
            self._masks: dict[int, int] = {}

        def register(self, fd: Any, mask: int = POLLIN | POLLPRI | POLLOUT) -> None:
            self._masks[_number(fd)] = mask

        def modify(self, fd: Any, mask: int) -> None:
            fail_if(_number(fd) not in self._masks, errno.ENOENT)
            self._masks[_number(fd)] = mask

        def unregister(self, fd: Any) -> None:
            del self._masks[_number(fd)]

        def poll(self, timeout: float | None = None) -> list[tuple[int, int]]:
            if not _all_simulated(list(self._masks), "a poll()"):
                real = original()
                for fd, mask in self._masks.items():
                    real.register(fd, mask)
                return real.poll(timeout)  # type: ignore[no-any-return]
            seconds = None if timeout is None or timeout < 0 else timeout / 1000
            return list(_first(self._look, seconds))

        def _look(self) -> list[tuple[int, int]]:
            always = POLLERR | POLLHUP
            found: list[tuple[int, int]] = []
            for fd, asked in self._masks.items():
                file = file_of(fd)
                mask = file.readiness() & (asked | always)
                if getattr(file, "shut", 0) & 1:  # the peer writes no more
                    mask |= asked & POLLRDHUP
                if mask:
                    found.append((fd, mask))
            return found

    return Poll
