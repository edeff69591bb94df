"""A recording as a trace for Perfetto (ui.perfetto.dev), Speedscope and their like: Chrome's trace format.

Of that format's many kinds of events only those are used that every reader understands: M (names), X
(slices), C (counters), s and f (arrows), b and e (connections, tasks), i (marks). Slices of one loop lie on
one thread and nest: turn, in it poll and callbacks, in a callback the garbage collector. An arrow leads from
the callback that scheduled something to the one that it became. Times are microseconds.

The recording itself stands beside the events, under "loopkit": `loopkit view` reads that, Perfetto passes
over it.
"""

from __future__ import annotations

import json
from typing import Any

from .descriptors import mask_words
from .recording import Call, Note, Poll, Recording, Track, Turn
from .tracefile import encode


def trace(recording: Recording) -> str:
    """The whole file."""
    events: list[dict[str, Any]] = [
        _named("process_name", 0, recording.about.get("program", "loopkit")),
    ]
    for tid, track in enumerate(recording.tracks, 1):
        events.append(_named("thread_name", tid, track.name))
        events += _Lane(tid).events_of(track)
    whole = {
        "traceEvents": events,
        "displayTimeUnit": "ms",
        "otherData": {key: str(value) for key, value in recording.about.items()},
        "loopkit": encode(recording),
    }
    return json.dumps(whole, ensure_ascii=False, separators=(",", ":"))


def _named(what: str, tid: int, name: str) -> dict[str, Any]:
    return {"ph": "M", "name": what, "pid": 1, "tid": tid, "ts": 0, "args": {"name": name}}


def _us(seconds: float) -> float:
    return round(seconds * 1e6, 1)


class _Lane:
    """The events of one loop."""

    def __init__(self, tid: int) -> None:
        self.tid = tid
        self.events: list[dict[str, Any]] = []
        self.connections: dict[int, str] = {}
        self.tasks: dict[int, str] = {}
        self.calls: dict[int, Call] = {}
        self.arrows = 0

    def _add(self, ph: str, name: str, seconds: float, **more: Any) -> None:
        self.events.append({"ph": ph, "name": name, "ts": _us(seconds), "pid": 1, "tid": self.tid, **more})

    def events_of(self, track: Track) -> list[dict[str, Any]]:
        end = 0.0
        for number, turn in enumerate(track.turns, track.dropped + 1):
            end = turn_end(turn)
            self._add("X", f"turn {number}", turn.start, dur=_us(end) - _us(turn.start), cat="turn")
            for name in ("ready", "timers", "watched"):
                self._add("C", f"{name} ({track.name})", turn.start, args={name: getattr(turn, name)})
            for step in turn.steps:
                self._step(step, end)
        for fd, name in self.connections.items():
            self._add("e", name, end, cat="connection", id=f"{self.tid}.{fd}")
        for of, name in self.tasks.items():
            self._add("e", name, end, cat="task", id=f"{self.tid}.t{of}")
        return self.events

    def _step(self, step: Poll | Call | Note, end: float) -> None:
        if isinstance(step, Poll):
            found = [f"fd {fd} {mask_words(mask)}: {owner}" for fd, mask, owner in step.events]
            asked = "for ever" if step.timeout is None else f"{step.timeout:.6f} s"
            self._slice("poll", "poll", step.start, step.took, {"asked": asked, "answer": found})
        elif isinstance(step, Call):
            self._call(step)
        elif step.kind == "g":
            self._slice("gc", "gc", step.start, step.took, {"generation": step.facts[0]})
        elif step.kind == "o":
            self.connections[step.facts[0]] = name = f"fd {step.facts[0]}: {step.facts[1]}"
            self._add("b", name, step.start, cat="connection", id=f"{self.tid}.{step.facts[0]}")
        elif step.kind == "x":
            known = self.connections.pop(step.facts[0], None)
            if known is not None:
                self._add("e", known, step.start, cat="connection", id=f"{self.tid}.{step.facts[0]}")
        elif step.kind == "b":
            name, of = step.facts
            self.tasks[of] = name
            self._add("b", name, step.start, cat="task", id=f"{self.tid}.t{of}")
        elif step.kind == "d":
            known = self.tasks.pop(step.facts[1], None)
            if known is not None:
                self._add("e", known, step.start, cat="task", id=f"{self.tid}.t{step.facts[1]}")
        elif step.kind == "w":
            fd, held, sent, queued = step.facts
            args = {"fd": fd, "held": held, "sent": sent, "queued": queued}
            self._add("i", "write", step.start, s="t", args=args)
        else:
            name = {"e": "error", "s": "seen"}.get(step.kind, "mark")
            self._add("i", name, step.start, s="p", args={"text": ":".join(map(str, step.facts))})

    def _slice(self, name: str, cat: str, start: float, took: float, args: dict[str, Any]) -> None:
        self._add("X", name, start, dur=_us(start + took) - _us(start), cat=cat, args=args)

    def _call(self, call: Call) -> None:
        args: dict[str, Any] = {"number": call.number, "why": why_words(call)}
        if call.place is not None:
            args["line"] = f"{call.place.file}:{call.place.line}"
        if call.task:
            args["task"] = call.task
        self._slice(call.name, "callback", call.start, call.took, args)
        cause = self.calls.get(call.by)
        if cause is not None and cause.start <= call.scheduled <= cause.start + cause.took:
            self.arrows += 1
            arrow = {"cat": "scheduled", "id": f"{self.tid}.{self.arrows}"}
            self._add("s", "scheduled", call.scheduled, **arrow)
            self._add("f", "scheduled", call.start, bp="e", **arrow)
        self.calls[call.number] = call


def turn_end(turn: Turn) -> float:
    """When the last step of a turn ends."""
    return max([turn.start, *(step.start + step.took for step in turn.steps)])


def seconds_words(seconds: float) -> str:
    """A duration, in the unit that suits it."""
    if seconds >= 1:
        return f"{seconds:.3f} s"
    return f"{seconds * 1e3:.3f} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.0f} us"


def why_words(call: Call) -> str:
    """Why a callback was ready."""
    if call.why == "event":
        return f"fd {call.fd}: {mask_words(call.mask)}"
    by = f" by #{call.by}" if call.by else f" by thread {call.thread}" if call.thread else ""
    at = f" at {call.origin.file}:{call.origin.line}" if call.origin is not None else ""
    if call.why == "timer":
        return (
            f"timer, {seconds_words(call.late)} late, set{by}{at}"
            if at
            else f"timer, {seconds_words(call.late)} late"
        )
    done = f"{call.future} is done; " if call.future else ""
    return f"{done}scheduled{by}{at}" if at or by else f"{done}scheduled"
