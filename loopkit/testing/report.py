"""What is told of a failure: what it is, whether it can happen, what it needs, and how to repeat it."""

from __future__ import annotations

import json
import os
import traceback
from typing import TYPE_CHECKING, Any

from .choices import CLAIMS
from .clock import seconds
from .running import Program
from .trace import Trace
from .waits import INSIDE

if TYPE_CHECKING:
    from .choices import Token
    from .exploring import Outcome
    from .trace import Event

#: How many events of the run are shown: the last ones, which led to the failure.
SHOWN = 40


class Report:
    """A failing run. ``str()`` tells it; `token` repeats it; `level` is the lowest at which it was seen."""

    def __init__(self, program: Program, outcome: Outcome, token: Token, runs: int, note: str = "") -> None:
        self._program, self._token = program, token
        self.level, self.token, self.deviations = token.level, str(token), token.deviations
        #: Whether it can happen, and where.
        self.claim = CLAIMS[token.level]
        self.error, self.steps, self.trace = outcome.error, outcome.steps, outcome.trace or Trace()
        #: What deviates, in words.
        self.schedule = [
            text or f"{made.kind} {made.at} was {made.value}"
            for made, text in zip(token.deviations, outcome.choices.said, strict=True)
        ]
        #: How many runs it took to find it; 0: none but the first, which deviates in nothing.
        self.runs = runs
        #: What else there is to say, or nothing.
        self.note = note
        #: pytest's name of the test, for the line that repeats it in a shell.
        self.test: str | None = None
        #: Whether pytest has run it, and so is what repeats it.
        self.is_pytest = False

    def __str__(self) -> str:
        return "\n".join(
            [
                *self._failure(),
                "",
                *([f"NOTE: {self.note}", ""] if self.note else []),
                f"level: {self.level}: {self.claim}",
                *self._schedule(),
                "",
                *self._interleaving(),
                *self._diagram(),
                "",
                "to repeat it:",
                f"  shell:  {self.shell_line}",
                f"  Python: {self.python_line}",
            ]
        )

    @property
    def shell_line(self) -> str:
        if self.test is not None and self.is_pytest:
            return f'pytest "{self.test}" --loopkit-replay={self.token}'
        return f"loopkit replay {self.token} {self.test or 'FILE::test'}"

    @property
    def python_line(self) -> str:
        changed = zip(Program._fields[1:], self._program[1:], Program(None)[1:], strict=True)
        options = "".join(f", {name}={_said(value)}" for name, value, usual in changed if value != usual)
        return f'loopkit.testing.replay(main, "{self.token}"{options})'

    def _failure(self) -> list[str]:
        error = innermost(self.error)
        lines = [f"{'the first run' if not self.runs else f'run {self.runs}'} failed: {error_of(error)}"]
        for frame in traceback.extract_tb(error.__traceback__ if error is not None else None):
            if not frame.filename.startswith(INSIDE):
                name = os.path.relpath(frame.filename)
                lines.append(f"  {name}:{frame.lineno} in {frame.name}: {frame.line}")
        return lines

    def _schedule(self) -> list[str]:
        count = len(self.schedule)
        if not count:
            return ["schedule: asyncio's own"]
        differ = "1 of them differs" if count == 1 else f"{count} of them differ"
        return [
            f"schedule: {self.steps} steps, and {differ} from asyncio's own:",
            *(f"  - {s}" for s in self.schedule),
        ]

    def _interleaving(self) -> list[str]:
        events = merged(self.trace.events)
        shown = events[-SHOWN:]
        lines = ["what happened:"]
        if len(events) > SHOWN:
            lines.append(f"  ... {len(events) - SHOWN} events before")
        hosts = len({event.host for event in shown if event.host}) > 1
        for event in shown:
            host = f"{event.host:<10} " if hosts else ""
            text = f"* {event.text}" if event.kind == "otherwise" else event.text
            lines.append(f"  {seconds_of(event.when):>12}  {host}{text:<28} {source_of(event)}".rstrip())
        return lines

    def _diagram(self) -> list[str]:
        from .diagram import sequence

        lines = sequence(self.trace.events)
        return ["", "between the hosts:", *lines] if lines else []

    def save(self, path: str | os.PathLike[str]) -> None:
        """Keep the failure in a .json file, whose name `replay` and ``--loopkit-replay`` take for a token."""
        facts = {
            "token": self.token,
            "test": self.test,
            "level": self.level,
            "claim": self.claim,
            "error": error_of(self.error),
            "schedule": self.schedule,
            "report": str(self),
        }
        with open(path, "w", encoding="utf-8") as file:
            json.dump(facts, file, ensure_ascii=False, indent=2)
            file.write("\n")

    def record(self, path: str | os.PathLike[str]) -> None:
        """Run it once more, and write each turn of it as `loopkit trace` does: .html is a page to play it.

        Raises ValueError for another name than .html, .json or .txt, OSError if it cannot be written.
        """
        from ..diagnostics import files
        from .exploring import filmed

        place = files.check_name(os.fspath(path))
        title = f"{self.test or 'a failing schedule'} {self.token}"
        files.write(filmed(self._program, self._token, title), place)


def _said(value: Any) -> str:
    return str(getattr(value, "__qualname__", repr(value))).rpartition("<locals>.")[2]


def innermost(error: BaseException | None) -> BaseException | None:
    """*error*, or what the first of a group is."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def error_of(error: BaseException | None) -> str:
    """The last lines of a traceback."""
    return "".join(traceback.format_exception_only(innermost(error))).strip()


def merged(events: list[Event]) -> list[Event]:
    """Without packets, and steps of one task that follow each other at one place told once."""
    result: list[Event] = []
    for event in events:
        if event.kind in ("packet", "inner"):
            continue
        if result and result[-1].text == event.text and result[-1].place == event.place:
            result[-1] = event
        else:
            result.append(event)
    return result


def seconds_of(when: float) -> str:
    return "0" if when < 1e-6 else seconds(when)


def source_of(event: Event) -> str:
    """The place of *event*, and the line that stands there."""
    import linecache

    path, _, line = event.place.rpartition(":")
    if not path or not line.isdecimal():
        return event.place
    text = linecache.getline(path, int(line)).strip()
    return f"-> {os.path.basename(path)}:{line}  {text}"
