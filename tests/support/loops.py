"""The event loops that tests run on, by the name that stands in a test's id."""

import asyncio
import contextlib
import os
from collections.abc import Callable

try:
    import uvloop
except ImportError:  # on PyPy, and on a Python that is too new
    uvloop = None
else:
    # libuv opens its process-wide signal pipe with the first loop and keeps it: not a leak of the first test.
    uvloop.new_event_loop().close()

import loopkit
from loopkit.testing import SimLoop, World, outside

LoopFactory = Callable[[], asyncio.AbstractEventLoop]

OURS: dict[str, LoopFactory] = {
    "epoll": loopkit.EpollLoop,
    "poll": loopkit.PollLoop,
    "select": loopkit.SelectLoop,
    "busy": loopkit.BusyLoop,
}
THEIRS: dict[str, LoopFactory] = {"asyncio": asyncio.SelectorEventLoop}
if uvloop is not None:
    THEIRS["uvloop"] = uvloop.new_event_loop


class Ambient(SimLoop):
    """A simulated loop whose world is there from the moment it is made, and not only while it runs."""

    def __init__(self, stays: bool = False) -> None:
        """With *stays* the world is there until `leave`, else until the loop is closed."""
        super().__init__(World(threads="real"))
        self.stays = stays
        self.ambience = contextlib.ExitStack()
        self.ambience.enter_context(outside.running(self))

    def close(self) -> None:
        super().close()
        if not self.stays:
            self.leave()

    def leave(self) -> None:
        self.world.threads.end()
        self.ambience.close()


#: A loop that was made before its test asked for one: its fixtures' sockets are of its world.
EARLY: list[Ambient] = []


def simulated() -> asyncio.AbstractEventLoop:
    """The loop that was made for this test, or another one."""
    return EARLY.pop() if EARLY else Ambient()


SIMULATED: dict[str, LoopFactory] = {"simulated": simulated}


def factories(parity: bool) -> dict[str, LoopFactory]:
    """Name -> factory of the loops for one test: loopkit's own, and for parity the two it is measured by.

    `LOOPKIT_POLLER` in the environment leaves that one loopkit loop only.
    """
    forced = os.environ.get("LOOPKIT_POLLER")
    ours = {forced: OURS[forced]} if forced else OURS
    return {**THEIRS, **ours} if parity else dict(ours)


def name_of(factory: LoopFactory) -> str:
    """The name of a factory that `factories` gave."""
    return next(name for name, known in {**THEIRS, **OURS, **SIMULATED}.items() if known is factory)
