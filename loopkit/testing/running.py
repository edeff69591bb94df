"""One run of a program in a simulated world: `run`, and what a program can ask for in it."""

from __future__ import annotations

import asyncio
import gc
import inspect
import random
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from . import outside
from .choices import drawn
from .errors import Deadlock, InvariantError, Livelock
from .hosts import Host
from .loop import SimLoop
from .outside import LIFE
from .world import World

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from .choices import Choices

__all__ = ["always", "choice", "eventually", "run", "settle"]

T = TypeVar("T")


def run(
    main: Callable[[], Awaitable[T]] | Coroutine[Any, Any, T],
    *,
    seed: int | None = None,
    level: str = "time",
    strategy: str = "mix",
    start: float = 0.0,
    faults: Callable[[World], Awaitable[object]] | None = None,
    threads: str = "simulated",
    patch_time: bool = False,
    entropy: bool = False,
) -> T:
    """Run *main*, a coroutine function without arguments or a coroutine, in simulated time; its result.

    With *seed* None all goes as it does on asyncio when nothing disturbs it. A number stands for one of the
    ways in which it might go otherwise, always the same one. *level* tells what may go otherwise: "time"
    (lateness and arrival), "sleep" (and how long sleeps last) or "order" (and the order of steps of different
    tasks); *strategy* how the seed is used, see `explore`; *start* is the first moment of the loop's clock,
    in seconds.

    *faults* is a coroutine function that gets the world, and lets fail in it what shall fail, as
    `World.partition` and `World.crash` do. It runs beside *main*, on none of the hosts, and ends with it; if
    it raises, so does the run.

    With *threads* "real" the program may start threads, and executors have theirs: time stands still while
    they run, and what they do when is decided by no seed. Otherwise functions for executors are called in the
    loop's thread. With *patch_time* the clocks of the `time` module are the simulation's, with *entropy*
    `os.urandom`, `uuid4` and `secrets` are drawn from the seed.

    Raises what *main* raises; `Deadlock` if it waits for what cannot come, `Livelock` if it never waits.
    ValueError for an unknown word.
    """
    choices = None if seed is None else drawn(seed, level, strategy)
    program = Program(main, faults, start, threads, patch_time, entropy)
    result: T = perform(program, program.world(choices, seed or 0), seed or 0)
    return result


class Program(NamedTuple):
    """What is run, and in what kind of world; `run` says what each is."""

    main: Any
    faults: Callable[[World], Awaitable[object]] | None = None
    start: float = 0.0
    threads: str = "simulated"
    patch_time: bool = False
    entropy: bool = False

    def world(self, choices: Choices | None, seed: int) -> World:
        """A new world for it."""
        return World(
            choices,
            self.start,
            seed,
            threads=self.threads,
            patch_time=self.patch_time,
            entropy=self.entropy,
        )


def perform(program: Program, world: World, seed: int) -> Any:
    """Run *program* in *world*, with the global `random` seeded for it; leave nothing behind."""
    loop: Any = SimLoop(world)
    main = program.main
    if world.trace is not None:
        world.trace.begins(world)
    state = random.getstate()
    random.seed(f"{seed}:program")
    collects = gc.isenabled()
    # Finalizers schedule callbacks: they must not come when the collector likes.
    gc.disable()
    tidies = world.explores
    try:
        task = loop.create_task(_called(main), name=_title(main))
        if program.faults is not None:
            _script(world, program.faults)
        result: Any = loop.run_until_complete(task)
        return result
    except BaseException:
        tidies = True
        raise
    finally:
        try:
            _clear_up(loop, tidies or world.halted)
        finally:
            random.setstate(state)
            if collects:
                gc.enable()
            loop.close()
            if world.threads is not None:
                world.threads.end()
            world.bury()


def _script(world: World, faults: Any) -> None:
    """Run ``faults(world)`` beside the program, where neither crash nor stall reaches it."""
    nowhere = Host(world, _title(faults), ())
    task = nowhere.run(faults, world)

    def check() -> None:
        if task.done():
            world.checks.remove(check)
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error

    world.watch(check)


def _title(main: Any) -> str:
    return getattr(main, "__qualname__", "main").rpartition("<locals>.")[2]


async def _called(main: Any) -> Any:
    # In here a failing call is a failing run, and sockets that it makes are simulated.
    awaitable = main() if callable(main) else main
    return await awaitable if inspect.isawaitable(awaitable) else awaitable


def _clear_up(loop: SimLoop, tidies: bool) -> None:
    """As `asyncio.run` does, but in bounded time: cancel what is left.

    With *tidies* connections are aborted, too: a run that failed, or was one of a thousand, need not complain
    of what it had no time to close.
    """
    world = loop.world
    world.end()
    tasks = sorted(asyncio.all_tasks(loop), key=lambda task: getattr(task, "number", 0))
    tasks = [task for task in tasks if not world.is_lost(task)]
    if len(world.network.hosts) > 1:
        # Servers of other machines are always in the middle of something. (3.11 reports each cancelled one.)
        loop.set_exception_handler(lambda loop, context: None)
        tidies = True
    for task in tasks:
        task.cancel()
    _ended(loop, asyncio.gather(*tasks, return_exceptions=True) if tasks else None)
    if loop._asyncgens:
        _ended(loop, loop.shutdown_asyncgens())
    if tidies:
        _abort_all(loop)


def _ended(loop: SimLoop, last: Any) -> None:
    """Wait for *last*; but whoever does not want to end does not keep the run from ending."""
    if last is None:
        return
    # Not on the program's own machine: that may have crashed, and nothing runs there.
    context = copy_context()
    context.run(LIFE.set, Host(loop.world, "nowhere", ()).life)
    try:
        context.run(loop.run_until_complete, last)
    except (Deadlock, Livelock, RuntimeError):
        for task in asyncio.all_tasks(loop):
            task._log_destroy_pending = False  # type: ignore[attr-defined]


def _abort_all(loop: SimLoop) -> None:
    owners = [owner for owner in loop._watches.owners() if hasattr(owner, "abort")]
    for owner in owners:
        owner.abort()
    _ended(loop, asyncio.sleep(0))
    for owner in owners:
        if getattr(owner, "_socket", None) is not None:
            owner._release()  # of a host that has crashed: nothing of it runs any more


# -- for programs --------------------------------------------------------------------------------------------


def _loop(asked_for: str) -> SimLoop:
    loop = outside.simulation()
    if loop is None:
        raise RuntimeError(f"{asked_for} works in a simulated run only: see loopkit.testing.run")
    return loop


async def settle() -> None:
    """Wait until everything else is blocked, and no packet is under way that arrives before the next timer.

    No timer passes. A test that wants time to pass sleeps; one that wants all consequences of what it did to
    have happened settles. Raises RuntimeError outside a simulation.
    """
    loop = _loop("settle()")
    future = loop.create_future()
    loop.world.settlers.append(future)
    await future


def choice(count: int, label: str = "choice") -> int:
    """A number from 0 to ``count - 1`` that exploration varies and shrinks; 0 outside exploration.

    Raises ValueError unless *count* is positive.
    """
    if count < 1:
        raise ValueError(f"choice() needs at least one possibility, not {count}")
    loop = outside.simulation()
    if loop is None:
        return 0
    value = loop.world.choices.ask("user", count - 1)
    if value:
        loop.world.choices.say(f"{label} was {value}")
    return value


def always(predicate: Callable[[], object], message: str = "") -> None:
    """Check *predicate* after every step from now to the end of the run, which it fails if it is not true.

    It may neither await nor draw. Raises RuntimeError outside a simulation; the run raises `InvariantError`.
    """
    loop = _loop("always()")

    def check() -> None:
        if not predicate():
            raise InvariantError(message or f"{_title(predicate)} does not always hold")

    loop.world.watch(check)


def eventually(predicate: Callable[[], object], within: float, message: str = "") -> None:
    """Have *predicate* become true within so many seconds of the loop's clock, or else the run fails.

    Otherwise as `always`; it is looked at after every step until it has been true once.
    """
    loop = _loop("eventually()")
    world, end = loop.world, loop.world.clock.now + within

    def check() -> None:
        if predicate():
            world.checks.remove(check)
        elif world.clock.now > end:
            raise InvariantError(message or f"{_title(predicate)} did not hold within {within:g} s")

    world.watch(check)
    world.at(end + 1e-9, world.wake)
