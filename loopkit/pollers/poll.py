"""The poll poller: the list of descriptors travels to the kernel and back with every call.

Some facts about poll

a) ``poll(2)`` takes an array of (fd, wanted, got) and walks all of it, twice: a call costs what is *watched*.
b) There is no limit on descriptor numbers, and every Unix has it: the choice where epoll is missing.
c) A closed descriptor is not dropped: it is reported as ``POLLNVAL`` on every call until it is unregistered.
d) The list is ours (CPython keeps it in the ``select.poll`` object): forgetting to unregister cannot confuse
   the kernel, and fork() shares nothing. But it is a list of numbers. That a number means another file by now
   nobody tells; so the file is remembered (``files.py``), and asked for when the entry is changed.
e) Timeouts are whole milliseconds. They are rounded up: a timer must not fire early, nor may the last
   fraction of a millisecond be spent spinning. From Python 3.15 on it is ``ppoll(2)``, to the nanosecond.
f) Regular files are always ready, without an error.
"""

from __future__ import annotations

import select
import sys
from math import ceil
from typing import TYPE_CHECKING

from .files import Files

if TYPE_CHECKING:
    from collections.abc import Container


#: `select.poll` takes a whole number of milliseconds, and no fraction of one.
WHOLE_MILLISECONDS = sys.version_info < (3, 15)


class PollPoller:
    __slots__ = ("_files", "_poll", "_poller")

    name = "poll"
    limit: int | None = None

    def __init__(self, owned: Container[int] = ()) -> None:
        self._poller = select.poll()
        self._poll = self._poller.poll
        self._files = Files()

    def poll(self, timeout: float | None, /) -> list[tuple[int, int]]:
        if timeout is None:
            return self._poll()
        return self._poll(ceil(timeout * 1000) if WHOLE_MILLISECONDS else timeout * 1000)

    def register(self, fd: int, mask: int, /) -> None:
        self._files.add(fd)
        self._poller.register(fd, mask)

    def modify(self, fd: int, mask: int, /) -> None:
        self._files.check(fd)
        self._poller.modify(fd, mask)

    def unregister(self, fd: int, /) -> None:
        self._files.pop(fd, None)
        self._poller.unregister(fd)

    def close(self) -> None:
        """Nothing to give back: the list is an ordinary object."""
