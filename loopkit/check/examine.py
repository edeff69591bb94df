"""Making the checks: one after another, each for itself.

After a fault the program is started afresh, so that one fault is named once and not by everything that comes
after it. For the same reason a check that needs another one's success is not made without it. And after each
check the server is asked once more, so that who dies of a client's departure is not blamed in the next check.
"""

from __future__ import annotations

import resource
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .checks import CHECKS, DYING, OURS, Check, Note, Room, Unavailable
from .server import Program
from .talk import Patience, Trouble

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .server import Server

__all__ = ["Options", "Outcome", "Result", "examine"]


@dataclass(frozen=True)
class Options:
    """What the user may choose.

    Args:
        answer: ``upper``, ``echo``, or empty: whichever it is.
        connections: how many clients the crowd is made of.
        patience: seconds to wait for one answer.
    """

    answer: str = ""
    connections: int = 1000
    patience: float = 5.0


@dataclass(frozen=True)
class Outcome:
    """How one check ended.

    ``status`` is ``passed``, ``limited`` (passed, up to a limit that is explained), ``fault``, ``skipped``
    (it needs what failed before), or ``unavailable`` (it cannot be seen from here). ``how`` names a text.
    """

    name: str
    status: str
    how: str = ""
    values: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass
class Result:
    """All that was found out about a server."""

    target: str
    outcomes: list[Outcome] = field(default_factory=list)
    answer: str = ""

    @property
    def points(self) -> int:
        """How many checks passed."""
        return sum(outcome.status in ("passed", "limited") for outcome in self.outcomes)

    @property
    def possible(self) -> int:
        """How many could have passed."""
        return sum(outcome.status != "unavailable" for outcome in self.outcomes)

    @property
    def faults(self) -> list[str]:
        """The names of the checks that failed."""
        return [outcome.name for outcome in self.outcomes if outcome.status == "fault"]


def examine(
    server: Server, target: str, options: Options, tell: Callable[[Outcome], None] = lambda _: None
) -> Result:
    """Make every check and say how it ended.

    Bounded in time: each check by its length times ``options.patience``, each start by its own limit. The
    server's program is gone when this returns, whatever it did, and whatever was raised here.

    Args:
        server: whom to examine; a Program that is not started yet is.
        target: what the user calls it.
        options: what the user chose.
        tell: is called with each outcome as soon as it is there.
    """
    result = Result(target)
    examination = _Examination(server, options, result)
    with _descriptors(options.connections + OURS):
        try:
            for check in CHECKS:
                outcome = examination.make(check)
                result.outcomes.append(outcome)
                tell(outcome)
        finally:
            server.close()
    return result


class _Examination:
    def __init__(self, server: Server, options: Options, result: Result) -> None:
        self._server = server
        self._options = options
        self._result = result
        self._fresh = False
        self._good: set[str] = set()

    def make(self, check: Check) -> Outcome:
        missing = [name for name in check.needs if name not in self._good]
        if missing:
            return Outcome(check.name, "skipped", "needs", {"check": missing[0]})
        began = time.monotonic()
        try:
            note = self._perform(check)
        except Unavailable as why:
            return Outcome(check.name, "unavailable", str(why))
        except Trouble as trouble:
            # That it has ended explains whatever it did or did not do; its last words say more than ours.
            dying = trouble.how in ("broken", "closed", "refused")
            words = self._server.ended(DYING if dying else 0)
            if words is not None and trouble.how not in ("crowd-ended", "unstoppable"):
                trouble = Trouble("ended", words=words)
            self._fresh = False
            return Outcome(check.name, "fault", trouble.how, trouble.values, time.monotonic() - began)
        self._good.add(check.name)
        seconds = time.monotonic() - began
        if note is None:
            return Outcome(check.name, "passed", seconds=seconds)
        return Outcome(check.name, "limited" if note.limited else "passed", note.how, note.values, seconds)

    def _perform(self, check: Check) -> Note | None:
        self._start()
        patience = Patience(self._options.patience, check.length * self._options.patience)
        with ExitStack() as stack:
            room = Room(
                self._server,
                patience,
                stack,
                answer=self._result.answer or self._options.answer,
                connections=self._options.connections,
                passed=self._good,
            )
            note = check.perform(room)
        self._result.answer = room.answer
        if check.name == "ctrl-c":
            self._fresh = False
            return note
        with ExitStack() as stack:
            patience = Patience(self._options.patience, self._options.patience)
            Room(self._server, patience, stack, answer=room.answer).guest()
        return note

    def _start(self) -> None:
        """Have a server that knows nothing of an earlier fault."""
        if isinstance(self._server, Program) and not self._fresh:
            self._server.close()
            self._server.start()
        self._fresh = True


@contextmanager
def _descriptors(count: int) -> Iterator[None]:
    """Allow this process, and by inheritance the server, so many descriptors, or as many as it may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < count:
        most = count if hard == resource.RLIM_INFINITY else min(count, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
