"""What happened in a run, step by step: for reports, and to compare two runs to the bit."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, NamedTuple

from . import waits

if TYPE_CHECKING:
    from .world import World


class Event(NamedTuple):
    """Something that happened: a step of a task, a callback, a packet."""

    when: float
    host: str
    #: "step" of a task, "call" of a callback, "inner" (asyncio's or ours), "packet", "fault"; "otherwise":
    #: what deviates from asyncio's own schedule.
    kind: str
    text: str
    #: file:line of the program's own code, where there is one.
    place: str


class Trace:
    """The events of one run, in order."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def begins(self, world: World) -> None:
        """A run in *world* is about to begin."""
        world.choices.told = lambda text: self.add(world, "otherwise", text)

    def ends(self) -> None:
        """The program has ended; what follows is clearing up."""

    def step(self, world: World, handle: Any, callback: Any) -> None:
        """A callback has returned."""
        if callback is None:
            self.add(world, "inner", "a descriptor's callback")
            return
        owner: Any = getattr(callback, "__self__", None)
        if hasattr(owner, "get_coro"):
            where = ending_of(owner) if owner.done() else waits.full_place(owner)
            kind = "inner" if waits.is_ours(owner.get_coro()) else "step"
            self.add(world, kind, waits.name_of(owner), where, world.host_of(handle))
        else:
            kind = "inner" if waits.is_ours(callback) else "call"
            self.add(world, kind, waits.callback_name(callback), "", world.host_of(handle))

    def add(self, world: World, kind: str, text: str, place: str = "", host: str = "") -> None:
        self.events.append(Event(world.clock.now, host, kind, text, place))

    def digest(self) -> str:
        """The same for two runs in which the same happened at the same moments, in any process."""
        total = hashlib.sha256()
        for event in self.events:
            total.update(repr(event).encode())
        return total.hexdigest()


def ending_of(task: Any) -> str:
    """How *task* has ended. What it returned is told if it says the same in every process."""
    if task.cancelled():
        return "cancelled"
    error = task._exception  # looked at, and still not retrieved by anybody
    if error is not None:
        return f"failed: {type(error).__name__}"
    result = task._result
    return f"done: {result!r:.40}" if type(result) in (bool, int, str, bytes) else "done"
