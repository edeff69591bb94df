"""run_in_executor and the default executor."""

import asyncio
import concurrent.futures
import sys
import threading
import warnings

import pytest


async def test_runs_in_another_thread_and_brings_the_result():
    loop = asyncio.get_running_loop()
    here = threading.get_ident()
    assert await loop.run_in_executor(None, threading.get_ident) != here
    assert await loop.run_in_executor(None, lambda *args: args, 1, 2) == (1, 2)


async def test_brings_the_exception():
    loop = asyncio.get_running_loop()
    with pytest.raises(ZeroDivisionError):
        await loop.run_in_executor(None, divmod, 1, 0)


async def test_a_given_executor_is_used():
    loop = asyncio.get_running_loop()
    with concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="mine") as executor:
        name = await loop.run_in_executor(executor, lambda: threading.current_thread().name)
    assert name.startswith("mine")


async def test_the_default_executor_can_be_set():
    loop = asyncio.get_running_loop()
    executor = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="default")
    loop.set_default_executor(executor)
    name = await loop.run_in_executor(None, lambda: threading.current_thread().name)
    assert name.startswith("default")
    await loop.shutdown_default_executor()
    with pytest.raises(RuntimeError):
        executor.submit(print)


@pytest.mark.uvloop_differs(reason="its threads are named uvloop")
async def test_threads_of_the_default_executor_are_named():
    loop = asyncio.get_running_loop()
    name = await loop.run_in_executor(None, lambda: threading.current_thread().name)
    assert name.startswith("asyncio_")


@pytest.mark.uvloop_differs(reason="takes anything")
def test_the_default_executor_must_have_threads(new_loop):
    with pytest.raises(TypeError, match="^executor must be ThreadPoolExecutor instance$"):
        new_loop().set_default_executor(object())


async def test_many_calls_at_once_all_come_back():
    loop = asyncio.get_running_loop()
    results = await asyncio.gather(*(loop.run_in_executor(None, pow, 2, n) for n in range(200)))
    assert results == [2**n for n in range(200)]


async def test_to_thread_runs_in_the_callers_context():
    assert await asyncio.to_thread(lambda value: value + 1, 5) == 6


def test_after_the_shutdown_there_is_no_default_executor(new_loop):
    loop = new_loop()
    loop.run_until_complete(loop.run_in_executor(None, int))
    loop.run_until_complete(loop.shutdown_default_executor())
    with pytest.raises(RuntimeError, match="^Executor shutdown has been called$"):
        loop.run_in_executor(None, int)
    with concurrent.futures.ThreadPoolExecutor(1) as executor:
        assert loop.run_until_complete(loop.run_in_executor(executor, int)) == 0


def test_shutdown_of_an_executor_that_was_never_used(new_loop):
    loop = new_loop()
    loop.run_until_complete(loop.shutdown_default_executor())
    with pytest.raises(RuntimeError, match="^Executor shutdown has been called$"):
        loop.run_in_executor(None, int)


def test_shutdown_waits_for_what_runs(new_loop):
    loop = new_loop()
    started, go_on, ended = threading.Event(), threading.Event(), []

    def work():
        started.set()
        go_on.wait(10)
        ended.append(1)

    async def main():
        future = loop.run_in_executor(None, work)
        started.wait(10)
        shutdown = asyncio.ensure_future(loop.shutdown_default_executor())
        await asyncio.sleep(0.005)
        assert not shutdown.done()
        go_on.set()
        await shutdown
        assert ended == [1]
        await future

    loop.run_until_complete(main())


@pytest.mark.uvloop_differs(reason="the wait ignores the timeout", run=False)
@pytest.mark.skipif(sys.version_info < (3, 13), reason="the wait ignores the timeout before Python 3.13")
def test_shutdown_with_a_timeout_does_not_wait_longer(new_loop):
    loop = new_loop()
    go_on = threading.Event()

    async def main():
        future = loop.run_in_executor(None, go_on.wait, 10)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            await loop.shutdown_default_executor(0.01)
        assert not future.done()
        go_on.set()
        assert await future
        return [str(w.message) for w in caught if w.category is RuntimeWarning]

    assert loop.run_until_complete(main()) == [
        "The executor did not finishing joining its threads within 0.01 seconds."
    ]


def test_closing_the_loop_does_not_wait_for_the_executor(new_loop):
    loop = new_loop()
    go_on, ended = threading.Event(), threading.Event()

    def work():
        go_on.wait(10)
        ended.set()

    loop.run_in_executor(None, work)
    loop.close()
    assert not ended.is_set()
    go_on.set()
    assert ended.wait(10)


async def test_a_cancelled_call_does_not_disturb_the_loop():
    loop = asyncio.get_running_loop()
    go_on, started = threading.Event(), threading.Event()
    future = loop.run_in_executor(None, lambda: (started.set(), go_on.wait(10)))
    assert started.wait(10)
    future.cancel()
    with pytest.raises(asyncio.CancelledError):
        await future
    go_on.set()
    assert await loop.run_in_executor(None, lambda: 5) == 5
