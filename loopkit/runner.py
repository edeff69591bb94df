"""The front doors: everything by which a program, or a program's starter, gets a loop. All that depends on
the version of Python's own front door is here.

To 3.15 that door is the event loop policy (deprecated from 3.14, where touching a public policy name warns;
the private names are silent). In 3.16 there are no policies: `asyncio.new_event_loop()` looks up
`asyncio.unix_events.EventLoop` when it is called, so that replacing that class is what `install()` does
there. `loop_factory=` works everywhere.
"""

from __future__ import annotations

import asyncio
import functools
import sys
from typing import TYPE_CHECKING, Any, TypeVar

from .loop import Loop

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

T = TypeVar("T")

#: The release without policies.
POLICIES_REMOVED = (3, 16)


def new_event_loop() -> Loop:
    """A new `loopkit.Loop`, on the poller that LOOPKIT_POLLER names, else on the best there is.

    Raises ValueError, with the names that would do, if LOOPKIT_POLLER names no poller.
    """
    return Loop()


def run(
    main: Coroutine[Any, Any, T],
    *,
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
    debug: bool | None = None,
) -> T:
    """`asyncio.run` on a loopkit loop: run *main* to its end, then close generators, executor and loop.

    *loop_factory* makes the loop (default: `new_event_loop`). Raises what *main* raises, and RuntimeError if
    a loop is already running in this thread.
    """
    if asyncio._get_running_loop() is not None:
        main.close()
        raise RuntimeError("loopkit.run() cannot be called from a running event loop")
    with asyncio.Runner(debug=debug, loop_factory=loop_factory or new_event_loop) as runner:
        return runner.run(main)


def install() -> None:
    """Make loopkit the default: every later `asyncio.run()` and `asyncio.new_event_loop()` uses it.

    To Python 3.15 by setting the event loop policy (without the deprecation warning of 3.14), from 3.16 by
    replacing `asyncio.EventLoop`. Child processes that are spawned, not forked, do not inherit it.
    """
    _install_for(sys.version_info[:2])


def _install_for(version: tuple[int, ...]) -> None:
    if version >= POLICIES_REMOVED:
        import asyncio.unix_events as unix_events

        asyncio.EventLoop = unix_events.EventLoop = Loop  # type: ignore[attr-defined]
    elif version >= (3, 14):
        asyncio.events._set_event_loop_policy(policy_class()())  # type: ignore[attr-defined]
    else:
        asyncio.set_event_loop_policy(policy_class()())


@functools.cache
def policy_class() -> type[Any]:
    """The class `loopkit.EventLoopPolicy`, made when it is first asked for: its base is deprecated.

    Raises AttributeError from Python 3.16, which has no policies.
    """
    base = _policy_base(sys.version_info[:2])

    class EventLoopPolicy(base):  # type: ignore[misc,valid-type]
        """For ``asyncio.set_event_loop_policy(loopkit.EventLoopPolicy())``: new loops are `loopkit.Loop`."""

        def new_event_loop(self) -> asyncio.AbstractEventLoop:
            """A new `loopkit.Loop`."""
            return new_event_loop()

    EventLoopPolicy.__module__ = "loopkit"
    EventLoopPolicy.__qualname__ = "EventLoopPolicy"
    return EventLoopPolicy


def _policy_base(version: tuple[int, ...]) -> type[Any]:
    if version >= POLICIES_REMOVED:
        raise AttributeError(
            "loopkit has no EventLoopPolicy on Python 3.16 and later, which removed event loop policies; "
            "use asyncio.run(main(), loop_factory=loopkit.Loop) or loopkit.install()"
        )
    if version >= (3, 14):
        return asyncio.events._BaseDefaultEventLoopPolicy  # type: ignore[attr-defined,no-any-return]
    return asyncio.DefaultEventLoopPolicy
