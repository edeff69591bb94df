"""The file that a recording is kept in: its form, writing and reading it.

A recording stands in a file as one JSON object, alone or as a part of a trace or a page. It is written to
be small, since a page with ten thousand turns shall be opened on a phone: strings are numbers in a table,
times are whole units of 100 ns, and each is the distance from the one before.

    {"loopkit": 1,                                    version of the format
     "about": {...},                                  program, Python, poller, date ...
     "strings": ["", ...],
     "lines": {"FILE": {"12": "source text"}},        of what was called, with neighbours
     "loops": [{"name": ..., "dropped": turns that the ring has lost, "steps": [...],
                "renamed": [[TASK, TASK before], ...],
                "waiting": [[TASK, file, line], ...]}]} where tasks stand that are there in the end

TASK, and `task` below, is a string that is the task's own: if another one has the same name, that is there
twice.

    ["t", +start, ready, timers, watched]             a turn begins; the figures before it
    ["p", +start, took, timeout or -1, fd, mask, owner, fd, mask, owner ...]
    ["c", +start, took, name, file, line, task, why...]
          why  0, fd, mask                            an event
               1, late, BY, file, line, ago           a timer: how late, who set it, where, how long ago
               2, BY, file, line, ago, future, thread call_soon
          BY   0, or how many callbacks before this one
    ["w", +at, fd, held, sent, queued]                bytes of a write
    ["o", +at, fd, owner]  ["x", +at, fd]             a connection, a server: opened, closed
    ["b", +at, TASK]  ["d", +at, TASK, cancelled]     a task: its first step, its last one
    ["g", +start, took, generation]                   the garbage collector
    ["e", +at, text]  ["m", +at, text]                reported to the exception handler; a mark, as a stall
    ["s", +at, function, file, line]                  where a callback was, when somebody looked: it took long

Steps are in the order of their beginnings. A reader refuses another version, and passes over unknown letters.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from .recording import Call, Note, Poll, Recording, Track, Turn
from .stacks import Place

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["BadRecording", "encode", "load"]

VERSION = 1

#: Seconds of a unit of time in a file.
UNIT = 1e-7

#: Seconds, 30 years: what is longer is written as this; and no number in a file is greater than that.
LONGEST = 1e9
GREATEST = round(LONGEST / UNIT)


class BadRecording(ValueError):
    """The file is no recording of ours, or one that this version cannot read."""


# -- writing -------------------------------------------------------------------------------------------------


class _Strings:
    def __init__(self) -> None:
        self.texts = [""]
        self.numbers = {"": 0}
        self.begin_track()

    def begin_track(self) -> None:
        self.tasks: dict[int, tuple[str, int]] = {}
        self.taken: set[int] = set()
        self.renamed: list[tuple[int, int]] = []

    def __call__(self, text: str) -> int:
        number = self.numbers.setdefault(text, len(self.texts))
        if number == len(self.texts):
            self.texts.append(text)
        return number

    def task(self, name: str, of: int) -> int:
        """The string of that task alone."""
        before, number = self.tasks.get(of, ("", 0))
        if not of or (number and before == name):
            return number or self(name)
        new = self(name)
        if new in self.taken:
            new = len(self.texts)
            self.texts.append(name)
        self.taken.add(new)
        self.tasks[of] = name, new
        if number:
            self.renamed.append((new, number))
        return new

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
        strings.begin_track()
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
        waiting = [
            (strings.tasks[of][1], strings(place.file), place.line)
            for of, place in track.waiting.items()
            if of in strings.tasks
        ]
        head = {"name": track.name, "dropped": track.dropped, "first": first}
        loops.append({**head, "steps": steps, "renamed": strings.renamed, "waiting": waiting})
    return {
        "loopkit": VERSION,
        "about": recording.about,
        "strings": strings.texts,
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
            strings.task(step.task, step.of),
        ]
        by = step.number - step.by if step.by else 0
        ago = _units(step.start - step.scheduled) if step.origin else 0
        if step.why == "event":
            return [*row, 0, step.fd, step.mask]
        if step.why == "timer":
            return [*row, 1, _units(step.late), by, *strings.place(step.origin), ago]
        return [*row, 2, by, *strings.place(step.origin), ago, strings(step.future), strings(step.thread)]
    if step.kind in ("b", "d"):
        name, of, *rest = step.facts
        return [step.kind, distance, strings.task(name, of), *rest]
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
        numbers += [value for row in (*_renamed(loop), *_waiting(loop)) for value in row]
    if type(data["about"]) is not dict or any(type(text) is not str for text in texts):
        raise TypeError("there is something else where a text belongs")
    if any(type(number) is not int or abs(number) > GREATEST for number in numbers):
        raise TypeError("there is something else where a number belongs")


def _renamed(loop: dict[str, Any]) -> list[Any]:
    return loop.get("renamed", [])  # type: ignore[no-any-return]  # files of before have none


def _waiting(loop: dict[str, Any]) -> list[Any]:
    return loop.get("waiting", [])  # type: ignore[no-any-return]


def decode(data: dict[str, Any]) -> Recording:
    """The opposite of `encode`. Raises what a file that nobody has damaged never leads to."""
    _check(data)
    strings: list[str] = data["strings"]
    tracks = []
    for loop in data["loops"]:
        track = Track(loop["name"], loop["dropped"])
        reader = _Reader(strings, loop["first"], _renamed(loop))
        for row in loop["steps"]:
            reader.at += row[1]
            if row[0] == "t":
                track.turns.append(Turn(reader.at * UNIT, row[2], row[3], row[4], []))
            elif (step := reader.read(row)) is not None:
                track.turns[-1].steps.append(step)
        for task, file, line in _waiting(loop):
            track.waiting[reader.of(task)] = Place(strings[file], line, "")
        tracks.append(track)
    lines = {file: {int(n): text for n, text in known.items()} for file, known in data["lines"].items()}
    return Recording(tracks, data["about"], lines)


class _Reader:
    def __init__(self, strings: list[str], first: int, renamed: list[Any]) -> None:
        self.strings = strings
        self.at = 0
        self.number = first - 1
        self.first_names: dict[int, int] = {}
        for new, before in renamed:
            self.first_names[new] = self.of(before)

    def of(self, task: int) -> int:
        return self.first_names.get(task, task)

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
        if kind == "b":
            return Note(start, 0.0, kind, (self.strings[row[2]], self.of(row[2])))
        if kind == "d":
            return Note(start, 0.0, kind, (self.strings[row[2]], self.of(row[2]), row[3]))
        if kind == "w":
            return Note(start, 0.0, kind, (row[2], row[3], row[4], row[5]))
        if kind == "x":
            return Note(start, 0.0, kind, (row[2],))
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
            of=self.of(row[6]),
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
