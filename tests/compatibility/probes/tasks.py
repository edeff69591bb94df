"""Futures, tasks and their factory."""

import asyncio
import contextvars

import pytest

from ..registry import probe, same

value = contextvars.ContextVar("value", default="none")


async def _seen():
    return value.get()


@probe("create_future", "a future of this loop")
async def create_future(loop):
    future = loop.create_future()
    same(asyncio.isfuture(future), True)
    same(future.get_loop() is loop, True)
    loop.call_soon(future.set_result, 42)
    same(await future, 42)


@probe("create_task", "runs a coroutine")
async def create_task(loop):
    task = loop.create_task(_seen())
    same(isinstance(task, asyncio.Task), True)
    same(task.get_loop() is loop, True)
    same(task.done(), False)
    same(await task, "none")


@probe("create_task", "name=")
async def create_task_name(loop):
    task = loop.create_task(_seen(), name="carol")
    same(task.get_name(), "carol")
    await task


@probe("create_task", "context=")
async def create_task_context(loop):
    context = contextvars.copy_context()
    context.run(value.set, "given")
    same(await loop.create_task(_seen(), context=context), "given")


@probe("create_task", "eager_start=", since=(3, 13, 3))
async def create_task_eager(loop):
    same(loop.create_task(_seen(), eager_start=True).done(), True)
    lazy = loop.create_task(_seen(), eager_start=False)
    same(lazy.done(), False)
    await lazy


@probe("set_task_factory", "makes every task")
async def set_task_factory(loop):
    made = []

    def factory(loop, coro, **kwargs):
        made.append(asyncio.Task(coro, loop=loop, **kwargs))
        return made[-1]

    loop.set_task_factory(factory)
    task = loop.create_task(_seen(), name="carol")
    same(made, [task])
    same(task.get_name(), "carol")
    await task
    loop.set_task_factory(None)
    await loop.create_task(_seen())
    same(made, [task])


@probe("set_task_factory", "asyncio.eager_task_factory", since=(3, 12))
async def set_task_factory_eager(loop):
    loop.set_task_factory(asyncio.eager_task_factory)
    same(loop.create_task(_seen()).done(), True)


@probe("set_task_factory", "TypeError for what cannot be called")
async def set_task_factory_wrong(loop):
    with pytest.raises(TypeError):
        loop.set_task_factory("factory")


@probe("get_task_factory", "what was set")
async def get_task_factory(loop):
    def factory(loop, coro, **kwargs):
        return asyncio.Task(coro, loop=loop, **kwargs)

    same(loop.get_task_factory(), None)
    loop.set_task_factory(factory)
    same(loop.get_task_factory(), factory)
    loop.set_task_factory(None)
    same(loop.get_task_factory(), None)
