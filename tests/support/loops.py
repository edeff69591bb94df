"""The event loops that tests run on, by the name that stands in a test's id."""

import asyncio
import os
from collections.abc import Callable

import uvloop

import loopkit

# libuv opens its process-wide signal pipe with the first loop and keeps it: not a leak of the first test.
uvloop.new_event_loop().close()

LoopFactory = Callable[[], asyncio.AbstractEventLoop]

OURS: dict[str, LoopFactory] = {
    "epoll": loopkit.EpollLoop,
    "poll": loopkit.PollLoop,
    "select": loopkit.SelectLoop,
    "busy": loopkit.BusyLoop,
}
THEIRS: dict[str, LoopFactory] = {
    "asyncio": asyncio.SelectorEventLoop,
    "uvloop": uvloop.new_event_loop,
}


def factories(parity: bool) -> dict[str, LoopFactory]:
    """Name -> factory of the loops for one test: loopkit's own, and for parity the two it is measured by.

    `LOOPKIT_POLLER` in the environment leaves that one loopkit loop only.
    """
    forced = os.environ.get("LOOPKIT_POLLER")
    ours = {forced: OURS[forced]} if forced else OURS
    return {**THEIRS, **ours} if parity else dict(ours)


def name_of(factory: LoopFactory) -> str:
    """The name of a factory that `factories` gave."""
    return next(name for name, known in {**THEIRS, **OURS}.items() if known is factory)
