"""Faults that show in a recording: what spins, what blocks, who never speaks. Named with file and line.

Each is found from what happened, not from the source; each needs enough of it to be no chance.
"""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, NamedTuple

from ..pollers.masks import POLLOUT
from .files import shown
from .leaks import leaks
from .recording import Call, Note, Poll, Track, Turn
from .stacks import Place, is_library

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: A callback that takes longer, in seconds, blocks the others.
BLOCKS = 0.1

#: So many turns, events, wake-ups or timers in a row are no chance.
MANY = 50

#: A callback that takes longer, in seconds, may have written something. PyPy has not compiled it by then.
WRITES = 3e-5 if sys.implementation.name == "pypy" else 1e-5

#: So many connections that never speak are worth a word.
CROWD = 100


class Finding(NamedTuple):
    """One fault."""

    #: ``spins``, ``unread``, ``unwritten``, ``rearms``, ``wakes-itself``, ``leaks``, ``blocks`` or
    #: ``silent``.
    kind: str
    text: str
    #: The names and figures in the text, for a text in another language; an empty one is left out there.
    parts: tuple[str, ...]
    #: Where in the program's source; None if it has no place there.
    place: Place | None
    #: The number of a callback that shows it, or 0; and when that was, in seconds.
    number: int
    at: float

    def __str__(self) -> str:
        where = f" ({shown(self.place.file)}:{self.place.line})" if self.place is not None else ""
        return f"{self.kind}: {self.text}{where}"


def findings(track: Track) -> list[Finding]:
    """All faults of one loop, the worst kinds first."""
    found: list[Finding] = []
    for search in SEARCHES:
        found += search(track)
    return found


def _blocks(track: Track) -> Iterator[Finding]:
    worst: dict[tuple[str, Place | None], Call] = {}
    count: Counter[tuple[str, Place | None]] = Counter()
    for call in track.calls():
        if call.took >= BLOCKS:
            key = call.name, call.place
            count[key] += 1
            if key not in worst or call.took > worst[key].took:
                worst[key] = call
    seen = [step for step in track.steps() if isinstance(step, Note) and step.kind == "s"]
    found = []
    for key, call in worst.items():
        times = str(count[key]) if count[key] > 1 else ""
        # Where somebody saw it is better than where it went on.
        inside = next((note for note in seen if call.start <= note.start <= call.start + call.took), None)
        place, function = call.place, ""
        if inside is not None:
            function, file, line = inside.facts
            place = Place(file, line, function)
        text = f"{call.name} kept everybody waiting for {call.took:.3f} s"
        text += (f", {times} times" if times else "") + (f" in {function}" if function else "")
        parts = call.name, f"{call.took:.3f}", times, function
        # A library's come last, as what is imported when it is first called for.
        theirs = place is not None and is_library(place.file)
        found.append((theirs, -call.took, Finding("blocks", text, parts, place, call.number, call.start)))
    for _, _, finding in sorted(found, key=lambda item: item[:2]):
        yield finding


def _spins(track: Track) -> Iterator[Finding]:
    """Polls that may not sleep and find nothing, turn after turn."""
    row = 0
    for turn in track.turns:
        polls = [step for step in turn.steps if isinstance(step, Poll)]
        if not polls:
            continue
        idle = all(poll.timeout == 0 and not poll.events for poll in polls)
        row = row + 1 if idle and not turn.ready else 0
        if row == MANY:
            call = next((step for step in turn.steps if isinstance(step, Call)), None)
            yield Finding(
                "spins",
                f"{MANY} turns in a row asked the kernel without sleeping, and had nothing to do",
                (str(MANY),),
                call.origin or call.place if call else None,
                call.number if call else 0,
                turn.start,
            )
            return


def _unread(track: Track) -> Iterator[Finding]:
    """A descriptor that is reported in every poll, and nothing is read."""
    for fd, owner, mask, turn in _reported_again_and_again(track):
        if mask != POLLOUT and _is_unread(turn.steps, fd):
            call = next((c for c in turn.steps if isinstance(c, Call) and c.fd == fd), None)
            yield Finding(
                "unread",
                f"fd {fd} ({owner}) was reported {MANY} times in a row: nobody reads what is there",
                (str(fd), owner, str(MANY)),
                call.place if call else None,
                call.number if call else 0,
                turn.start,
            )


def _unwritten(track: Track) -> Iterator[Finding]:
    """A writer that stays though there is nothing to write: its descriptor is writable nearly always."""
    for fd, owner, mask, turn in _reported_again_and_again(track):
        writers = [call for call in track.calls() if call.fd == fd and call.mask == POLLOUT]
        if mask != POLLOUT or not writers or sorted(c.took for c in writers)[len(writers) // 2] > WRITES:
            continue
        yield Finding(
            "unwritten",
            f"fd {fd} ({owner}) was reported writable {MANY} times in a row: nothing is written, "
            "and nobody removes the writer",
            (str(fd), owner, str(MANY)),
            writers[-1].place,
            writers[-1].number,
            turn.start,
        )


def _reported_again_and_again(track: Track) -> Iterator[tuple[int, str, int, Turn]]:
    """Descriptors that no transport writes to, their owners, masks, and the turn in which it is enough."""
    rows: Counter[tuple[int, str, int]] = Counter()
    told: set[int] = set()
    writes: set[int] = set()
    for turn in track.turns:
        for step in turn.steps:
            if isinstance(step, Note) and step.kind in ("w", "x", "o"):
                writes.add(step.facts[0])
            if not isinstance(step, Poll):
                continue
            here = {(fd, owner, mask) for fd, mask, owner in step.events}
            for gone in [key for key in rows if key not in here]:
                del rows[gone]
            for key in here:
                rows[key] += 1
                if rows[key] == MANY and key[0] not in told | writes:
                    told.add(key[0])
                    yield *key, turn


def _is_unread(steps: list[Poll | Call | Note], fd: int) -> bool:
    """Whether the event came to nothing: no callback, or one that did next to nothing with it."""
    calls = [step for step in steps if isinstance(step, Call) and step.why == "event" and step.fd == fd]
    caused = {call.number for call in calls}
    return not any(isinstance(step, Call) and step.by in caused for step in steps)


def _rearms(track: Track) -> Iterator[Finding]:
    """A timer that sets itself again, due at once."""
    rows: Counter[Place] = Counter()
    numbers: dict[str, int] = {}
    for call in track.calls():
        if call.why == "timer" and call.origin is not None:
            due_at_once = call.start - call.late - call.scheduled < 1e-4
            if due_at_once and call.by and numbers.get(call.name) == call.by:
                rows[call.origin] += 1
                if rows[call.origin] == MANY:
                    text = f"{call.name} sets a timer for itself that is due at once, {MANY} times"
                    parts = call.name, str(MANY)
                    yield Finding("rearms", text, parts, call.origin, call.number, call.start)
        numbers[call.name] = call.number


def _wakes_itself(track: Track) -> Iterator[Finding]:
    """A task whose steps are scheduled by its own last step."""
    own: dict[str, int] = defaultdict(int)
    last: dict[str, int] = {}
    told: set[str] = set()
    for call in track.calls():
        if not call.task:
            continue
        itself = call.why == "soon" and call.by and last.get(call.task) == call.by and not call.future
        own[call.task] = own[call.task] + 1 if itself else 0
        if own[call.task] == MANY and call.name not in told:
            told.add(call.name)
            text = (
                f"task {call.task!r} ({call.name}) wakes itself, {MANY} times in a row: it waits for nothing"
            )
            parts = call.task, call.name, str(MANY)
            yield Finding("wakes-itself", text, parts, call.place, call.number, call.start)
        last[call.task] = call.number


def _leaks(track: Track) -> Iterator[Finding]:
    """Tasks of which there are more and more, and which wait for what does not come."""
    for leak in leaks(track):
        waited = f"{leak.waited:.0f}"
        begun = "" if leak.origin is None else f"{shown(leak.origin.file)}:{leak.origin.line}"
        text = f"{leak.count} tasks of {leak.name}" + (f", begun in {begun}," if begun else "")
        text += f" have neither ended nor run again for {waited} s and longer, and there are more and more"
        parts = str(leak.count), leak.name, waited, begun
        yield Finding("leaks", text, parts, leak.place, leak.last.number, leak.last.start)


def _silent(track: Track) -> Iterator[Finding]:
    """Connections that were opened and neither reported, written to nor closed."""
    opened: dict[int, Note] = {}
    spoke: set[int] = set()
    for step in track.steps():
        if isinstance(step, Note) and step.kind == "o":
            opened[step.facts[0]] = step
            spoke.discard(step.facts[0])
        elif isinstance(step, Note) and step.kind in ("w", "x"):
            spoke.add(step.facts[0])
        elif isinstance(step, Poll):
            spoke.update(fd for fd, _, _ in step.events)
    silent = [note for fd, note in opened.items() if fd not in spoke]
    if len(silent) >= CROWD:
        yield Finding(
            "silent",
            f"{len(silent)} connections have never spoken, such as {silent[0].facts[1]}",
            (str(len(silent)), silent[0].facts[1]),
            None,
            0,
            silent[0].start,
        )


SEARCHES: tuple[Callable[[Track], Iterator[Finding]], ...] = (
    _blocks,
    _spins,
    _unread,
    _unwritten,
    _rearms,
    _wakes_itself,
    _leaks,
    _silent,
)
