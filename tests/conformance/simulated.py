"""The clock that CPython's task tests drive, on top of a real loop.

`test.test_asyncio.utils.TestLoop` is a loop without I/O whose time stands still: whenever timers were
added, the test's generator is told when each is due and answers how far to move the clock. That lets a test
of `asyncio.sleep(10)` take no time and know all deadlines. Here the same bargain is struck with a loop that
somebody else wrote: its `time`, `call_later` and `call_at` are replaced on the instance, everything else
(the ready queue, tasks, stopping, closing) stays the loop's own.
"""

import asyncio
from collections.abc import Awaitable, Callable, Generator
from contextvars import Context
from operator import itemgetter
from typing import Any

RESOLUTION = 1e-9  # deadlines closer than this are equal, as in CPython's TestLoop

Script = Callable[[], Generator[float, float, None]]


class SimulatedClock:
    """Drives the timers of one loop by the test's generator."""

    def __init__(self, loop: asyncio.AbstractEventLoop, script: Script) -> None:
        self.loop = loop
        self.now = 0.0
        self.announced: list[float] = []  # deadlines that the script has not been told of
        self.timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self.count = 0
        self.ticking = False
        self.script = script()
        next(self.script)
        # What a timer handle asks of its loop:
        self.get_debug = loop.get_debug
        self.call_exception_handler = loop.call_exception_handler
        self.close_loop = loop.close
        self.run_loop = loop.run_until_complete
        for name in ("time", "call_later", "call_at", "run_until_complete", "close", "advance_time"):
            setattr(loop, name, getattr(self, name))

    def time(self) -> float:
        return self.now

    def advance_time(self, seconds: float) -> None:
        self.now += seconds or 0

    def call_later(
        self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return self.call_at(self.now + delay, callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        self.count += 1
        self.timers.append((when, self.count, handle))
        self.announced.append(when)
        if not self.ticking:
            self.ticking = True
            self.loop.call_soon(self.tick)
        return handle

    def tick(self) -> None:
        """Once per turn while timers are waiting: move the clock, queue what is due."""
        self.announce()
        self.timers.sort(key=itemgetter(0, 1))
        while self.timers and self.timers[0][0] <= self.now + RESOLUTION:
            self.loop.call_soon(self.fire, self.timers.pop(0)[2])
        self.timers = [timer for timer in self.timers if not timer[2].cancelled()]
        self.ticking = bool(self.timers)
        if self.ticking:
            self.loop.call_soon(self.tick)

    def run_until_complete(self, future: Awaitable[Any]) -> Any:
        try:
            return self.run_loop(future)
        finally:
            self.announce()  # of what the last turn scheduled: its tick comes too late

    def announce(self) -> None:
        announced, self.announced = self.announced, []
        for when in announced:
            self.advance_time(self.script.send(when))

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Called by the handle; `tick` drops what was cancelled."""

    @staticmethod
    def fire(handle: asyncio.TimerHandle) -> None:
        if not handle.cancelled():
            handle._run()

    def close(self) -> None:
        """Close the loop; the script must have been told of every timer by then."""
        self.close_loop()
        self.announce()
        try:
            self.script.send(0)
        except StopIteration:
            return
        raise AssertionError("Time generator is not finished")
