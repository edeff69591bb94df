"""Tasks that leak: begun and begun, and neither ended nor run again. Found in a recording, for `lint.py`.

Many tasks that wait are no leak by themselves. A server has one for each idle connection, a pool has its
workers, a crawl has thousands before its semaphore, a cache has one for each entry that will be too old in a
minute. What tells them from those that wait for what never comes:

    a connection      is there still, and the task was begun by what came from it; so of each connection a few
                      tasks are believed, and no more descriptors than there came to be watched
    a pool            was begun at once; a leak goes on
    a semaphore       lets the oldest go: who has waited as long as others had when they went on is believed
    a timer           is in the heap; so as many tasks as there are timers are believed
    the end           cancels all: what is called then, by nobody in the loop, says where they stood, no more

And what has lasted a few seconds says nothing.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from .recording import Call, Note, Track

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .stacks import Place

#: So many tasks are no chance.
MANY = 50

#: How long they wait, at least: seconds, and as a part of the recording.
LONG, PART = 5.0, 1 / 4

#: So many tasks for each connection are believed to belong to it.
EACH = 4


@dataclass
class Leak:
    """Tasks of one coroutine function that were begun in the same place."""

    name: str
    count: int
    #: Seconds for which each of them has been waiting, at least.
    waited: float
    #: Where they were begun, and where most of them stand.
    origin: Place | None
    place: Place | None
    #: The last step of the first of them.
    last: Call


class _Cause(NamedTuple):
    """What came in from outside, and led to a callback: an event, or descriptors that were opened."""

    number: int
    #: Of an event; each descriptor with how often its number had been opened before.
    descriptors: tuple[tuple[int, int], ...]
    is_event: bool


class _Life:
    """One task."""

    def __init__(self, first: Call, cause: _Cause | None) -> None:
        self.first, self.last, self.cause = first, first, cause
        self.ended = False
        self.place: Place | None = None

    @property
    def waits_since(self) -> float:
        return self.last.start + self.last.took


_Kind = tuple[str, "Place | None", "Place | None"]


def leaks(track: Track) -> Iterator[Leak]:
    """The leaks of a loop, the greatest first."""
    if not track.turns:
        return
    seen = _Seen(track)
    end = seen.end
    length = end - track.turns[0].start
    kinds: dict[_Kind, list[_Life]] = defaultdict(list)
    for life in seen.lives.values():
        kinds[life.first.name, life.first.place, life.first.origin].append(life)
    found = []
    for kind, lives in kinds.items():
        long = max(LONG, length * PART, 2 * seen.longest_wait[kind])
        idle = [life for life in lives if not life.ended and end - life.waits_since >= long]
        guilty = len(idle) - seen.believed(idle) - seen.timers
        if guilty >= MANY and _grows(idle, lives, end - long):
            stand = Counter(place for life in idle if (place := life.place) is not None)
            place = stand.most_common(1)[0][0] if stand else kind[2]
            waited = min(end - life.waits_since for life in idle)
            found.append(Leak(kind[0], len(idle), waited, kind[2], place, idle[0].last))
    yield from sorted(found, key=lambda leak: -leak.count)


def _first_of_the_end(track: Track) -> Call | None:
    """The step with which the program's end begins: after it no callback of the loop begins a task, and it is
    called by nobody in the loop, as are those that `asyncio.run` cancels. None if there is none."""
    last_begun = 0
    current: Call | None = None
    outside: list[Call] = []
    begun: set[int] = set()
    for step in track.steps():
        if isinstance(step, Call):
            current = step
            if step.of and step.why == "soon" and not step.by and not step.thread:
                outside.append(step)
        elif isinstance(step, Note) and step.kind == "b" and current is not None:
            begun.add(current.number)
            if current.by:
                last_begun = current.number
    return next((call for call in outside if call.number > last_begun and call.number not in begun), None)


def _grows(idle: list[_Life], lives: Iterable[_Life], until: float) -> bool:
    """Whether they came one after the other all the time, and others go on coming."""
    times = sorted(life.first.start for life in idle)
    quarter = (until - times[0]) / 4
    each: Counter[int] = (
        Counter(min(int((time - times[0]) / quarter), 3) for time in times) if quarter else Counter()
    )
    few = MANY // 5
    return all(each[n] >= few for n in range(4)) and sum(life.first.start > until for life in lives) >= few


class _Seen:
    """What a recording says of its tasks, up to the program's end."""

    def __init__(self, track: Track) -> None:
        last = _first_of_the_end(track)
        turn = track.turns[-1]
        self.end = max([turn.start, *(step.start + step.took for step in turn.steps)])
        if last is not None:
            self.end = last.start
        self.lives: dict[int, _Life] = {}
        self.longest_wait: dict[_Kind, float] = defaultdict(float)
        self.causes: dict[int, _Cause] = {}
        #: How often a number was opened; and which of these were closed.
        self.opened: Counter[int] = Counter()
        self.closed: set[tuple[int, int]] = set()
        before = [turn for turn in track.turns if turn.start <= self.end]
        self.timers = before[-1].timers
        #: Of descriptors of the program's own nobody says that they are opened; but more are watched.
        self.more_watched = max(before[-1].watched - before[0].watched, 0)
        current: Call | None = None
        is_over = False
        for step in track.steps():
            is_over = is_over or step is last
            if is_over:
                self._after_the_end(step)
            elif isinstance(step, Call):
                current = step
                self._called(step)
            elif isinstance(step, Note):
                self._noted(step, current)
        for of, place in track.waiting.items():
            if of in self.lives and self.lives[of].place is None:
                self.lives[of].place = place

    def _called(self, call: Call) -> None:
        if call.why == "event":
            descriptor = call.fd, self.opened[call.fd]
            self.causes[call.number] = _Cause(call.number, (descriptor,), True)
        elif call.by in self.causes:
            self.causes[call.number] = self.causes[call.by]
        life = self.lives.get(call.of)
        if call.of and life is not None and not life.ended:
            kind = life.first.name, life.first.place, life.first.origin
            self.longest_wait[kind] = max(self.longest_wait[kind], call.start - life.waits_since)
            life.last = call

    def _noted(self, note: Note, current: Call | None) -> None:
        if note.kind == "b" and current is not None:
            self.lives[note.facts[1]] = _Life(current, self.causes.get(current.number))
        elif note.kind == "d" and note.facts[1] in self.lives:
            self.lives[note.facts[1]].ended = True
        elif note.kind == "x":
            self.closed.add((note.facts[0], self.opened[note.facts[0]]))
        elif note.kind == "o":
            fd = note.facts[0]
            self.opened[fd] += 1
            if current is not None and note.start <= current.start + current.took:
                known = self.causes.get(current.number)
                more = known.descriptors if known is not None and not known.is_event else ()
                opened = *more, (fd, self.opened[fd])
                self.causes[current.number] = _Cause(current.number, opened, False)

    def _after_the_end(self, step: object) -> None:
        if isinstance(step, Call) and step.of in self.lives and self.lives[step.of].place is None:
            self.lives[step.of].place = step.place

    def believed(self, idle: list[_Life]) -> int:
        """How many of these tasks belong to a connection that is there."""
        of_cause = Counter(life.cause for life in idle if life.cause is not None)
        of_descriptor: Counter[tuple[int, int]] = Counter()
        found = 0
        for cause, count in of_cause.items():
            there = [descriptor for descriptor in cause.descriptors if descriptor not in self.closed]
            count = min(count, EACH * len(there))
            if cause.is_event:
                of_descriptor[cause.descriptors[0]] += count
            else:
                found += count
        return found + sum(min(count, max(EACH, self.more_watched)) for count in of_descriptor.values())
