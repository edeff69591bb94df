"""How long to wait, measured so that a crowded machine changes no verdict.

A limit in seconds of the wall's clock says that a good server is a bad one if the machine has no time for it.
But Linux counts, for each thread, how long it was ready to run and had no processor (schedstat). So the clock
here stands still while the server waits for one, or we do: what it shows is time in which the server had its
chance. When both wait is not known; it is taken to be as often as if they did not know of each other. What is
left to luck is little enough for limits of seconds.

The wall's clock counts once only: a machine that gives the server next to nothing for twenty times as long as
the whole check may take decides nothing, and that is what is said then.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any, TypeVar

from . import process

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Clock", "Patience", "Trouble", "Undecided"]

#: So many times the length of a check, by the wall's clock, and it is given up as undecided.
CROWDED = 30

Found = TypeVar("Found")


class Trouble(Exception):
    """What was wrong: the name of a text in `words`, and what goes into it.

    ``cause`` names a text that tells more, and ``where`` is a line of the program, if these could be seen.
    """

    def __init__(self, how: str, **values: Any) -> None:
        super().__init__(how, values)
        self.how = how
        self.values = values
        self.cause = ""
        self.where = ""


class Undecided(Exception):
    """This could not be found out, and nobody is to blame; the same two things."""

    def __init__(self, how: str, **values: Any) -> None:
        super().__init__(how, values)
        self.how = how
        self.values = values


class Clock:
    """Seconds in which a process, its family and we could have run. It never goes backwards.

    Args:
        pid: whose; None if that cannot be seen, then only we count.
    """

    def __init__(self, pid: int | None) -> None:
        self._pid = pid
        self._wall = time.monotonic()
        self._lost = 0.0
        self._waited: dict[process.Thread | None, float] = {}
        for thread in self._threads():
            self._waited[thread] = process.waited_seconds(thread)

    def _threads(self) -> list[process.Thread | None]:
        known: list[process.Thread | None] = [None]
        return known if self._pid is None else [*known, *process.tasks(process.family(self._pid))]

    def now(self, *, anew: bool = False) -> float:
        """The time. Asked *anew*, who belongs to the family is found out again, which takes longer."""
        if anew:
            for thread in self._threads():
                self._waited.setdefault(thread, 0.0)  # began after we did: all of it counts
        wall = time.monotonic()
        passed = wall - self._wall
        ran = 1.0  # the share of the time in which nobody had to wait, as far as that can be known
        for thread, before in self._waited.items():
            waited = process.waited_seconds(thread)
            if passed > 0:
                ran *= 1 - min(1.0, max(0.0, waited - before) / passed)
            self._waited[thread] = max(waited, before)
        self._lost += passed * (1 - ran)
        self._wall = wall
        return wall - self._lost


class Patience:
    """How long to wait for one server.

    Args:
        each: seconds without progress.
        altogether: seconds from now.
        pid: the server's process, if it is one of ours.
    """

    def __init__(self, each: float, altogether: float, pid: int | None = None) -> None:
        self.each = each
        self.altogether = altogether
        self.clock = Clock(pid)
        self._end = self.clock.now() + altogether
        self._crowded = time.monotonic() + CROWDED * altogether

    def left(self) -> float:
        """Seconds that the next wait may take. Raises Trouble if all time is up."""
        left = self._end - self.clock.now()
        if left <= 0:
            raise Trouble("late", seconds=self.altogether)
        return min(self.each, left)

    def wait(self, happens: Callable[[float], Found], seconds: float = math.inf) -> Found:
        """What *happens*, given seconds to wait, returns as soon as that is true.

        What it returned last, if the server has had the time for one wait, or so many *seconds*. Raises
        Undecided if the machine does not let it have them.
        """
        left = min(self.left(), seconds)
        end = self.clock.now() + left
        while True:
            found = happens(left)
            if found:
                return found
            left = end - self.clock.now(anew=True)
            if left <= 0:
                return found
            if time.monotonic() > self._crowded:
                raise Undecided("crowded")

    def until(self, true: Callable[[], bool], seconds: float = math.inf) -> bool:
        """Whether this becomes true in time, and in so many seconds; asked every few milliseconds."""

        def happens(left: float) -> bool:
            end = time.monotonic() + left
            while not true():
                if time.monotonic() >= end:
                    return False
                time.sleep(0.02)
            return True

        return self.wait(happens, seconds)
