"""Metrics: how busy a loop is, and how late. Measured around the poll, in the loop's own thread.

Facts
- Utilisation cannot be sampled from another thread: that one gets the interpreter's lock exactly when the
  loop goes to sleep, and finds it idle each time.
- A read of the clock, with its call, costs 0.05 to 0.1 us, a dozen bytecodes as much: two reads and the
  bookkeeping are 0.3 us a poll. Of an echo with one message a poll that is 2 %, of the smallest turn there is
  (one byte between two sockets of one process, 2.6 us) more than 10 %.
- A probe that ticks (a timer that looks how late it is) wakes an idle process, and sees nothing while the
  loop is stuck: a stall of 30 seconds is one late tick among thousands.

So the poll is wrapped, and only the poll. What most turns have in common is counted by leaving it out: a
stretch of less than a millisecond between two polls adds nothing, since how much there was of these is what
remains of the busy time.

A loop that always finds something to do needs no clock to know that it is busy. After some polls in a row
that did not sleep, the next few are asked not to (`poll(0)`), and if they find something they have not: all
the time since the last read was work. Only the one that finds nothing reads the clock and goes to sleep. How
many do without is doubled as long as the pace lasts, and kept so low that all of them together are shorter
than what the histograms look at. So idle and busy time are exact; a stretch that ends a row of quick ones is
told too long by these, by 0.3 ms at most; and what would be a faster loop's last stretches of up to a
millisecond is once told as one, when it gets slow all of a sudden.

Rejected: a clock read after the poll only (a stall of the callbacks would look like sleep); keeping the time
stamps to add them up in bulk (`append` and `sum` cost more than the additions); the kernel's coarse clock (it
stands still while a callback works, and is set when the processor wakes); a generator's `send` instead of a
closure, a list or an iterator instead of the counter: all slower.

The histograms are weighed by time. They hold what a probe that looks at every millisecond *of the busy time*
would have seen, without being one:

    stretches   how long was the stretch without a poll, in which the probe fell?
    lateness    how overdue was the timer that was due first? A timer that is called a second late is seen
                overdue by 0.001, 0.002 ... 1 second: what became due in between would have been as late.

To know when a timer is really called, a handle of ours goes before it, in those turns only in which one is
due. An idle loop adds nothing to any histogram.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from contextvars import Context
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from ..timers import TimerHeap
from .files import say
from .instruments import Probe, instruments

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..loop import Loop
    from ..watches import Poll

__all__ = ["Histogram", "Metrics", "metrics", "openmetrics"]

#: Upper bounds of the histograms' classes, in seconds; a last class is above them all.
BOUNDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)

#: What is shorter than this, in seconds, is not looked at.
SHORT = BOUNDS[0]

#: A poll that returns within so many seconds has not slept: its time is the loop's work.
AT_ONCE = 0.000005

#: How many polls then do without the clock, by how often in a row it was found that they do not sleep and
#: come within FAST seconds: at most twice as many as just did, which together are shorter than SHORT.
UNREAD, FAST = (0, 0, 0, 0, 1, 3, 7, 15, 31, 63), 0.0003
LAST = len(UNREAD) - 1


@dataclass(frozen=True, slots=True)
class Histogram:
    """How the busy time is distributed over a duration, in seconds."""

    #: Seconds of busy time in each class: up to and including ``bounds[0]``, ... and above the last.
    seconds: tuple[float, ...]
    #: The longest that was seen; up to a millisecond may be 0.
    longest: float
    #: How many were longer than a millisecond.
    count: int
    bounds: tuple[float, ...] = BOUNDS

    @property
    def total(self) -> float:
        """The busy seconds that were looked at."""
        return sum(self.seconds)

    def quantile(self, share: float) -> float:
        """The duration, in seconds, below which the loop was for that *share* of its busy time.

        Exact at the classes' bounds, interpolated between. Raises ValueError if *share* is not from 0 to 1.
        """
        if not 0 <= share <= 1:
            raise ValueError(f"a share is from 0 to 1, not {share}")
        left = self.total * share
        lower = 0.0
        for upper, seconds in zip(
            (*self.bounds, max(self.longest, self.bounds[-1])), self.seconds, strict=True
        ):
            if left <= seconds and seconds:
                upper = min(upper, max(self.longest, SHORT))
                return max(lower, lower + (upper - lower) * left / seconds)
            left -= seconds
            lower = upper
        return self.longest


@dataclass(frozen=True, slots=True)
class Metrics:
    """What `Loop.metrics` returns: all of it since `since`. Two of these tell of the time between them."""

    #: When counting began, and when this was taken, in seconds of `Loop.time`.
    since: float
    taken: float
    #: Seconds the loop ran, of which it slept in the poll (`idle`), and all others (`busy`).
    idle: float
    busy: float
    #: How often the kernel was asked, and how many descriptors it reported.
    polls: int
    events: int
    #: What is there now: handles to be called, timers (some may be cancelled), watched descriptors.
    ready: int
    timers: int
    watches: int
    lateness: Histogram
    stretches: Histogram

    @property
    def turns(self) -> int:
        """Turns with a poll. A chain of callbacks goes on for some turns without: those are not counted."""
        return self.polls

    @property
    def utilization(self) -> float:
        """The busy share of the time it ran, from 0 to 1; of a loop that has not run yet, 0."""
        ran = self.idle + self.busy
        return self.busy / ran if ran else 0.0


class _Tally:
    """A histogram that is being filled: only with what is longer than `SHORT`."""

    __slots__ = ("count", "longest", "seconds")

    def __init__(self) -> None:
        self.seconds = [0.0] * (len(BOUNDS) + 1)
        self.longest = 0.0
        self.count = 0

    def _note(self, duration: float) -> None:
        self.count += 1
        self.longest = max(self.longest, duration)

    def add(self, duration: float) -> None:
        """All of *duration* is spent in something that long."""
        self._note(duration)
        self.seconds[bisect_left(BOUNDS, duration)] += duration

    def spread(self, duration: float) -> None:
        """*duration* is spent in something that grows to that length."""
        self._note(duration)
        lower = 0.0
        for place, upper in enumerate((*BOUNDS, float("inf"))):
            self.seconds[place] += min(duration, upper) - lower
            if duration <= upper:
                break
            lower = upper

    def histogram(self, busy: float) -> Histogram:
        """What is here, and in the first class what is left of *busy* seconds."""
        first, *others = self.seconds
        return Histogram((max(first, busy - sum(others)), *others), self.longest, self.count)


class Meter:
    """Counts around the poll of one loop."""

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        #: Whose `monotonic` is asked: the module, in which a program may replace it, or a loop's own clock.
        self.source: Any = SimpleNamespace(monotonic=loop.time) if loop._own_clock else time
        self.since = self.source.monotonic()
        self.ran = 0.0  # seconds, in runs that are over
        self.began: float | None = None  # the run in progress
        self.lateness, self.stretches = _Tally(), _Tally()
        self.polled: Callable[[], tuple[int, int, float, float, float]]
        self.awaken: Callable[[], None]
        self._measure_timers()
        self._wrap_poll()

    def _wrap_poll(self) -> None:
        note, tables = self.stretches.add, self.loop._watches
        source, at_once = self.source, -1.0 if self.loop._own_clock else AT_ONCE
        poll = tables.poll
        first, events, idle = tables.polls, 0, 0.0  # the turn counts its polls itself
        asleep = awake = source.monotonic()  # when the last poll began, and when it ended
        # How often in a row it did not sleep; how many polls to come do without the clock, what they found.
        streak = unread = few = 0

        def metered(timeout: float | None) -> list[tuple[int, int]]:
            nonlocal asleep, awake, idle, events, streak, unread, few
            if unread:
                unread -= 1
                found = poll(0)
                if found or timeout == 0:
                    few += len(found)
                    return found
                unread = 0
            asleep = source.monotonic()
            if asleep - awake > FAST:
                streak = 0
                if asleep - awake > SHORT:
                    note(asleep - awake)
            found = poll(timeout)
            awake = source.monotonic()
            events += len(found) + few
            few = 0
            slept = awake - asleep
            if slept > at_once:
                idle += slept
                streak = 0
            else:
                unread = UNREAD[streak]
                streak = min(streak + 1, LAST)
            return found

        def polled() -> tuple[int, int, float, float, float]:
            return tables.polls - first, events + few, idle, asleep, awake

        def awaken() -> None:
            nonlocal awake
            awake = source.monotonic()

        def wrap(new: Poll) -> Poll:
            nonlocal poll
            poll = new
            return metered

        tables.wrap_poll(wrap)
        self.polled, self.awaken = polled, awaken

    def _measure_timers(self) -> None:
        clock, spread = self.loop.time, self.lateness.spread
        probe = Probe()
        probe._when = self.since
        probe._loop, probe._args, probe._context = self.loop, (), Context()

        def look() -> None:
            late = clock() - probe._when
            if late > SHORT:
                spread(late)

        probe._callback = look

        class MeteredHeap(TimerHeap):
            """Puts a probe before the timers of a turn."""

            __slots__ = ()

            def collect(self, end: float) -> None:
                TimerHeap.collect(self, end)
                due: Any = self.due
                if due and due[0] is not probe:
                    probe._when = due[0]._when
                    due.appendleft(probe)

        self.loop._timers.__class__ = MeteredHeap

    # -- as a part of the loop's instruments -----------------------------------------------------------------

    def starts(self) -> None:
        self.began = self.source.monotonic()
        self.awaken()

    def stops(self) -> None:
        if self.began is not None:
            self.ran += self.source.monotonic() - self.began
            self.began = None

    def close(self) -> None:
        self.stops()

    def read(self) -> Metrics:
        """The figures of this moment. May be called from any thread."""
        loop, now = self.loop, self.source.monotonic()
        polls, events, idle, asleep, awake = self.polled()
        ran = self.ran
        if self.began is not None:
            ran += now - self.began
            if asleep > awake and loop._idle:
                idle += now - asleep
        busy = max(ran - idle, 0.0)
        return Metrics(
            since=self.since,
            taken=now,
            idle=idle,
            busy=busy,
            polls=polls,
            events=events,
            ready=len(loop._ready),
            timers=len(loop._timers.heap),
            watches=sum(entry.armed != 0 for entry in loop._watches.entries.values()),
            lateness=self.lateness.histogram(busy),
            stretches=self.stretches.histogram(busy),
        )


def metrics(loop: Loop) -> Metrics:
    """How busy and how late the loop is: seconds, counts and histograms since counting began.

    The first call begins to count, unless LOOPKIT_METRICS=1 or ``loopkit --metrics`` had it begin with the
    loop. From then on a poll that sleeps costs two clock reads more, another one less. May be called from any
    thread. Raises RuntimeError if the loop is closed. asyncio has nothing like it.
    """
    return meter(loop).read()


def meter(loop: Loop) -> Meter:
    """The meter of *loop*, which is hung on it if there is none."""
    parts = instruments(loop)
    found = parts.find(Meter)
    if found is None:
        found = Meter(loop)
        parts.add(found)
    return found


class _Summary:
    """Prints what the loop did when it is closed."""

    def __init__(self, meter: Meter) -> None:
        self.meter = meter

    def starts(self) -> None: ...
    def stops(self) -> None: ...

    def close(self) -> None:
        say(summary(self.meter.read()))


def parse(value: str) -> bool:
    """What LOOPKIT_METRICS asks for: ``1`` counts, ``print`` also prints a summary at the end."""
    if value not in ("1", "print"):
        raise ValueError(f"LOOPKIT_METRICS is 1, or print for a summary at the end, not {value!r}")
    return value == "print"


def equip(loop: Loop, prints: bool) -> None:
    """Count, and print if it shall."""
    found = meter(loop)
    if prints:
        instruments(loop).add(_Summary(found))


def summary(seen: Metrics) -> str:
    """A few lines to read."""

    def tell(histogram: Histogram) -> str:
        half, most = _shown(histogram.quantile(0.5)), _shown(histogram.quantile(0.99))
        return f"half of the busy time below {half}, 99 % below {most}, longest {_shown(histogram.longest)}"

    return (
        f"loopkit: {seen.utilization:.1%} busy ({seen.busy:.3f} s of {seen.busy + seen.idle:.3f} s), "
        f"{seen.polls} polls, {seen.events} events\n"
        f"  stretches without a poll: {tell(seen.stretches)}\n"
        f"  lateness of timers:       {tell(seen.lateness)}"
    )


def _shown(seconds: float) -> str:
    return "1 ms" if seconds <= SHORT else f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


# -- for Prometheus ------------------------------------------------------------------------------------------


def openmetrics(loop: Loop, labels: Mapping[str, str] | None = None) -> str:
    """The metrics of *loop* in the text format of OpenMetrics, which Prometheus scrapes.

    *labels* are added to each sample: give each loop of a process its own. A histogram counts in
    milliseconds: one observation for each of the busy time.
    """
    seen = metrics(loop)
    lines: list[str] = []

    def sample(name: str, value: float, **more: str) -> None:
        pairs = ",".join(f'{key}="{_escaped(text)}"' for key, text in {**(labels or {}), **more}.items())
        lines.append(f"{name}{{{pairs}}} {value}" if pairs else f"{name} {value}")

    def family(name: str, kind: str, text: str, unit: str = "") -> str:
        full = f"loopkit_eventloop_{name}"
        lines.append(f"# TYPE {full} {kind}")
        if unit:
            lines.append(f"# UNIT {full} {unit}")
        lines.append(f"# HELP {full} {text}")
        return full

    name = family("seconds", "counter", "Time the loop ran.", "seconds")
    sample(f"{name}_total", seen.busy, state="active")
    sample(f"{name}_total", seen.idle, state="idle")
    sample(family("polls", "counter", "Times the kernel was asked.") + "_total", seen.polls)
    sample(family("events", "counter", "Descriptors the kernel reported.") + "_total", seen.events)
    sample(family("ready", "gauge", "Callbacks to be called next."), seen.ready)
    sample(family("timers", "gauge", "Timers in the heap."), seen.timers)
    sample(family("watches", "gauge", "Descriptors the poller watches."), seen.watches)
    for what, histogram, text in (
        ("lateness", seen.lateness, "How overdue a timer is, at each millisecond of the busy time."),
        ("stretch", seen.stretches, "How long there is no poll, at each millisecond of the busy time."),
    ):
        name = family(f"{what}_seconds", "histogram", text, "seconds")
        count, weight, lower = 0, 0.0, 0.0
        for upper, seconds in zip((*histogram.bounds, float("inf")), histogram.seconds, strict=True):
            count += round(seconds * 1000)
            weight += round(seconds * 1000) * (lower + min(upper, max(histogram.longest, lower))) / 2
            sample(f"{name}_bucket", count, le="+Inf" if upper == float("inf") else str(upper))
            lower = upper
        sample(f"{name}_count", count)
        sample(f"{name}_sum", weight)
    return "\n".join([*lines, "# EOF", ""])


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
