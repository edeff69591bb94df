"""Threads of the program beside a simulated loop: `run(main, threads="real")`.

By default there are none: `run_in_executor` calls its function in the loop's thread. Where a test needs real
ones (a blocking client, a library with a worker of its own), they run in real time, and the simulation makes
room for them.

Facts
- A thread that computes may do anything next. One that waits in the simulated kernel (`recv`, `time.sleep`)
  cannot be woken by anything but the simulation, and one that waits for a lock, an event or a queue by
  nothing but another thread.
- Nothing tells which of these a thread does, if it does not come to us; but its topmost frame does.

Consequences
- One lock is the simulated kernel's. Each call on a socket holds it, and so does a poll, except while it
  waits.
- Time stands still as long as a thread might do something, and passes when all of them wait: in the kernel,
  or where `WAITING` says, in the same place each time we look. Their timeouts are in time of the simulation,
  and one more deadline of the world.
- What happens when is no longer decided by us: the same seed need not mean the same run.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import traceback
from functools import wraps
from math import inf
from typing import TYPE_CHECKING, Any

from . import outside
from .errors import Deadlock, EscapedError
from .poller import SimPoller
from .sockets import SimSocket

if TYPE_CHECKING:
    from collections.abc import Callable

    from .world import World

#: Where a thread stands that waits for another one: (file, function).
WAITING = {
    ("threading.py", "wait"),
    ("threading.py", "join"),
    ("threading.py", "_wait_for_tstate_lock"),
    ("thread.py", "_worker"),
}

#: Seconds between two looks at threads that run, and how many of them have to see the same.
PAUSE, LOOKS = 0.002, 3

#: Seconds for which a thread may keep time from passing without moving.
PATIENCE = 20.0


class RealCondition(threading.Condition):
    """One whose timeouts are in real time."""

    wait = threading.Condition.wait


class Threads:
    """The program's threads in a world, and the lock of its kernel."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.lock = threading.RLock()
        #: Notified for threads that wait in the kernel; for the loop that waits for threads.
        self._changed, self._moved = RealCondition(self.lock), RealCondition(self.lock)
        self._running: dict[int, threading.Thread] = {}
        #: Who waits in the kernel, until when.
        self._blocked: dict[int, float] = {}
        #: Who waits for another thread, until when.
        self._timed: dict[int, float] = {}
        #: Who is in a kernel call: waiting there, or woken and about to go on.
        self._inside: set[int] = set()
        self._moves = 0
        self._is_over = False

    # -- their lives -----------------------------------------------------------------------------------------

    def start(self, thread: Any, start: Callable[[Any], None]) -> None:
        """Start *thread*, a new one of the program's, by *start*."""
        run, loop = thread.run, outside.simulation()

        def simulated() -> None:
            with self.lock:  # free when it is known that we run
                outside.enter(loop)
            try:
                run()
            finally:
                outside.enter(None)
                del thread.run
                with self.lock:
                    del self._running[threading.get_ident()]
                    self.move()

        thread.run = simulated
        with self.lock:
            start(thread)
            self._running[thread.ident] = thread

    def end(self) -> None:
        """The run is over: whoever still waits in the kernel hears it."""
        with self.lock:
            self._is_over = True
            self.notify()

    # -- what they do ----------------------------------------------------------------------------------------

    def move(self) -> None:
        """A thread has done something that the loop may wait for."""
        with self.lock:
            self._moves += 1
            self._moved.notify()

    def notify(self) -> None:
        """Something has changed in the kernel: whoever waits there looks again."""
        with self.lock:
            self._blocked.clear()
            self._changed.notify_all()
            self.move()

    def is_loop(self) -> bool:
        """Whether the calling thread is the one that runs the loop."""
        return threading.get_ident() not in self._running

    def deadline(self) -> float:
        """When a thread that waits goes on by itself."""
        now = self.world.clock.now
        coming = [when for when in list(self._timed.values()) if when > now]
        return min([*self._blocked.values(), *coming], default=inf)

    def wait_for_another(self, wait: Callable[[float], bool], seconds: float) -> bool:
        """``wait(seconds)`` of a thread, in time of the simulation."""
        ident, end = threading.get_ident(), self.world.clock.now + seconds
        self._timed[ident] = end
        try:
            # The loop may be blocked itself, by waiting for us: then the time is real.
            real_end = time.monotonic() + seconds
            while not (done := wait(PAUSE)) and not self._is_over:
                if self.world.clock.now >= end or time.monotonic() >= real_end:
                    break
            return done
        finally:
            del self._timed[ident]

    def blocked(self, call: Callable[[], Any], seconds: float | None) -> Any:
        """``call()`` as a blocking call of another thread than the loop's; as `World.blocked`."""
        clock, ident = self.world.clock, threading.get_ident()
        end = inf if seconds is None else clock.now + seconds
        with self.lock:
            self._inside.add(ident)
            try:
                while True:
                    try:
                        return call()
                    except BlockingIOError:
                        pass
                    if self._is_over:
                        raise EscapedError(
                            "the simulation is over, and a thread of it still waits in its kernel"
                        )
                    if clock.now < end:
                        self._blocked[ident] = end
                        self.move()
                        # The loop may be blocked itself, by waiting for us: then the time is real.
                        if self._changed.wait(seconds):
                            continue
                    raise TimeoutError("timed out")
            finally:
                self._inside.discard(ident)
                self._blocked.pop(ident, None)

    # -- waiting for them ------------------------------------------------------------------------------------

    def wait(self) -> bool:
        """Wait, in real time, as long as a thread may do something. Whether one has.

        Raises `Deadlock` when a thread has neither moved nor come to us for `PATIENCE` seconds.
        """
        moves, before, same, since = self._moves, None, 0, time.monotonic()
        while self._running.keys() - self._blocked.keys():
            self._moved.wait(PAUSE)
            if self._moves != moves:
                return True
            places = self._places()
            if places != before:
                before, same, since = places, 0, time.monotonic()
                continue
            same += 1
            if same >= LOOKS and all(waits for _, _, waits in places) and not self._any_runs():
                return False
            if time.monotonic() - since > PATIENCE:
                raise Deadlock(self._tell())
        return False

    def _places(self) -> list[tuple[int, int, bool]]:
        """Where each running thread is: what it runs, the instruction, whether it waits for another."""
        frames, now = sys._current_frames(), self.world.clock.now
        found = []
        for ident in self._running.keys() - self._blocked.keys():
            frame = frames.get(ident)
            if frame is not None:
                code = frame.f_code
                where = os.path.basename(code.co_filename), code.co_name
                waits = (
                    ident not in self._inside
                    and where in WAITING
                    and (self._timed.get(ident, 0.0) > now or frame.f_locals.get("timeout") in (None, -1))
                )
                found.append((id(code), frame.f_lasti, waits))
        return sorted(found)

    def _any_runs(self) -> bool:
        """Whether the kernel says that one of them waits for the processor, and not for another thread."""
        for ident in self._running.keys() - self._blocked.keys():
            try:
                with open(f"/proc/self/task/{self._running[ident].native_id}/stat") as file:
                    if file.read().rpartition(")")[2].split()[0] == "R":
                        return True
            except OSError:  # it has ended
                return True
        return False

    def _tell(self) -> str:
        lines = [f"a thread keeps time from passing, and has not moved for {PATIENCE:g} s:"]
        frames = sys._current_frames()
        for ident in self._running.keys() - self._blocked.keys():
            stack = traceback.extract_stack(frames[ident])[-3:] if ident in frames else []
            where = " > ".join(
                f"{os.path.basename(frame.filename)}:{frame.lineno} {frame.name}" for frame in stack
            )
            lines.append(f"  {self._running[ident].name}: {where}")
        return "\n".join(lines)


@outside.replaces(threading.Condition, "wait")
def _wait(original: Any) -> Any:
    @wraps(original)
    def wait(self: Any, timeout: float | None = None) -> bool:
        loop = outside.simulation()
        threads = None if loop is None else loop.world.threads
        if timeout is None or threads is None or threads.is_loop():
            done: bool = original(self, timeout)
            return done
        return threads.wait_for_another(lambda seconds: original(self, seconds), timeout)

    return wait


def _shared(method: Callable[..., Any]) -> Callable[..., Any]:
    """*method* of a socket or poller, as a call of a kernel that several threads use."""

    @wraps(method)
    def call(self: Any, *args: Any, **options: Any) -> Any:
        with self.world.lock:
            return method(self, *args, **options)

    return call


class SharedSocket(SimSocket):
    """A simulated socket that several threads may use."""

    __slots__ = ()

    def __init__(self, *args: Any, **options: Any) -> None:
        with outside.here().lock:
            super().__init__(*args, **options)


class SharedPoller(SimPoller):
    """A simulated poller whose files other threads may change."""

    __slots__ = ()


for _kind, _names in (
    (
        SharedSocket,
        "accept bind connect connect_ex detach dup getpeername getsockname getsockopt listen recv recvfrom "
        "recv_into recvfrom_into send sendall sendmsg sendto setsockopt shutdown _real_close",
    ),
    (SharedPoller, "register modify unregister poll close"),
):
    for _name in _names.split():
        setattr(_kind, _name, _shared(getattr(_kind, _name)))
