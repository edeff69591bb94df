"""The observed turn: the same four blocks as `Loop._turns`, in steps that can be watched. For debug mode.

Rule: whatever order callbacks have here they have there. A test runs the same programs under both.

Each call goes through `Handle._run`, which tools replace in order to time callbacks, and is timed itself: one
that takes longer than `slow_callback_duration` seconds is logged, with what it was. Who observes the loop
(`observing.py`) is told of each step.
"""

from __future__ import annotations

import asyncio
from asyncio.log import logger
from typing import TYPE_CHECKING

from .. import loop as plain
from ..handles import handle_of
from ..pollers.masks import POLLIN, POLLNVAL, POLLOUT

if TYPE_CHECKING:
    from ..loop import Loop

#: What is for a reader, and what for a writer: errors and hang-ups are for both.
NOT_OUT, NOT_IN = ~POLLOUT, ~POLLIN


def observed_turns(loop: Loop) -> None:
    """Turn after turn, until one of them is the last."""
    patience = Patience(loop)
    while True:
        tell(loop, "turn_begins")
        skipped = patience.skips_poll()
        events = [] if skipped else _poll(loop)
        _run(loop)
        if skipped and loop._leave:
            events = _ask(loop, 0)
        _dispatch(loop, events)
        _fire_timers(loop)
        if loop._leave:
            return
        events = []  # nothing is kept alive while we sleep


class Patience:
    """How many turns in a row may do without a poll, and for how long."""

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self.unpolled, self.enough = plain.ROUNDS, 0.0

    def skips_poll(self) -> bool:
        """Whether the next turn may: it goes on with what the last one made ready, and no timer is due."""
        loop, heap, tables = self.loop, self.loop._timers.heap, self.loop._watches
        if loop._ready and self.unpolled < plain.ROUNDS and tables.newest != tables.polls and not loop._leave:
            now = loop.time()
            if not self.unpolled:
                self.enough = now + plain.ROUNDS_SECONDS
            if now < self.enough and not (heap and heap[0][0] <= now):
                self.unpolled += 1
                return True
        self.unpolled = 0
        return False


def _poll(loop: Loop) -> list[tuple[int, int]]:
    timers, tables = loop._timers, loop._watches
    timeout: float | None = 0
    if not (loop._ready or loop._leave):
        timeout = timers.patience(loop.time())
    tables.polls += 1
    loop._idle = True
    try:
        events = _ask(loop, timeout)
    finally:
        loop._idle = False
    if tables.polls >= tables.audit_at:
        tables.audit(events)
    now = loop.time() + plain.CLOCK_RESOLUTION
    if timers.heap and timers.heap[0][0] < now:
        timers.collect(now)
    return events


def _ask(loop: Loop, timeout: float | None) -> list[tuple[int, int]]:
    tell(loop, "poll_begins", timeout)
    events = loop._watches.poll(timeout)
    tell(loop, "poll_ends", events)
    return events


def _run(loop: Loop) -> None:
    ready = loop._ready
    if loop._timers.due and ready:
        loop._last_ready = ready[-1]
    for _ in range(len(ready)):
        call(loop, ready.popleft())


def _dispatch(loop: Loop, events: list[tuple[int, int]]) -> None:
    tables = loop._watches
    polls = tables.polls
    for fd, mask in events:
        entry = tables.entries.get(fd)
        if entry is None or mask & POLLNVAL:
            tables.unwanted(fd, mask)
            continue
        if mask & NOT_OUT:
            if entry.reader is None:
                tables.unwanted(fd, mask)
            elif entry.read_since != polls:
                call(loop, handle_of(loop, entry.reader), "event", fd, mask & NOT_OUT)
        if mask & NOT_IN:
            if entry.writer is None:
                tables.unwanted(fd, mask)
            elif entry.write_since != polls:
                call(loop, handle_of(loop, entry.writer), "event", fd, mask & NOT_IN)


def _fire_timers(loop: Loop) -> None:
    due = loop._timers.due
    while due:
        call(loop, due.popleft(), "timer")
    loop._last_ready = None


def tell(loop: Loop, event: str, *args: object) -> None:
    """Tell who observes the loop."""
    audience = None if loop._instruments is None else loop._instruments.audience
    if audience is not None:
        audience.tell(event, *args)


def call(loop: Loop, handle: asyncio.Handle, why: str = "soon", fd: int = -1, mask: int = 0) -> None:
    """Make the call, unless it was cancelled, and say so if it was slow.

    A failed task's traceback leads to the frames of this file, and a handle to its task: none of them may
    keep one in a variable, or the task would live on until the garbage collector comes.
    """
    if handle.cancelled():
        return
    loop._current_handle = handle
    audience = None if loop._instruments is None else loop._instruments.audience
    observed = None if audience is None else audience.begins(handle, why, fd, mask)
    start = loop.time()
    try:
        handle._run()
        took = loop.time() - start
        if loop._debug and took >= loop.slow_callback_duration:
            logger.warning("Executing %s took %.3f seconds", describe(handle), took)
    finally:
        loop._current_handle = None
        del handle
        if loop._unsent:
            loop._flush()
        if audience is not None and observed is not None:
            audience.ends(observed)


def describe(handle: asyncio.Handle) -> str:
    """The task that a handle steps, or the handle itself."""
    owner = getattr(handle._callback, "__self__", None)  # type: ignore[attr-defined]
    return repr(owner) if isinstance(owner, asyncio.Task) else str(handle)
