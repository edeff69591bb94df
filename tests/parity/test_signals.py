"""add_signal_handler and its kin."""

import asyncio
import contextvars
import os
import signal
import threading

import pytest

# pytest-timeout's default method needs SIGALRM and the main thread's handlers for itself.
pytestmark = pytest.mark.timeout(method="thread")


@pytest.fixture(autouse=True)
def handlers_are_restored(loop_name):
    watched = (signal.SIGUSR1, signal.SIGUSR2, signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)
    before = {number: signal.getsignal(number) for number in watched}
    yield
    after = {number: signal.getsignal(number) for number in watched}
    for number, handler in before.items():
        signal.signal(number, handler)
    if loop_name != "uvloop":  # which forgets its handlers when it stops, and leaves its own behind
        assert after == before


def test_a_handler_is_called_in_the_loop_with_its_arguments(new_loop):
    loop = new_loop()
    got = []

    def handler(*args):
        got.append((args, asyncio.get_running_loop() is loop, threading.current_thread().name))
        loop.stop()

    loop.add_signal_handler(signal.SIGUSR1, handler, 1, "two")
    loop.call_soon(os.kill, os.getpid(), signal.SIGUSR1)
    loop.run_forever()
    loop.remove_signal_handler(signal.SIGUSR1)
    assert got == [((1, "two"), True, "MainThread")]


def test_a_signal_wakes_a_sleeping_loop(new_loop):
    loop = new_loop()
    loop.add_signal_handler(signal.SIGUSR1, loop.stop)
    thread = threading.Thread(target=os.kill, args=(os.getpid(), signal.SIGUSR1))
    loop.call_soon(thread.start)
    loop.run_forever()
    thread.join()
    loop.remove_signal_handler(signal.SIGUSR1)


def test_a_handler_is_not_called_inside_other_callbacks(new_loop):
    loop = new_loop()
    order = []

    def callback():
        signal.raise_signal(signal.SIGUSR1)
        order.append("callback goes on")

    loop.add_signal_handler(signal.SIGUSR1, lambda: (order.append("handler"), loop.stop()))
    loop.call_soon(callback)
    loop.run_forever()
    loop.remove_signal_handler(signal.SIGUSR1)
    assert order == ["callback goes on", "handler"]


def test_every_signal_has_its_handler(new_loop):
    loop = new_loop()
    got = []

    def handler(name):
        got.append(name)
        if len(got) == 2:
            loop.stop()

    loop.add_signal_handler(signal.SIGUSR1, handler, "one")
    loop.add_signal_handler(signal.SIGUSR2, handler, "two")
    loop.call_soon(signal.raise_signal, signal.SIGUSR2)
    loop.call_soon(signal.raise_signal, signal.SIGUSR1)
    loop.run_forever()
    loop.remove_signal_handler(signal.SIGUSR1)
    loop.remove_signal_handler(signal.SIGUSR2)
    assert sorted(got) == ["one", "two"]


@pytest.mark.uvloop_differs(reason="it is lost", run=False)
def test_a_signal_that_came_before_the_loop_ran_is_not_lost(new_loop):
    loop = new_loop()
    loop.add_signal_handler(signal.SIGUSR1, loop.stop)
    signal.raise_signal(signal.SIGUSR1)
    loop.run_forever()
    assert loop.remove_signal_handler(signal.SIGUSR1)


def test_adding_again_replaces_the_handler(new_loop):
    loop = new_loop()
    loop.add_signal_handler(signal.SIGUSR1, pytest.fail, "replaced")
    loop.add_signal_handler(signal.SIGUSR1, loop.stop)
    loop.call_soon(signal.raise_signal, signal.SIGUSR1)
    loop.run_forever()
    loop.remove_signal_handler(signal.SIGUSR1)


def test_a_handler_may_remove_itself(new_loop):
    loop = new_loop()
    loop.add_signal_handler(signal.SIGUSR1, lambda: (loop.remove_signal_handler(signal.SIGUSR1), loop.stop()))
    loop.call_soon(signal.raise_signal, signal.SIGUSR1)
    loop.run_forever()
    assert loop.remove_signal_handler(signal.SIGUSR1) is False


@pytest.mark.uvloop_differs(reason="loses or keeps its handlers when it is not running")
def test_removing_restores_the_default(new_loop):
    loop = new_loop()
    assert loop.remove_signal_handler(signal.SIGUSR1) is False
    loop.add_signal_handler(signal.SIGUSR1, print)
    assert signal.getsignal(signal.SIGUSR1) is not signal.SIG_DFL
    assert loop.remove_signal_handler(signal.SIGUSR1) is True
    assert signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL


@pytest.mark.uvloop_differs(reason="loses or keeps its handlers when it is not running")
def test_removing_the_handler_of_ctrl_c_restores_pythons(new_loop):
    loop = new_loop()
    loop.add_signal_handler(signal.SIGINT, print)
    loop.remove_signal_handler(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.uvloop_differs(reason="loses or keeps its handlers when it is not running")
def test_closing_the_loop_removes_all(new_loop):
    loop = new_loop()
    loop.add_signal_handler(signal.SIGUSR1, print)
    loop.add_signal_handler(signal.SIGTERM, print)
    loop.close()
    assert signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_the_wakeup_descriptor_is_given_back(new_loop):
    loop = new_loop()
    before = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(before)
    loop.add_signal_handler(signal.SIGUSR1, print)
    loop.remove_signal_handler(signal.SIGUSR1)
    loop.close()
    assert signal.set_wakeup_fd(-1) == -1


def test_ctrl_c_can_be_handled(new_loop):
    loop = new_loop()
    loop.add_signal_handler(signal.SIGINT, loop.stop)
    loop.call_soon(signal.raise_signal, signal.SIGINT)
    loop.run_forever()
    loop.remove_signal_handler(signal.SIGINT)


def test_an_exception_of_a_handler_is_reported(new_loop, reports):
    loop = new_loop()
    loop.set_exception_handler(reports)

    def handler():
        loop.call_soon(loop.stop)
        raise LookupError("in the handler")

    loop.add_signal_handler(signal.SIGUSR1, handler)
    loop.call_soon(signal.raise_signal, signal.SIGUSR1)
    loop.run_forever()
    loop.remove_signal_handler(signal.SIGUSR1)
    assert isinstance(reports.exceptions[0], LookupError)


def test_a_handler_may_end_the_program(new_loop):
    def handler():
        raise SystemExit(3)

    loop = new_loop()
    loop.add_signal_handler(signal.SIGUSR1, handler)
    loop.call_soon(signal.raise_signal, signal.SIGUSR1)
    with pytest.raises(SystemExit):
        loop.run_forever()
    loop.remove_signal_handler(signal.SIGUSR1)


def test_a_handler_runs_in_the_context_of_its_adding(new_loop):
    variable = contextvars.ContextVar("variable", default="default")
    loop = new_loop()
    seen = []

    def add():
        variable.set("mine")
        loop.add_signal_handler(signal.SIGUSR1, lambda: (seen.append(variable.get()), loop.stop()))

    contextvars.copy_context().run(add)
    loop.call_soon(signal.raise_signal, signal.SIGUSR1)
    loop.run_forever()
    loop.remove_signal_handler(signal.SIGUSR1)
    assert seen == ["mine"]


def test_a_burst_of_signals_calls_the_handler_at_least_once_after_the_last(new_loop):
    loop = new_loop()
    sent, seen = [], []

    def send():
        for _ in range(100):
            sent.append(1)
            signal.raise_signal(signal.SIGUSR1)

    loop.add_signal_handler(signal.SIGUSR1, lambda: seen.append(len(sent)))
    loop.call_soon(send)
    loop.run_until_complete(asyncio.sleep(0.01))
    loop.remove_signal_handler(signal.SIGUSR1)
    assert seen
    assert seen[-1] == 100


def test_coroutines_are_refused(new_loop):
    async def coroutine_function():
        pass

    loop = new_loop()
    with pytest.raises(TypeError, match=r"^coroutines cannot be used with add_signal_handler\(\)$"):
        loop.add_signal_handler(signal.SIGUSR1, coroutine_function)


@pytest.mark.uvloop_differs(reason="another text")
@pytest.mark.parametrize("method", ["add_signal_handler", "remove_signal_handler"])
def test_what_is_no_signal_is_refused(new_loop, method):
    loop = new_loop()
    callback = (print,) if method == "add_signal_handler" else ()
    with pytest.raises(TypeError, match="^sig must be an int, not 'a'$"):
        getattr(loop, method)("a", *callback)
    for number in (-1, 0, 1000):
        with pytest.raises(
            ValueError, match=f"invalid signal number {number}|signal number {number} out of range"
        ):
            getattr(loop, method)(number, *callback)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_what_cannot_be_caught_is_refused(new_loop, number):
    loop = new_loop()
    with pytest.raises(RuntimeError, match=f"^sig {int(number)} cannot be caught$"):
        loop.add_signal_handler(number, print)
    assert loop.remove_signal_handler(number) is False


@pytest.mark.uvloop_differs(reason="ValueError")
def test_other_threads_are_refused(new_loop):
    loop = new_loop()
    errors = []

    def elsewhere():
        try:
            loop.add_signal_handler(signal.SIGUSR1, print)
        except RuntimeError as exc:
            errors.append(str(exc))

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert len(errors) == 1
    assert errors[0].startswith("set_wakeup_fd only works in main thread")


def test_a_loop_in_another_thread_leaves_signals_alone(new_loop):
    loop = new_loop()
    before = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(before)
    thread = threading.Thread(target=lambda: loop.run_until_complete(asyncio.sleep(0)))
    thread.start()
    thread.join()
    assert signal.set_wakeup_fd(before) == before


@pytest.mark.uvloop_differs(reason="keeps them elsewhere")
def test_a_program_can_restore_the_handler_that_it_replaced(new_loop):
    """prompt_toolkit does, by asyncio's private dictionary: there is no public way."""
    loop = new_loop()
    got = []
    assert loop._signal_handlers.get(signal.SIGUSR1) is None
    loop.add_signal_handler(signal.SIGUSR1, got.append, "outer")
    outer = loop._signal_handlers.get(signal.SIGUSR1)
    loop.add_signal_handler(signal.SIGUSR1, got.append, "inner")
    loop.remove_signal_handler(signal.SIGUSR1)
    assert signal.SIGUSR1 not in loop._signal_handlers
    loop.add_signal_handler(signal.SIGUSR1, outer._callback, *outer._args)
    loop.call_soon(signal.raise_signal, signal.SIGUSR1)
    loop.run_until_complete(asyncio.sleep(0.01))
    loop.remove_signal_handler(signal.SIGUSR1)
    assert got == ["outer"]
