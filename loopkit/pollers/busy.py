"""The busy poller: nobody is asked; everybody is tried, again and again.

Some facts about polling in a circle

a) It is the first model of every course on network programming: set the sockets non-blocking and try each one
   in turn. It needs no facility of the kernel but ``EAGAIN``.
b) It burns one processor while nothing happens, and with n connections it makes n failing system calls a
   round. ``loopkit bench echo`` puts a number on both. It is here to be read and measured, not to be
   deployed.
c) Trying is only safe where the try cannot block and changes nothing when it fails. That is so for the
   sockets of loopkit's own transports: *owned* says which. A callback given to ``add_reader`` may call a
   blocking ``recv`` on the strength of our word, a connecting socket that is "reported" writable would be
   believed connected, and a pipe that is "reported" readable would be believed hung up. Such descriptors are
   confirmed by a poll with a zero timeout.

Timers stay exact: a round never waits, so that the loop looks at its clock all the time. It does offer the
processor to others (``sched_yield``): an executor's thread, or the very client we are waiting for, may need
it.
"""

from __future__ import annotations

import select
import time
from typing import TYPE_CHECKING

from .files import Files

# Bound at import: tools that replace functions of ``os`` to catch blocking calls shall not see our own.
try:
    from os import sched_yield
except ImportError:  # not every Unix has it

    def sched_yield() -> None:
        time.sleep(0)


if TYPE_CHECKING:
    from collections.abc import Container


class BusyPoller:
    __slots__ = ("_confirm", "_files", "_owned", "_tried")

    name = "busy"
    limit: int | None = None

    def __init__(self, owned: Container[int] = ()) -> None:
        self._owned = owned
        self._tried: dict[int, int] = {}
        self._confirm = select.poll()
        self._files = Files()

    def poll(self, timeout: float | None, /) -> list[tuple[int, int]]:
        if timeout != 0:
            sched_yield()
        return self._confirm.poll(0) + list(self._tried.items())

    def register(self, fd: int, mask: int, /) -> None:
        self._files.add(fd)  # an owned descriptor is never shown to the kernel: a closed one is refused here
        self._set(fd, mask)

    def modify(self, fd: int, mask: int, /) -> None:
        self._files.check(fd)
        self._set(fd, mask)

    def _set(self, fd: int, mask: int) -> None:
        if fd in self._owned:
            self._tried[fd] = mask
        else:
            self._confirm.register(fd, mask)

    def unregister(self, fd: int, /) -> None:
        self._files.pop(fd, None)
        if self._tried.pop(fd, None) is None:
            self._confirm.unregister(fd)

    def close(self) -> None:
        self._tried.clear()
