"""The epoll poller: the kernel keeps the list of watched descriptors and hands out only the ready ones.

Some facts about epoll

a) The interest list lives in the kernel. ``epoll_ctl`` changes it, one system call a change; ``epoll_wait``
   costs what is *ready*, not what is *watched*. This is why 10,000 idle connections are free here and dear
   elsewhere.
b) An entry is keyed by (open file description, descriptor number), not by the number. Closing the last
   descriptor of a file drops its entry silently. If a dup() or a forked child still holds the file, the entry
   lives on and reports events for a number that is closed, or that is by now somebody else's; and it cannot
   be removed through that number any more (``ENOENT`` or ``EBADF``).
c) The same number can therefore be unknown although we registered it (closed and reused), or known although
   we did not. Both are expected, not accidents: to ``watches.py`` a ``modify`` is also the question whether
   the number still means the same file, and it builds a new epoll object when a dead entry keeps reporting.
d) ``EPOLLHUP`` and ``EPOLLERR`` are always reported, also with an empty mask. An entry that nobody wants must
   be unregistered; emptying its mask would leave a loop that spins on a hang-up.
e) Regular files and directories are refused with ``EPERM``: they are always ready. asyncio lets that error
   out of ``add_reader``, and so do we.
f) After fork() parent and child share the interest list. A child that unregisters takes the entry from its
   parent. ``watches.py`` gives the child an epoll object of its own.

What we do about it: level-triggered, one entry a descriptor, ``EPOLL_CLOEXEC`` (CPython's default).

What we chose not to do: edge-triggered and one-shot modes. They save re-arming only for code that drains a
descriptor before it waits, which callbacks of ``add_reader`` need not do; and the lazy re-arming in
``watches.py`` already makes a steady connection cost no ``epoll_ctl`` at all.
"""

from __future__ import annotations

import select
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container


#: PyPy's `poll` wants a number for "as long as it takes".
TAKES_NONE = sys.implementation.name != "pypy"


class EpollPoller:
    """``poll``, ``register``, ``modify`` and ``unregister`` are the C methods themselves: no Python frame."""

    __slots__ = ("_epoll", "modify", "poll", "register", "unregister")

    name = "epoll"
    limit: int | None = None
    knows_files = True

    def __init__(self, owned: Container[int] = ()) -> None:
        self._epoll = select.epoll()
        # epoll.poll rounds the timeout up to whole milliseconds (never early) and retries after EINTR by
        # itself.
        self.poll = self._epoll.poll if TAKES_NONE else self._poll
        self.register = self._epoll.register
        self.modify = self._epoll.modify
        self.unregister = self._epoll.unregister

    def _poll(self, timeout: float | None, /) -> list[tuple[int, int]]:
        return self._epoll.poll(-1 if timeout is None else timeout)

    def close(self) -> None:
        self._epoll.close()
