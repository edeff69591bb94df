"""A recording: what one or more loops did, turn by turn. The file that it is kept in is `tracefile.py`'s."""

from __future__ import annotations

import linecache
import platform
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from .. import __version__
from .stacks import Place

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Call", "Note", "Poll", "Recording", "Track", "Turn"]

#: Lines of source that are kept before and after one that was called.
CONTEXT = 4


class Poll(NamedTuple):
    """The kernel was asked. Times are seconds since the recording's beginning."""

    start: float
    took: float
    #: None: for ever.
    timeout: float | None
    #: What it reported: descriptor, mask, whose it is.
    events: tuple[tuple[int, int, str], ...]


class Call(NamedTuple):
    """A callback, or a step of a task."""

    start: float
    took: float
    number: int
    name: str
    place: Place | None
    task: str
    #: ``"event"``, ``"timer"`` or ``"soon"``.
    why: str
    fd: int = -1
    mask: int = 0
    #: Of a timer: seconds after it was due.
    late: float = 0.0
    #: Number of the callback that scheduled it; 0: unknown, or none.
    by: int = 0
    #: Where that was, and when.
    origin: Place | None = None
    scheduled: float = 0.0
    future: str = ""
    thread: str = ""
    #: A number that stands for the task: names may be given twice, and changed.
    of: int = 0


class Note(NamedTuple):
    """Something else: kinds are the letters w, o, x, b, d, g, e, m, s of the file."""

    start: float
    took: float
    kind: str
    #: The rest, as in the file but with strings; for TASK its name and number.
    facts: tuple[Any, ...]


class Turn(NamedTuple):
    start: float
    #: Before it: handles in the queue, timers in the heap, descriptors watched.
    ready: int
    timers: int
    watched: int
    steps: list[Poll | Call | Note]


@dataclass
class Track:
    """One loop."""

    name: str = "loop"
    dropped: int = 0
    turns: list[Turn] = field(default_factory=list)
    #: Where the tasks stand that are there in the end, by their numbers.
    waiting: dict[int, Place] = field(default_factory=dict)

    def steps(self) -> Iterator[Poll | Call | Note]:
        for turn in self.turns:
            yield from turn.steps

    def calls(self) -> Iterator[Call]:
        return (step for step in self.steps() if isinstance(step, Call))


def program() -> str:
    """The program as it was called. In `sys.argv` a module that was called by its name is a path."""
    name, *arguments = sys.argv or ["python"]
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    return " ".join([spec.name.removesuffix(".__main__") if spec else name, *arguments])


def about(**more: Any) -> dict[str, Any]:
    """What is said of every recording."""
    return {
        "program": program(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "loopkit": __version__,
        "system": f"{platform.system()} {platform.machine()}",
        "date": time.strftime("%Y-%m-%d %H:%M:%S"),
        **more,
    }


@dataclass
class Recording:
    """What was recorded, to be written or shown."""

    tracks: list[Track]
    about: dict[str, Any] = field(default_factory=about)
    #: Source text: by file and number of the line.
    lines: dict[str, dict[int, str]] = field(default_factory=dict)

    def add_source(self) -> None:
        """Take the lines of source of everything that was called."""
        for track in self.tracks:
            for call in track.calls():
                for place in (call.place, call.origin):
                    if place is not None:
                        self._add_lines(place)
            for step in track.steps():
                if isinstance(step, Note) and step.kind == "s":
                    function, file, line = step.facts
                    self._add_lines(Place(file, line, function))

    def _add_lines(self, place: Place) -> None:
        known = self.lines.setdefault(place.file, {})
        if place.line in known:
            return
        for number in range(max(place.line - CONTEXT, 1), place.line + CONTEXT + 1):
            if number not in known and (text := linecache.getline(place.file, number)):
                known[number] = text.rstrip("\n")[:160]
