"""Pipes of the simulated kernel: `os.pipe`.

As Linux has them: 64 KiB; what is at most a page is written whole or not at all; a writer is told of the
reader's end by POLLERR and EPIPE, a reader of the last writer's by POLLHUP and an empty read.
"""

from __future__ import annotations

import errno
from select import POLLERR, POLLHUP, POLLIN, POLLOUT
from stat import S_IFIFO
from typing import TYPE_CHECKING, Any

from .files import File, failure

if TYPE_CHECKING:
    from .hosts import Host
    from .world import World

SIZE, PAGE = 65536, 4096


class PipeEnd(File):
    """One end of a pipe."""

    kind = "pipe"
    mode = S_IFIFO | 0o600
    state = "connected"

    def __init__(self, world: World, host: Host, writer: PipeEnd | None = None) -> None:
        super().__init__(world, host)
        self.other: PipeEnd | None = writer  # None: closed
        self.is_reader = writer is not None
        self.held = bytearray()  # the reader's
        if writer is not None:
            writer.other = self

    def readiness(self) -> int:
        if self.is_reader:
            return (POLLIN if self.held else 0) | (POLLHUP if self.other is None else 0)
        if self.other is None:
            return POLLOUT | POLLERR
        return POLLOUT if len(self.other.held) <= SIZE - PAGE else 0

    def recv(self, size: int, peek: bool = False) -> bytes:
        if not self.is_reader:
            raise failure(errno.EBADF)
        if not self.held and self.other is not None:
            raise failure(errno.EAGAIN)
        size = self.cut(min(size, len(self.held)), "read")
        data = bytes(self.held[:size])
        del self.held[:size]
        if self.other is not None:
            self.other.changed()
        return data

    def send(self, data: Any) -> int:
        if self.is_reader:
            raise failure(errno.EBADF)
        if self.other is None:
            raise failure(errno.EPIPE)
        room = SIZE - len(self.other.held)
        count = len(data)
        if count > PAGE:
            count = self.cut(min(count, room), "write")
        if count > room or (not count and len(data)):
            raise failure(errno.EAGAIN)
        self.other.held += data[:count]
        self.other.changed()
        return count

    def release(self) -> None:
        if self.other is not None:
            self.other.other = None
            self.other.changed()
            self.other = None

    def tell(self) -> str:
        end = "reading" if self.is_reader else "writing"
        return f"the {end} end of a pipe" + ("" if self.other is not None else ", the other one is closed")
