"""Watch: what a loop is stuck in, said while it is stuck.

A thread looks twice within the limit. If the loop sleeps in its poll there is nothing to do. Else it puts
a heartbeat at the end of the loop's ready queue (without waking anybody: a loop that goes to sleep
instead is not stuck). A heartbeat that has not run after the limit means a stall, and the thread can see of
what: the stack of the loop's thread, its task, who awaits that. It says so again at twice, four times ...
the limit, and once more when the stall is over, with where the time went: the callback, the garbage
collector, or neither (the processor did something else, or the callback waited).

Facts
- The thread sees what runs Python code or waits without the interpreter's lock (`time.sleep`, files, locks).
  Of a C call that keeps the lock (`re`, `json`) it sees nothing before the call is over. For that there is an
  alarm (`alarm.py`): set for three and a half times the limit, and set anew before that is over.
- Each look costs 0.1 ms, most of it the wake-up. So there are as few as will do: a culprit that begins just
  after one is seen by the next, and told of a limit later, before one and a half of them have passed.
- The processor time of another thread can be read: `pthread_getcpuclockid`.
"""

from __future__ import annotations

import contextlib
import threading
import time
from asyncio.log import logger
from contextvars import Context
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from .alarm import Alarm
from .files import say
from .instruments import GC_CALLBACKS, Probe, instruments
from .stacks import Place, awaiters, current_task, stack_of_thread, task_words

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..loop import Loop

__all__ = ["Stall", "watch"]

#: When the thread looks again, when the alarm rings, and when that is set anew: in limits. A call that begins
#: just before the alarm is set anew, at the fifth look, has more than a limit left.
LOOK, ALARM, REARM = 0.45, 3.5, 2.2


@dataclass(frozen=True, slots=True)
class Stall:
    """A stretch in which the loop did not come round. All durations are seconds."""

    #: How long it has lasted, at least; when it is over, how long it was.
    seconds: float
    #: Whether it is over.
    over: bool
    #: The stack of the loop's thread, outermost first, without the loop's own frames. Empty in the report
    #: that the stall is over.
    frames: tuple[Place, ...]
    #: The task that is running, in words; None if it is a plain callback.
    task: str | None
    #: Who awaits that task, nearest first.
    awaiters: tuple[str, ...]
    #: Of `seconds`: spent in the garbage collector, and not on a processor.
    gc: float
    off_cpu: float
    #: Whether a C call kept the interpreter's lock; `frames` are then faulthandler's, and come afterwards.
    held_gil: bool = False

    def __str__(self) -> str:
        if self.over and not self.held_gil:
            mine = max(self.seconds - self.gc - self.off_cpu, 0)
            return (
                f"loopkit: the stall is over after {self.seconds:.3f} s: {mine:.3f} s computing, "
                f"{self.gc:.3f} s in the garbage collector, {self.off_cpu:.3f} s off the processor"
            )
        lines = [f"loopkit: the loop has been stuck for {self.seconds:.3f} s"]
        if self.held_gil:
            lines = [f"loopkit: the loop was stuck for {self.seconds:.3f} s in a C call that kept the GIL"]
            if not self.frames:
                lines[0] += "; where is in the stacks above"
        if self.task:
            lines.append(f"  in {self.task}")
            lines += [f"  awaited by {waiter}" for waiter in self.awaiters]
        for place in self.frames:
            lines.append(f'  File "{place.file}", line {place.line}, in {place.function}')
            if text := place.text():
                lines.append(f"    {text}")
        return "\n".join(lines)


def watch(
    loop: Any, limit: float = 0.1, report: Callable[[Stall], object] | None = None
) -> Callable[[], None]:
    """Report whenever *loop* does not come round for *limit* seconds, while it does not.

    Args:
        loop: a loop of loopkit's; it may be running. limit: seconds. report: called with a `Stall` at the
        limit, at twice, four times ... that, and when the stall is over; in a thread of its own. The
        default prints to standard error. What it raises is logged, and ends the watch.

    Returns:
        A function that ends the watch. The end of the loop does, too.

    Raises ValueError if *limit* is not from a millisecond to an hour, TypeError if *loop* is not loopkit's.
    """
    check_limit(limit)
    parts = instruments(loop)
    watcher = Watcher(loop, limit, report)
    parts.add(watcher)

    def end() -> None:
        watcher.close()
        parts.remove(watcher)

    return end


def check_limit(limit: float) -> float:
    """*limit*. Raises ValueError if it makes no sense."""
    if not 0.001 <= limit <= 3600:
        raise ValueError(f"a limit is from 0.001 to 3600 seconds, not {limit}")
    return limit


def parse(value: str) -> float:
    """What LOOPKIT_WATCH asks for: the limit in seconds."""
    try:
        return check_limit(float(value))
    except ValueError:
        raise ValueError(f"LOOPKIT_WATCH is seconds, from 0.001 to 3600, not {value!r}") from None


def equip(loop: Loop, limit: float) -> None:
    """Watch *loop*, and print what is seen."""
    watch(loop, limit)


class Watcher:
    """The thread that looks. It lives while the loop runs."""

    def __init__(self, loop: Loop, limit: float, report: Callable[[Stall], object] | None) -> None:
        self.loop, self.limit = loop, limit
        self.report = report
        self.alarm = Alarm(limit * ALARM, to_stderr=report is None)
        self.thread: threading.Thread | None = None
        self.heart = Probe()
        self.heart._loop, self.heart._args, self.heart._context = loop, (), Context()
        self.beating = False  # the heartbeat is in the queue
        self.heart._callback = self._beat
        self.gc_seconds = 0.0
        self.gc_began: float | None = None

    # -- in the loop's thread --------------------------------------------------------------------------------

    def starts(self) -> None:
        if self.thread is not None:
            return
        self.beating = False
        self.unended = threading.Lock()
        self.unended.acquire()
        GC_CALLBACKS.append(self._on_gc)
        clock = (
            time.pthread_getcpuclockid(threading.get_ident())
            if hasattr(time, "pthread_getcpuclockid")
            else None
        )
        ended = partial(self.unended.acquire, True)  # to wait for a lock is cheaper than for an Event
        self.thread = threading.Thread(
            target=self._look, args=(threading.get_ident(), clock, ended), name="loopkit-watch", daemon=True
        )
        self.alarm.arm()  # not by the thread: a call of C may keep the lock before that has had a turn
        self.thread.start()

    def stops(self) -> None:
        thread, self.thread = self.thread, None
        if thread is None:
            return
        self.unended.release()
        with contextlib.suppress(ValueError):
            GC_CALLBACKS.remove(self._on_gc)
        if thread is not threading.current_thread():
            thread.join()

    def close(self) -> None:
        self.stops()
        self.alarm.close()

    def _beat(self) -> None:
        self.beating = False

    def _on_gc(self, phase: str, info: dict[str, int]) -> None:
        if threading.get_ident() != self.loop._thread_id:
            return
        now = time.monotonic()
        if phase == "start":
            self.gc_began = now
        elif self.gc_began is not None:
            self.gc_seconds += now - self.gc_began
            self.gc_began = None

    # -- in our own ------------------------------------------------------------------------------------------

    def _look(self, thread_id: int, cpu_clock: int | None, ended: Callable[[float], bool]) -> None:
        try:
            self._keep_looking(thread_id, cpu_clock, ended)
        except Exception:
            logger.exception("loopkit's watch of %r has failed and ends", self.loop)
        finally:
            self.alarm.cancel()

    def _keep_looking(self, thread_id: int, cpu_clock: int | None, ended: Callable[[float], bool]) -> None:
        """*ended* waits for so many seconds, and says whether the watch has ended."""
        loop, limit = self.loop, self.limit
        since = cpu = gc_seconds = 0.0  # of the heartbeat in the queue
        next_report, reported = limit, False
        looked, cpu_then = time.monotonic(), _cpu(cpu_clock)
        wait, over = limit * LOOK, False
        while not over:
            over = ended(wait)
            now = time.monotonic()
            if now - looked > limit * ALARM and (_cpu(cpu_clock) - cpu_then) * 10 > now - looked:
                self._tell_of_c_call(now - looked)
            self.alarm.rearm_if_old(now, limit * REARM)
            looked, cpu_then = now, _cpu(cpu_clock)
            sleeps = over or loop._idle or loop._thread_id != thread_id
            if reported and (sleeps or not self.beating):
                split = self._split(now - since, cpu, gc_seconds, cpu_clock)
                self._tell(Stall(now - since, True, (), None, (), *split))
                reported = False
            if sleeps or not self.beating:
                since, next_report = now, limit
                cpu, gc_seconds = cpu_then, self.gc_seconds
                if not self.beating and not sleeps:  # one that came too late for a turn runs in the next
                    self.beating = True
                    loop._ready.append(self.heart)
            elif now - since >= next_report:
                split = self._split(now - since, cpu, gc_seconds, cpu_clock)
                self._tell(self._seen(now - since, thread_id, split))
                reported = True
                while next_report <= now - since:
                    next_report *= 2
            wait = limit * LOOK
            if self.beating:  # not much later than at the next report, and not so soon that the clock stands
                wait = min(wait, max(since + next_report - now, 0.0001))

    def _split(self, lasted: float, cpu: float, gc_seconds: float, clock: int | None) -> tuple[float, float]:
        """Of a stall: seconds in the garbage collector, and off the processor."""
        collecting = self.gc_seconds - gc_seconds
        if self.gc_began is not None:
            collecting += time.monotonic() - self.gc_began
        off = max(lasted - (_cpu(clock) - cpu), 0.0) if clock is not None else 0.0
        return min(collecting, lasted), min(off, lasted)

    def _seen(self, lasted: float, thread_id: int, split: tuple[float, float]) -> Stall:
        frames = stack_of_thread(thread_id)
        task = current_task(self.loop)
        try:
            words = None if task is None else task_words(task)
            waiters = () if task is None else tuple(task_words(waiter) for waiter in awaiters(task))
            return Stall(lasted, False, frames, words, waiters, *split)
        finally:
            del task

    def _tell_of_c_call(self, lasted: float) -> None:
        """We have not run ourselves for that long, and the loop's thread has: only now can it be told."""
        for frames in self.alarm.heard() or [()]:
            self._tell(Stall(lasted, True, frames, None, (), 0.0, 0.0, held_gil=True))

    def _tell(self, stall: Stall) -> None:
        if self.report is not None:
            self.report(stall)
        else:
            say(str(stall))


def _cpu(clock: int | None) -> float:
    """The processor time of the loop's thread; 0 where it cannot be read, or the thread has ended."""
    try:
        return 0.0 if clock is None else time.clock_gettime(clock)
    except OSError:
        return 0.0
