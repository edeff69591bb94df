"""Where code stands, and who awaits whom: in words that mean something to a reader of the program.

Facts
- A coroutine that waits has the one it awaits in `cr_await`, and so on down to a future. An asynchronous
  generator hides its step behind an object without attributes; the garbage collector knows what that refers
  to.
- A future knows who waits for it only by its callbacks: the wake-up method of a task, or a function of
  gather's.
- What is interesting is the program's own line, not the one in `asyncio/streams.py` beneath it.
"""

from __future__ import annotations

import asyncio
import gc
import linecache
import sys
import sysconfig
import types
from functools import cache, partial
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Strings of the program's that we show are cut here: they carry its data.
LONGEST = 200

_LOOPKIT = __file__.rpartition("/diagnostics/")[0] + "/"
_KINDS = ("stdlib", "platstdlib", "purelib", "platlib")
_LIBRARIES = tuple({f"{path}/" for kind in _KINDS if (path := sysconfig.get_path(kind))})
#: What has no file: modules that are part of the interpreter, as CPython and PyPy call them.
_FROZEN = ("<frozen ", "<builtin>/")
_IMPORTING = ("<frozen importlib", "<builtin>/frozen importlib")
#: Where futures are Python, as PyPy's are, this generator stands between a future and who awaits it.
_AWAIT = getattr(asyncio.Future.__await__, "__code__", "in C")
#: A step of a task is a frame where tasks are Python, as PyPy's are.
_STEPS = ("Task.__step", "Task.__wakeup")
#: The frames in which the loop calls everything else.
_TURNS = {"_turns", "observed_turns", "call", "run_forever"}


class Place(NamedTuple):
    """A line of source, and the function it is in."""

    file: str
    line: int
    function: str

    def text(self) -> str:
        """The line, without its indentation; empty if there is no source."""
        return linecache.getline(self.file, self.line).strip()

    def __str__(self) -> str:
        return f"{self.function} ({self.file}:{self.line})"


@cache
def is_library(file: str) -> bool:
    """Whether *file* is the standard library's, an installed package's or loopkit's."""
    return file.startswith((_LOOPKIT, *_FROZEN, *_LIBRARIES))


def place_of_code(code: types.CodeType, line: int | None = None) -> Place:
    return Place(code.co_filename, line or code.co_firstlineno, code.co_qualname)


def place_of_frame(frame: types.FrameType) -> Place:
    return place_of_code(frame.f_code, frame.f_lineno)


def stack_of_thread(thread_id: int) -> tuple[Place, ...]:
    """What the thread is doing, outermost first; of a loop's thread, what the loop is calling."""
    frame = sys._current_frames().get(thread_id)
    found = []
    while frame is not None:
        found.append(place_of_frame(frame))
        frame = frame.f_back
    return without_loop(tuple(reversed(found)))


def without_loop(places: tuple[Place, ...]) -> tuple[Place, ...]:
    """Only what stands above the innermost frame of a turn, and without those of an import."""
    places = tuple(place for place in places if not place.file.startswith(_IMPORTING)) or places
    for number in range(len(places) - 1, -1, -1):
        place = places[number]
        if place.file.startswith(_LOOPKIT) and place.function.rpartition(".")[2] in _TURNS:
            rest = places[number + 1 :]
            if rest and rest[0].file.endswith("asyncio/events.py"):
                rest = rest[1:]  # Handle._run, in the observed turn
            if rest and rest[0].function in _STEPS:
                rest = rest[1:]
            return rest
    return places


# -- tasks ---------------------------------------------------------------------------------------------------


def current_task(loop: Any) -> asyncio.Task[Any] | None:
    """The task that *loop* is stepping, from any thread."""
    try:
        return asyncio.current_task(loop)
    except RuntimeError:
        return None


def unwrapped(callback: Any) -> Any:
    """What is called in the end, under `functools.partial`."""
    while isinstance(callback, partial):
        callback = callback.func
    return callback


def tasks_of(loop: Any) -> list[asyncio.Task[Any]]:
    """All tasks. The set may change while another thread looks: then it looks again."""
    for _ in range(100):
        try:
            return list(asyncio.all_tasks(loop))
        except RuntimeError:
            continue
    return []


def task_words(task: asyncio.Task[Any]) -> str:
    """A task's name and its coroutine function."""
    return f"task {task.get_name()!r} running {coroutine_name(task.get_coro())}"


def coroutine_name(coro: Any) -> str:
    code = code_of(coro)
    return code.co_qualname if code is not None else cut(type(coro).__name__)


def code_of(coro: Any) -> types.CodeType | None:
    """The code of a coroutine, a generator, an asynchronous generator; None of anything else."""
    for name in ("cr_code", "gi_code", "ag_code"):
        code = getattr(coro, name, None)
        if isinstance(code, types.CodeType):
            return code
    return None


def chain(coro: Any) -> Iterator[Any]:
    """*coro*, what it awaits, what that awaits ... and at last what is no coroutine: a future, mostly."""
    seen = 0
    while coro is not None and seen < 1000:  # a broken program's circle
        if code_of(coro) is _AWAIT and (frame := frame_of(coro)) is not None:
            coro = frame.f_locals["self"]
        yield coro
        seen += 1
        for name in ("cr_await", "gi_yieldfrom", "ag_await"):
            if hasattr(coro, name):
                coro = getattr(coro, name)
                break
        else:
            coro = _hidden(coro)


def _hidden(awaited: Any) -> Any:
    """What an `async_generator_asend` or a coroutine's wrapper steps, which Python does not show."""
    if type(awaited).__name__ in ("async_generator_asend", "async_generator_athrow", "coroutine_wrapper"):
        for referent in gc.get_referents(awaited):
            if isinstance(referent, (types.AsyncGeneratorType, types.CoroutineType)):
                return referent
    return None


def frame_of(coro: Any) -> types.FrameType | None:
    for name in ("cr_frame", "gi_frame", "ag_frame"):
        frame = getattr(coro, name, None)
        if frame is not None:
            return frame  # type: ignore[no-any-return]
    return None


def places(task: asyncio.Task[Any]) -> list[Place]:
    """Where the coroutines of a waiting task stand, outermost first."""
    return [place_of_frame(frame) for part in chain(task.get_coro()) if (frame := frame_of(part)) is not None]


def own_place(found: list[Place]) -> Place | None:
    """The innermost place in the program's own files; if there is none, the innermost of all."""
    for place in reversed(found):
        if not is_library(place.file):
            return place
    return found[-1] if found else None


def awaited_by(task: asyncio.Task[Any]) -> Any:
    """The future at the end of the chain: what the task waits for. None while it is ready or running."""
    waiter = getattr(task, "_fut_waiter", None)
    if waiter is None:  # a task of somebody's own making may have none
        *_, waiter = chain(task.get_coro())
    return waiter if asyncio.isfuture(waiter) else None


def awaiters(future: asyncio.Future[Any]) -> list[asyncio.Task[Any]]:
    """The tasks that wait for *future*, directly or through gather, wait and task groups; nearest first."""
    found: list[asyncio.Task[Any]] = []
    todo: list[Any] = [future]
    while todo and len(found) < 50:
        for callback, _context in list(getattr(todo.pop(0), "_callbacks", None) or ()):
            for waiter in _waiters(callback):
                if waiter not in found and waiter is not future:
                    todo.append(waiter)
                    if isinstance(waiter, asyncio.Task):
                        found.append(waiter)
    return found


def _waiters(callback: Any) -> Iterator[Any]:
    owner = getattr(callback, "__self__", None)
    if isinstance(owner, asyncio.Task):
        yield owner
        return
    parent = getattr(owner, "_parent_task", None)  # a TaskGroup
    if isinstance(parent, asyncio.Task):
        yield parent
    for cell in getattr(callback, "__closure__", None) or ():  # gather's, wait's and shield's functions
        try:
            inner = cell.cell_contents
        except ValueError:
            continue
        if asyncio.isfuture(inner):
            yield inner


def cut(text: str) -> str:
    """*text*, no longer than we show."""
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."
