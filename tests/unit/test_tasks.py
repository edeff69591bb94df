"""What changes from Python to Python about tasks, each variant tried on this one; and generators."""

import asyncio
import contextvars
import gc
import sys
import weakref

import pytest

import loopkit
from loopkit import tasks
from tests.support.programs import run_program
from tests.support.pythons import drop


@pytest.fixture
def loop():
    loop = loopkit.EpollLoop()
    yield loop
    loop.close()


class Factory:
    """A task factory that writes down what it was called with."""

    def __init__(self, nameless=False):
        self.calls = []
        self.nameless = nameless

    def __call__(self, loop, coro, **kwargs):
        self.calls.append(dict(kwargs))
        if self.nameless:
            coro.close()
            return "no task at all"
        kwargs.pop("custom", None)
        return asyncio.Task(coro, loop=loop, **kwargs)


async def nothing():
    pass


def create(loop, version, **kwargs):
    """create_task as on that version; the finished task."""
    coro = nothing()
    try:
        task = tasks.create_task_for(version)(loop, coro, **kwargs)
    except BaseException:
        coro.close()
        raise
    if isinstance(task, asyncio.Task):
        loop.run_until_complete(task)
    return task


@pytest.mark.parametrize(
    ("version", "name"),
    [
        ((3, 11, 0), "_create_task_311"),
        ((3, 12, 9), "_create_task_311"),
        ((3, 13, 2), "_create_task_311"),
        ((3, 13, 3), "_create_task_3133"),
        ((3, 13, 4), "_create_task_3134"),
        ((3, 13, 11), "_create_task_3134"),
        ((3, 14, 0), "_create_task_3133"),
        ((3, 16, 0), "_create_task_3133"),
    ],
)
def test_each_version_has_its_own_convention(version, name):
    assert tasks.create_task_for(version).__name__ == name


@pytest.mark.parametrize("version", [(3, 11, 0), (3, 13, 3), (3, 13, 4)])
def test_without_a_factory_name_and_context_reach_the_task(loop, version):
    context = contextvars.copy_context()
    task = create(loop, version, name="mine", context=context)
    assert task.get_name() == "mine"
    if hasattr(task, "get_context"):
        assert task.get_context() is context


def test_311_gives_a_factory_the_context_only_if_there_is_one(loop):
    loop.set_task_factory(factory := Factory())
    context = contextvars.copy_context()
    assert create(loop, (3, 11, 0), name="mine").get_name() == "mine"
    create(loop, (3, 11, 0), context=context)
    assert factory.calls == [{}, {"context": context}]


def test_3133_gives_a_factory_everything(loop):
    loop.set_task_factory(factory := Factory())
    create(loop, (3, 13, 3), name="mine", custom=1)
    create(loop, (3, 14, 0), name=None, context=None)
    assert factory.calls == [{"name": "mine", "custom": 1}, {"name": None, "context": None}]


def test_3134_gives_a_factory_neither_the_name_nor_a_missing_context(loop):
    loop.set_task_factory(factory := Factory())
    context = contextvars.copy_context()
    task = create(loop, (3, 13, 4), name="mine", context=None, custom=1)
    create(loop, (3, 13, 4), context=context)
    assert task.get_name() == "mine"
    assert factory.calls == [{"custom": 1}, {"context": context}]


def test_before_313_a_factory_may_return_what_has_no_name(loop, monkeypatch):
    loop.set_task_factory(Factory(nameless=True))
    monkeypatch.setattr(tasks.sys, "version_info", (3, 12, 0))
    assert create(loop, (3, 12, 0), name="mine") == "no task at all"


def test_this_version_uses_its_own_convention():
    assert tasks.create_task is tasks.create_task_for(sys.version_info[:3])


@pytest.mark.parametrize("version", [(3, 11, 0), (3, 13, 3), (3, 13, 4)])
def test_a_closed_loop_makes_no_tasks(loop, version):
    loop.close()
    with pytest.raises(RuntimeError, match="Event loop is closed"):
        create(loop, version)


def test_the_birth_place_of_a_task_is_the_callers(loop):
    loop.set_debug(True)

    async def main():
        task = loop.create_task(nothing())
        await task
        return task._source_traceback[-1]

    assert loop.run_until_complete(main()).name == "main"


# -- asynchronous generators ---------------------------------------------------------------------------------


async def endless(log):
    try:
        while True:
            yield 1
    finally:
        await asyncio.sleep(0)
        log.append("closed")


def test_a_generator_that_is_collected_is_closed_on_its_loop(loop):
    log = []

    async def main():
        generator = endless(log)
        await anext(generator)
        assert weakref.ref(generator) in loop._asyncgens
        del generator
        gc.collect()
        await asyncio.sleep(0.001)
        drop()  # PyPy forgets a weak reference to what had a finalizer once that is through
        return list(loop._asyncgens)

    assert loop.run_until_complete(main()) == []
    assert log == ["closed"]


def test_generators_left_over_are_closed_together(loop):
    log = []
    generators = [endless(log) for _ in range(3)]

    async def start():
        for generator in generators:
            await anext(generator)

    loop.run_until_complete(start())
    loop.run_until_complete(loop.shutdown_asyncgens())
    assert log == ["closed"] * 3
    loop.run_until_complete(loop.shutdown_asyncgens())


def test_a_generator_collected_after_its_loop_was_closed_is_left_alone():
    """Nothing can be awaited any more; nothing must be raised either."""
    code, out, err = run_program(
        "epoll",
        """
        import gc
        async def endless():
            while True:
                yield 1
        loop = new_loop()
        generator = endless()
        async def start():
            await anext(generator)
        loop.run_until_complete(start())
        loop.close()
        del generator
        gc.collect()
        print("fine")
        """,
    )
    assert (code, out, err) == (0, "fine\n", "")
