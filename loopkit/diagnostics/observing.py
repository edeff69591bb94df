"""Observing: every step of every turn, as calls of an observer. One vocabulary for all that shows a loop.

While a loop has observers, its turns are the observed ones (`turns.py`), and its handles remember where they
were scheduled. What an observer can be told:

    turn_begins()
    poll_begins(timeout)             seconds, or None for ever
    poll_ends(events)                [(fd, mask), ...]
    callback_begins(call)            what is called, and why it was ready: `Call`
    task_begins(call)                the callback is the first step of a task
    task_ends(call, cancelled)       ... and the last one of a task
    callback_ends(call)
    written(fd, held, sent, queued)  bytes of a write: kept until the callback returns, taken by the kernel,
                                     waiting
    opened(fd, owner)                a transport or a server has come
    closed(fd)                       ... and gone
    collected(seconds, generation)   the garbage collector has run in the loop's thread (CPython)
    reported(context)                the exception handler is called

All methods are optional; all are called in the loop's thread, and synchronously: what they take, the loop
takes longer. An observer that raises is logged and removed.

Where a step is not the turn's own, a hook is put in while somebody observes, and taken out afterwards: a
subclass for this loop's fd table, wrappers around the transports' writes, `gc.callbacks`. So what is not
observed has no trace of all this.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import sys
import threading
import time
import types
import weakref
from asyncio.log import logger
from typing import TYPE_CHECKING, Any, NamedTuple

from .. import debug
from ..transports.stream import StreamTransport
from ..watches import Watches
from .instruments import GC_CALLBACKS, Probe, instruments, sharing
from .stacks import Place, code_of, is_library, own_place, place_of_code, place_of_frame, places, unwrapped

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..loop import Loop

__all__ = ["Call", "Origin", "observe"]

EVENTS = (
    "turn_begins",
    "poll_begins",
    "poll_ends",
    "callback_begins",
    "task_begins",
    "task_ends",
    "callback_ends",
    "written",
    "opened",
    "closed",
    "collected",
    "reported",
)

#: Births of handles that are kept, at least, before those that were cancelled are looked for.
MANY = 10_000


class Origin(NamedTuple):
    """Where a handle was scheduled."""

    #: The number of the callback that did it; 0: none of this loop's (the main program, or another thread).
    by: int
    #: The line, in the program's own files if there is one on the stack.
    place: Place
    #: When, in seconds of `time.monotonic`, or of the simulation.
    at: float
    #: The name of the thread, if it was not the loop's.
    thread: str | None = None


class Call(NamedTuple):
    """One callback, or one step of a task."""

    #: Counts up from 1.
    number: int
    name: str
    #: The line: where the function begins, or where the task goes on.
    place: Place | None
    #: The task's name.
    task: str | None
    #: Why it is called: ``"event"``, ``"timer"`` or ``"soon"``.
    why: str
    #: Of an event: the descriptor, and POLLIN or POLLOUT and so on.
    fd: int = -1
    mask: int = 0
    #: Of a timer: when it was due, and when it is called, in seconds of `Loop.time`.
    due: float = 0.0
    began: float = 0.0
    #: Of a timer, or of what `call_soon` scheduled.
    origin: Origin | None = None
    #: The future whose end wakes the task, in words.
    future: str | None = None
    #: The task's number: names may be given twice, and changed. 0: no task.
    of: int = 0


def observe(loop: Any, observer: Any) -> Callable[[], None]:
    """Have *observer* told of every step of every turn of *loop*, from its next turn on.

    Args:
        loop: a loop of loopkit's; it may be running, and may then be observed from its own thread only.
        observer: any object with some of the methods that the head of this file lists.

    Returns:
        A function that ends it; idempotent.

    Raises TypeError if *loop* is no loop of loopkit's, or *observer* has none of these methods.
    """
    if not any(callable(getattr(observer, event, None)) for event in EVENTS):
        raise TypeError(f"an observer has at least one of {', '.join(EVENTS)}; {observer!r} has none")
    parts = instruments(loop)
    if parts.audience is None:
        parts.audience = Audience(loop)
    parts.audience.admit(observer)
    return functools.partial(parts.audience.dismiss, observer)


class Audience:
    """Who observes one loop, and what they are told."""

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self.observers: tuple[Any, ...] = ()
        self.hears: dict[str, tuple[Any, ...]] = {}
        #: The number of the last callback, and of the one in progress.
        self.number = 0
        self.current = 0
        self.origins: dict[int, Origin] = {}
        #: Numbers of tasks, and whose step a callback in progress is. Weakly: a task that nobody holds ends.
        self.tasks: weakref.WeakKeyDictionary[asyncio.Task[Any], int] = weakref.WeakKeyDictionary()
        self.counted = 0
        self.stepping: dict[int, weakref.ref[asyncio.Task[Any]]] = {}
        self.hooks: Hooks | None = None
        #: What times are told by; a simulated loop has its own.
        self.clock: Callable[[], float] = time.monotonic

    def admit(self, observer: Any) -> None:
        self._seat((*self.observers, observer))
        if self.hooks is None:
            self.hooks = Hooks(self)
            debug.mind_observers(self.loop)

    def dismiss(self, observer: Any) -> None:
        if observer not in self.observers:
            return
        self._seat(tuple(other for other in self.observers if other is not observer))
        if not self.observers and self.hooks is not None:
            self.hooks.remove()
            self.hooks = None
            self.origins.clear()
            self.stepping.clear()
            debug.mind_observers(self.loop)

    def close(self) -> None:
        """The loop is closed: nobody will be told anything more."""
        for observer in self.observers:
            self.dismiss(observer)

    def _seat(self, observers: tuple[Any, ...]) -> None:
        self.observers = observers
        self.hears = {
            event: tuple(
                (observer, hear) for observer in observers if callable(hear := getattr(observer, event, None))
            )
            for event in EVENTS
        }

    def tell(self, event: str, *args: Any) -> None:
        for observer, hear in self.hears[event]:
            try:
                hear(*args)
            except Exception:
                logger.exception("the observer %r of %r has failed, and is removed", observer, self.loop)
                self.dismiss(observer)

    # -- what the turn tells ---------------------------------------------------------------------------------

    def scheduled(self, handle: asyncio.Handle) -> None:
        """*handle* was made by `call_soon` or one of its kin, four frames above."""
        thread = None
        if self.loop._thread_id not in (None, threading.get_ident()):
            thread = threading.current_thread().name
        by = 0 if thread else self.current
        frame: Any = sys._getframe(4)
        nearest = frame
        while frame is not None and is_library(frame.f_code.co_filename):
            frame = None if frame.f_code.co_name in ("_turns", "call") else frame.f_back
        self.origins[id(handle)] = Origin(by, place_of_frame(frame or nearest), self.clock(), thread)
        if len(self.origins) > MANY:
            self._forget_cancelled()

    def _forget_cancelled(self) -> None:
        loop = self.loop
        alive = {id(handle) for handle in tuple(loop._ready)}
        alive |= {id(entry[2]) for entry in tuple(loop._timers.heap)}
        alive |= {id(handle) for handle in tuple(loop._timers.due)}
        self.origins = {key: origin for key, origin in self.origins.items() if key in alive}

    def begins(self, handle: Any, why: str, fd: int, mask: int) -> Call | None:
        """*handle* is about to be called. Returns what `ends` wants; None if nobody hears."""
        if not self.observers or type(handle) is Probe:
            return None
        callback = unwrapped(handle._callback)
        task = task_of(callback)
        known = task is None or task in self.tasks
        call = self._call_of(handle, callback, task, why, fd, mask)
        self.current = call.number
        self.tell("callback_begins", call)
        if not known and is_new(task):
            self.tell("task_begins", call)
        return call

    def ends(self, call: Call) -> None:
        """The callback has returned, or raised, and what it wrote has been sent."""
        self.current = 0
        if call.of and (known := self.stepping.pop(call.number, None)) is not None:
            task = known()
            if task is None or task.done():  # the former: nobody holds it, since it has ended
                self.tell("task_ends", call, task is not None and task.cancelled())
        self.tell("callback_ends", call)

    def _number_of(self, task: asyncio.Task[Any]) -> int:
        if task not in self.tasks:
            self.counted += 1
            self.tasks[task] = self.counted
        return self.tasks[task]

    def _call_of(
        self, handle: Any, callback: Any, stepped: asyncio.Task[Any] | None, why: str, fd: int, mask: int
    ) -> Call:
        self.number += 1
        of = 0
        if stepped is not None:
            of = self._number_of(stepped)
            self.stepping[self.number] = weakref.ref(stepped)
        args = handle._args
        name, place, task = described(callback, stepped)
        future = None
        if task is not None and args and asyncio.isfuture(args[0]):
            future = args[0].get_name() if isinstance(args[0], asyncio.Task) else type(args[0]).__name__
        due, now = (handle._when, self.loop.time()) if why == "timer" else (0.0, 0.0)
        origin = None if why == "event" else self.origins.pop(id(handle), None)
        return Call(self.number, name, place, task, why, fd, mask, due, now, origin, future, of)


def task_of(callback: Any) -> asyncio.Task[Any] | None:
    """The task that is stepped by *callback*; None if it is no step of one."""
    owner = getattr(callback, "__self__", None)
    return owner if isinstance(owner, asyncio.Task) else None


def is_new(task: Any) -> bool:
    """Whether the coroutine of *task* is at its beginning."""
    coro = task.get_coro()
    return isinstance(coro, types.CoroutineType) and inspect.getcoroutinestate(coro) == inspect.CORO_CREATED


def described(callback: Any, task: asyncio.Task[Any] | None) -> tuple[str, Place | None, str | None]:
    """The name of what is called, its line, and the name of *task* if it is a step of one."""
    if task is not None:
        coro: Any = task.get_coro()
        code = code_of(coro)
        name = code.co_qualname if code is not None else type(coro).__name__
        return name, own_place(places(task)), task.get_name()
    owner = getattr(callback, "__self__", None)
    code = getattr(callback, "__code__", None)
    name = getattr(callback, "__qualname__", None) or type(callback).__name__
    if code is None:
        code = getattr(getattr(type(callback), "__call__", None), "__code__", None)  # noqa: B004
    protocol = getattr(owner, "_protocol", None)
    if protocol is not None:
        # A transport's method: whose data it brings is what a reader wants to know.
        method = getattr(type(protocol), "data_received", None) or getattr(
            type(protocol), "buffer_updated", None
        )
        code = getattr(method, "__code__", None) or code
        name = f"{name} for {type(protocol).__qualname__}"
    # PyPy's functions in C have a `__code__` that tells nothing.
    return name, place_of_code(code) if isinstance(code, types.CodeType) else None, None


class Hooks:
    """What is put into the loop's other parts while somebody observes."""

    def __init__(self, audience: Audience) -> None:
        self.audience = audience
        loop = audience.loop
        tell = audience.tell

        class ObservedWatches(Watches):
            """An fd table that tells who comes and goes."""

            __slots__ = ()

            def own(self, fd: int, owner: Any) -> None:
                Watches.own(self, fd, owner)
                tell("opened", fd, owner)

            def disown(self, fd: int, owner: Any) -> None:
                known = self.owner(fd) is owner
                Watches.disown(self, fd, owner)
                if known:
                    tell("closed", fd)

        def report(context: dict[str, Any]) -> None:
            tell("reported", context)
            type(loop).call_exception_handler(loop, context)

        loop._watches.__class__ = ObservedWatches
        self.patched = "call_exception_handler" not in vars(loop)
        if self.patched:
            loop.call_exception_handler = report  # type: ignore[method-assign]
        self.began = 0.0
        # Weakly: a loop that nobody closed shall be collected, and complain.
        method = weakref.WeakMethod(self._on_gc)
        self.on_gc = lambda phase, info: (found := method()) and found(phase, info)
        GC_CALLBACKS.append(self.on_gc)
        _observe_writes(self)

    def remove(self) -> None:
        loop = self.audience.loop
        loop._watches.__class__ = Watches
        if self.patched:
            vars(loop).pop("call_exception_handler", None)
        if self.on_gc in GC_CALLBACKS:
            GC_CALLBACKS.remove(self.on_gc)
        _ignore_writes(self)

    def _on_gc(self, phase: str, info: dict[str, int]) -> None:
        if self.audience.loop._thread_id != threading.get_ident():
            return
        if phase == "start":
            self.began = time.monotonic()
        elif self.began:
            seconds, self.began = time.monotonic() - self.began, 0.0
            self.audience.tell("collected", seconds, info["generation"])

    def wrote(self, transport: Any, size: int, held: int, waiting: int) -> None:
        now_held = len(getattr(transport, "_held", None) or b"")
        queued = max(transport.get_write_buffer_size() - now_held - waiting, 0)
        held = max(now_held - held, 0)
        self.audience.tell("written", transport._fd, held, max(size - held - queued, 0), queued)


#: Who wants to hear of a loop's writes, by the loop's id(), which lives as long as they do; while there is
#: somebody, the transports' `write` is `_telling(write)`. Changed under `sharing`.
_listeners: weakref.WeakValueDictionary[int, Hooks] = weakref.WeakValueDictionary()
_write: Any = StreamTransport.write


def _observe_writes(hooks: Hooks) -> None:
    with sharing:
        if not _listeners:
            StreamTransport.write = _telling(_write)  # type: ignore[method-assign]
        _listeners[id(hooks.audience.loop)] = hooks


def _ignore_writes(hooks: Hooks) -> None:
    with sharing:
        if _listeners.pop(id(hooks.audience.loop), None) is not None and not _listeners:
            StreamTransport.write = _write  # type: ignore[method-assign]


def _telling(write: Any) -> Any:
    @functools.wraps(write)
    def told(transport: Any, data: Any) -> None:
        hooks = _listeners.get(id(transport._loop))
        if hooks is None or not len(data):
            write(transport, data)
            return
        held = len(getattr(transport, "_held", None) or b"")
        waiting = transport.get_write_buffer_size() - held
        write(transport, data)
        hooks.wrote(transport, len(data), held, waiting)

    return told
