"""A recording: what one or more loops did, turn by turn; and the file it is kept in.

A recording stands in a file as one JSON object, alone or as a part of a trace or a page. It is written to
be small, since a page with ten thousand turns shall be opened on a phone: strings are numbers in a table,
times are whole units of 100 ns, and each is the distance from the one before.

    {"loopkit": 1,                                    version of the format
     "about": {...},                                  program, Python, poller, date ...
     "strings": ["", ...],
     "lines": {"FILE": {"12": "source text"}},        of what was called, with neighbours
     "loops": [{"name": ..., "dropped": turns that the ring has lost, "steps": [...]}]}

    ["t", +start, ready, timers, watched]             a turn begins; the figures before it
    ["p", +start, took, timeout or -1, fd, mask, owner, fd, mask, owner ...]
    ["c", +start, took, name, file, line, task, why...]
          why  0, fd, mask                            an event
               1, late, BY, file, line, ago           a timer: how late, who set it, where, how long ago
               2, BY, file, line, ago, future, thread call_soon
          BY   0, or how many callbacks before this one
    ["w", +at, fd, held, sent, queued]                bytes of a write
    ["o", +at, fd, owner]  ["x", +at, fd]             a connection, a server: opened, closed
    ["g", +start, took, generation]                   the garbage collector
    ["e", +at, text]  ["m", +at, text]                reported to the exception handler; a mark, as a stall
    ["s", +at, function, file, line]                  where a callback was, when somebody looked: it took long

Steps are in the order of their beginnings. A reader refuses another version, and passes over unknown letters.
"""

from __future__ import annotations

import json
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
    from pathlib import Path

__all__ = ["BadRecording", "Call", "Note", "Poll", "Recording", "Track", "Turn"]

VERSION = 1

#: Seconds of a unit of time in a file.
UNIT = 1e-7

#: Seconds, 30 years: what is longer is written as this; and no number in a file is greater than that.
LONGEST = 1e9
GREATEST = round(LONGEST / UNIT)

#: Lines of source that are kept before and after one that was called.
CONTEXT = 4


class BadRecording(ValueError):
    """The file is no recording of ours, or one that this version cannot read."""


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


class Note(NamedTuple):
    """Something else: kinds are the letters w, o, x, g, e, m, s of the file."""

    start: float
    took: float
    kind: str
    #: The rest, as in the file but with strings.
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

    def to_json(self) -> str:
        return json.dumps(encode(self), ensure_ascii=False, separators=(",", ":"))


# -- writing -------------------------------------------------------------------------------------------------


class _Strings:
    def __init__(self) -> None:
        self.numbers = {"": 0}

    def __call__(self, text: str) -> int:
        return self.numbers.setdefault(text, len(self.numbers))

    def place(self, place: Place | None) -> tuple[int, int]:
        return (0, 0) if place is None else (self(place.file), place.line)


def encode(recording: Recording) -> dict[str, Any]:
    """The recording as it stands in a file."""
    strings = _Strings()
    loops = []
    for track in recording.tracks:
        steps: list[list[Any]] = []
        last = 0
        number = 0
        for turn in track.turns:
            start = _units(turn.start)
            steps.append(["t", start - last, turn.ready, turn.timers, turn.watched])
            last = start
            for step in turn.steps:
                start = _units(step.start)
                if isinstance(step, Call):
                    number = number or step.number - 1
                    number += 1
                steps.append(_encoded(step, start - last, strings))
                last = start
        first = next((call.number for call in track.calls()), 1)
        loops.append({"name": track.name, "dropped": track.dropped, "first": first, "steps": steps})
    return {
        "loopkit": VERSION,
        "about": recording.about,
        "strings": list(strings.numbers),
        "lines": {
            file: {str(n): text for n, text in lines.items()} for file, lines in recording.lines.items()
        },
        "loops": loops,
    }


def _units(seconds: float) -> int:
    # A timer that was set for the beginning of all times is late by more than a file has to tell.
    return round(max(min(seconds, LONGEST), -LONGEST) / UNIT)


def _encoded(step: Poll | Call | Note, distance: int, strings: _Strings) -> list[Any]:
    if isinstance(step, Poll):
        timeout = -1 if step.timeout is None else _units(step.timeout)
        events = [part for fd, mask, owner in step.events for part in (fd, mask, strings(owner))]
        return ["p", distance, _units(step.took), timeout, *events]
    if isinstance(step, Call):
        row = [
            "c",
            distance,
            _units(step.took),
            strings(step.name),
            *strings.place(step.place),
            strings(step.task),
        ]
        by = step.number - step.by if step.by else 0
        ago = _units(step.start - step.scheduled) if step.origin else 0
        if step.why == "event":
            return [*row, 0, step.fd, step.mask]
        if step.why == "timer":
            return [*row, 1, _units(step.late), by, *strings.place(step.origin), ago]
        return [*row, 2, by, *strings.place(step.origin), ago, strings(step.future), strings(step.thread)]
    facts = [strings(fact) if isinstance(fact, str) else fact for fact in step.facts]
    return [step.kind, distance, *([_units(step.took)] if step.kind == "g" else []), *facts]


# -- reading -------------------------------------------------------------------------------------------------


#: Where the recording begins in a page.
MARK = '<script type="application/json" id="recording">'


def load(path: Path) -> Recording:
    """Read a recording from a trace (.json) or a page (.html).

    Raises OSError if the file cannot be read, `BadRecording` if there is no recording in it.
    """
    whole = text = path.read_bytes().decode("utf-8", errors="replace")
    if MARK in text:
        text = text.partition(MARK)[2].partition("</script>")[0]
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:  # the latter: thousands of brackets
        if _is_cut_off(whole.strip(), error):
            raise BadRecording(f"{path} is cut off: it ends in the middle") from None
        raise BadRecording(f"{path} holds no recording of loopkit's") from None
    if isinstance(data, dict) and isinstance(data.get("loopkit"), dict):
        data = data["loopkit"]  # a trace for Perfetto, with the recording beside it
    if not isinstance(data, dict) or not isinstance(data.get("loopkit"), int):
        raise BadRecording(f"{path} holds no recording of loopkit's")
    if data["loopkit"] != VERSION:
        raise BadRecording(
            f"{path} is a recording of version {data['loopkit']}; this loopkit reads version {VERSION}"
        )
    try:
        return decode(data)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise BadRecording(f"{path} is damaged: {type(error).__name__}: {error}") from None


def _is_cut_off(text: str, error: Exception) -> bool:
    """Whether it begins as a file of ours, and does not end as one.

    A part of a JSON text may end in a brace, too: there the parser has come to the end and wants more. (Of a
    word or a string that is cut it complains where that begins.)
    """
    if text.startswith("{"):
        wants_more = isinstance(error, json.JSONDecodeError) and (
            error.pos >= len(text) - len("false") or error.msg.startswith("Unterminated")
        )
        return wants_more or not text.endswith("}")
    return "<title>loopkit</title>" in text and not text.endswith("</html>")


def _check(data: dict[str, Any]) -> None:
    """Raise TypeError if there is anything in it that is never written, before somebody counts on it."""
    texts = [*data["strings"], *(text for known in data["lines"].values() for text in known.values())]
    numbers = []
    for loop in data["loops"]:
        texts += [loop["name"], *(row[0] for row in loop["steps"])]
        numbers += [loop["dropped"], loop["first"], *(value for row in loop["steps"] for value in row[1:])]
    if type(data["about"]) is not dict or any(type(text) is not str for text in texts):
        raise TypeError("there is something else where a text belongs")
    if any(type(number) is not int or abs(number) > GREATEST for number in numbers):
        raise TypeError("there is something else where a number belongs")


def decode(data: dict[str, Any]) -> Recording:
    """The opposite of `encode`. Raises what a file that nobody has damaged never leads to."""
    _check(data)
    strings: list[str] = data["strings"]
    tracks = []
    for loop in data["loops"]:
        track = Track(loop["name"], loop["dropped"])
        reader = _Reader(strings, loop["first"])
        for row in loop["steps"]:
            reader.at += row[1]
            if row[0] == "t":
                track.turns.append(Turn(reader.at * UNIT, row[2], row[3], row[4], []))
            elif (step := reader.read(row)) is not None:
                track.turns[-1].steps.append(step)
        tracks.append(track)
    lines = {file: {int(n): text for n, text in known.items()} for file, known in data["lines"].items()}
    return Recording(tracks, data["about"], lines)


class _Reader:
    def __init__(self, strings: list[str], first: int) -> None:
        self.strings = strings
        self.at = 0
        self.number = first - 1
        self.names: dict[tuple[int, int], str] = {}

    def place(self, file: int, line: int, name: str = "") -> Place | None:
        return Place(self.strings[file], line, name) if file else None

    def read(self, row: list[Any]) -> Poll | Call | Note | None:
        kind, start = row[0], self.at * UNIT
        if kind == "p":
            events = tuple((row[n], row[n + 1], self.strings[row[n + 2]]) for n in range(4, len(row), 3))
            return Poll(start, row[2] * UNIT, None if row[3] < 0 else row[3] * UNIT, events)
        if kind == "c":
            return self.read_call(row, start)
        if kind == "g":
            return Note(start, row[2] * UNIT, kind, (row[3],))
        if kind == "o":
            return Note(start, 0.0, kind, (row[2], self.strings[row[3]]))
        if kind in ("w", "x"):
            return Note(start, 0.0, kind, tuple(row[2:]))
        if kind in ("e", "m"):
            return Note(start, 0.0, kind, (self.strings[row[2]],))
        if kind == "s":
            return Note(start, 0.0, kind, (self.strings[row[2]], self.strings[row[3]], row[4]))
        return None

    def read_call(self, row: list[Any], start: float) -> Call:
        self.number += 1
        name = self.strings[row[3]]
        call = Call(
            start,
            row[2] * UNIT,
            self.number,
            name,
            self.place(row[4], row[5], name),
            self.strings[row[6]],
            "event",
        )
        why, *rest = row[7:]
        if why == 0:
            return call._replace(fd=rest[0], mask=rest[1])
        if why == 1:
            late, by, file, line, ago = rest
            call = call._replace(why="timer", late=late * UNIT)
        else:
            by, file, line, ago, future, thread = rest
            call = call._replace(why="soon", future=self.strings[future], thread=self.strings[thread])
        return call._replace(
            by=self.number - by if by else 0, origin=self.place(file, line), scheduled=start - ago * UNIT
        )
