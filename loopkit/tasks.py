"""Futures, tasks and asynchronous generators: asyncio's own, attached to this loop. HOT: `create_task`.

Owns what a loop adds to these objects, which are those in C: the task factory, whose calling convention
changed four times, and the hooks by which generators that were never exhausted get closed. Their classes are
looked up where asyncio looks: a tool that puts its own there shall see the tasks of this loop, too.
"""

from __future__ import annotations

import asyncio
import sys
import warnings
import weakref
from asyncio import futures, tasks
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from contextvars import Context

    from .loop import Loop

T = TypeVar("T")
TaskFactory = Callable[..., "asyncio.Future[Any]"]


def create_future(loop: Loop) -> asyncio.Future[Any]:
    """A new `asyncio.Future` attached to this loop."""
    return futures.Future(loop=loop)


def set_task_factory(loop: Loop, factory: TaskFactory | None) -> None:
    """Have `create_task` call ``factory(loop, coro, ...)``; None restores `asyncio.Task`.

    Raises TypeError if *factory* is neither callable nor None.
    """
    if factory is not None and not callable(factory):
        raise TypeError("task factory must be a callable or None")
    loop._task_factory = factory


def get_task_factory(loop: Loop) -> TaskFactory | None:
    """The task factory; None if tasks are plain `asyncio.Task` objects."""
    return loop._task_factory


def _create_task_311(
    loop: Loop, coro: Coroutine[Any, Any, T], *, name: str | None = None, context: Context | None = None
) -> asyncio.Task[T]:
    """Schedule *coro* as a task; see `asyncio.loop.create_task`.

    Raises RuntimeError if the loop is closed.
    """
    if loop._guarded:
        loop._check_closed()
    if loop._task_factory is None:
        # fast: the usual task has neither; see performance.md#task-keywords
        if name is None and context is None:
            task = tasks.Task(coro, loop=loop)
        else:
            task = tasks.Task(coro, loop=loop, name=name, context=context)
        return _own(task) if loop._debug else task
    kwargs = {} if context is None else {"context": context}
    made: Any = loop._task_factory(loop, coro, **kwargs)
    _set_name(made, name)
    return made  # type: ignore[no-any-return]


def _create_task_3133(loop: Loop, coro: Coroutine[Any, Any, T], **kwargs: Any) -> asyncio.Task[T]:
    """Schedule *coro* as a task; see `asyncio.loop.create_task`. Every keyword goes to task or factory.

    Raises RuntimeError if the loop is closed.
    """
    if loop._guarded:
        loop._check_closed()
    if loop._task_factory is not None:
        return loop._task_factory(loop, coro, **kwargs)  # type: ignore[return-value]
    task = tasks.Task(coro, loop=loop, **kwargs)
    return _own(task) if loop._debug else task


def _create_task_3134(
    loop: Loop,
    coro: Coroutine[Any, Any, T],
    *,
    name: str | None = None,
    context: Context | None = None,
    **kwargs: Any,
) -> asyncio.Task[T]:
    """Schedule *coro* as a task; see `asyncio.loop.create_task`. A factory gets no name and no None context.

    Raises RuntimeError if the loop is closed.
    """
    if loop._guarded:
        loop._check_closed()
    if loop._task_factory is None:
        # fast: as above; see performance.md#task-keywords
        if name is None and context is None:
            task = tasks.Task(coro, loop=loop, **kwargs)
        else:
            task = tasks.Task(coro, loop=loop, name=name, context=context, **kwargs)
        return _own(task) if loop._debug else task
    if context is not None:
        kwargs["context"] = context
    made: Any = loop._task_factory(loop, coro, **kwargs)
    _set_name(made, name)
    return made  # type: ignore[no-any-return]


def _own(task: asyncio.Task[T]) -> asyncio.Task[T]:
    if task._source_traceback:  # type: ignore[attr-defined]
        del task._source_traceback[-1]  # type: ignore[attr-defined]  # debug mode: our own frame
    return task


def _set_name(task: Any, name: str | None) -> None:
    # Before 3.13 a factory could return something that has no name.
    if sys.version_info >= (3, 13) or (name is not None and hasattr(task, "set_name")):
        task.set_name(name)


def create_task_for(version: tuple[int, ...]) -> Callable[..., asyncio.Task[Any]]:
    """The `create_task` of the asyncio of that Python version."""
    if version < (3, 13, 3):
        return _create_task_311
    if (3, 13, 4) <= version < (3, 14):
        return _create_task_3134
    return _create_task_3133


create_task = create_task_for(sys.version_info[:3])


# -- asynchronous generators ---------------------------------------------------------------------------------


def asyncgen_firstiter(loop: Loop, agen: AsyncGenerator[Any, Any]) -> None:
    if loop._asyncgens_shutdown_called:
        warnings.warn(
            f"asynchronous generator {agen!r} was scheduled after loop.shutdown_asyncgens() call",
            ResourceWarning,
            source=loop,
            stacklevel=2,
        )
    # A weak set of two C methods: `weakref.WeakSet` takes a frame to put one in, and another when it dies.
    started = loop._asyncgens
    started.add(weakref.ref(agen, started.discard))


def asyncgen_finalizer(loop: Loop, agen: AsyncGenerator[Any, Any]) -> None:
    loop._asyncgens.discard(weakref.ref(agen))
    # The garbage collector may run in any thread.
    if not loop.is_closed():
        loop.call_soon_threadsafe(loop.create_task, agen.aclose())


async def shutdown_asyncgens(loop: Loop) -> None:
    """Close every asynchronous generator that was started on this loop and is not exhausted.

    Errors in their ``finally`` blocks go to the exception handler. Generators started afterwards give a
    ResourceWarning.
    """
    loop._asyncgens_shutdown_called = True
    closing = [agen for reference in list(loop._asyncgens) if (agen := reference()) is not None]
    if not closing:
        return
    loop._asyncgens.clear()
    results = await asyncio.gather(*(agen.aclose() for agen in closing), return_exceptions=True)
    for result, agen in zip(results, closing, strict=True):
        if isinstance(result, Exception):
            loop.call_exception_handler(
                {
                    "message": f"an error occurred during closing of asynchronous generator {agen!r}",
                    "exception": result,
                    "asyncgen": agen,
                }
            )
