"""A clock that moves only when it is told to.

Facts
- `loop.time()` is a float of seconds. The loop takes a timer for due that is earlier than ``now + 1 ns`` (its
  clock's resolution). From 2^24 seconds on that sum is `now` itself: a timer that is due at this very moment
  would never be due, and a loop whose clock stands still would spin for ever.
- A real clock moves between two looks at it. Deadlines that a program computes one after the other are
  therefore different, and in that order.

Consequences. Going to a deadline, the clock goes on to the next float where adding a nanosecond does not
change anything. And where schedules are explored (`ticking`), each look at the clock takes a nanosecond:
equal deadlines are then those that a program made equal.
"""

from __future__ import annotations

from math import inf, nextafter

RESOLUTION = 1e-9


class VirtualClock:
    """Seconds since the beginning of the simulation, plus *start*."""

    __slots__ = ("jumps", "now")

    def __init__(self, start: float = 0.0) -> None:
        self.now = float(start)
        #: How often time has passed.
        self.jumps = 0

    def time(self) -> float:
        """The present moment, in seconds."""
        return self.now

    def ticking(self) -> float:
        """The same, for whom a look at the clock takes time."""
        now = self.now
        later = now + RESOLUTION
        self.now = later if later > now else nextafter(now, inf)
        return now

    def go_to(self, when: float) -> None:
        """Be at *when*, late enough for what is due then to be due; never backwards."""
        if when >= self.now:
            self.now = when if when + RESOLUTION > when else nextafter(when, inf)
            self.jumps += 1

    def advance(self, seconds: float) -> None:
        """Let *seconds* pass; at least the smallest step there is, if they are more than none."""
        if seconds > 0:
            self.go_to(max(self.now + seconds, nextafter(self.now, inf)))


def seconds(value: float) -> str:
    """*value* seconds, readable."""
    if value < 1e-6:
        return "an instant"
    for unit, factor in (("s", 1.0), ("ms", 1e3), ("us", 1e6)):
        if value * factor >= 1:
            return f"{value * factor:.4g} {unit}"
    return "an instant"
