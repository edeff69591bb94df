"""Open files of the simulated kernel: what a descriptor refers to, whatever kind it is."""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager
from heapq import heappop, heappush
from itertools import count
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .hosts import Host


def failure(number: int) -> OSError:
    """The exception for an errno, of the class that Python gives it."""
    return OSError(number, os.strerror(number))


def fail_if(condition: object, number: int) -> None:
    """Raise what `failure` makes of *number* if *condition* is true."""
    if condition:
        raise failure(number)


@contextmanager
def in_bytes(buffer: Any) -> Iterator[memoryview]:
    """The bytes of *buffer*, let go of at the end: on PyPy a view only forgotten keeps its size fixed."""
    with memoryview(buffer) as whole, whole.cast("B") as view:
        yield view


def copied(data: Any) -> bytes:
    """What is to be sent: its parts, too, would be views."""
    if type(data) is bytes:
        return data
    with in_bytes(data) as view:
        return bytes(view)


class File:
    """What a descriptor refers to; several may, after a dup."""

    #: What `Deadlock` calls it; what fchmod made of its mode.
    kind = "file"
    mode: int | None = None

    def __init__(self, host: Host) -> None:
        self.world = host.world
        self.host = host
        #: The descriptors that refer to it.
        self.numbers: list[int] = []
        #: Whether `os.read` and `os.write` of its numbers wait. Socket objects have a timeout of their own.
        self.blocks = True
        #: What SO_ERROR reports, once.
        self.error = 0

    def readiness(self) -> int:
        """POLLIN, POLLOUT, POLLERR and POLLHUP, as Linux reports them now."""
        raise NotImplementedError

    def changed(self) -> None:
        """It may be ready for something now: tell the pollers, and threads that block in it."""
        self.world.arrivals += 1
        for poller in self.world.pollers:
            poller.touch(self)
        if self.world.threads is not None:
            self.world.threads.notify()

    def cut(self, size: int, what: str) -> int:
        """How much of *size* a read or a write gets: all, unless schedules are explored."""
        if size < 2 or not self.world.explores:
            return size
        value = self.world.choices.ask("cut", 2)
        if not value:
            return size
        less = 1 if value == 1 else size // 2
        self.world.choices.say(f"a {what} got {less} of {size} bytes")
        return less

    def take_error(self) -> int:
        """SO_ERROR: the error, which is then forgotten."""
        error, self.error = self.error, 0
        return error

    def raise_error(self) -> None:
        """Raise the pending error, if there is one."""
        if self.error:
            raise failure(self.take_error())

    def release(self) -> None:
        """The last descriptor is closed."""

    def vanish(self) -> None:
        """Its host has lost its power: nobody is told."""
        self.release()

    def tell(self) -> str:
        """What it is and in which state, for people."""
        return self.kind


class Table:
    """The descriptors of the world: the lowest free number from `first` on, as a kernel gives them."""

    def __init__(self, first: int) -> None:
        self._files: dict[int, File] = {}
        self._free: list[int] = []  # a heap
        self._new = count(first)

    def get(self, fd: int) -> File | None:
        return self._files.get(fd)

    def file(self, fd: int) -> File:
        """What *fd* refers to. Raises OSError EBADF."""
        fail_if(fd not in self._files, errno.EBADF)
        return self._files[fd]

    def all(self) -> list[File]:
        """Every open file, in the order of its first descriptor."""
        return list(dict.fromkeys(file for _, file in self))

    def __iter__(self) -> Any:
        return iter(sorted(self._files.items()))

    def install(self, file: File) -> int:
        """A new descriptor for *file*. Raises OSError EMFILE past its host's limit."""
        fail_if(file.host.is_out_of_fds, errno.EMFILE)
        file.host.fds += 1
        fd = heappop(self._free) if self._free else next(self._new)
        self._files[fd] = file
        file.numbers.append(fd)
        return fd

    def lose(self, file: File) -> None:
        """The descriptors of *file* are gone with its host. Nobody gets their numbers."""
        for fd in file.numbers:
            del self._files[fd]
        file.numbers.clear()
        for poller in file.world.pollers:
            poller.gone(file)

    def close(self, fd: int) -> None:
        """Give *fd* back. Raises OSError EBADF if it is not open."""
        file = self._files.pop(fd, None)
        if file is None:
            raise failure(errno.EBADF)
        heappush(self._free, fd)
        file.host.fds -= 1
        file.numbers.remove(fd)
        if not file.numbers:
            self.lose(file)
            file.release()
