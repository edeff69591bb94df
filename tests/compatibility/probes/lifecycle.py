"""Starting, stopping and closing a loop."""

import asyncio
import contextlib
import threading
import warnings

import pytest

from ..registry import probe, same


@probe("run_forever", "until stop()")
def run_forever(new_loop):
    calls = []
    with contextlib.closing(new_loop()) as loop:
        loop.call_soon(lambda: calls.append(asyncio.get_running_loop() is loop))
        loop.call_later(0.001, loop.stop)
        loop.run_forever()
    same(calls, [True])


@probe("run_forever", "again after it was stopped")
def run_forever_twice(new_loop):
    calls = []
    with contextlib.closing(new_loop()) as loop:
        for number in range(2):
            loop.call_soon(calls.append, number)
            loop.call_soon(loop.stop)
            loop.run_forever()
    same(calls, [0, 1])


@probe("run_forever", "refused while a loop runs")
async def run_forever_nested(loop):
    with pytest.raises(RuntimeError):
        loop.run_forever()


@probe("run_until_complete", "the result of a coroutine")
def run_until_complete(new_loop):
    async def answer():
        await asyncio.sleep(0)
        return 42

    with contextlib.closing(new_loop()) as loop:
        same(loop.run_until_complete(answer()), 42)


@probe("run_until_complete", "the exception of a future")
def run_until_complete_raises(new_loop):
    with contextlib.closing(new_loop()) as loop:
        future = loop.create_future()
        loop.call_soon(future.set_exception, LookupError("no"))
        with pytest.raises(LookupError):
            loop.run_until_complete(future)


@probe("run_until_complete", "RuntimeError if stopped before")
def run_until_complete_stopped(new_loop):
    with contextlib.closing(new_loop()) as loop:
        loop.call_soon(loop.stop)
        with pytest.raises(RuntimeError, match="stopped before Future completed"):
            loop.run_until_complete(loop.create_future())


@probe("stop", "finishes the turn")
def stop(new_loop):
    calls = []
    with contextlib.closing(new_loop()) as loop:
        loop.call_soon(loop.stop)
        loop.call_soon(calls.append, 1)
        loop.run_forever()
    same(calls, [1])


@probe("stop", "before run_forever(): one turn")
def stop_before(new_loop):
    calls = []
    with contextlib.closing(new_loop()) as loop:
        loop.stop()
        loop.call_soon(lambda: loop.call_soon(calls.append, 2))
        loop.call_soon(calls.append, 1)
        loop.run_forever()
        same(calls, [1])


@probe("is_running", "inside and outside")
def is_running(new_loop):
    calls = []
    with contextlib.closing(new_loop()) as loop:
        loop.call_soon(lambda: calls.append(loop.is_running()))
        loop.call_soon(loop.stop)
        same(loop.is_running(), False)
        loop.run_forever()
        same(loop.is_running(), False)
    same(calls, [True])


@probe("is_closed", "before and after close()")
def is_closed(new_loop):
    loop = new_loop()
    same(loop.is_closed(), False)
    loop.close()
    same(loop.is_closed(), True)


@probe("close", "twice is once")
def close(new_loop):
    loop = new_loop()
    loop.close()
    loop.close()


@probe("close", "refused while running")
async def close_running(loop):
    with pytest.raises(RuntimeError):
        loop.close()


@probe("close", "nothing runs afterwards")
def close_is_final(new_loop):
    loop, calls = new_loop(), []
    loop.call_soon(calls.append, 1)
    loop.close()
    with pytest.raises(RuntimeError):
        loop.call_soon(print)
    with pytest.raises(RuntimeError):
        loop.run_forever()
    same(calls, [])


@probe("shutdown_asyncgens", "closes what was started")
async def shutdown_asyncgens(loop):
    events = []

    async def numbers():
        try:
            yield 1
        finally:
            await asyncio.sleep(0)
            events.append("closed")

    generator = numbers()
    same(await anext(generator), 1)
    await loop.shutdown_asyncgens()
    same(events, ["closed"])


@probe("shutdown_asyncgens", "reports what fails")
async def shutdown_asyncgens_reports(loop):
    contexts = []
    loop.set_exception_handler(lambda loop, context: contexts.append(context))

    async def numbers():
        try:
            yield 1
        finally:
            raise LookupError("no")

    generator = numbers()
    await anext(generator)
    await loop.shutdown_asyncgens()
    same([type(context["exception"]) for context in contexts], [LookupError])
    same(contexts[0]["asyncgen"] is generator, True)


@probe("shutdown_default_executor", "waits for the threads")
async def shutdown_default_executor(loop):
    threads = []
    await loop.run_in_executor(None, lambda: threads.append(threading.current_thread()))
    await loop.shutdown_default_executor()
    same(threads[0].is_alive(), False)


@probe("shutdown_default_executor", "no default executor afterwards")
async def shutdown_default_executor_is_final(loop):
    await loop.shutdown_default_executor()
    with pytest.raises(RuntimeError, match="Executor shutdown has been called"):
        await loop.run_in_executor(None, int)


# Python 3.12 takes the timeout and waits all the same.
@probe("shutdown_default_executor", "timeout=", since=(3, 13))
async def shutdown_default_executor_timeout(loop):
    go_on = threading.Event()
    future = loop.run_in_executor(None, go_on.wait)
    # A loop that ignores the timeout is let go here, instead of waiting for ever. On any other the timer that
    # is due first has ended the wait before.
    release = loop.call_later(2, go_on.set)
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            await loop.shutdown_default_executor(timeout=0.01)
        waited = go_on.is_set()
    finally:
        release.cancel()
        go_on.set()
    await future
    same([warning.category for warning in caught], [RuntimeWarning])
    same(waited, False)
