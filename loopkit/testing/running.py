"""One run of a program in a simulated world: `run`, and what a program can ask for in it."""

from __future__ import annotations

import asyncio
import gc
import inspect
import random
from typing import TYPE_CHECKING, Any, TypeVar

from . import outside
from .choices import drawn
from .errors import Deadlock, InvariantError, Livelock
from .loop import SimLoop
from .world import World

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

__all__ = ["always", "choice", "eventually", "run", "settle"]

T = TypeVar("T")


def run(
    main: Callable[[], Awaitable[T]] | Coroutine[Any, Any, T],
    *,
    seed: int | None = None,
    level: str = "time",
    strategy: str = "mix",
    start: float = 0.0,
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

    With *threads* "real" the program may start threads, and executors have theirs: time stands still while
    they run, and what they do when is decided by no seed. Otherwise functions for executors are called in the
    loop's thread. With *patch_time* the clocks of the `time` module are the simulation's, with *entropy*
    `os.urandom`, `uuid4` and `secrets` are drawn from the seed.

    Raises what *main* raises; `Deadlock` if it waits for what cannot come, `Livelock` if it never waits.
    """
    choices = None if seed is None else drawn(seed, level, strategy)
    result: T = perform(
        main,
        World(choices, start, seed or 0, threads=threads, patch_time=patch_time, entropy=entropy),
        seed or 0,
    )
    return result


def perform(main: Any, world: World, seed: int) -> Any:
    """Run *main* in *world*, with the global `random` seeded for it; leave nothing behind."""
    loop: Any = SimLoop(world)
    state = random.getstate()
    random.seed(f"{seed}:program")
    collects = gc.isenabled()
    # Finalizers schedule callbacks: they must not come when the collector likes.
    gc.disable()
    tidies = world.explores
    try:
        result: Any = loop.run_until_complete(loop.create_task(_called(main), name=_title(main)))
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
    try:
        loop.run_until_complete(last)
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
