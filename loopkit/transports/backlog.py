"""What the kernel did not take yet: one queue of bytes for streams, TLS and pipes."""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator

Buffer: TypeAlias = bytes | bytearray | memoryview

#: How many buffers one sendmsg or writev takes (Linux: IOV_MAX is 1024).
IOV_MAX = 1024


class Backlog(deque[Buffer]):
    """Pieces of the stream, oldest first. Nobody changes them any more. False when there are none."""

    __slots__ = ("size",)

    def __init__(self) -> None:
        super().__init__()
        #: Bytes in all: a sum over the pieces, at each write, would be quadratic.
        self.size = 0

    def put(self, piece: Buffer) -> None:
        """Behind the rest; of a memoryview the items must be bytes."""
        self.append(piece)
        self.size += len(piece)

    def pieces(self) -> Iterator[Buffer]:
        """What one system call can take."""
        return islice(self, IOV_MAX)

    def took(self, count: int) -> None:
        """The kernel took *count* bytes of it."""
        self.size -= count
        while count:
            piece = self[0]
            if len(piece) > count:
                self[0] = memoryview(piece)[count:]
                return
            count -= len(piece)
            self.popleft()

    def clear(self) -> None:
        super().clear()
        self.size = 0
