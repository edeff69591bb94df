"""What hangs on one loop: meters, observers, watchers. The loop knows this object alone, if there is one.

`loop._instruments` is None until somebody asks to see something. Then `run_forever` tells it when the loop
begins and ends to run, `close` when it is over, and picks the observed turn while there are observers.
Nothing in the turns themselves looks at it.

The environment asks where the program is not to be changed: the variables below are read when a loop is made.
"""

from __future__ import annotations

import gc
import os
import threading
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from ..fork import at_fork
from ..handles import TimerHandle

if TYPE_CHECKING:
    from ..loop import Loop

P = TypeVar("P", bound="Part")

#: The modules that the environment asks for, by the variable's name; each has `parse(value)`, which raises
#: ValueError, and `equip(loop, asked)` for what that returns.
ASKED_FOR = {
    "LOOPKIT_METRICS": "metrics",
    "LOOPKIT_WATCH": "stalls",
    "LOOPKIT_TRACE": "tracing",
    "LOOPKIT_RECORD": "recorder",
    "LOOPKIT_AGENT": "agent",
    "LOOPKIT_DUMP_SIGNAL": "dumping",
}

#: Whom the garbage collector tells. PyPy's has one hook for the whole process, which is left to the program.
GC_CALLBACKS: list[Any] = getattr(gc, "callbacks", [])

#: Held while that is changed which the loops of a process share: they come and go in several threads. Nobody
#: forks while another thread holds it; the thread itself may, or a signal handler that comes in between.
sharing = threading.RLock()
at_fork(before=sharing.acquire, after_in_parent=sharing.release, after_in_child=sharing.release)


class Part(Protocol):
    """One thing that hangs on a loop."""

    def starts(self) -> None:
        """The loop begins to run, or the part was hung on a loop that runs. In the loop's thread."""

    def stops(self) -> None:
        """The loop is about to leave `run_forever`."""

    def close(self) -> None:
        """The loop is closed. Nothing more will happen."""


class Probe(TimerHandle):
    """A handle that measures, and is itself not worth to be seen."""

    __slots__ = ()


class Instruments:
    """The parts that hang on one loop, in the order in which they were hung there."""

    __slots__ = ("audience", "loop", "parts")

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self.parts: list[Part] = []
        #: Who is told of every step (`observing.py`), once somebody was.
        self.audience: Any = None

    @property
    def observers(self) -> tuple[Any, ...]:
        """Who is told of every step; while there is somebody, turns are observed."""
        return () if self.audience is None else self.audience.observers

    def add(self, part: Part) -> None:
        self.parts.append(part)
        if self.loop.is_running():
            part.starts()

    def remove(self, part: Part) -> None:
        """Take *part* off the loop. Idempotent."""
        if part in self.parts:
            self.parts.remove(part)
            if self.loop.is_running():
                part.stops()

    def find(self, kind: type[P]) -> P | None:
        """The part of that class, if there is one."""
        return next((part for part in self.parts if isinstance(part, kind)), None)

    def starts(self) -> None:
        for part in tuple(self.parts):
            part.starts()

    def stops(self) -> None:
        for part in tuple(self.parts):
            part.stops()

    def close(self) -> None:
        for part in tuple(self.parts):
            part.close()
        if self.audience is not None:
            self.audience.close()


def instruments(loop: Any) -> Instruments:
    """What hangs on *loop*. Raises TypeError if it is no loop of loopkit's, RuntimeError if it is closed."""
    from ..loop import Loop

    if not isinstance(loop, Loop):
        raise TypeError(f"only loopkit's loops can be looked into, not {loop!r}")
    loop._check_closed()
    if loop._instruments is None:
        loop._instruments = Instruments(loop)
    found: Instruments = loop._instruments
    return found


def asked_for() -> list[tuple[Any, Any]]:
    """The modules that the environment asks for, and what of each. Raises ValueError if it makes no sense."""
    found = []
    for variable, name in ASKED_FOR.items():
        value = os.environ.get(variable, "")
        if value not in ("", "0"):
            module = import_module(f"{__package__}.{name}")
            found.append((module, module.parse(value)))
    return found


def equip(loop: Loop) -> None:
    """Hang on *loop* what the environment asks for. Raises ValueError if a variable makes no sense."""
    try:
        for module, asked in asked_for():
            module.equip(loop, asked)
    except BaseException:
        loop.close()
        raise
