"""The signal table: when its socket pair comes and goes. (What handlers do is in tests/parity.)"""

import asyncio
import os
import signal
import threading

import pytest

import loopkit
from loopkit import signals


@pytest.fixture
def loop():
    loop = loopkit.EpollLoop()
    yield loop
    loop.close()


@pytest.fixture(autouse=True)
def dispositions():
    """What was there before the test must be there after it."""
    kept = {sig: signal.getsignal(sig) for sig in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGINT)}
    yield
    for sig, handler in kept.items():
        signal.signal(sig, handler)
    assert signal.set_wakeup_fd(-1) == -1


def raise_in_loop(loop, *sigs):
    for sig in sigs:
        loop.call_soon(signal.raise_signal, sig)
    loop.run_until_complete(asyncio.sleep(0.01))


def test_handlers_are_called_with_their_arguments_in_order(loop):
    got = []
    loop.add_signal_handler(signal.SIGUSR1, got.append, 1)
    loop.add_signal_handler(signal.SIGUSR2, got.append, 2)
    raise_in_loop(loop, signal.SIGUSR1, signal.SIGUSR2, signal.SIGUSR1)
    assert got == [1, 2, 1]


def test_the_pair_is_there_only_while_there_are_handlers(loop):
    assert loop._signals is None
    loop.add_signal_handler(signal.SIGUSR1, int)
    loop.add_signal_handler(signal.SIGUSR2, int)
    table = loop._signals
    assert loop.remove_signal_handler(signal.SIGUSR1) is True
    assert loop._signals is table
    assert loop.remove_signal_handler(signal.SIGUSR2) is True
    assert loop._signals is None
    assert table.receiver.fileno() == table.sender.fileno() == -1
    assert loop.remove_signal_handler(signal.SIGUSR2) is False


def test_a_second_handler_replaces_the_first(loop):
    got = []
    loop.add_signal_handler(signal.SIGUSR1, got.append, 1)
    loop.add_signal_handler(signal.SIGUSR1, got.append, 2)
    raise_in_loop(loop, signal.SIGUSR1)
    assert got == [2]


def test_a_removed_handler_gives_the_default_back(loop):
    loop.add_signal_handler(signal.SIGINT, int)
    loop.remove_signal_handler(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    loop.add_signal_handler(signal.SIGUSR1, int)
    loop.remove_signal_handler(signal.SIGUSR1)
    assert signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL


def test_a_signal_that_came_before_its_handler_was_removed_calls_nobody(loop):
    got = []
    loop.add_signal_handler(signal.SIGUSR2, int)  # keeps the pair
    loop.add_signal_handler(signal.SIGUSR1, got.append, 1)
    signal.raise_signal(signal.SIGUSR1)
    loop.remove_signal_handler(signal.SIGUSR1)
    loop.run_until_complete(asyncio.sleep(0.001))
    assert got == []


def test_closing_removes_every_handler():
    loop = loopkit.EpollLoop()
    loop.add_signal_handler(signal.SIGUSR1, int)
    loop.add_signal_handler(signal.SIGUSR2, int)
    loop.close()
    assert signal.getsignal(signal.SIGUSR1) is signal.getsignal(signal.SIGUSR2) is signal.SIG_DFL


@pytest.mark.parametrize("sig", [signal.SIGKILL, signal.SIGSTOP])
def test_what_cannot_be_caught_is_named_and_leaves_nothing_behind(loop, sig):
    with pytest.raises(RuntimeError, match=f"sig {sig} cannot be caught"):
        loop.add_signal_handler(sig, int)
    assert loop._signals is None


def test_nonsense_is_refused(loop):
    async def coroutine_function():
        pass

    with pytest.raises(TypeError, match=r"coroutines cannot be used with add_signal_handler\(\)"):
        loop.add_signal_handler(signal.SIGUSR1, coroutine_function)
    with pytest.raises(TypeError, match="sig must be an int, not 'a'"):
        loop.add_signal_handler("a", int)
    with pytest.raises(ValueError, match="invalid signal number 1000"):
        loop.add_signal_handler(1000, int)
    with pytest.raises(ValueError, match="invalid signal number 1000"):
        loop.remove_signal_handler(1000)


def test_only_the_main_thread_may(loop):
    failures = []

    def elsewhere():
        try:
            loop.add_signal_handler(signal.SIGUSR1, int)
        except RuntimeError as exc:
            failures.append(str(exc))

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert failures
    assert "main thread" in failures[0]
    assert loop._signals is None


def test_a_handler_that_fails_is_reported_and_stays(loop, reports):
    loop.set_exception_handler(reports)
    loop.add_signal_handler(signal.SIGUSR1, lambda: 1 / 0)
    raise_in_loop(loop, signal.SIGUSR1, signal.SIGUSR1)
    assert [type(exc) for exc in reports.exceptions] == [ZeroDivisionError] * 2


def test_reading_the_pair_without_a_signal_is_harmless(loop):
    loop.add_signal_handler(signal.SIGUSR1, int)
    signals._receive(loop, loop._signals)
    assert not loop._ready


def test_a_forked_child_does_not_signal_its_parent(loop):
    got = []
    loop.add_signal_handler(signal.SIGUSR1, got.append, 1)
    pid = os.fork()
    if pid == 0:
        signal.raise_signal(signal.SIGUSR1)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    loop.run_until_complete(asyncio.sleep(0.01))
    assert got == []


def test_a_loop_closed_while_the_interpreter_ends_warns_and_goes(monkeypatch):
    loop = loopkit.EpollLoop()
    loop.add_signal_handler(signal.SIGUSR1, int)
    monkeypatch.setattr(signals.sys, "is_finalizing", lambda: True)
    with pytest.warns(ResourceWarning, match="skipping signal handlers removal"):
        loop.close()
    assert loop._signals is None
