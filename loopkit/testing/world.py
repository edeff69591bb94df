"""The world that a simulated loop lives in: time, what is going to happen, hosts, and what they have open.

`World` owns the state; what the network does is in `network.py`, what a socket does in `families.py`,
`streams.py` and `datagrams.py`.
"""

from __future__ import annotations

import random
from collections import Counter, deque
from contextlib import nullcontext
from heapq import heappop, heappush, nsmallest
from itertools import count
from math import inf
from typing import TYPE_CHECKING, Any

from . import waits
from .choices import Choices
from .clock import VirtualClock
from .errors import Deadlock
from .files import Table
from .hosts import Host, Life
from .network import Network
from .outside import FIRST_FD, LIFE
from .paths import Paths
from .poller import SimPoller
from .scenery import Scenery
from .sockets import SimSocket

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from .threads import Threads
    from .trace import Trace

#: More steps than any test has: a program that takes them does not end.
STEP_LIMIT = 2_000_000

#: How many steps tasks get to end in, after they were cancelled.
FAREWELL = 10_000


#: What comes by itself is at most so late, in seconds, be it a callback's return or a packet. Otherwise every
#: timeout of a minute would be found to be too short; what takes longer than this a test arranges.
LATEST = 1.0


class World(Scenery):
    """What is outside the program, simulated.

    Args:
        choices: who answers where a real run might go one way or another; None: all goes asyncio's way.
        start: the first moment of the clock, in seconds.
        seed: of what links lose and how much they vary.
        threads: "simulated": functions for executors are called in the loop's thread, and the program may
        start no threads; "real": it may, and time stands still while they run. A seed then does not decide
        everything.
        patch_time: whether the clocks of the `time` module are the simulation's; else they stay untouched.
        entropy: whether `os.urandom`, `uuid4` and `secrets` are drawn from *seed*, too.

    Raises ValueError for another word than these.
    """

    has_warned = False  # of a real clock

    def __init__(
        self,
        choices: Choices | None = None,
        start: float = 0.0,
        seed: int = 0,
        *,
        threads: str = "simulated",
        patch_time: bool = False,
        entropy: bool = False,
    ) -> None:
        self.clock = VirtualClock(start)
        self.choices = choices or Choices({})
        #: Whether anything may deviate: decides the kind of turn.
        self.explores = choices is not None
        self.loop: Any = None  # comes when it is made
        self.pollers: list[SimPoller] = []
        self.files = Table(FIRST_FD)
        self.lives: list[Life] = []
        #: (when, number, callback, args): what the outside is going to do.
        self.events: list[tuple[float, int, Callable[..., Any], tuple[Any, ...]]] = []
        #: One more each time: the order in which things, and tasks, came to be.
        self.number, self.task_number = count(1).__next__, count(1).__next__
        #: How many callbacks were called; how often something has changed for a file: packets, mostly.
        self.steps = self.arrivals = 0
        self.step_limit = STEP_LIMIT
        self.settlers: list[asyncio.Future[None]] = []
        self.held: deque[tuple[Any, int]] = deque()
        self.released: list[Any] = []  # put off once, not to be put off again
        self.was_idle = False  # the last poll came while steps were held
        self.halted = False  # some host stands still or is down
        #: The program's own threads; None: it may not have any.
        self.threads: Threads | None = None
        #: Held in calls of the simulated kernel, when there are several threads to make them.
        self.lock: Any = nullcontext()
        self.socket_type, self.poller_type = SimSocket, SimPoller
        if threads == "real":
            from .threads import SharedPoller, SharedSocket, Threads

            self.threads = Threads(self)
            self.lock = self.threads.lock
            self.socket_type, self.poller_type = SharedSocket, SharedPoller
        elif threads != "simulated":
            raise ValueError(f'threads must be "simulated" or "real", not {threads!r}')
        self.trace: Trace | None = None
        self.checks: list[Callable[[], None]] = []
        self.dice = random.Random(f"{seed}:dice")
        self.network = Network(self)
        self.paths = Paths()
        #: The host on which everything runs that is not told otherwise.
        self.here = Host(self, "localhost", ("10.0.0.1", "fd00::1"))
        self.network.add(self.here)
        #: What was called last; None: a descriptor's callback, or a timer's.
        self.last: Any = None
        #: What `add_signal_handler` has been given.
        self.signals: dict[int, asyncio.Handle] = {}
        #: What `process` has been given; processes that nobody has waited for, by their numbers.
        self.programs: dict[str, Callable[[Any], Any]] = {}
        self.children: dict[int, Any] = {}
        self.patches_time, self.seeds_entropy = patch_time, entropy
        self.entropy = random.Random(f"{seed}:entropy")

    # -- what is going to happen -----------------------------------------------------------------------------

    def at(self, when: float, callback: Callable[..., Any], *args: Any) -> None:
        """Have the outside do something at *when*, on the loop's clock."""
        heappush(self.events, (max(when, self.clock.now), self.number(), callback, args))

    def after(self, delay: float, callback: Callable[..., Any], *args: Any) -> None:
        """The same, *delay* seconds from now; without a delay at once."""
        if delay <= 0:
            callback(*args)
        else:
            self.at(self.clock.now + delay, callback, *args)

    def progress(self) -> tuple[int, ...]:
        """Numbers of which one at least is another one after each turn."""
        return self.steps, self.clock.jumps, self.arrivals, self.loop._watches.polls

    def next_event(self) -> float:
        """When the outside does something next; inf: never."""
        coming = self.events[0][0] if self.events else inf
        return coming if self.threads is None else min(coming, self.threads.deadline())

    def deliver(self) -> None:
        """Let happen what is due."""
        now = self.clock.now
        while self.events and self.events[0][0] <= now:
            _, _, callback, args = heappop(self.events)
            callback(*args)
        if self.threads is not None and self.threads.deadline() <= now:
            self.threads.notify()

    def has_deadline(self) -> bool:
        """Whether the passing of time would change anything."""
        return bool(self.events or self.loop._timers.heap)

    def deadlines(self, count: int, within: float = inf) -> list[float]:
        """The next moments, at most *count*, within so many seconds, at which something is due."""
        if not self.has_deadline():
            return []
        now = self.clock.now
        coming = [
            entry[0]
            for entry in nsmallest(count + 4, self.loop._timers.heap)
            if entry[2]._callback is not None and entry[0] > now
        ]
        coming += [event[0] for event in nsmallest(count, self.events) if event[0] > now]
        if within < inf:
            coming = [when for when in coming if when <= now + within]
        return sorted(set(coming))[:count]

    def lateness(self, kind: str) -> float:
        """How much later than usual something arrives: until just after one of the deadlines to come."""
        stream = self.choices.streams[kind]
        stream.index += 1
        if stream.index != stream.next and self.choices.asked is None:
            return 0.0
        coming = self.deadlines(3, LATEST)
        value = self.choices.answer(kind, len(coming))
        return coming[value - 1] - self.clock.now + 1e-9 if value else 0.0

    # -- putting off -----------------------------------------------------------------------------------------

    def release_held(self) -> None:
        """Everything else is idle: let steps that were put off go on, some after a deadline."""
        soon = [handle for handle, value in self.held if value <= 2]
        if not soon:
            coming = self.deadlines(1, LATEST)
            if coming:
                self.clock.go_to(coming[0])
                self.held = deque((handle, 2) for handle, _ in self.held)
                return
            soon = [handle for handle, _ in self.held]
        self.held = deque(entry for entry in self.held if entry[0] not in soon)
        self.loop._ready.extend(soon)
        self.released = soon

    def wake_settlers(self) -> bool:
        """Tell those who wait in `settle` that all is quiet. Whether there were any."""
        settlers, self.settlers = self.settlers, []
        for future in settlers:
            if not future.done():
                future.set_result(None)
        return bool(settlers)

    def life(self, found: Life | None) -> Life:
        """That of the host on which code runs whose context has *found*."""
        return self.here.life if found is None or found.host.world is not self else found

    def keeps(self, handle: Any) -> bool:
        """Whether *handle* is of a host that stands still or is down, and so is kept from running."""
        life = self.life(handle._context.get(LIFE))
        if life.is_over:
            return True
        if life.host.stalled:
            life.host.keep(handle)
            return True
        return False

    def halt(self) -> None:
        """From now on there are callbacks that must not run: look at each."""
        self.halted = True
        self._look_at_each()

    def _look_at_each(self) -> None:
        if not self.explores:
            self.explores = True  # the plain turn would not ask
            self.loop._leave = True

    def blocked(self, call: Callable[[], Any], seconds: float | None) -> Any:
        """``call()`` as a blocking call of the program: time passes while it says EAGAIN.

        Raises TimeoutError after *seconds* (None: never), `Deadlock` if nothing can end the waiting.
        """
        threads = self.threads
        if threads is not None and not threads.is_loop():
            return threads.blocked(call, seconds)
        end = inf if seconds is None else self.clock.now + seconds
        while True:
            try:
                return call()
            except BlockingIOError:
                pass
            if threads is not None and threads.wait():
                continue
            coming = self.next_event()
            if coming > end or coming == inf:
                if end == inf:
                    raise Deadlock("a blocking call in the loop's thread waits for what cannot come")
                self.clock.advance(end - self.clock.now)
                raise TimeoutError("timed out")
            self.clock.go_to(coming)
            self.deliver()

    def block(self, seconds: float) -> None:
        """The program blocks the calling thread for *seconds*; the outside goes on meanwhile."""
        self.tell("stall", f"time.sleep() keeps the loop for {seconds:g} s")
        with self.lock:
            try:
                self.blocked(_again, max(seconds, 0.0))
            except TimeoutError:
                pass

    def is_lost(self, task: Any) -> bool:
        """Whether *task* was on a host that has crashed since."""
        return any(task in life.tasks for life in self.lives if life.is_over)

    def bury(self) -> None:
        """The run is over: let go of tasks that were lost with their hosts, whatever their ends say."""
        for life in self.lives:
            for task in life.tasks if life.is_over else ():
                task._log_destroy_pending = False
                try:
                    task.get_coro().close()
                except BaseException:  # a finally that awaits, say
                    continue
            life.tasks.clear()

    def end(self) -> None:
        """The run is over: nothing comes from outside any more."""
        self.events.clear()
        if self.trace is not None:
            self.trace.ends()
            self.trace = None
        self.loop._ready.extend(handle for handle, _ in self.held)
        self.held.clear()
        self.checks.clear()
        self.settlers.clear()
        self.choices = Choices({})
        self.explores = True  # that turn counts steps
        self.step_limit = self.steps + FAREWELL

    def wake(self) -> None:
        """Have the loop take a turn."""
        self.loop.call_soon(_nothing)

    # -- watching --------------------------------------------------------------------------------------------

    def watch(self, check: Callable[[], None]) -> None:
        """Call *check* after every step."""
        self.checks.append(check)
        self._look_at_each()

    def after_step(self, handle: Any, callback: Any) -> None:
        """A callback has returned, and somebody looks after each."""
        if self.trace is not None:
            self.trace.step(self, handle, callback)
        for check in list(self.checks):
            check()

    def host_of(self, handle: Any) -> str:
        """The name of the host on which *handle* is called."""
        return self.life(handle._context.get(LIFE)).host.name

    # -- words -----------------------------------------------------------------------------------------------

    def last_step(self) -> str:
        """What ran last."""
        owner = getattr(self.last, "__self__", None)
        if hasattr(owner, "get_coro"):
            return waits.name_of(owner)
        return "a callback" if self.last is None else waits.callback_name(self.last)

    def tell_livelock(self, what: str = "") -> str:
        """The text of a `Livelock` now."""
        names = Counter(waits.handle_name(handle) for handle in self.loop._ready)
        busy = ", ".join(f"{name} ({count})" for name, count in names.most_common(5)) or "nothing"
        what = what or "callbacks run on and on, and no time passes"
        return f"{what}, at {self.clock.now:g} s of virtual time; ready: {busy}"


def _again() -> None:
    raise BlockingIOError


def _nothing() -> None:
    """For a turn's sake."""
