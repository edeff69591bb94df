"""The probes by method, and how one is run."""

import asyncio
import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

# `_timer_handle_cancelled` and the other private names are no method that a program calls.
METHODS = tuple(
    name
    for name, value in vars(asyncio.AbstractEventLoop).items()
    if inspect.isfunction(value) and not name.startswith("_")
)


@dataclass(frozen=True)
class Probe:
    """One thing that a method promises."""

    method: str
    what: str  # for a reader of the page
    function: Callable[[Any], Any]

    def __str__(self) -> str:
        return f"{self.method}, {self.what}"


PROBES: list[Probe] = []


def probe(method: str, what: str, since: tuple[int, ...] = ()) -> Callable[[Callable[..., Any]], Any]:
    """Register a function as a probe of the method, from the Python version `since` on.

    A coroutine function is called with the running loop; another one with a factory of loops, which it runs
    and closes itself. Either fails by raising.
    """

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        if sys.version_info >= since:
            PROBES.append(Probe(method, what, function))
        return function

    return register


def of(method: str) -> list[Probe]:
    """The probes of a method."""
    return [probe for probe in PROBES if probe.method == method]


def same(actual: object, expected: object) -> None:
    """An assertion whose text survives outside pytest."""
    if actual != expected:
        raise AssertionError(f"{actual!r} instead of {expected!r}")


def perform(chosen: Probe, new_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    """Run the probe on a new loop; raises what the probe raises."""
    if not inspect.iscoroutinefunction(chosen.function):
        chosen.function(new_loop)
        return
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(chosen.function(runner.get_loop()))
