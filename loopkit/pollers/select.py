"""The select poller: three bit sets, rebuilt for every call, and no descriptor above 1023.

Some facts about select

a) ``select(2)`` takes sets of 1,024 bits (``FD_SETSIZE``, fixed when the C library was built). A descriptor
   above 1023 cannot be expressed: it is refused here, at registration, where the message can say what to do,
   and not in the middle of a poll, where it would stop every other connection.
b) The kernel overwrites the sets with its answer, and examines every number up to the highest: a call costs
   the *highest* descriptor, and CPython builds and takes apart the sets in Python lists besides.
c) One closed descriptor makes the whole call fail with ``EBADF``. We then look for the dead ones and report
   them as ``POLLNVAL``, as poll would, so that one careless program part does not stop the loop.
d) Hang-ups and errors have no bits of their own: the descriptor simply becomes readable, and writable.
e) The exceptional set (urgent data) is not used; asyncio has no callback for it.
"""

from __future__ import annotations

import select

# Bound at import: tools that replace functions of ``os`` to catch blocking calls shall not see our own.
from os import fstat
from typing import TYPE_CHECKING

from .files import Files
from .masks import POLLIN, POLLNVAL, POLLOUT

if TYPE_CHECKING:
    from collections.abc import Container

FD_SETSIZE = 1024


class SelectPoller:
    __slots__ = ("_files", "_readers", "_writers")

    name = "select"
    limit: int | None = FD_SETSIZE - 1

    def __init__(self, owned: Container[int] = ()) -> None:
        self._files = Files()
        self._readers: set[int] = set()
        self._writers: set[int] = set()

    def poll(self, timeout: float | None, /) -> list[tuple[int, int]]:
        try:
            readable, writable, _ = select.select(self._readers, self._writers, (), timeout)
        except (OSError, ValueError):
            dead = [(fd, POLLNVAL) for fd in self._readers | self._writers if not _is_open(fd)]
            if not dead:
                raise
            return dead
        if not writable:
            return [(fd, POLLIN) for fd in readable]
        events = dict.fromkeys(readable, POLLIN)
        for fd in writable:
            events[fd] = events.get(fd, 0) | POLLOUT
        return list(events.items())

    def register(self, fd: int, mask: int, /) -> None:
        if fd >= FD_SETSIZE:
            raise ValueError(
                f"select() cannot watch fd {fd} (its limit is {FD_SETSIZE - 1}); use the poll or epoll poller"
            )
        # The kernel would accept anything here and complain at the next poll: complain now, as epoll does.
        self._files.add(fd)
        self._set(fd, mask)

    def modify(self, fd: int, mask: int, /) -> None:
        self._files.check(fd)
        self._set(fd, mask)

    def _set(self, fd: int, mask: int) -> None:
        (self._readers.add if mask & POLLIN else self._readers.discard)(fd)
        (self._writers.add if mask & POLLOUT else self._writers.discard)(fd)

    def unregister(self, fd: int, /) -> None:
        self._files.pop(fd, None)
        self._readers.discard(fd)
        self._writers.discard(fd)

    def close(self) -> None:
        self._readers.clear()
        self._writers.clear()


def _is_open(fd: int) -> bool:
    try:
        fstat(fd)
    except OSError:
        return False
    return True
