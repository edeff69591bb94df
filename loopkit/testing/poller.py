"""The fifth poller: it asks a simulated kernel, and where it would sleep, time jumps.

Some facts about it

a) It keeps the contract of `loopkit/pollers`, and epoll's habits: level-triggered, an error or a hang-up is
   reported whatever the mask says, an entry belongs to an open file and a number, is gone with the last
   descriptor of its file, and lives on if a dup holds that.
b) *Durably blocked* can be decided, not guessed: nothing is ready, no packet arrives before the next timer.
   Then the clock goes to that timer. If there is none, nothing can ever happen: `Deadlock`.
c) Only files that have changed since they were last found quiet are looked at: `touched`.
"""

from __future__ import annotations

import errno
from math import inf
from typing import TYPE_CHECKING, Any

from ..pollers.masks import POLLERR, POLLHUP, POLLIN
from . import waits
from .errors import Deadlock, EscapedError, Livelock
from .files import fail_if
from .outside import is_simulated_fd

if TYPE_CHECKING:
    from collections.abc import Container

    from .files import File
    from .world import World

#: Reported whether asked for or not.
ALWAYS = POLLERR | POLLHUP

#: So many polls in a row in which neither time passes nor anything arrives lead nowhere.
PATIENCE = 10_000


class SimPoller:
    __slots__ = ("_entries", "_idle_polls", "_progress", "_touched", "world")

    name = "sim"
    limit: int | None = None

    def __init__(self, world: World, owned: Container[int] = ()) -> None:
        self.world = world
        #: (number, file) -> mask. There is no file behind the loop's own wake-up, which is real.
        self._entries: dict[tuple[int, File | None], int] = {}
        #: Those that may have something to report, in the order in which they came to have it.
        self._touched: dict[Any, None] = {}
        self._progress = self._idle_polls = 0
        self.world.pollers.append(self)

    # -- the interest list -----------------------------------------------------------------------------------

    def register(self, fd: int, mask: int, /) -> None:
        key = self._key(fd)
        fail_if(key in self._entries, errno.EEXIST)
        self._watch(key, mask)

    def modify(self, fd: int, mask: int, /) -> None:
        self._watch(self._entry(fd), mask)

    def unregister(self, fd: int, /) -> None:
        key = self._entry(fd)
        del self._entries[key]
        self._touched.pop(key, None)

    def _watch(self, key: tuple[int, File | None], mask: int) -> None:
        self._entries[key] = mask
        if key[1] is not None:
            self._touched[key] = None

    def _entry(self, fd: int) -> tuple[int, File | None]:
        key = self._key(fd)
        fail_if(key not in self._entries, errno.ENOENT)
        return key

    def _key(self, fd: int) -> tuple[int, File | None]:
        key, loop = (fd, self.world.files.get(fd)), self.world.loop
        if key[1] is None:
            fail_if(is_simulated_fd(fd), errno.EBADF)
            if loop is not None and fd != loop._wakeup.fileno() and key not in self._entries:
                raise EscapedError(
                    f"descriptor {fd} is a real one, and this loop has a simulated kernel: it cannot wait "
                    "for it. Make the socket while the simulation runs, or run this test on loopkit.Loop"
                )
        return key

    # -- what files tell us ----------------------------------------------------------------------------------

    def touch(self, file: File) -> None:
        """*file* may be ready for something."""
        for fd in file.numbers:
            key = fd, file
            if key in self._entries:
                self._touched[key] = None

    def gone(self, file: File) -> None:
        """The last descriptor of *file* is closed."""
        for key in [key for key in self._entries if key[1] is file]:
            del self._entries[key]
            self._touched.pop(key, None)

    def knows(self, fd: int, file: File) -> bool:
        """Whether *fd* is watched for *file*."""
        return (fd, file) in self._entries

    # -- waiting ---------------------------------------------------------------------------------------------

    def poll(self, timeout: float | None, /) -> list[tuple[int, int]]:
        world = self.world
        clock = world.clock
        if world.events and world.events[0][0] <= clock.now:
            world.deliver()
        loop = world.loop
        found = self._found() if self._touched or loop._wakeup.pending else []
        progress = clock.jumps + world.arrivals
        if progress != self._progress:
            self._progress, self._idle_polls = progress, 0
        elif self._idle_polls >= PATIENCE:
            self._idle_polls = 0
            raise Livelock(world.tell_livelock())
        self._idle_polls += 1
        if found or timeout == 0 or loop._ready:
            return found
        return self._wait(inf if timeout is None else clock.now + timeout)

    def _wait(self, end: float) -> list[tuple[int, int]]:
        """Nothing is ready: let time pass until something is, or until *end*."""
        world, loop = self.world, self.world.loop
        if world.held:
            return []  # somebody could run, but was put off
        while True:
            if world.threads is None or not world.threads.wait():
                coming = world.next_event()
                if coming >= end:
                    if world.wake_settlers():
                        return []
                    if end == inf:
                        raise Deadlock(waits.deadlock(loop))
                    world.clock.advance(end - world.clock.now)
                    return []
                world.clock.go_to(coming)
                world.deliver()
            found = self._found()
            if found or loop._ready:
                return found

    def _found(self) -> list[tuple[int, int]]:
        found: list[tuple[int, int]] = []
        quiet: list[Any] = []
        for key in self._touched:
            fd, file = key
            mask = file.readiness() & (self._entries[key] | ALWAYS)
            if not mask:
                quiet.append(key)
            elif not file.host.stalled:
                found.append((fd, mask))
        for key in quiet:
            del self._touched[key]
        if len(found) > 1:
            found = self.world.choices.some_of(found)
        wakeup = self.world.loop._wakeup
        if wakeup.pending:
            found.append((wakeup.fileno(), POLLIN))
        return found

    def close(self) -> None:
        self._entries.clear()
        self._touched.clear()
        if self in self.world.pollers:
            self.world.pollers.remove(self)
