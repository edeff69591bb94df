"""Handles: one scheduled call each. HOT: `call_soon` makes one for every callback and every step of a task.

Rule: a handle knows nothing of the queue, the heap or the descriptor it hangs on; `_args is None` means
cancelled, and whoever runs handles looks at that alone. (`call_soon(None)` is a mistake that is reported.)

They are real `asyncio.Handle` objects, since programs and tools check for that. The stdlib's constructor
fills eight slots; a plain callback needs four. The others are constants of the class here, which hide the
slots of the base: reading them gives the right answer, and nobody has to write them. In debug mode, where
each handle carries the traceback of its birth, the loop makes stdlib handles instead (`debug.py`).

From Python 3.14 on what `call_soon_threadsafe` returns has a lock, held while the callback runs: another
thread that cancels the handle, or asks whether it is cancelled, waits until that is settled. The turn knows
nothing of this. Where it finds a handle's context it finds, in these, the handle itself, whose `run` takes
the lock first.
"""

from __future__ import annotations

import asyncio
from _thread import RLock
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Context

    from .loop import Loop


class Handle(asyncio.Handle):
    """A call to be made once. Differs from `asyncio.Handle` in nothing that a program can see."""

    __slots__ = ()

    # fast: four attribute writes a handle; see performance.md#lean-handles
    _source_traceback = None
    _repr = None

    _callback: Callable[..., Any] | None
    _args: tuple[Any, ...] | None  # type: ignore[assignment]
    _context: Context
    _loop: Loop

    # Made empty and filled by who makes it: `Handle()` never leaves C.
    if TYPE_CHECKING:

        def __init__(self) -> None: ...
    else:
        __init__ = object.__init__

    @property
    def _cancelled(self) -> bool:  # type: ignore[override]
        return self._args is None

    def get_context(self) -> Context:
        """The context the callback runs in (`asyncio.Handle` has this from Python 3.12)."""
        return self._context

    def cancelled(self) -> bool:
        """True if the call was cancelled."""
        return self._args is None

    def cancel(self) -> None:
        """Cancel the call. Idempotent; without effect once the callback has run."""
        # Also lets go of what the callback holds: a cancelled handle may wait in the queue for a while.
        self._callback = None
        self._args = None


class TimerHandle(Handle, asyncio.TimerHandle):
    """A call that is going to be made at a given time of the loop's clock."""

    __slots__ = ()

    _when: float

    @property
    def _scheduled(self) -> bool:
        return self._when >= self._loop._timers.horizon

    def cancel(self) -> None:
        """Cancel the call. Idempotent."""
        if self._args is not None:
            self._callback = None
            self._args = None
            self._loop._timer_handle_cancelled(self)


#: asyncio's own; None before Python 3.14.
_ThreadSafeHandle: Any = getattr(asyncio.events, "_ThreadSafeHandle", None)

if _ThreadSafeHandle is not None:

    class TracedThreadSafeHandle(_ThreadSafeHandle):  # type: ignore[misc]
        """What `call_soon_threadsafe` returns in debug mode."""

        __slots__ = ("_called_in",)

        @property
        def _context(self) -> TracedThreadSafeHandle:
            return self

        @_context.setter
        def _context(self, context: Context) -> None:
            self._called_in = context

        def get_context(self) -> Context:
            """The context the callback runs in."""
            return self._called_in

        def run(self, callback: Callable[..., Any], *args: Any) -> None:
            """Call ``callback(*args)``, unless another thread has cancelled this since the turn looked."""
            with self._lock:
                if not self._cancelled:
                    self._called_in.run(callback, *args)

    class ThreadSafeHandle(TracedThreadSafeHandle, Handle):  # type: ignore[misc]
        """What `call_soon_threadsafe` returns."""

        __slots__ = ()

        _lock: RLock

        def __init__(self) -> None:
            self._lock = RLock()  # type: ignore[misc]  # a slot of asyncio's
else:
    TracedThreadSafeHandle = asyncio.Handle  # type: ignore[misc,assignment]
    ThreadSafeHandle = Handle  # type: ignore[misc,assignment]


def handle_of(loop: Loop, watcher: Any) -> asyncio.Handle:
    """The handle to report or to observe for *watcher*: itself, or one that stands for a transport."""
    if isinstance(watcher, asyncio.Handle):
        return watcher
    handle = Handle()
    handle._callback = watcher._callback
    handle._args = watcher._args
    handle._loop = loop
    handle._context = watcher._context
    return handle
