"""A recording as text: one line a step, to be read, searched and compared."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .descriptors import mask_words
from .lint import findings
from .perfetto import seconds_words, why_words
from .recording import Call, Note, Poll, Recording, Track, Turn

if TYPE_CHECKING:
    from collections.abc import Iterator


def listing(recording: Recording) -> str:
    """The whole text."""
    return "\n".join(_lines(recording)) + "\n"


def _lines(recording: Recording) -> Iterator[str]:
    for key, value in recording.about.items():
        yield f"# {key}: {value}"
    for track in recording.tracks:
        yield f"# {summary(track)}"
        for finding in findings(track):
            yield f"# {finding}"
        for number, turn in enumerate(track.turns, track.dropped + 1):
            yield ""
            yield turn_line(number, turn)
            for step in turn.steps:
                yield f"{step.start:12.6f}  {step_line(step)}"


def summary(track: Track) -> str:
    """What a loop did, in a line."""
    calls = sum(1 for _ in track.calls())
    lost = f", {track.dropped} before them are lost" if track.dropped else ""
    return f"{track.name}: {len(track.turns)} turns{lost}, {calls} callbacks"


def turn_line(number: int, turn: Turn) -> str:
    return f"turn {number}: {turn.ready} ready, {turn.timers} timers, {turn.watched} descriptors"


def step_line(step: Poll | Call | Note) -> str:
    """One step, without its time."""
    if isinstance(step, Poll):
        asked = (
            "for ever"
            if step.timeout is None
            else f"for {seconds_words(step.timeout)}"
            if step.timeout
            else "for what is there"
        )
        found = "; ".join(f"fd {fd} {mask_words(mask)} ({owner})" for fd, mask, owner in step.events)
        return f"poll {asked}, {seconds_words(step.took)}: {found or 'nothing'}"
    if isinstance(step, Call):
        at = f" at {step.place.file}:{step.place.line}" if step.place is not None else ""
        task = f" [{step.task}]" if step.task else ""
        return (
            f"#{step.number} {step.name}{task}{at} took {seconds_words(step.took)} because {why_words(step)}"
        )
    facts = step.facts
    if step.kind == "w":
        return f"  write on fd {facts[0]}: {facts[1]} held, {facts[2]} sent, {facts[3]} queued"
    if step.kind == "o":
        return f"  fd {facts[0]} opened: {facts[1]}"
    if step.kind == "x":
        return f"  fd {facts[0]} closed"
    if step.kind == "b":
        return f"  task {facts[0]} begins"
    if step.kind == "d":
        return f"  task {facts[0]} {'was cancelled' if facts[2] else 'has ended'}"
    if step.kind == "g":
        return f"  garbage collector, generation {facts[0]}, took {seconds_words(step.took)}"
    if step.kind == "s":
        return f"  was in {facts[0]} at {facts[1]}:{facts[2]}"
    return f"  {'error' if step.kind == 'e' else 'mark'}: {facts[0]}"
