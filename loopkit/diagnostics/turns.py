"""The observed turn: the same four blocks as `Loop._turns`, in steps that can be watched. For debug mode.

Rule: whatever order callbacks have here they have there. A test runs the same programs under both.

Each call goes through `Handle._run`, which tools replace in order to time callbacks, and is timed itself: one
that takes longer than `slow_callback_duration` seconds is logged, with what it was.
"""

from __future__ import annotations

import asyncio
from asyncio.log import logger
from select import POLLIN
from typing import TYPE_CHECKING

from .. import loop as plain

if TYPE_CHECKING:
    from ..loop import Loop


def observed_turns(loop: Loop) -> None:
    """Turn after turn, until one of them is the last."""
    while True:
        _run(loop)
        _dispatch(loop, _poll(loop))
        _fire_timers(loop)
        if loop._leave:
            return


def _run(loop: Loop) -> None:
    ready, heap = loop._ready, loop._timers.heap
    for rounds in range(plain.ROUNDS + 1):
        for _ in range(len(ready)):
            handle = ready.popleft()
            if not handle.cancelled():
                call(loop, handle)
        if not ready or loop._leave:
            return
        now = loop.time()
        if not rounds:
            enough = now + plain.ROUNDS_SECONDS
        elif now >= enough:
            return
        if heap and heap[0][0] <= now:
            return


def _poll(loop: Loop) -> list[tuple[int, int]]:
    timeout: float | None = 0
    if not (loop._ready or loop._timers.due or loop._leave):
        due = loop._timers.next()
        timeout = None if due is None else min(max(due - loop.time(), 0), plain.LONGEST_POLL)
    loop._idle = True
    try:
        return loop._watches.poll(timeout)
    finally:
        loop._idle = False


def _dispatch(loop: Loop, events: list[tuple[int, int]]) -> None:
    tables = loop._watches
    tables.stale.clear()
    for fd, mask in events:
        if fd in tables.stale:
            continue
        if mask & plain.NOT_OUT:
            if (handle := tables.readers.get(fd)) is not None:
                call(loop, handle)
            elif mask & POLLIN or fd not in tables.writers:
                tables.unwanted(fd)
        if mask & plain.NOT_IN and (handle := tables.writers.get(fd)) is not None:
            call(loop, handle)


def _fire_timers(loop: Loop) -> None:
    timers = loop._timers
    timers.collect(loop.time() + plain.CLOCK_RESOLUTION)
    while timers.due:
        handle = timers.due.popleft()
        if not handle.cancelled():
            call(loop, handle)


def call(loop: Loop, handle: asyncio.Handle) -> None:
    """Make the call, and say so if it was slow."""
    loop._current_handle = handle
    start = loop.time()
    try:
        handle._run()
        took = loop.time() - start
        if loop._debug and took >= loop.slow_callback_duration:
            logger.warning("Executing %s took %.3f seconds", describe(handle), took)
    finally:
        loop._current_handle = None
        if loop._unsent:
            loop._flush()


def describe(handle: asyncio.Handle) -> str:
    """The task that a handle steps, or the handle itself."""
    owner = getattr(handle._callback, "__self__", None)  # type: ignore[attr-defined]
    return repr(owner) if isinstance(owner, asyncio.Task) else str(handle)
