"""run_forever, run_until_complete, stop and close."""

import asyncio
import gc
import signal
import sys
import threading
import warnings

import pytest


def test_is_a_loop_that_neither_runs_nor_is_closed(new_loop):
    loop = new_loop()
    assert isinstance(loop, asyncio.AbstractEventLoop)
    assert not loop.is_running()
    assert not loop.is_closed()


def test_runs_a_coroutine_to_its_result(new_loop):
    async def main():
        loop = asyncio.get_running_loop()
        await asyncio.sleep(0)
        return loop, loop.is_running()

    loop = new_loop()
    assert loop.run_until_complete(main()) == (loop, True)
    assert not loop.is_running()
    assert asyncio._get_running_loop() is None


def test_raises_what_the_coroutine_raised_and_can_run_again(new_loop):
    async def fail():
        raise LookupError("no")

    async def succeed():
        return 5

    loop = new_loop()
    with pytest.raises(LookupError, match="no"):
        loop.run_until_complete(fail())
    assert loop.run_until_complete(succeed()) == 5


def test_runs_a_future_that_is_done_already(new_loop):
    loop = new_loop()
    future = loop.create_future()
    future.set_result("there")
    assert loop.run_until_complete(future) == "there"


def test_refuses_what_cannot_be_awaited(new_loop):
    with pytest.raises(TypeError, match="An asyncio.Future, a coroutine or an awaitable is required"):
        new_loop().run_until_complete(5)


def test_refuses_a_future_of_another_loop(new_loop):
    loop, other = new_loop(), new_loop()
    future = other.create_future()
    with pytest.raises(ValueError, match="belongs to a different loop|different loop"):
        loop.run_until_complete(future)
    future.cancel()


def test_says_so_when_stopped_before_the_future_is_done(new_loop):
    loop = new_loop()
    future = loop.create_future()
    loop.call_soon(loop.stop)
    with pytest.raises(RuntimeError, match=r"^Event loop stopped before Future completed\.$"):
        loop.run_until_complete(future)
    future.cancel()


def test_stopping_from_a_callback_ends_run_forever(new_loop):
    loop = new_loop()
    ran = []
    loop.call_soon(ran.append, 1)
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert ran == [1]
    assert not loop.is_running()


def test_stop_before_run_forever_runs_what_is_ready_once(new_loop):
    loop = new_loop()
    ran = []
    loop.call_soon(ran.append, 1)
    loop.stop()
    loop.run_forever()
    assert ran == [1]


@pytest.mark.uvloop_differs(reason="stop() is a queued callback there, so one more turn runs")
def test_stop_finishes_the_turn_and_leaves_what_it_scheduled_to_the_next_run(new_loop):
    loop = new_loop()
    ran = []

    def first():
        ran.append("first")
        loop.stop()
        loop.call_soon(ran.append, "scheduled after stop")

    loop.call_soon(first)
    loop.call_soon(ran.append, "same turn")
    loop.run_forever()
    assert ran == ["first", "same turn"]
    loop.stop()
    loop.run_forever()
    assert ran == ["first", "same turn", "scheduled after stop"]


def test_stop_before_run_forever_is_exactly_one_turn(new_loop):
    loop = new_loop()
    ran = []

    def again():
        ran.append(1)
        if len(ran) < 5:
            loop.call_soon(again)

    loop.call_soon(again)
    loop.stop()
    loop.run_forever()
    assert ran == [1]


def test_stop_does_not_wait_for_a_timer(new_loop):
    loop = new_loop()
    timer = loop.call_later(3600, pytest.fail, "an hour passed")
    loop.stop()
    loop.run_forever()
    assert loop.time() < timer.when()
    timer.cancel()


def test_stop_on_an_idle_loop_is_forgotten_by_nobody(new_loop):
    loop = new_loop()
    loop.stop()
    loop.run_forever()
    ran = []
    loop.call_soon(lambda: (ran.append(1), loop.call_soon(lambda: (ran.append(2), loop.stop()))))
    loop.run_forever()
    assert ran == [1, 2]


def test_stop_twice_is_stop(new_loop):
    loop = new_loop()
    loop.call_soon(loop.stop)
    loop.call_soon(loop.stop)
    loop.run_forever()
    ran = []
    loop.call_soon(ran.append, 1)
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert ran == [1]


@pytest.mark.parametrize("method", ["run_forever", "run_until_complete"])
def test_a_running_loop_refuses_to_run_again(new_loop, method):
    loop = new_loop()

    async def main():
        future = loop.create_future()
        arguments = (future,) if method == "run_until_complete" else ()
        with pytest.raises(RuntimeError, match="(?i)^this event loop is already running"):
            getattr(loop, method)(*arguments)
        future.cancel()

    loop.run_until_complete(main())


def test_another_loop_refuses_to_run_inside(new_loop):
    loop, other = new_loop(), new_loop()

    async def main():
        with pytest.raises(RuntimeError, match="^Cannot run the event loop while another loop is running$"):
            other.run_forever()

    loop.run_until_complete(main())
    assert not other.is_running()


def test_another_thread_refuses_to_run_a_running_loop(new_loop):
    loop = new_loop()
    errors = []

    def elsewhere():
        try:
            loop.run_forever()
        except RuntimeError as exc:
            errors.append(str(exc).lower())

    async def main():
        thread = threading.Thread(target=elsewhere)
        thread.start()
        await asyncio.sleep(0)
        thread.join()

    loop.run_until_complete(main())
    assert errors[0].startswith("this event loop is already running")


def test_closing_twice_is_closing(new_loop):
    loop = new_loop()
    loop.close()
    loop.close()
    assert loop.is_closed()


def test_a_running_loop_refuses_to_close(new_loop):
    loop = new_loop()

    async def main():
        with pytest.raises(RuntimeError, match="^Cannot close a running event loop$"):
            loop.close()

    loop.run_until_complete(main())
    assert not loop.is_closed()


def test_a_closed_loop_refuses_to_work(new_loop):
    loop = new_loop()
    loop.close()
    nothing = asyncio.sleep(0)
    for use in (
        lambda: loop.run_forever(),
        lambda: loop.run_until_complete(nothing),
        lambda: loop.call_soon(print),
        lambda: loop.call_soon_threadsafe(print),
        lambda: loop.call_later(1, print),
        lambda: loop.call_at(loop.time(), print),
        lambda: loop.create_task(nothing),
        lambda: loop.run_in_executor(None, print),
        lambda: loop.add_reader(0, print),
        lambda: loop.add_writer(0, print),
        lambda: loop.add_signal_handler(signal.SIGUSR1, print),
    ):
        with pytest.raises(RuntimeError, match="^Event loop is closed$"):
            use()
    nothing.close()


def test_closing_drops_what_was_scheduled(new_loop):
    loop = new_loop()
    ran = []
    loop.call_soon(ran.append, 1)
    loop.call_later(0, ran.append, 2)
    loop.close()
    assert ran == []


def test_time_passes_after_closing_too(new_loop):
    loop = new_loop()
    before = loop.time()
    loop.close()
    assert loop.time() >= before


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_what_ends_the_program_leaves_run_forever(new_loop, error):
    def end():
        raise error

    loop = new_loop()
    loop.call_soon(end)
    with pytest.raises(error):
        loop.run_forever()
    assert not loop.is_running()
    assert asyncio._get_running_loop() is None

    async def still_usable():
        await asyncio.sleep(0)
        return True

    assert loop.run_until_complete(still_usable())


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_what_ends_the_program_leaves_run_until_complete_from_a_task(new_loop, error):
    async def end():
        await asyncio.sleep(0)
        raise error

    loop = new_loop()
    with pytest.raises(error):
        loop.run_until_complete(end())
    # The callback that stops the loop must not have been left behind: it would stop the next run at once.
    ran = []
    loop.call_soon(lambda: loop.call_soon(lambda: (ran.append(1), loop.stop())))
    loop.run_forever()
    assert ran == [1]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("delay", [0, 0.001])
def test_what_ends_the_program_leaves_the_loop_from_a_timer(new_loop, error, delay):
    def end():
        raise error

    loop = new_loop()
    loop.call_later(delay, end)
    with pytest.raises(error):
        loop.run_forever()
    loop.call_soon(loop.stop)
    loop.run_forever()


@pytest.mark.uvloop_differs(reason="the turn is finished before the exception leaves")
def test_callbacks_after_one_that_ends_the_program_run_in_the_next_run(new_loop):
    def end():
        raise KeyboardInterrupt

    loop = new_loop()
    ran = []
    loop.call_soon(ran.append, 1)
    loop.call_soon(end)
    loop.call_soon(ran.append, 2)
    with pytest.raises(KeyboardInterrupt):
        loop.run_forever()
    assert ran == [1]
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert ran == [1, 2]


def test_a_task_that_fails_while_the_loop_is_interrupted_is_not_reported(new_loop):
    async def end():
        raise KeyboardInterrupt

    loop = new_loop()
    with pytest.raises(KeyboardInterrupt):
        loop.run_until_complete(end())
    gc.collect()  # the guard would see "Task exception was never retrieved"


def test_runs_in_another_thread(new_loop):
    loop = new_loop()
    results = []

    async def main():
        await asyncio.sleep(0.001)
        return threading.current_thread().name

    thread = threading.Thread(
        target=lambda: results.append(loop.run_until_complete(main())), name="elsewhere"
    )
    thread.start()
    thread.join()
    assert results == ["elsewhere"]


def test_two_loops_run_side_by_side_in_two_threads(new_loop):
    meeting = threading.Barrier(2, timeout=10)
    loops = [new_loop(), new_loop()]
    results = []

    async def main():
        meeting.wait()  # each loop is running while the other one is
        await asyncio.sleep(0)
        return asyncio.get_running_loop()

    threads = [
        threading.Thread(target=lambda loop=loop: results.append(loop.run_until_complete(main()) is loop))
        for loop in loops
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True, True]


def test_the_running_loop_is_restored_for_each_run(new_loop):
    first, second = new_loop(), new_loop()

    async def which():
        return asyncio.get_running_loop()

    assert first.run_until_complete(which()) is first
    assert second.run_until_complete(which()) is second
    assert first.run_until_complete(which()) is first


@pytest.mark.uvloop_differs(reason="logs instead of warning")
def test_a_loop_that_nobody_closed_warns(new_loop, request):
    loop = request.node.callspec.params["new_loop"]()
    text = repr(loop)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        del loop
        gc.collect()
    messages = [str(w.message) for w in caught if issubclass(w.category, ResourceWarning)]
    assert f"unclosed event loop {text}" in messages


def test_repr_tells_the_state(new_loop):
    loop = new_loop()
    assert "running=False closed=False debug=" in repr(loop)
    loop.close()
    assert "running=False closed=True debug=" in repr(loop)


def test_asyncio_runner_takes_the_loop(new_loop):
    async def main():
        return asyncio.get_running_loop()

    with asyncio.Runner(loop_factory=new_loop) as runner:
        assert runner.run(main()) is runner.get_loop()
        assert runner.run(main()) is runner.get_loop()
    assert runner._loop is None


@pytest.mark.skipif(sys.version_info < (3, 12), reason="loop_factory of asyncio.run is new in Python 3.12")
def test_asyncio_run_takes_the_loop(new_loop):
    async def main():
        await asyncio.sleep(0)
        return asyncio.get_running_loop()

    loop = asyncio.run(main(), loop_factory=new_loop)
    assert loop.is_closed()
