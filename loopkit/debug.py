"""Debug mode: what the loop checks and remembers for a developer, and what it costs nobody else.

A loop in debug mode, and a closed one, is *guarded*: one flag that `call_soon` and its kin look at, behind
which all the checks are. The other half of debug mode, slow callbacks, is the observed turn
(`diagnostics/turns.py`).
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from typing import TYPE_CHECKING, Any

from .errors import check_callback
from .handles import TracedThreadSafeHandle

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Context

    from .loop import Loop

#: How many frames are kept of the place where a coroutine was created (asyncio's number).
ORIGIN_DEPTH = 10

#: What is looked for in the environment when a loop is made.
INSTRUMENTS = (
    *("LOOPKIT_METRICS", "LOOPKIT_WATCH", "LOOPKIT_RECORD", "LOOPKIT_TRACE", "LOOPKIT_AGENT"),
    "LOOPKIT_DUMP_SIGNAL",
)
#: The same, as `os.environ` keeps them where names are bytes.
ENCODED = frozenset(map(os.fsencode, INSTRUMENTS))


def is_asked_for() -> bool:
    """Whether ``-X dev`` or PYTHONASYNCIODEBUG ask for debug mode, in asyncio's opinion."""
    return asyncio.coroutines._is_debug_mode()  # type: ignore[attr-defined,no-any-return]


def handles_are_watched() -> bool:
    """Whether a tool has replaced `asyncio.Handle._run` in order to see every call."""
    # Maybe before loopkit was imported: what was found then says nothing. (PyPy gives C functions code, too.)
    code = getattr(asyncio.Handle._run, "__code__", None)
    return getattr(code, "co_filename", None) != asyncio.events.__file__


def turns_are_observed(loop: Loop) -> bool:
    """Whether somebody wants to see the steps of the turns: debug mode, a tool, an observer."""
    instruments = loop._instruments
    return bool(loop._debug or handles_are_watched() or (instruments is not None and instruments.observers))


def instruments_are_asked_for() -> bool:
    """Whether the environment asks for something that hangs on every loop (`diagnostics/instruments.py`)."""
    if sys.flags.ignore_environment:
        return False
    # os.environ raises and catches a KeyError for each name it has not: a third of the time it takes to make
    # a loop. So the dict below it is asked first, where there is one.
    below = getattr(os.environ, "_data", None)
    if below is not None and os.supports_bytes_environ and ENCODED.isdisjoint(below):
        return False
    return any(os.environ.get(name, "0") not in ("", "0") for name in INSTRUMENTS)


def get_debug(loop: Loop) -> bool:
    """What `set_debug` was given last."""
    return loop._debug  # type: ignore[no-any-return]


def set_debug(loop: Loop, enabled: bool) -> None:
    """Switch debug mode: checks of threads and arguments, birth places of objects, slow callbacks.

    The default follows ``-X dev`` and PYTHONASYNCIODEBUG. In a running loop it counts from the next turn.
    """
    loop._debug = enabled
    mind_observers(loop)
    if loop.is_running():
        loop.call_soon_threadsafe(track_origins, loop, enabled)


def mind_observers(loop: Loop) -> None:
    """Debug mode was switched, or who observes the turns has changed: go on with the right kind of turn."""
    observed = loop._instruments is not None and bool(loop._instruments.observers)
    loop._guarded = bool(loop._debug) or observed or loop._closed or has_own_call_at(loop)
    if loop.is_running():
        loop._leave = True


def has_own_call_at(loop: Loop) -> bool:
    """Whether `call_at` was overridden or replaced: in a subclass, in the class, or on this very loop."""
    # Not by loop.__dict__: once that was asked for, Python 3.12 looks up every method the slow way.
    return getattr(loop.call_at, "__func__", None) is not loop._plain_call_at.__func__  # type: ignore[attr-defined]


def track_origins(loop: Loop, enabled: bool) -> None:
    """Have coroutines remember where they were created, or restore what the interpreter did before."""
    if bool(enabled) == (loop._origin_depth is not None):
        return
    if enabled:
        loop._origin_depth = sys.get_coroutine_origin_tracking_depth()
        sys.set_coroutine_origin_tracking_depth(ORIGIN_DEPTH)
    else:
        sys.set_coroutine_origin_tracking_depth(loop._origin_depth or 0)
        loop._origin_depth = None


def guard(loop: Loop, method: str, callback: object) -> None:
    """Raise RuntimeError for a closed loop or the wrong thread, TypeError for what *method* cannot call."""
    loop._check_closed()
    if not loop._debug:
        return
    if method != "call_soon_threadsafe" and loop._thread_id not in (None, threading.get_ident()):
        raise RuntimeError("Non-thread-safe operation invoked on an event loop other than the current one")
    check_callback(callback, method)


def guarded_handle(
    loop: Loop, method: str, callback: Callable[..., Any], args: tuple[Any, ...], context: Context | None
) -> asyncio.Handle:
    """The stdlib's handle, which remembers where it was made: in the caller of *method*."""
    guard(loop, method, callback)
    if method == "call_soon_threadsafe" and TracedThreadSafeHandle is not asyncio.Handle:
        # Its constructor calls the other's.
        return _born(loop, TracedThreadSafeHandle(callback, args, loop, context), 3)  # type: ignore[no-any-return]
    return _born(loop, asyncio.Handle(callback, args, loop, context), 2)  # type: ignore[no-any-return]


def guarded_timer(
    loop: Loop, when: float, callback: Callable[..., Any], args: tuple[Any, ...], context: Context | None
) -> asyncio.TimerHandle:
    """The same for `call_at` and `call_later`."""
    guard(loop, "call_at", callback)
    return _born(loop, asyncio.TimerHandle(when, callback, args, loop, context), 2)  # type: ignore[no-any-return]


def _born(loop: Loop, handle: Any, frames: int) -> Any:
    """*handle*, without that many frames of its birth place; who observes the loop is told of it."""
    if loop._instruments is not None and loop._instruments.audience is not None:
        loop._instruments.audience.scheduled(handle)
    return forget_frames(handle, frames)


def forget_frames(handle: Any, count: int) -> Any:
    """*handle*, without the last *count* frames of its birth place: our own, which say nothing."""
    if handle._source_traceback:
        del handle._source_traceback[-count:]
    return handle
