"""The signal table: when its socket pair comes and goes. (What handlers do is in tests/parity.)"""

import asyncio
import gc
import os
import signal
import socket
import threading
import weakref

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
    pair = table.pair
    assert loop.remove_signal_handler(signal.SIGUSR1) is True
    assert loop._signals is table
    assert loop.remove_signal_handler(signal.SIGUSR2) is True
    assert loop._signals is None
    assert signals._pairs == []
    assert pair.receiver.fileno() == pair.sender.fileno() == -1
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


# -- a flood -------------------------------------------------------------------------------------------------


def test_a_flood_of_one_signal_swallows_no_other(loop):
    got = {"flood": 0, "other": 0}

    def count(name):
        got[name] += 1

    def flood():
        for _ in range(3000):  # a pair takes some hundred bytes
            os.kill(os.getpid(), signal.SIGUSR1)
        os.kill(os.getpid(), signal.SIGUSR2)

    loop.add_signal_handler(signal.SIGUSR1, count, "flood")
    loop.add_signal_handler(signal.SIGUSR2, count, "other")
    loop.call_soon(flood)
    loop.run_until_complete(asyncio.sleep(0.01))
    assert got["other"] == 1
    assert 1 <= got["flood"] <= 3000


def test_a_flood_is_heard_once_more_after_its_last_signal(loop):
    sent, seen = [], []

    def flood():
        for _ in range(3000):
            sent.append(1)
            signal.raise_signal(signal.SIGUSR1)

    loop.add_signal_handler(signal.SIGUSR1, lambda: seen.append(len(sent)))
    loop.call_soon(flood)
    loop.run_until_complete(asyncio.sleep(0.01))
    assert seen[-1] == 3000


def test_few_signals_are_called_each_and_in_order(loop):
    got = []
    numbers = [signal.SIGUSR1, signal.SIGUSR2, signal.SIGUSR2, signal.SIGUSR1] * 10
    loop.add_signal_handler(signal.SIGUSR1, got.append, signal.SIGUSR1)
    loop.add_signal_handler(signal.SIGUSR2, got.append, signal.SIGUSR2)
    raise_in_loop(loop, *numbers)
    assert got == numbers


def test_an_interruption_while_signals_are_taken_loses_none(loop, monkeypatch):
    got = []
    loop.add_signal_handler(signal.SIGUSR1, got.append, 1)

    def interrupted(loop, table, numbers):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(signals, "_schedule", interrupted)
        raise_in_loop(loop, signal.SIGUSR1)
    loop.run_until_complete(asyncio.sleep(0.01))
    assert got == [1]


# -- several loops, and other users of the wakeup fd ---------------------------------------------------------


@pytest.fixture
def second():
    loop = loopkit.PollLoop()
    yield loop
    loop.close()


def settle(*loops):
    for loop in loops:
        loop.run_until_complete(asyncio.sleep(0.005))


def test_two_loops_hear_their_own_signals(loop, second):
    got = []
    loop.add_signal_handler(signal.SIGUSR1, got.append, "first")
    second.add_signal_handler(signal.SIGUSR2, got.append, "second")
    signal.raise_signal(signal.SIGUSR1)
    signal.raise_signal(signal.SIGUSR2)
    settle(second)
    assert got == ["second"]
    settle(loop)
    assert got == ["second", "first"]


@pytest.mark.parametrize("first_to_go", [0, 1])
def test_a_loop_hears_its_signals_after_the_other_has_gone(loop, second, first_to_go):
    got = []
    loop.add_signal_handler(signal.SIGUSR1, got.append, 0)
    second.add_signal_handler(signal.SIGUSR2, got.append, 1)
    (loop, second)[first_to_go].close()
    signal.raise_signal((signal.SIGUSR2, signal.SIGUSR1)[first_to_go])
    settle((second, loop)[first_to_go])
    assert got == [1 - first_to_go]


def test_a_signal_of_two_loops_goes_back_to_the_first(loop, second):
    got = []
    loop.add_signal_handler(signal.SIGUSR1, got.append, "first")
    second.add_signal_handler(signal.SIGUSR1, got.append, "second")
    signal.raise_signal(signal.SIGUSR1)
    settle(loop, second)
    second.remove_signal_handler(signal.SIGUSR1)
    signal.raise_signal(signal.SIGUSR1)
    settle(loop, second)
    assert got == ["second", "first"]


def test_a_loop_that_adds_once_more_takes_its_place_back(loop, second):
    got = []
    loop.add_signal_handler(signal.SIGUSR1, got.append, "first")
    second.add_signal_handler(signal.SIGUSR2, got.append, "second")
    loop.add_signal_handler(signal.SIGHUP, int)
    loop.remove_signal_handler(signal.SIGHUP)
    for _ in range(3):
        signal.raise_signal(signal.SIGUSR1)
        signal.raise_signal(signal.SIGUSR2)
    settle(loop, second)
    assert got == ["first"] * 3 + ["second"] * 3


@pytest.fixture
def foreign():
    """Somebody else's wakeup fd."""
    receiver, sender = socket.socketpair()
    with receiver, sender:
        sender.setblocking(False)
        receiver.setblocking(False)
        signal.set_wakeup_fd(sender.fileno())
        yield sender
        signal.set_wakeup_fd(-1)


def test_the_wakeup_fd_of_somebody_else_is_put_back(loop, foreign):
    loop.add_signal_handler(signal.SIGUSR1, int)
    loop.remove_signal_handler(signal.SIGUSR1)
    assert signal.set_wakeup_fd(-1) == foreign.fileno()


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_it_is_put_back_by_the_last_of_two_loops(loop, second, foreign, order):
    loops = (loop, second)
    loop.add_signal_handler(signal.SIGUSR1, int)
    second.add_signal_handler(signal.SIGUSR2, int)
    for index in order:
        loops[index].close()
    assert signal.set_wakeup_fd(-1) == foreign.fileno()


def test_a_wakeup_fd_that_took_our_place_stays(loop, foreign):
    loop.add_signal_handler(signal.SIGUSR1, int)
    signal.set_wakeup_fd(foreign.fileno())
    loop.remove_signal_handler(signal.SIGUSR1)
    assert signal.set_wakeup_fd(-1) == foreign.fileno()


def test_a_wakeup_fd_that_was_closed_meanwhile_is_not_put_back(loop, foreign):
    number = foreign.fileno()
    loop.add_signal_handler(signal.SIGUSR1, int)
    foreign.close()
    with socket.socket() as stranger:  # its number, another file
        stranger.setblocking(False)
        if stranger.fileno() != number:
            os.dup2(stranger.fileno(), number)
        loop.remove_signal_handler(signal.SIGUSR1)
        assert signal.set_wakeup_fd(-1) == -1
        if stranger.fileno() != number:
            os.close(number)


@pytest.mark.filterwarnings("ignore:unclosed event loop:ResourceWarning")
def test_signal_handlers_keep_no_loop_alive():
    loop = loopkit.EpollLoop()
    loop.add_signal_handler(signal.SIGUSR1, loop.stop)
    gone = weakref.ref(loop)
    del loop
    gc.collect()
    assert gone() is None
    assert signals._pairs == []


# -- after fork ----------------------------------------------------------------------------------------------


def in_child(work):
    """What *work* returns in a forked child: bytes."""
    receiver, sender = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(sender, work())
        finally:
            os._exit(0)
    os.close(sender)
    with open(receiver, "rb") as answers:
        answer = answers.read()
    os.waitpid(pid, 0)
    return answer


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_the_handlers_of_a_forked_child_work_and_are_its_own(loop):
    got = []
    loop.add_signal_handler(signal.SIGUSR1, got.append, b"1")
    loop.add_signal_handler(signal.SIGUSR2, got.append, b"2")

    def child():
        os.kill(os.getpid(), signal.SIGUSR2)
        settle(loop)
        os.kill(os.getpid(), signal.SIGUSR1)
        settle(loop)
        return b"".join(got)

    assert in_child(child) == b"21"
    settle(loop)
    assert got == []
    raise_in_loop(loop, signal.SIGUSR1)
    assert got == [b"1"]


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_in_a_forked_child_two_loops_hear_their_own(loop, second):
    got = []
    loop.add_signal_handler(signal.SIGUSR1, got.append, b"1")
    second.add_signal_handler(signal.SIGUSR2, got.append, b"2")

    def child():
        os.kill(os.getpid(), signal.SIGUSR1)
        os.kill(os.getpid(), signal.SIGUSR2)
        settle(second, loop)
        second.close()
        os.kill(os.getpid(), signal.SIGUSR1)
        settle(loop)
        return b"".join(got)

    assert in_child(child) == b"211"
    settle(loop, second)
    assert got == []


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_signal_sent_to_a_daemon_after_its_parent_has_left_arrives(loop):
    """The parent of a daemon exits; its child, which runs the loop, is told to end by SIGTERM."""
    loop.add_signal_handler(signal.SIGTERM, loop.stop)
    ready, says_ready = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            loop.call_soon(os.write, says_ready, b"R")
            loop.run_forever()
        finally:
            os._exit(7)
    assert os.read(ready, 1) == b"R"
    os.kill(pid, signal.SIGTERM)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
    os.close(ready)
    os.close(says_ready)
