"""The turn of a simulated run: the same four blocks, and a question wherever a real run might go otherwise.

Where every answer is 0 the order of callbacks is that of the plain turn; a test runs the same programs under
both. What is permuted, and what never is, is said in `choices.py`: callbacks that are no steps of a task keep
their order at every level, and so do the done-callbacks of a future and timers with different deadlines.

A host that stands still, or is down, has its callbacks kept from it here (`World.keeps`).
"""

from __future__ import annotations

import asyncio
from asyncio.futures import _set_result_unless_cancelled as end_of_sleep  # type: ignore[attr-defined]
from typing import TYPE_CHECKING, Any

from .. import errors
from ..diagnostics import turns
from ..timers import push
from . import waits
from .choices import NEVER
from .clock import RESOLUTION, seconds
from .errors import Livelock
from .world import LATEST

if TYPE_CHECKING:
    from collections.abc import Callable

    from .loop import SimLoop


def simulated_turns(loop: SimLoop, call: Callable[..., None]) -> None:
    """Turn after turn, until one of them is the last, with *call* for the calling of handles."""
    due = loop._timers.due
    while True:
        turns.tell(loop, "turn_begins")
        events = _poll(loop)
        _run(loop, call)
        for event in events:
            turns._dispatch(loop, [event])
            _after(loop)
        events = []
        if due:
            _fire_timers(loop, call)
        if loop._leave:
            return


def _poll(loop: SimLoop) -> list[tuple[int, int]]:
    world = loop.world
    if world.held and not loop._ready and not loop._timers.due and not loop._leave:
        # Idle, but for the steps that were put off until now. Events that come again and again wake nobody
        # else: whoever would end them may be who was put off.
        events = loop._watches.poll(0)
        if not loop._ready and (not events or world.was_idle):
            world.release_held()
        world.was_idle = bool(events)
        if events:
            return events
    return turns._poll(loop)


def _run(loop: SimLoop, call: Callable[..., None]) -> None:
    ready, world, choices = loop._ready, loop.world, loop.world.choices
    late, order = choices.late, choices.order
    asked = choices.asked is not None
    is_ordered = asked or order.next != NEVER
    for _ in range(len(ready)):
        handle: Any = ready.popleft()
        callback = handle._callback
        if callback is None:
            continue
        if world.halted and world.keeps(handle):
            continue
        if world.released and handle in world.released:
            world.released.remove(handle)
        elif is_ordered and (ready or world.has_deadline()):
            owner = getattr(callback, "__self__", None)
            if isinstance(owner, asyncio.Task):
                order.index += 1
                if (asked or order.index == order.next) and _put_off(loop, handle, owner):
                    continue
        call(loop, handle)
        world.steps += 1
        world.last = callback
        if world.checks or world.trace is not None:
            world.after_step(handle, callback)
        late.index += 1
        if asked or late.index == late.next:
            _dawdle(loop)
    if world.steps > world.step_limit:
        raise Livelock(world.tell_livelock(f"more than {world.step_limit:,} steps"))


def plain_call(loop: SimLoop, handle: Any, why: str = "soon") -> None:
    try:
        handle._context.run(handle._callback, *handle._args)
    except (SystemExit, KeyboardInterrupt):
        raise
    except BaseException as exc:
        errors.callback_failed(loop, handle, exc)
    if loop._unsent:
        loop._flush()


def _after(loop: SimLoop) -> None:
    """What follows every callback that is not from the queue."""
    world, late = loop.world, loop.world.choices.late
    world.steps += 1
    world.last = None
    if world.checks or world.trace is not None:
        world.after_step(None, None)
    late.index += 1
    if world.choices.asked is not None or late.index == late.next:
        _dawdle(loop)


def _put_off(loop: SimLoop, handle: Any, task: Any) -> bool:
    """Whether the step of *task* is put off: behind what is ready, until idle, until after a deadline."""
    world = loop.world
    limit = 3 if world.deadlines(1, LATEST) else 2
    lane = getattr(task, "number", 0)
    value = world.choices.answer("order", limit if loop._ready or limit == 3 else 0, lane)
    if not value:
        return False
    if not loop._ready and value < 3:
        value = 3
    name = waits.name_of(task)
    if value == 1:
        loop._ready.append(handle)
        world.choices.say(f"{name} ran behind what else was ready")
    else:
        until = "nothing else was ready" if value == 2 else "the next deadline had passed, too"
        world.held.append((handle, value))
        world.choices.say(f"{name} was kept waiting until {until}")
    return True


def _dawdle(loop: SimLoop) -> None:
    """The callback that has just returned took its time: until after a deadline, or none at all."""
    world = loop.world
    coming = world.deadlines(3, LATEST)
    value = world.choices.answer("late", len(coming))
    if value:
        took = coming[value - 1] - world.clock.now
        world.choices.say(f"{world.last_step()} took {seconds(took)}: a deadline passed meanwhile")
        world.clock.go_to(coming[value - 1])


def _fire_timers(loop: SimLoop, call: Callable[..., None]) -> None:
    due, world, choices = loop._timers.due, loop.world, loop.world.choices
    sleep = choices.sleep
    while due:
        timer: Any = due.popleft()
        callback = timer._callback
        if callback is None:
            continue
        if world.halted and world.keeps(timer):
            continue
        if callback is end_of_sleep:
            sleep.index += 1
            if (choices.asked is not None or sleep.index == sleep.next) and _sleep_on(loop, timer):
                continue
        call(loop, timer, "timer")
        if callback is not end_of_sleep:
            _after(loop)


def _sleep_on(loop: SimLoop, timer: Any) -> bool:
    """Whether the sleep that is over lasts a little longer: until just after another deadline."""
    world, timers = loop.world, loop._timers
    now = world.clock.now
    coming = [now] if timers.due else []
    coming += world.deadlines(3 - len(coming))
    value = world.choices.answer("sleep", len(coming))
    if not value:
        return False
    end = coming[value - 1]
    when = end + RESOLUTION if end + RESOLUTION > end else end * (1 + 1e-15)
    name = waits.waiter_of(loop, timer._args[0])
    world.choices.say(f"a sleep of {name} took {seconds(when - timer._when)} longer")
    timer._when = when
    timers.seq += 1
    push(timers.heap, (when, timers.seq, timer))
    return True
