"""Which file a number meant: for pollers whose lists are of numbers, where epoll's are of files.

A program may close a descriptor that is watched, and the number be used again. To modify an entry of epoll
is also the question whether that has happened. The other pollers answer it with what ``fstat`` says of a
file, its device and inode: each socket and each pipe has an inode of its own.
"""

from __future__ import annotations

import errno
import os

# Bound at import: tools that replace functions of ``os`` to catch blocking calls shall not see our own.
from os import fstat


class Files(dict[int, tuple[int, int]]):
    """number -> file, for the numbers that are registered."""

    __slots__ = ()

    def add(self, fd: int) -> None:
        """Remember the file of *fd*. Raises OSError if it is closed, as epoll does."""
        status = fstat(fd)
        self[fd] = status.st_dev, status.st_ino

    def check(self, fd: int) -> None:
        """Raise FileNotFoundError, as epoll does, unless *fd* is registered and still means the same file."""
        known = self.get(fd)
        status = fstat(fd)
        if known != (status.st_dev, status.st_ino):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
