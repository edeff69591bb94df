"""Pipes of the simulated kernel: `os.pipe`.

As Linux has them: 16 pages. What is at most a page is written whole or not at all, and behind what is in the
last page if that has room; a page is free again when all of it has been read. A writer is told of the
reader's end by POLLERR and EPIPE, a reader of the last writer's by POLLHUP and an empty read.
"""

from __future__ import annotations

import errno
from collections import deque
from stat import S_IFIFO
from typing import TYPE_CHECKING, Any

from ..pollers.masks import POLLERR, POLLHUP, POLLIN, POLLOUT
from .files import File, fail_if

if TYPE_CHECKING:
    from .hosts import Host

PAGE, PAGES = 4096, 16


class PipeEnd(File):
    """One end of a pipe."""

    kind = "pipe"
    mode = S_IFIFO | 0o600
    is_sink = False  # a reader that takes all, and forgets it

    def __init__(self, host: Host, writer: PipeEnd | None = None) -> None:
        super().__init__(host)
        self.other: Any = writer  # None: closed
        self.is_reader = writer is not None
        #: [how much of the page has been written, what has not been read of that]; both ends have them.
        self.pages: deque[list[Any]] = deque() if writer is None else writer.pages
        if writer is not None:
            writer.other = self

    def readiness(self) -> int:
        if self.is_reader:
            return (POLLIN if self.pages else 0) | (POLLHUP if self.other is None else 0)
        return (POLLOUT if len(self.pages) < PAGES else 0) | (POLLERR if self.other is None else 0)

    def recv(self, size: int, peek: bool = False) -> bytes:
        fail_if(not self.is_reader, errno.EBADF)
        fail_if(not self.pages and self.other is not None and size, errno.EAGAIN)
        held = sum(len(page[1]) for page in self.pages)
        size = left = self.cut(min(size, held), "read")
        data = bytearray()
        while left:
            page = self.pages[0]
            data += page[1][:left]
            page[1] = page[1][left:]
            left = size - len(data)
            if not page[1]:
                self.pages.popleft()
        if self.other is not None:
            self.other.changed()
        return bytes(data)

    def send(self, data: Any) -> int:
        fail_if(self.is_reader, errno.EBADF)
        if not len(data):
            return 0
        fail_if(self.other is None, errno.EPIPE)
        if self.other.is_sink:
            return len(data)
        count, done = len(data), 0
        if count > PAGE:
            count = self.cut(count, "write")
        odd = count % PAGE
        if odd and self.pages and self.pages[-1][0] + odd <= PAGE:
            self.pages[-1][0] += odd
            self.pages[-1][1] += data[:odd]
            done = odd
        while done < count and len(self.pages) < PAGES:
            piece = bytes(data[done : min(done + PAGE, count)])
            self.pages.append([len(piece), piece])
            done += len(piece)
        fail_if(not done, errno.EAGAIN)
        self.other.changed()
        return done

    def release(self) -> None:
        if self.other is not None:
            self.other.other = None
            self.other.changed()
            self.other = None

    def tell(self) -> str:
        end = "reading" if self.is_reader else "writing"
        return f"the {end} end of a pipe" + ("" if self.other is not None else ", the other one is closed")
