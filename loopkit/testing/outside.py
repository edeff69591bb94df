"""What a program reaches for outside its loop while a simulation runs, and what it gets instead.

While at least one simulated loop runs, a few names of the standard library look first whether they are
called in the thread of such a loop. If so they give the simulated thing, or raise `EscapedError`, which names
the way out; everybody else gets what has always been there. When the last simulation ends the names are
restored.

Which loop runs is known by the thread, and not by `asyncio.get_running_loop`: a function that
`run_in_executor` was given runs in the loop's thread here, and must not see a running loop.
"""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from functools import wraps
from typing import TYPE_CHECKING, Any

from . import waits
from .errors import EscapedError
from .watchdog import watching

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .hosts import Host
    from .loop import SimLoop
    from .world import World


class _Active(threading.local):
    loop: SimLoop | None = None


_active = _Active()

#: Descriptors of the simulated kernel begin here; those of the real one never come so far.
FIRST_FD = 1_000_000


def is_simulated_fd(fd: object) -> bool:
    """Whether *fd* is a number of the simulated kernel."""
    return isinstance(fd, int) and fd >= FIRST_FD


def simulation() -> SimLoop | None:
    """The simulated loop that runs in this thread, or None."""
    return _active.loop


#: How many blocks ask for real sockets just now (`real_sockets`).
opted_out = 0


class real_sockets:
    """``with real_sockets():`` sockets and pipes made in it are real ones, in the middle of a simulation."""

    def __enter__(self) -> None:
        global opted_out
        opted_out += 1

    def __exit__(self, *exc: object) -> None:
        global opted_out
        opted_out -= 1


def simulates() -> bool:
    """Whether what is made in this thread is of a simulated kernel."""
    return _active.loop is not None and not opted_out


def enter(loop: SimLoop | None) -> None:
    """From now on this thread is *loop*'s, or one of its program; None: no longer."""
    _active.loop = loop


def here() -> World:
    """The world in which the calling thread is."""
    assert _active.loop is not None
    return _active.loop.world


#: The life of the host on which code runs; nothing: the world's first.
LIFE: ContextVar[Any] = ContextVar("loopkit.testing.life", default=None)


def current_host(world: World) -> Host:
    """On which host of *world* the code that calls this runs."""
    return world.life(LIFE.get()).host


# -- names of the standard library ---------------------------------------------------------------------------

_lock = threading.Lock()
_running = 0
_restore: list[tuple[Any, str, Any]] = []

#: For what the owner has from a base. (None may be a value: of what a platform lacks.)
INHERITED = object()

#: (owner, attribute, make(original) -> replacement); sockets add theirs.
REPLACED: list[tuple[Any, str, Callable[[Any], Any]]] = []


@contextmanager
def replaced() -> Iterator[None]:
    """The names of the standard library are ours in it. Who runs many simulations stays in it."""
    global _running
    with _lock:
        _running += 1
        is_first = _running == 1
        if is_first:
            for owner, name, make in REPLACED:
                _restore.append((owner, name, vars(owner).get(name, INHERITED)))
                setattr(owner, name, make(getattr(owner, name)))
    try:
        with watching(simulation) if is_first else nullcontext():
            yield
    finally:
        with _lock:
            _running -= 1
            while _restore and not _running:
                owner, name, original = _restore.pop()
                if original is INHERITED:
                    delattr(owner, name)
                else:
                    setattr(owner, name, original)


@contextmanager
def running(loop: SimLoop) -> Iterator[None]:
    """*loop* runs in this thread."""
    with replaced():
        before, _active.loop = _active.loop, loop
        try:
            yield
        finally:
            _active.loop = before


def replaces(owner: Any, name: str) -> Callable[[Callable[[Any], Any]], Any]:
    """Register a function that makes the replacement of ``owner.name`` from the original."""

    def register(make: Callable[[Any], Any]) -> Any:
        REPLACED.append((owner, name, make))
        return make

    return register


@replaces(time, "sleep")
def _sleep(original: Any) -> Any:
    @wraps(original)
    def sleep(seconds: float, /) -> None:
        loop = _active.loop
        if loop is None:
            original(seconds)
        else:
            loop.world.block(seconds)

    return sleep


@replaces(threading.Thread, "start")
def _start(original: Any) -> Any:
    @wraps(original)
    def start(self: threading.Thread) -> None:
        loop = _active.loop
        if loop is None:
            original(self)
        elif loop.world.threads is None:
            raise EscapedError(
                f"the thread {self.name!r} would run in real time, beside the simulation; use "
                "run_in_executor or asyncio.to_thread, which are simulated, or run this test with "
                'threads="real"'
            )
        else:
            loop.world.threads.start(self, original)

    return start


# -- who holds a lock ----------------------------------------------------------------------------------------


def _acquire(original: Any) -> Any:
    @wraps(original)
    async def acquire(self: Any) -> Any:
        result = await original(self)
        if _active.loop is not None:
            waits.holders.setdefault(self, []).append(asyncio.current_task())
        return result

    return acquire


def _release(original: Any) -> Any:
    @wraps(original)
    def release(self: Any) -> None:
        if _active.loop is not None and (held := waits.holders.get(self)):
            task = asyncio.current_task() if asyncio._get_running_loop() is not None else None
            held.remove(task) if task in held else held.pop(0)
        original(self)

    return release


for _kind in (asyncio.Lock, asyncio.Semaphore):
    replaces(_kind, "acquire")(_acquire)
    replaces(_kind, "release")(_release)
