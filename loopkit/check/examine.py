"""Making the checks: one after another, each for itself.

After a fault the program is started afresh, so that one fault is named once and not by everything that comes
after it. For the same reason a check that needs another one's success is not made without it; and nothing is,
if the program ends of itself: what is found out about it then would be found out by luck. After each check
the server is asked once more, so that who dies of a client's departure is not blamed in the next check.
"""

from __future__ import annotations

import resource
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .causes import cause
from .checks import CHECKS, FIRST, Check
from .endures import OURS
from .patience import Patience, Trouble, Undecided
from .room import Note, Room, Unavailable
from .server import ServerProgram
from .works import DYING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .server import Server

__all__ = ["Options", "Outcome", "Result", "examine"]

#: Seconds of its own that a program has to be started again, at a port that the kernel holds for a minute.
LINGERING = 70.0

#: What a server that waits for the wrong thing looks like.
_WAITING = ("silent", "mute", "unaccepted", "late")

#: What is said with a program's last words in it.
_LAST_WORDS = (
    "unstarted",
    "crowd-ended",
    "shadow",
    "port-owned",
    "port-lingers",
    "restart-fails",
    "restart-in-use",
)


@dataclass(frozen=True)
class Options:
    """What the user may choose.

    Args:
        answer: ``upper``, ``echo``, ``any`` (something, whatever it is), or empty: one of the first two.
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
    (it needs what failed before), ``undecided`` (the program has ended of itself, or the machine has no
    time), or ``unavailable`` (it cannot be seen from here). ``how`` names a text, ``cause`` one that says
    why.
    """

    name: str
    status: str
    how: str = ""
    values: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    cause: str = ""
    where: str = ""
    errors: str = ""


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
        self._unasked: dict[str, str] = {}
        self._slowness = 0.0

    def make(self, check: Check) -> Outcome:
        missing = [name for name in check.needs if name not in self._good]
        if FIRST in self._result.faults:
            return Outcome(check.name, "undecided", "it-ended")
        if missing and missing[0] in self._unasked:  # neither is what needs it anybody's fault
            self._unasked[check.name] = how = self._unasked[missing[0]]
            return Outcome(check.name, "unavailable", how)
        if missing:
            return Outcome(check.name, "skipped", "needs", {"check": missing[0]})
        began = time.monotonic()
        try:
            note = self._perform(check)
        except Unavailable as why:
            self._unasked[check.name] = str(why)
            return Outcome(check.name, "unavailable", str(why))
        except Undecided as why:
            self._fresh = False
            return Outcome(check.name, "undecided", why.how, why.values, time.monotonic() - began)
        except Trouble as trouble:
            self._fresh = False
            return self._fault(check, trouble, time.monotonic() - began)
        self._good.add(check.name)
        seconds = time.monotonic() - began
        if note is None:
            return Outcome(check.name, "passed", seconds=seconds)
        return Outcome(check.name, "limited" if note.limited else "passed", note.how, note.values, seconds)

    def _fault(self, check: Check, trouble: Trouble, seconds: float) -> Outcome:
        # That it has ended explains whatever it did or did not do; its last words say more than ours.
        if trouble.how in ("broken", "closed", "refused", "ended") or self._server.ended() is not None:
            words = self._server.ended(DYING)
            if words is not None and trouble.how not in (*_LAST_WORDS, "unstoppable") and not trouble.cause:
                trouble = Trouble("ended", words=words)
        return Outcome(
            check.name,
            "fault",
            trouble.how,
            trouble.values,
            seconds,
            trouble.cause,
            trouble.where,
            self._server.errors if trouble.how in ("ended", *_LAST_WORDS) else "",
        )

    def _perform(self, check: Check) -> Note | None:
        self._start(check)
        patience = Patience(self._options.patience, check.length * self._options.patience, self._server.pid)
        with ExitStack() as stack:
            room = self._room(patience, stack)
            try:
                note = check.perform(room)
            except Trouble as trouble:
                # Now, while the clients are still there who it waits for.
                if trouble.how in _WAITING and not trouble.cause and self._server.ended() is None:
                    trouble.cause = cause(self._server)
                if trouble.cause.startswith("in-"):
                    trouble.where = self._server.where()
                raise
        if check.name != FIRST:  # which knows of neither
            self._result.answer, self._slowness = room.answer, room.slowness
        if not check.stays:
            self._fresh = False
        elif check.name != FIRST:
            with ExitStack() as stack:
                patience = Patience(self._options.patience, self._options.patience, self._server.pid)
                self._room(patience, stack).guest()
        return note

    def _room(self, patience: Patience, stack: ExitStack) -> Room:
        return Room(
            self._server,
            patience,
            stack,
            answer=self._result.answer or self._options.answer,
            connections=self._options.connections,
            passed=self._good,
            slowness=self._slowness,
        )

    def _start(self, check: Check) -> None:
        """Have a server that knows nothing of an earlier fault."""
        if not isinstance(self._server, ServerProgram) or self._fresh:
            return
        self._server.close()
        if check.name == FIRST:
            self._server.start()
        else:
            self._start_again(self._server)
        self._fresh = True

    @staticmethod
    def _start_again(server: ServerProgram) -> None:
        """Its port may be taken for a while, by somebody or by what is left of last time: not its fault."""
        end = time.monotonic() + LINGERING
        while True:
            try:
                return server.start()
            except Trouble as trouble:
                if trouble.how not in ("port-lingers", "port-owned"):
                    raise
                if time.monotonic() > end:
                    raise Undecided(trouble.how, **trouble.values) from None
                time.sleep(1.0)


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
