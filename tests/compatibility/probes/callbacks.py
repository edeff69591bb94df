"""Scheduling: now, later, from a thread, on a signal."""

import asyncio
import contextvars
import os
import signal
import threading

import pytest

from ..registry import probe, same

value = contextvars.ContextVar("value", default="none")


def _context():
    context = contextvars.copy_context()
    context.run(value.set, "given")
    return context


async def _seen_in_context(loop, schedule):
    """What a callback sees of the variable when `schedule(callback, context=...)` scheduled it."""
    seen = loop.create_future()
    schedule(lambda: seen.set_result(value.get()), context=_context())
    return await seen


@probe("call_soon", "in order, with arguments")
async def call_soon(loop):
    calls = []
    for number in range(3):
        loop.call_soon(calls.append, number)
    same(calls, [])
    await asyncio.sleep(0)
    same(calls, [0, 1, 2])


@probe("call_soon", "context=")
async def call_soon_context(loop):
    same(await _seen_in_context(loop, loop.call_soon), "given")


@probe("call_soon", "a handle that cancels")
async def call_soon_cancel(loop):
    calls = []
    handle = loop.call_soon(calls.append, 1)
    same(handle.cancelled(), False)
    handle.cancel()
    same(handle.cancelled(), True)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    same(calls, [])


@probe("call_later", "the earliest first")
async def call_later(loop):
    first = loop.create_future()
    late = loop.call_later(1000, first.set_result, "late")
    loop.call_later(0.001, first.set_result, "early")
    same(await first, "early")
    late.cancel()


@probe("call_later", "context=")
async def call_later_context(loop):
    def schedule(call, context):
        loop.call_later(0, call, context=context)

    same(await _seen_in_context(loop, schedule), "given")


@probe("call_later", "a handle that cancels")
async def call_later_cancel(loop):
    calls, done = [], loop.create_future()
    handle = loop.call_later(0.001, calls.append, 1)
    handle.cancel()
    same(handle.cancelled(), True)
    loop.call_later(0.002, done.set_result, None)
    await done
    same(calls, [])


@probe("call_at", "not before its time")
async def call_at(loop):
    done, when = loop.create_future(), loop.time() + 0.02
    loop.call_at(when, done.set_result, None)
    await done
    # Clocks have a resolution; no loop's is coarser than this.
    same(loop.time() > when - 0.005, True)


@probe("call_at", "a moment that is past")
async def call_at_past(loop):
    done = loop.create_future()
    loop.call_at(loop.time() - 100, done.set_result, 42)
    same(await done, 42)


@probe("call_at", "context=")
async def call_at_context(loop):
    def schedule(call, context):
        loop.call_at(loop.time(), call, context=context)

    same(await _seen_in_context(loop, schedule), "given")


@probe("call_at", "a handle that knows when()")
async def call_at_when(loop):
    when = loop.time() + 100
    handle = loop.call_at(when, print)
    same(abs(handle.when() - when) < 0.005, True)
    handle.cancel()


@probe("time", "in seconds, never back")
async def time(loop):
    times = [loop.time() for _ in range(100)]
    same([type(moment) for moment in times], [float] * 100)
    same(times, sorted(times))
    await asyncio.sleep(0.02)
    same(loop.time() - times[0] >= 0.015, True)


@probe("call_soon_threadsafe", "wakes an idle loop")
async def call_soon_threadsafe(loop):
    done = loop.create_future()
    thread = threading.Thread(target=loop.call_soon_threadsafe, args=(done.set_result, 42))
    thread.start()
    same(await done, 42)
    thread.join()


@probe("call_soon_threadsafe", "context=")
async def call_soon_threadsafe_context(loop):
    same(await _seen_in_context(loop, loop.call_soon_threadsafe), "given")


@probe("call_soon_threadsafe", "from many threads")
async def call_soon_threadsafe_from_many(loop):
    calls, done = [], loop.create_future()

    def called(number):
        calls.append(number)
        if len(calls) == 400:
            done.set_result(None)

    def work(first):
        for number in range(first, first + 100):
            loop.call_soon_threadsafe(called, number)

    threads = [threading.Thread(target=work, args=(first,)) for first in range(0, 400, 100)]
    for thread in threads:
        thread.start()
    await done
    for thread in threads:
        thread.join()
    same(sorted(calls), list(range(400)))


@probe("call_soon_threadsafe", "refused by a closed loop")
def call_soon_threadsafe_closed(new_loop):
    loop = new_loop()
    loop.close()
    with pytest.raises(RuntimeError):
        loop.call_soon_threadsafe(print)


@probe("add_signal_handler", "with arguments")
async def add_signal_handler(loop):
    done = loop.create_future()
    loop.add_signal_handler(signal.SIGUSR1, done.set_result, 42)
    os.kill(os.getpid(), signal.SIGUSR1)
    same(await done, 42)
    loop.remove_signal_handler(signal.SIGUSR1)


@probe("add_signal_handler", "replaces the one before")
async def add_signal_handler_again(loop):
    done = loop.create_future()
    loop.add_signal_handler(signal.SIGUSR1, done.set_result, "old")
    loop.add_signal_handler(signal.SIGUSR1, done.set_result, "new")
    os.kill(os.getpid(), signal.SIGUSR1)
    same(await done, "new")
    loop.remove_signal_handler(signal.SIGUSR1)


@probe("add_signal_handler", "RuntimeError for SIGKILL")
async def add_signal_handler_kill(loop):
    with pytest.raises(RuntimeError):
        loop.add_signal_handler(signal.SIGKILL, print)


@probe("add_signal_handler", "TypeError for a coroutine function")
async def add_signal_handler_coroutine(loop):
    async def handler():
        pass

    with pytest.raises(TypeError):
        loop.add_signal_handler(signal.SIGUSR1, handler)


@probe("remove_signal_handler", "whether there was one")
async def remove_signal_handler(loop):
    same(loop.remove_signal_handler(signal.SIGUSR1), False)
    loop.add_signal_handler(signal.SIGUSR1, print)
    same(loop.remove_signal_handler(signal.SIGUSR1), True)
    same(loop.remove_signal_handler(signal.SIGUSR1), False)


@probe("remove_signal_handler", "restores the default")
async def remove_signal_handler_restores(loop):
    for number, default in [
        (signal.SIGUSR1, signal.SIG_DFL),
        (signal.SIGINT, signal.default_int_handler),
    ]:
        before = signal.getsignal(number)
        loop.add_signal_handler(number, print)
        loop.remove_signal_handler(number)
        after = signal.getsignal(number)
        signal.signal(number, before)
        same(after, default)
