"""Capturing: an observer that keeps the last turns of a loop in a ring, to be made a recording of.

It runs within the turns, so it only stores. What is stored keeps nothing of the program's alive: names and
places, never tasks, handles or transports. The words, and the lines of source, are looked up when somebody
wants to read.
"""

from __future__ import annotations

import time
import weakref
from collections import deque
from typing import TYPE_CHECKING, Any

from .descriptors import owner_words
from .recording import Call, Note, Poll, Recording, Track, Turn, about
from .stacks import Place, cut, own_place, places, tasks_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..loop import Loop
    from . import observing
    from .stalls import Stall


class Capture:
    """The last turns of one loop."""

    def __init__(
        self, loop: Loop, turns: int, name: str = "loop", clock: Callable[[], float] = time.monotonic
    ) -> None:
        # Weakly: a loop that nobody closed shall be collected, and complain.
        self._loop = weakref.ref(loop)
        self.poller = str(loop.poller_name)
        self.name = name
        self.clock = clock
        self.turns: deque[tuple[float, int, int, int, list[Any]]] = deque(maxlen=turns or None)
        self.seen = 0
        self.steps: list[Any] = []  # of the turn in progress
        self.asked: tuple[float, float | None] = (0.0, None)
        self.open: list[int] = []  # places of callbacks that have begun and not ended
        self.stood: dict[int, Place] = {}  # where tasks stood when `ends` was called
        self.owners: dict[int, tuple[tuple[int, int], str]] = {}  # whose a descriptor was last, in words

    # -- as an observer --------------------------------------------------------------------------------------

    def turn_begins(self) -> None:
        loop = self._loop()
        if loop is None:
            return
        self.steps = []
        self.open.clear()
        self.seen += 1
        # Cancelled timers stay in the heap for a while.
        timers = max(len(loop._timers.heap) - loop._timers.cancelled, 0)
        watched = len(loop._watches.entries)
        self.turns.append((self.clock(), len(loop._ready), timers, watched, self.steps))

    def poll_begins(self, timeout: float | None) -> None:
        self.asked = self.clock(), timeout

    def poll_ends(self, events: list[tuple[int, int]]) -> None:
        start, timeout = self.asked
        found = tuple((fd, mask, self._owner(fd)) for fd, mask in events)
        self.steps.append(("p", start, self.clock() - start, timeout, found))

    def _owner(self, fd: int) -> str:
        loop = self._loop()
        entry = None if loop is None else loop._watches.entries.get(fd)
        if loop is None or entry is None:
            return "nobody"
        # Of a transport it is told when it comes and goes; of what a program has in its own hands, not.
        watchers = (0, 0)
        if entry.owner is None:
            watchers = (id(entry.guest), 0) if entry.guest else (id(entry.reader), id(entry.writer))
        known, words = self.owners.get(fd, (None, ""))
        if known != watchers:
            words = owner_words(loop, fd)
            if "..." not in words:  # else: it does not know its protocol yet
                self.owners[fd] = watchers, words
        return words

    def callback_begins(self, call: observing.Call) -> None:
        self.open.append(len(self.steps))
        self.steps.append(("c", self.clock(), None, call))

    def callback_ends(self, call: observing.Call) -> None:
        if self.open:
            place = self.open.pop()
            _, start, _, _ = self.steps[place]
            self.steps[place] = ("c", start, self.clock() - start, call)

    def task_begins(self, call: observing.Call) -> None:
        self.steps.append(("b", self.clock(), (call.task, call.of)))

    def task_ends(self, call: observing.Call, cancelled: bool) -> None:
        self.steps.append(("d", self.clock(), (call.task, call.of, int(cancelled))))

    def written(self, fd: int, held: int, sent: int, queued: int) -> None:
        self.steps.append(("w", self.clock(), (fd, held, sent, queued)))

    def opened(self, fd: int, owner: Any) -> None:
        self.owners.pop(fd, None)
        self.steps.append(("o", self.clock(), (fd, self._owner(fd))))

    def closed(self, fd: int) -> None:
        self.owners.pop(fd, None)
        self.steps.append(("x", self.clock(), (fd,)))

    def collected(self, seconds: float, generation: int) -> None:
        self.steps.append(("g", self.clock() - seconds, (generation,), seconds))

    def reported(self, context: dict[str, Any]) -> None:
        exception = context.get("exception")
        text = str(context.get("message", "an error"))
        if exception is not None:
            text = f"{type(exception).__name__}: {exception} ({text})"
        self.mark("e", text)

    def mark(self, kind: str, text: str) -> None:
        """Note something that happens now: ``"e"``, an error, or ``"m"``, anything else."""
        self.steps.append((kind, self.clock(), (cut(text),)))

    def stuck(self, stall: Stall) -> None:
        """A watch has looked: where the callback is that has taken so long. In the watch's thread."""
        place = own_place(list(stall.frames))
        if place is not None:
            self.steps.append(("s", self.clock(), (place.function, place.file, place.line)))

    # -- reading ---------------------------------------------------------------------------------------------

    def track(self, zero: float) -> Track:
        """What is in the ring, with times from *zero* on. A callback in progress lasts until now."""
        found = Track(self.name, self.seen - len(self.turns), waiting=self._waiting() or self.stood)
        now = self.clock()
        for start, ready, timers, watched, steps in tuple(self.turns):
            turn = Turn(start - zero, ready, timers, watched, [])
            for step in tuple(steps):
                turn.steps.append(_read(step, zero, now))
            turn.steps.sort(key=_start)
            found.turns.append(turn)
        return found

    def ends(self) -> None:
        """Keep where the tasks stand now: soon they will be no more."""
        self.stood = self._waiting()

    def _waiting(self) -> dict[int, Place]:
        """Where the tasks stand that are still there."""
        loop = self._loop()
        audience = None if loop is None or loop._instruments is None else loop._instruments.audience
        if loop is None or audience is None:
            return {}
        found = {}
        for task in tasks_of(loop):
            number, place = audience.tasks.get(task), own_place(places(task))
            if number is not None and place is not None:
                found[number] = place
        return found

    def begins(self) -> float:
        """When the oldest turn in the ring began; now, if there is none."""
        return self.turns[0][0] if self.turns else self.clock()


def _start(step: Poll | Call | Note) -> float:
    return step.start


def _read(step: tuple[Any, ...], zero: float, now: float) -> Poll | Call | Note:
    kind, start = step[0], step[1]
    if kind == "p":
        return Poll(start - zero, step[2], step[3], step[4])
    if kind == "c":
        call: observing.Call = step[3]
        took = now - start if step[2] is None else step[2]
        origin = call.origin
        scheduled = start if origin is None else origin.at
        return Call(
            start=start - zero,
            took=took,
            number=call.number,
            name=call.name,
            place=call.place,
            task=call.task or "",
            why=call.why,
            fd=call.fd,
            mask=call.mask,
            late=max(call.began - call.due, 0.0) if call.why == "timer" else 0.0,
            by=0 if origin is None else origin.by,
            origin=None if origin is None else origin.place,
            scheduled=scheduled - zero,
            future=call.future or "",
            thread="" if origin is None else origin.thread or "",
            of=call.of,
        )
    return Note(start - zero, step[3] if kind == "g" else 0.0, kind, step[2])


def recording_of(captures: list[Capture], **more: Any) -> Recording:
    """All of them, with the lines of source that belong to them."""
    zero = min((capture.begins() for capture in captures), default=0.0)
    pollers = sorted({capture.poller for capture in captures})
    found = Recording([capture.track(zero) for capture in captures], about(poller=", ".join(pollers), **more))
    found.add_source()
    return found
