"""The tasks of a loop, and what each of them waits for, in words. From any thread."""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import itertools
import types
from functools import cached_property
from typing import TYPE_CHECKING, Any

from .descriptors import _of_entry
from .stacks import (
    awaited_by,
    awaiters,
    chain,
    code_of,
    coroutine_name,
    current_task,
    cut,
    is_library,
    own_place,
    places,
    tasks_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..loop import Loop

#: What has a holder, and the coroutines in which one waits for it.
LOCKS = (asyncio.Lock, asyncio.Semaphore, asyncio.Condition)
ACQUIRING = {"Lock.acquire", "Semaphore.acquire", "Condition.wait"}


def census(loop: Loop) -> list[dict[str, Any]]:
    """A row for each task of *loop* that is not done, by name."""
    tasks = tasks_of(loop)
    reasons = Reasons(loop, tasks)
    running = current_task(loop)
    rows = [row_of(task, task is running, reasons) for task in tasks]
    return sorted(rows, key=lambda row: _natural(row["name"]))


def row_of(task: asyncio.Task[Any], is_running: bool, reasons: Reasons) -> dict[str, Any]:
    stack = places(task)
    own = own_place(stack)
    future = awaited_by(task)
    state = "running" if is_running else "waiting" if future is not None and not future.done() else "ready"
    return {
        "name": cut(task.get_name()),
        "coroutine": coroutine_name(task.get_coro()),
        # Somebody has asked it to end, and it goes on: to clean up, or because it does not mind.
        "state": "cancelling" if state == "waiting" and task.cancelling() else state,
        "waits": reasons.of(task, future, stack) if state == "waiting" else "",
        "place": "" if own is None else f"{own.file}:{own.line}",
        "awaited_by": [cut(waiter.get_name()) for waiter in awaiters(task)],
        "stack": [str(place) for place in stack],
    }


def _natural(name: str) -> tuple[str, int]:
    """Task-2 before Task-10."""
    head, _, number = name.rpartition("-")
    return (head, int(number)) if number.isdecimal() and number.isascii() else (name, 0)


class Reasons:
    """What futures stand for: found in the fd table, in the streams' readers, and in the timer heap."""

    def __init__(self, loop: Loop, tasks: list[asyncio.Task[Any]]) -> None:
        self.loop = loop
        self.tasks = tasks
        self.words: dict[int, str] = {}
        self.timeouts: dict[int, str] = {}
        now = loop.time()
        for when, _, handle in list(loop._timers.heap):
            self._note_timer(handle, when - now)
        for fd, entry in list(loop._watches.entries.items()):
            for future, doing in waiters(loop, entry):
                found = _of_entry(loop, fd, entry)
                where = f" of {found.peer}" if found.peer else f" at {found.local}" if found.local else ""
                self.words[id(future)] = f"{doing} fd {fd}{where}"

    def _note_timer(self, handle: Any, left: float) -> None:
        callback, args = handle._callback, handle._args
        if callback is None:
            return
        words = f"timer in {max(left, 0):.1f} s"
        owner = getattr(callback, "__self__", None)
        task = getattr(owner, "_task", None)
        if isinstance(task, asyncio.Task):
            self.timeouts[id(task)] = f"timeout in {max(left, 0):.1f} s"
        for argument in args or ():
            if asyncio.isfuture(argument):
                self.words[id(argument)] = words

    def of(self, task: asyncio.Task[Any], future: Any, stack: list[Any]) -> str:
        """What *task* waits for."""
        words = self.words.get(id(future)) or self._guess(task, future, stack)
        limit = self.timeouts.get(id(task))
        return f"{words} ({limit})" if limit else words

    def _guess(self, task: asyncio.Task[Any], future: Any, stack: list[Any]) -> str:
        if isinstance(future, asyncio.Task):
            return f"task {cut(future.get_name())!r}"
        for callback, _ in list(getattr(future, "_callbacks", None) or ()):
            if "_call_check_cancel" in getattr(callback, "__qualname__", ""):
                return _executor_words(callback)
        if type(future).__name__ == "_GatheringFuture":
            left = sum(not child.done() for child in getattr(future, "_children", ()))
            return f"gather, of which {left} are not done"
        if not stack or not is_library(stack[-1].file):
            return "a future"
        holders = sorted(
            (name for lock in _waited_for(task) for name in self.holders.get(lock, ())), key=_natural
        )
        more = f" and {len(holders) - 3} more" if len(holders) > 3 else ""
        held = f", held by {', '.join(holders[:3])}{more}" if holders else ""
        return f"{stack[-1].function}{held}"

    @cached_property
    def holders(self) -> dict[int, list[str]]:
        """The names of the tasks that are within `async with` of a lock or semaphore, by the id() of that."""
        found: dict[int, list[str]] = {}
        for task in self.tasks:
            entered = {lock for part in chain(task.get_coro()) for lock in _entered(part)}
            for lock in entered - _waited_for(task):
                found.setdefault(lock, []).append(cut(task.get_name()))
        return found


def _executor_words(callback: Any) -> str:
    """Of a future that `asyncio.wrap_future` has made: whether the executor has begun with the call."""
    for cell in getattr(callback, "__closure__", None) or ():
        call = cell.cell_contents
        if isinstance(call, concurrent.futures.Future) and not call.running() and not call.done():
            return "a call in an executor, which is busy with others"
    return "a call in an executor"


# -- locks. asyncio's do not know who holds them; the frame that is within `async with` has `__aexit__` on its
# stack, which the garbage collector tells of (CPython's does).


def _waited_for(task: asyncio.Task[Any]) -> set[int]:
    """The id() of the lock that a task is about to get, or has given back while it waits for a condition."""
    return {
        _lock(thing)
        for part in chain(task.get_coro())
        if (code := code_of(part)) is not None and code.co_qualname in ACQUIRING
        for thing in gc.get_referents(part)
        if issubclass(type(thing), LOCKS)
    }


def _entered(part: Any) -> Iterator[int]:
    """The id() of the locks that a coroutine has entered, or is about to, by `async with`."""
    if code_of(part) is None:
        return
    for before, thing in itertools.pairwise(gc.get_referents(part)):
        if type(thing) is types.MethodType and thing.__name__ == "__aexit__":
            owner = thing.__self__
        elif type(before) is types.FunctionType and before.__name__ == "__aexit__":  # from Python 3.14 on
            owner = thing
        else:
            continue
        if issubclass(type(owner), LOCKS):
            yield _lock(owner)


def _lock(thing: Any) -> int:
    """The id() of a lock; of a condition, that of its lock."""
    return id(thing._lock if isinstance(thing, asyncio.Condition) else thing)  # type: ignore[attr-defined]


def waiters(loop: Loop, entry: Any) -> Iterator[tuple[Any, str]]:
    """The futures that an entry of the fd table will fulfil, and what is being done."""
    for watcher, doing in ((entry.reader, "reading"), (entry.writer, "writing")):
        future = getattr(watcher, "_future", None)
        if future is not None:
            yield future, doing
        for argument in getattr(watcher, "_args", None) or ():
            if asyncio.isfuture(argument):
                yield argument, doing
        callback = getattr(watcher, "_callback", None)
        for argument in (*getattr(callback, "args", ()), getattr(callback, "__self__", None)):
            if asyncio.isfuture(argument):
                yield argument, doing
    owner = entry.owner() if callable(entry.owner) else entry.owner
    protocol = getattr(owner, "_protocol", None)
    reader = getattr(protocol, "_stream_reader", None)
    if getattr(reader, "_waiter", None) is not None:
        yield reader._waiter, "reading"  # type: ignore[union-attr]
    for future in list(getattr(protocol, "_drain_waiters", None) or ()):
        yield future, "draining"
