"""The loop of chapters 7 and 8: does it keep the promises that its chapter makes?"""

import importlib.util
import os
import signal
import socket
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from tests.tutorial.programs import TUTORIAL

spec = importlib.util.spec_from_file_location("tinyloop", TUTORIAL / "tinyloop.py")
assert spec is not None
assert spec.loader is not None
tinyloop = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tinyloop)


class Stop(BaseException):
    """Goes through the loop as Ctrl-C does."""


def stop() -> None:
    raise Stop


@pytest.fixture
def loop() -> Iterator[Any]:
    loop = tinyloop.Loop()
    yield loop
    loop.close()


def run(loop: Any) -> None:
    with pytest.raises(Stop):
        loop.run_forever()


def test_timers_run_in_the_order_they_are_due_and_not_when_cancelled(loop: Any) -> None:
    order: list[str] = []
    loop.call_later(0.03, stop)
    loop.call_later(0.02, order.append, "second")
    loop.call_later(0.01, order.append, "first")
    loop.call_later(0.02, order.append, "third, equal to the second")
    loop.call_later(0.005, order.append, "cancelled").cancel()
    run(loop)
    assert order == ["first", "second", "third, equal to the second"]


def test_callbacks_that_go_on_for_ever_do_not_keep_timers_and_sockets_out(loop: Any) -> None:
    seen = SimpleNamespace(rounds=0, bytes=b"")
    ours, theirs = socket.socketpair()

    def again() -> None:
        seen.rounds += 1
        loop.call_soon(again)

    def on_readable() -> None:
        seen.bytes = ours.recv(10)
        loop.unwatch(ours.fileno())
        loop.call_later(0, stop)

    with ours, theirs:
        theirs.send(b"me too")
        loop.call_soon(again)
        loop.watch(ours.fileno(), tinyloop.EPOLLIN, on_readable)
        run(loop)
    assert seen.bytes == b"me too"
    assert seen.rounds >= 1


def test_a_descriptor_closed_by_an_earlier_callback_is_not_called(loop: Any) -> None:
    pairs = [socket.socketpair() for _ in range(2)]
    called: list[int] = []

    def close_the_other(number: int) -> None:
        called.append(number)
        loop.unwatch(pairs[1 - number][0].fileno())
        loop.call_soon(stop)

    try:
        for number, (ours, theirs) in enumerate(pairs):
            theirs.send(b"x")
            loop.watch(ours.fileno(), tinyloop.EPOLLIN, lambda number=number: close_the_other(number))
        run(loop)
    finally:
        for pair in pairs:
            for sock in pair:
                sock.close()
    assert len(called) == 1


def test_an_error_is_told_and_is_not_the_end(loop: Any, capsys: pytest.CaptureFixture[str]) -> None:
    loop.call_soon(lambda: 1 / 0)
    loop.call_later(0.001, stop)
    run(loop)
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_another_thread_wakes_a_loop_that_would_sleep_for_ever(loop: Any) -> None:
    thread = threading.Thread(target=loop.call_soon_threadsafe, args=(stop,))
    loop.call_soon(thread.start)
    run(loop)  # if nothing wakes it, the test's time limit does
    thread.join()
    assert not loop.ready


def test_rings_without_end_block_nobody(loop: Any) -> None:
    heard = []
    for number in range(10_000):  # far more than the buffer between bell and ear can hold
        loop.call_soon_threadsafe(heard.append, number)
    loop.call_later(0, stop)
    run(loop)
    assert heard == list(range(10_000))


def test_a_signal_that_comes_before_the_sleep_ends_it(loop: Any) -> None:
    before = signal.signal(signal.SIGUSR1, lambda *_: None)
    try:
        os.kill(os.getpid(), signal.SIGUSR1)  # handled at once; what counts is that it has also rung
        assert loop.epoll.poll(0) == [(loop.ear.fileno(), tinyloop.EPOLLIN)]
    finally:
        signal.signal(signal.SIGUSR1, before)
