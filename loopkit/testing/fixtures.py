"""Fixtures that a run makes for itself: async ones, and what takes them.

pytest makes the fixtures of a test once, before it is called, and an async one in the loop of another plugin.
A server or a pool would be of that loop then, with real sockets, and the same one for each of a hundred runs.
So what pytest is given stands for the fixture (`PerRun`), and each run makes its own, in its own loop, and
takes it down at its end. One that lives longer than a test stays what it is: made once, and elsewhere.
"""

from __future__ import annotations

import inspect
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def is_async(function: Any) -> bool:
    """Whether *function* is that of an async fixture."""
    return inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)


class PerRun:
    """Stands for what the fixture *function* gives for *arguments*."""

    def __init__(self, function: Callable[..., Any], arguments: dict[str, Any]) -> None:
        self._function, self._arguments = function, arguments

    def __repr__(self) -> str:
        return f"<the fixture {self._function.__name__}, which each run makes for itself>"

    async def make(self, stack: AsyncExitStack, known: dict[Any, Any]) -> Any:
        """The value in this run, that *stack* takes down."""
        function, arguments = self._function, await _made(self._arguments, stack, known)
        value = function(**arguments)
        if inspect.isasyncgenfunction(function):
            stack.push_async_callback(anext, value, None)
            return await anext(value)
        if inspect.isgeneratorfunction(function):
            stack.callback(next, value, None)
            return next(value)
        return await value if inspect.iscoroutinefunction(function) else value


async def _made(values: dict[str, Any], stack: AsyncExitStack, known: dict[Any, Any]) -> dict[str, Any]:
    """*values*, where each that stands for a fixture is what that is in this run."""
    for value in values.values():
        if isinstance(value, PerRun) and value not in known:
            known[value] = await value.make(stack, known)
    return {name: known[value] if isinstance(value, PerRun) else value for name, value in values.items()}


def put_off(fixture: Any, request: Any) -> Callable[..., PerRun] | None:
    """What *fixture*, which is about to be made, shall have for its function; None: the one that it has."""
    function = fixture.func
    if not is_async(function) and not any(
        isinstance(request.getfixturevalue(name), PerRun) for name in fixture.argnames
    ):
        return None
    if inspect.ismethod(function) and isinstance(request.instance, type(function.__self__)):
        function = function.__func__.__get__(request.instance)
    return lambda **arguments: PerRun(function, arguments)


def calls(function: Callable[..., Any], names: tuple[str, ...], values: dict[str, Any]) -> Callable[[], Any]:
    """A coroutine function without arguments: it calls the test *function*, with *values* called *names*."""

    async def call() -> None:
        async with AsyncExitStack() as stack:
            made = await _made(values, stack, {})
            await function(**{name: made[name] for name in names})

    return call
