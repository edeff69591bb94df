"""What no simulation can give: children, signals of the process, other selectors; and the clocks, on request.

Each raises `EscapedError` at the call, with the way out. A signal has a stand-in, `World.signal`. Of the
clocks only `loop.time` is the simulation's, unless the world was made with ``patch_time``: then those of the
`time` module are, too, wherever they are called by that name; otherwise a task that asks one is warned.
(`datetime.now` asks the system itself, and a function that was imported by name earlier is another one.)
"""

from __future__ import annotations

import _posixsubprocess
import asyncio
import contextlib
import os
import random
import selectors
import signal
import sys
import time
import warnings
from functools import wraps
from typing import TYPE_CHECKING, Any

from ..diagnostics.stacks import is_library
from . import outside
from .errors import EscapedError

if TYPE_CHECKING:
    from .world import World

#: Where the clocks of a world with ``patch_time`` begin: 2000-01-01, UTC.
EPOCH = 946_684_800

#: What ends nobody, if it is not handled.
HARMLESS = {signal.SIGCHLD, signal.SIGCONT, signal.SIGURG, signal.SIGWINCH}


def refuses(owner: Any, name: str, text: str) -> None:
    """Have ``owner.name`` raise `EscapedError` in a simulation."""

    def make(original: Any) -> Any:
        @wraps(original)
        def call(*args: Any, **options: Any) -> Any:
            if outside.simulates():
                raise EscapedError(text)
            return original(*args, **options)

        return call

    outside.replaces(owner, name)(make)


CHILD = "{}() would make a process that runs in real time, beside the simulation; replace it in this test"
for _owner, _name in (
    (os, "fork"),
    (os, "forkpty"),
    (os, "posix_spawn"),
    (os, "system"),
    (_posixsubprocess, "fork_exec"),
):
    if hasattr(_owner, _name):
        refuses(_owner, _name, CHILD.format(_name) + ", or run the test on loopkit.Loop")

with contextlib.suppress(ImportError):  # a platform may have no processes
    # Refused where they are made: its connections may have bound os.write before it was replaced.
    import multiprocessing.connection
    from concurrent.futures.process import ProcessPoolExecutor

    refuses(
        ProcessPoolExecutor,
        "__init__",
        "a ProcessPoolExecutor would run in real time, beside the simulation; use the default executor or a "
        "ThreadPoolExecutor in this test, which are simulated",
    )
    refuses(multiprocessing.connection, "Pipe", CHILD.format("multiprocessing.Pipe").replace("make", "need"))

refuses(
    signal,
    "raise_signal",
    "a signal of the real process would come in real time; loop.world.signal(sig) is its stand-in",
)


@outside.replaces(selectors._BaseSelectorImpl, "register")
def _register(original: Any) -> Any:
    @wraps(original)
    def register(self: Any, fileobj: Any, events: int, data: Any = None) -> Any:
        fd = fileobj if isinstance(fileobj, int) else fileobj.fileno()
        if fd >= outside.FIRST_FD and outside.simulates():
            raise EscapedError(
                f"{type(self).__name__} asks the real kernel, which does not know the simulated descriptor "
                f"{fd}; select.select() and select.poll() know it, and with real_sockets() sockets are real"
            )
        return original(self, fileobj, events, data)

    return register


# -- signals -------------------------------------------------------------------------------------------------


def deliver(world: World, sig: int) -> None:
    """The process has received signal *sig*: see `World.signal`."""
    handle: asyncio.Handle | None = world.signals.get(sig)
    if handle is not None:
        world.loop._ready.append(handle)
        return
    handler = signal.getsignal(sig)
    if callable(handler):
        world.loop.call_soon(handler, sig, None)
    elif handler is not signal.SIG_IGN and sig not in HARMLESS:
        raise EscapedError(
            f"signal {sig} would end the process: neither add_signal_handler() nor signal() has a handler"
        )


# -- clocks and entropy --------------------------------------------------------------------------------------


def _warn(loop: Any, name: str) -> None:
    """A task of the program asks a real clock: next to the loop's it says nothing. Told once."""
    file = sys._getframe(2).f_code.co_filename
    if asyncio.current_task(loop) is not None and not file.startswith("<") and not is_library(file):
        loop.world.has_warned = True
        warnings.warn(
            f"time.{name}() is the real clock, and the time of this loop is simulated: ask loop.time(), or "
            "run the test with patch_time=True",
            RuntimeWarning,
            stacklevel=3,
        )


def _clock(name: str, start: int) -> None:
    is_whole = name.endswith("_ns")

    def make(original: Any) -> Any:
        @wraps(original)
        def call() -> Any:
            loop = outside.simulation()
            if loop is None or not loop.world.patches_time:
                if loop is not None and not loop.world.has_warned:
                    _warn(loop, name)
                return original()
            now = start + loop.world.clock.now
            return round(now * 1e9) if is_whole else now

        return call

    outside.replaces(time, name)(make)


for _name in ("monotonic", "perf_counter"):
    _clock(_name, 0)
    _clock(f"{_name}_ns", 0)
_clock("time", EPOCH)
_clock("time_ns", EPOCH)


def _urandom(original: Any) -> Any:
    @wraps(original)
    def urandom(size: int, /) -> bytes:
        loop = outside.simulation()
        if loop is None or not loop.world.seeds_entropy:
            return original(size)  # type: ignore[no-any-return]
        return loop.world.entropy.randbytes(size)

    return urandom


outside.replaces(os, "urandom")(_urandom)
outside.replaces(random, "_urandom")(_urandom)  # what SystemRandom, and so `secrets`, asks
