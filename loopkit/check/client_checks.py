"""The checks of a client, in the order in which they are made; each starts it anew.

What a check returns or raises, and what its name is, is as in `checks.py`.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from .causes import held_up
from .examine import Outcome, Result
from .manners import IDLE, share
from .patience import Trouble, Undecided
from .room import Note

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NamedTuple

    from .client import ClientProgram, Stage
    from .examine import Options
else:
    from typing import NamedTuple

__all__ = ["CLIENT_CHECKS", "examine_client"]

#: How many times the patience of a single wait one check may take.
LENGTH = 8

#: Seconds of its own for one that may be ending.
DYING = 2.0


def connects(stage: Stage) -> None:
    """It is there, or there would be no stage."""


def sends(stage: Stage) -> None:
    """What is typed comes, line by line, before anything is answered."""
    text = "somebody types this: grüß dich, 世界"
    stage.type(text)
    stage.hear(text)


def shows(stage: Stage) -> None:
    """A conversation: each line is answered, each answer is shown."""
    for number in range(5):
        stage.type(f"question {number}")
        stage.hear(f"question {number}")
        stage.talk.send(f"ANSWER {number}: 你好\n".encode())
        stage.expect(f"ANSWER {number}: 你好")


def pieces(stage: Stage) -> None:
    """One answer in several packets, each of which has been read before the next one is sent."""
    stage.type("tell me more")
    stage.hear("tell me more")
    for piece in (b"a-first-piece, ", b"a-second-piece, ", b"a-third-piece\n"):
        stage.say(piece)
    stage.expect("a-first-piece", "a-second-piece", "a-third-piece")


def cut(stage: Stage) -> None:
    """A character of two, three or four bytes, cut at every place."""
    for character in "é世😀":
        encoded = character.encode()
        for at in range(1, len(encoded)):
            text = f"cut at {at}"
            stage.type(text)
            stage.hear(text)
            stage.say(f"{text}: ".encode() + encoded[:at])
            stage.say(encoded[at:] + b"\n")
            stage.expect(f"{text}: {character}")


def listens(stage: Stage) -> None:
    """Something comes while nobody types: at the beginning, and after a conversation."""
    for number in range(2):
        stage.settle()
        stage.talk.send(f"UNASKED {number}\n".encode())
        stage.expect(f"UNASKED {number}")
        stage.type("hello")
        stage.hear("hello")
        stage.talk.send(f"ASKED {number}\n".encode())
        stage.expect(f"ASKED {number}")


def server_gone(stage: Stage) -> Note | None:
    """The server says goodbye while the client waits for the keyboard."""
    stage.settle()
    stage.talk.send(b"GOODBYE\n")
    stage.talk.end()
    stage.talk.close()
    return _must_end(stage)


def server_lost(stage: Stage) -> Note | None:
    """The connection breaks off while the client waits for the keyboard."""
    stage.settle()
    stage.talk.reset()
    return _must_end(stage)


def end_of_input(stage: Stage) -> Note | None:
    """A line, and the end of what is typed: the answer must still be shown, and then it must end."""
    stage.type("the last words")
    stage.end_input()
    stage.hear("the last words")
    stage.program.settle()
    try:
        stage.talk.send(b"THE LAST ANSWER\n")
        stage.talk.hears_or_ends()  # it says that it will say no more, or has ended
        stage.talk.end()
    except Trouble:
        pass
    stage.program.settle()
    # That it stays when the server has gone is another check's question.
    note = None if "server-gone" in stage.faults else _must_end(stage)
    stage.read_screen()
    if "THE LAST ANSWER" not in stage.shown:
        raise Trouble("answer-lost")
    return note


def rests(stage: Stage) -> None:
    """Nobody types, nothing comes."""
    shares = []
    for _ in range(3):
        stage.program.settle()
        shares.append(share(stage.patience, stage.program.pid))
        if shares[-1] <= IDLE:
            return
    raise Trouble("busy", percent=min(100, round(100 * min(shares))))


def nobody_there(stage: Stage) -> None:
    """There is no server: it says so, in words and not by a traceback."""
    ended = stage.ends()
    if stage.program.complains:
        raise Trouble("absence-traceback", words=stage.program.ended() or "")
    if ended and not (stage.shown.strip() or stage.program.errors.strip()):
        raise Trouble("absence-unsaid")


def stops(stage: Stage) -> Note | None:
    """Ctrl-C."""
    stage.settle()
    if not stage.program.interrupt(stage.patience.left()):
        raise Trouble("unstoppable", seconds=stage.patience.each)
    stage.program.ended()
    return Note("traceback", {}) if stage.program.complains else None


def _must_end(stage: Stage) -> Note | None:
    if not stage.ends():
        trouble = Trouble("stays", seconds=stage.patience.each)
        trouble.cause = held_up(stage.program.pid)
        raise trouble
    return Note("ends-by-traceback", {}) if stage.program.complains else None


class ClientCheck(NamedTuple):
    """A check: its name, and those which must have passed or there is no point in making it."""

    name: str
    perform: Callable[[Stage], Note | None]
    needs: tuple[str, ...] = ("connects",)
    #: Whether there is a server.
    open_door: bool = True
    #: Whether it is expected to end.
    ends: bool = False


CLIENT_CHECKS = (
    ClientCheck("connects", connects, ()),
    ClientCheck("sends", sends),
    ClientCheck("shows", shows, ("sends",)),
    ClientCheck("pieces", pieces, ("shows",)),
    ClientCheck("cut", cut, ("pieces",)),
    ClientCheck("listens", listens, ("pieces",)),
    ClientCheck("server-gone", server_gone, ("listens",), ends=True),
    ClientCheck("server-lost", server_lost, ("server-gone",), ends=True),
    ClientCheck("end-of-input", end_of_input, ("shows",), ends=True),
    ClientCheck("rests", rests),
    ClientCheck("nobody-there", nobody_there, open_door=False, ends=True),
    ClientCheck("stops", stops, ends=True),
)


def examine_client(
    program: ClientProgram, target: str, options: Options, tell: Callable[[Outcome], None] = lambda _: None
) -> Result:
    """Make every check and say how it ended; as examine() does for a server."""
    result = Result(target)
    good: set[str] = set()
    try:
        for check in CLIENT_CHECKS:
            outcome = _made(check, program, options, good, result.faults)
            result.outcomes.append(outcome)
            tell(outcome)
    finally:
        program.close()
    return result


def _made(
    check: ClientCheck, program: ClientProgram, options: Options, good: set[str], faults: list[str]
) -> Outcome:
    if missing := [name for name in check.needs if name not in good]:
        return Outcome(check.name, "skipped", "needs", {"check": missing[0]})
    began = time.monotonic()
    try:
        with program.stage(options.patience, LENGTH * options.patience, open_door=check.open_door) as stage:
            stage.faults = faults
            try:
                note = check.perform(stage)
            except Trouble as trouble:
                raise _explained(trouble, check, program) from None
            finally:
                errors = program.errors
    except Undecided as why:
        return Outcome(check.name, "undecided", why.how, why.values, time.monotonic() - began)
    except Trouble as trouble:
        seconds = time.monotonic() - began
        said = program.errors if trouble.how in ("ended", "absence-traceback") else ""
        return Outcome(check.name, "fault", trouble.how, trouble.values, seconds, trouble.cause, "", said)
    good.add(check.name)
    seconds = time.monotonic() - began
    if note is None:
        return Outcome(check.name, "passed", seconds=seconds)
    return Outcome(check.name, "passed", note.how, note.values, seconds, errors=errors)


def _explained(trouble: Trouble, check: ClientCheck, program: ClientProgram) -> Trouble:
    """That it has ended explains whatever it did not do."""
    if check.ends or (words := program.ended(DYING)) is None:
        return trouble
    return Trouble("ended", words=words)
