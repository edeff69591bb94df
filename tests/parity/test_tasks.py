"""Futures, tasks and task factories."""

import asyncio
import contextvars
import sys

import pytest

variable = contextvars.ContextVar("variable", default="default")

PASSES_KWARGS = sys.version_info >= (3, 14) or sys.version_info[:3] == (3, 13, 3)
DROPS_NAME = (3, 13, 4) <= sys.version_info < (3, 14)
CANCELS_GROUPS = pytest.mark.skipif(
    not hasattr(asyncio.TaskGroup, "cancel"), reason="TaskGroup.cancel is new in Python 3.15"
)


async def test_futures_and_tasks_belong_to_the_loop():
    loop = asyncio.get_running_loop()
    future = loop.create_future()
    assert isinstance(future, asyncio.Future)
    assert future.get_loop() is loop
    future.cancel()
    task = loop.create_task(asyncio.sleep(0, "slept"))
    assert isinstance(task, asyncio.Task)
    assert task.get_loop() is loop
    assert await task == "slept"


async def test_a_task_has_the_name_it_is_given():
    loop = asyncio.get_running_loop()
    named = loop.create_task(asyncio.sleep(0), name="given")
    unnamed = loop.create_task(asyncio.sleep(0))
    assert named.get_name() == "given"
    assert unnamed.get_name().startswith("Task-")
    await asyncio.gather(named, unnamed)


async def test_a_task_runs_in_the_context_it_is_given():
    loop = asyncio.get_running_loop()
    context = contextvars.copy_context()

    async def change():
        variable.set("changed")
        await asyncio.sleep(0)
        return variable.get()

    assert await loop.create_task(change(), context=context) == "changed"
    assert context[variable] == "changed"
    assert variable.get() == "default"


async def test_a_task_without_a_context_runs_in_a_copy():
    async def change():
        before = variable.get()
        variable.set("changed")
        return before

    variable.set("mine")
    assert await asyncio.get_running_loop().create_task(change()) == "mine"
    assert variable.get() == "mine"


async def test_a_task_does_not_start_before_the_loop_turns():
    started = []

    async def start():
        started.append(1)

    task = asyncio.get_running_loop().create_task(start())
    assert started == []
    await task
    assert started == [1]


async def test_tasks_start_in_the_order_of_their_making():
    started = []

    async def start(number):
        started.append(number)

    await asyncio.gather(*(start(number) for number in range(100)))
    assert started == list(range(100))


async def test_the_current_task_and_all_tasks_are_known():
    me = asyncio.current_task()
    other = asyncio.ensure_future(asyncio.sleep(0))
    assert me in asyncio.all_tasks()
    assert other in asyncio.all_tasks()
    await other
    assert other not in asyncio.all_tasks()


def test_there_is_no_factory_at_first(new_loop):
    loop = new_loop()
    assert loop.get_task_factory() is None

    def factory(loop, coro, **kwargs):
        return asyncio.Task(coro, loop=loop, **kwargs)

    loop.set_task_factory(factory)
    assert loop.get_task_factory() is factory
    loop.set_task_factory(None)
    assert loop.get_task_factory() is None


def test_a_factory_must_be_callable(new_loop):
    with pytest.raises(TypeError, match="^task factory must be a callable or None$"):
        new_loop().set_task_factory(5)


@pytest.mark.uvloop_differs(
    reason="passes context=None (and from 3.13 eager_start=None) to every factory", run=False
)
@pytest.mark.skipif(PASSES_KWARGS, reason="from Python 3.14 a factory gets every keyword")
async def test_a_factory_that_takes_no_keywords_is_called_with_none():
    loop = asyncio.get_running_loop()
    made = []

    def factory(loop, coro):
        made.append(asyncio.Task(coro, loop=loop))
        return made[-1]

    loop.set_task_factory(factory)
    task = loop.create_task(asyncio.sleep(0))
    assert made == [task]
    await task


@pytest.mark.uvloop_differs(
    reason="passes eager_start=None from 3.13 on", run=False, when=sys.version_info >= (3, 13)
)
async def test_a_factory_gets_the_context():
    loop = asyncio.get_running_loop()
    got = []

    def factory(loop, coro, **kwargs):
        got.append({key: value for key, value in kwargs.items() if key != "name"})
        return asyncio.Task(coro, loop=loop, **kwargs)

    loop.set_task_factory(factory)
    context = contextvars.copy_context()
    await loop.create_task(asyncio.sleep(0), context=context)
    assert got == [{"context": context}]


@pytest.mark.uvloop_differs(reason="passes context=None", run=False)
async def test_the_name_is_set_on_what_the_factory_made():
    loop = asyncio.get_running_loop()
    got = []

    def factory(loop, coro, **kwargs):
        got.append(kwargs)
        return asyncio.Task(coro, loop=loop, **kwargs)

    loop.set_task_factory(factory)
    task = loop.create_task(asyncio.sleep(0), name="given")
    assert task.get_name() == "given"
    await task
    if PASSES_KWARGS:
        assert got[0]["name"] == "given"
    else:
        assert got == [{}]


@pytest.mark.uvloop_differs(
    reason="TypeError or silently not eager", run=False, when=sys.version_info >= (3, 13)
)
@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks are new in Python 3.12")
async def test_the_eager_factory_starts_tasks_at_once():
    loop = asyncio.get_running_loop()
    loop.set_task_factory(asyncio.eager_task_factory)
    order = []

    async def start(name, wait):
        order.append((name, asyncio.current_task().get_name()))
        if wait:
            await asyncio.sleep(0)
        return name

    first = loop.create_task(start("first", wait=False), name="one")
    assert first.done()
    second = loop.create_task(start("second", wait=True), name="two")
    assert not second.done()
    assert [name for name, _ in order] == ["first", "second"]
    assert await second == "second"
    async with asyncio.TaskGroup() as group:
        third = group.create_task(start("third", wait=False))
        assert third.done()
    assert asyncio.current_task().get_name() not in ("one", "two")


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks are new in Python 3.12")
@pytest.mark.uvloop_differs(reason="TypeError", run=False, when=sys.version_info[:2] == (3, 13))
def test_the_eager_factory_is_not_eager_while_the_loop_does_not_run(new_loop):
    loop = new_loop()
    loop.set_task_factory(asyncio.eager_task_factory)
    started = []

    async def start():
        started.append(1)

    task = loop.create_task(start())
    assert started == []
    loop.run_until_complete(task)
    assert started == [1]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks are new in Python 3.12")
async def test_an_eager_task_can_be_made_directly():
    async def at_once():
        return "done"

    task = asyncio.Task(at_once(), loop=asyncio.get_running_loop(), eager_start=True)
    assert task.done()
    assert await task == "done"


@pytest.mark.skipif(sys.version_info < (3, 14), reason="TaskGroup passes eager_start on from Python 3.14")
@pytest.mark.uvloop_differs(reason="TypeError or silently not eager", run=False)
@pytest.mark.parametrize("eager", [True, False])
async def test_a_task_is_eager_or_not_as_its_maker_says(eager):
    loop = asyncio.get_running_loop()
    async with asyncio.TaskGroup() as group:
        for factory in (None, asyncio.eager_task_factory):
            loop.set_task_factory(factory)
            for create_task in (loop.create_task, group.create_task):
                task = create_task(asyncio.sleep(0, "slept"), eager_start=eager)
                begun = task.get_coro().cr_await is not None
                assert begun == eager
                assert await task == "slept"


async def test_unknown_keywords_are_refused_as_asyncio_does():
    loop = asyncio.get_running_loop()
    coroutine = asyncio.sleep(0)
    with pytest.raises(TypeError):
        loop.create_task(coroutine, nonsense=1)
    coroutine.close()


async def test_a_task_group_cancels_the_others_when_one_fails():
    ended = []

    async def forever():
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            ended.append(1)

    async def fail():
        raise LookupError

    with pytest.raises(ExceptionGroup) as caught:
        async with asyncio.TaskGroup() as group:
            group.create_task(forever())
            group.create_task(forever())
            group.create_task(fail())
    assert caught.group_contains(LookupError)
    assert ended == [1, 1]


@CANCELS_GROUPS
async def test_a_cancelled_task_group_ends_its_tasks_and_its_body_without_an_error():
    ended = []

    async def forever():
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            ended.append("task")

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(forever()) for _ in range(2)]
        asyncio.get_running_loop().call_soon(group.cancel)
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            ended.append("body")
    assert sorted(ended) == ["body", "task", "task"]
    assert all(task.cancelled() for task in tasks)
    assert asyncio.current_task().cancelling() == 0
    group.cancel()  # too late to do anything
    await asyncio.sleep(0)


@CANCELS_GROUPS
async def test_a_task_group_that_is_cancelled_beforehand_runs_nothing_that_waits():
    group = asyncio.TaskGroup()
    group.cancel()
    reached = []
    async with group:
        reached.append("body")
        await asyncio.get_running_loop().create_future()
        reached.append("after")
    assert reached == ["body"]
    await asyncio.sleep(0)


async def test_a_cancelled_task_ends_cancelled():
    task = asyncio.ensure_future(asyncio.sleep(3600))
    await asyncio.sleep(0)
    task.cancel("reason")
    with pytest.raises(asyncio.CancelledError, match="reason"):
        await task
    assert task.cancelled()


async def test_queues_events_and_locks_work():
    queue, event, lock = asyncio.Queue(1), asyncio.Event(), asyncio.Lock()
    got = []

    async def consume():
        while (item := await queue.get()) is not None:
            async with lock:
                got.append(item)
        event.set()

    consumer = asyncio.ensure_future(consume())
    for item in [*range(20), None]:
        await queue.put(item)
    await event.wait()
    await consumer
    assert got == list(range(20))


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks are new in Python 3.12")
@pytest.mark.uvloop_differs(reason="TypeError or silently not eager", run=False)
async def test_another_thread_sees_all_tasks():
    loop = asyncio.get_running_loop()
    loop.set_task_factory(asyncio.eager_task_factory)
    eager = loop.create_task(asyncio.sleep(1000))
    loop.set_task_factory(None)
    plain = loop.create_task(asyncio.sleep(1000))
    seen = await asyncio.to_thread(asyncio.all_tasks, loop)
    assert seen >= {eager, plain, asyncio.current_task()}
    eager.cancel()
    plain.cancel()
    await asyncio.wait({eager, plain})


@pytest.mark.uvloop_differs(reason="makes tasks of a class that it has bound")
async def test_a_class_that_a_tool_puts_in_the_place_of_task_is_used(monkeypatch):
    class Seen(asyncio.Task):
        pass

    monkeypatch.setattr(asyncio.tasks, "Task", Seen)
    task = asyncio.get_running_loop().create_task(asyncio.sleep(0))
    assert type(task) is Seen
    await task
