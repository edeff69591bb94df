"""call_soon_threadsafe: from other threads, from the own thread, from signal handlers."""

import asyncio
import contextvars
import signal
import sys
import threading

import pytest


def test_wakes_a_sleeping_loop(new_loop):
    loop = new_loop()
    thread = threading.Thread(target=lambda: loop.call_soon_threadsafe(loop.stop))
    loop.call_soon(thread.start)
    loop.run_forever()
    thread.join()


def test_wakes_a_loop_that_sleeps_until_a_timer(new_loop):
    loop = new_loop()
    timer = loop.call_later(3600, pytest.fail, "an hour passed")
    thread = threading.Thread(target=lambda: loop.call_soon_threadsafe(loop.stop))
    loop.call_soon(thread.start)
    loop.run_forever()
    thread.join()
    timer.cancel()


def test_wakes_it_every_time(new_loop):
    loop = new_loop()
    rounds = 300
    ping, pong = threading.Semaphore(0), []

    def other():
        for number in range(rounds):
            loop.call_soon_threadsafe(answer, number)
            assert ping.acquire(timeout=10)  # until the loop has run it and sleeps again, or is about to
        loop.call_soon_threadsafe(loop.stop)

    def answer(number):
        pong.append(number)
        ping.release()

    thread = threading.Thread(target=other)
    thread.start()
    loop.run_forever()
    thread.join()
    assert pong == list(range(rounds))


def test_nothing_is_lost_from_many_threads_and_each_keeps_its_order(new_loop):
    loop = new_loop()
    got = []
    threads, each = 4, 2000

    def other(name):
        for number in range(each):
            loop.call_soon_threadsafe(got.append, (name, number))

    workers = [threading.Thread(target=other, args=(name,)) for name in range(threads)]

    async def main():
        for worker in workers:
            worker.start()
        while len(got) < threads * each:
            await asyncio.sleep(0)

    loop.run_until_complete(main())
    for worker in workers:
        worker.join()
    for name in range(threads):
        assert [number for who, number in got if who == name] == list(range(each))


def test_before_the_loop_runs(new_loop):
    loop = new_loop()
    ran = []
    for number in range(5):
        loop.call_soon_threadsafe(ran.append, number)
    loop.call_soon_threadsafe(loop.stop)
    loop.run_forever()
    assert ran == [0, 1, 2, 3, 4]


def test_from_the_loops_own_thread_it_is_call_soon(new_loop):
    loop = new_loop()
    ran = []

    def first():
        loop.call_soon(ran.append, 1)
        loop.call_soon_threadsafe(ran.append, 2)
        loop.call_soon(ran.append, 3)
        loop.call_soon_threadsafe(loop.stop)

    loop.call_soon(first)
    loop.run_forever()
    assert ran == [1, 2, 3]


def test_a_signal_handler_wakes_the_loop_that_sleeps_below_it(new_loop):
    """The handler runs in the loop's own thread while that sits in poll: it must be woken all the same."""
    loop = new_loop()
    woken = threading.Event()
    previous = signal.signal(
        signal.SIGUSR1, lambda *_: loop.call_soon_threadsafe(lambda: (woken.set(), loop.stop()))
    )
    main_thread = threading.get_ident()

    def send():
        # Again and again: a signal that comes just before the system call does not interrupt it.
        while not woken.wait(0.01):
            signal.pthread_kill(main_thread, signal.SIGUSR1)

    thread = threading.Thread(target=send)
    try:
        loop.call_soon(thread.start)
        loop.run_forever()
    finally:
        woken.set()
        thread.join()
        signal.signal(signal.SIGUSR1, previous)


def test_run_coroutine_threadsafe_brings_the_result_back(new_loop):
    loop = new_loop()
    results = []

    async def answer(value):
        await asyncio.sleep(0)
        if value is None:
            raise LookupError("nothing")
        return value

    def other():
        results.append(asyncio.run_coroutine_threadsafe(answer(5), loop).result(10))
        results.append(type(asyncio.run_coroutine_threadsafe(answer(None), loop).exception(10)))
        loop.call_soon_threadsafe(loop.stop)

    thread = threading.Thread(target=other)
    thread.start()
    loop.run_forever()
    thread.join()
    assert results == [5, LookupError]


def test_a_handle_cancelled_by_the_other_thread_does_not_run(new_loop):
    loop = new_loop()

    def other():
        loop.call_soon_threadsafe(entered.wait, 10)  # holds the loop while the next one is cancelled
        loop.call_soon_threadsafe(pytest.fail, "ran").cancel()
        entered.set()
        loop.call_soon_threadsafe(loop.stop)

    entered = threading.Event()
    thread = threading.Thread(target=other)
    thread.start()
    loop.run_forever()
    thread.join()


def test_a_closed_loop_says_so_to_other_threads(new_loop):
    loop = new_loop()
    loop.close()
    errors = []

    def other():
        try:
            loop.call_soon_threadsafe(print)
        except RuntimeError as exc:
            errors.append(str(exc))

    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert errors == ["Event loop is closed"]


@pytest.mark.skipif(
    sys.version_info < (3, 14), reason="handles of call_soon_threadsafe have a lock from 3.14 on"
)
@pytest.mark.uvloop_differs(reason="its handles have no lock")
@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize("ask", ["cancel", "cancelled"])
def test_another_thread_that_asks_a_handle_waits_while_it_is_being_called(new_loop, ask, debug):
    loop = new_loop()
    loop.set_debug(debug)
    loop.slow_callback_duration = 1000
    handles, order = [], []
    called, asking = threading.Event(), threading.Event()

    def callback():
        called.set()
        asking.wait(10)
        order.append("called")

    def other():
        handles.append(loop.call_soon_threadsafe(callback))
        called.wait(10)
        asking.set()
        answer = getattr(handles[0], ask)()
        order.append("answered")
        assert not answer
        loop.call_soon_threadsafe(loop.stop)

    thread = threading.Thread(target=other)
    thread.start()
    loop.run_forever()
    thread.join()
    assert order == ["called", "answered"]
    assert isinstance(handles[0], asyncio.Handle)


def test_a_handle_that_its_own_callback_cancels(new_loop):
    loop = new_loop()
    cancelled = []

    def callback():
        handle.cancel()
        cancelled.append(handle.cancelled())
        raise LookupError("after that")

    context = contextvars.copy_context()
    seen = []
    loop.set_exception_handler(lambda loop, context: seen.append(context["exception"].args))
    handle = loop.call_soon_threadsafe(callback, context=context)
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert cancelled == [True]
    assert seen == [("after that",)]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="Handle.get_context is new in Python 3.12")
@pytest.mark.uvloop_differs(reason="no get_context")
def test_its_handle_knows_its_context_and_runs_in_it(new_loop):
    loop = new_loop()
    variable = contextvars.ContextVar("variable")
    context = contextvars.copy_context()
    context.run(variable.set, "mine")
    seen = []
    handle = loop.call_soon_threadsafe(lambda: seen.append(variable.get()), context=context)
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert handle.get_context() is context
    assert seen == ["mine"]
