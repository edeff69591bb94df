"""The default executor's life, and names that need no thread."""

import asyncio
import logging
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

import loopkit


@pytest.fixture
def loop():
    loop = loopkit.EpollLoop()
    yield loop
    loop.close()


def no_threads(loop):
    def refuse(*args):
        raise AssertionError(f"asked a thread for {args}")

    loop.run_in_executor = refuse
    return loop


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("port", [80, None])
def test_a_numeric_address_needs_no_thread(loop, host, port):
    question = {"type": socket.SOCK_STREAM}
    answer = loop.run_until_complete(no_threads(loop).getaddrinfo(host, port, **question))
    assert answer == socket.getaddrinfo(host, port, **question)
    assert loop._default_executor is None


def test_it_needs_no_turn_either(loop):
    coroutine = no_threads(loop).getaddrinfo("127.0.0.1", 80)
    with pytest.raises(StopIteration):
        coroutine.send(None)


@pytest.mark.parametrize("host", ["localhost", None, b"127.0.0.1", "127.1", "fe80::1%lo"])
def test_a_name_is_asked_of_a_thread(loop, host):
    asked = []

    async def executor(*args):
        asked.append(args[3:5])
        return [(2, 1, 6, "", ("127.0.0.1", 80))]

    loop.run_in_executor = executor
    loop.run_until_complete(loop.getaddrinfo(host, 80))
    assert asked == [(host, 80)]


def test_a_service_name_is_asked_of_a_thread(loop):
    loop.run_until_complete(loop.getaddrinfo("127.0.0.1", "80", type=socket.SOCK_STREAM))
    assert loop._default_executor is not None
    loop.run_until_complete(loop.shutdown_default_executor())


def test_a_wrong_number_raises_what_the_blocking_call_raises(loop):
    with pytest.raises((OverflowError, socket.gaierror)) as caught:
        socket.getaddrinfo("127.0.0.1", 2**80)
    with pytest.raises(caught.type):
        loop.run_until_complete(loop.getaddrinfo("127.0.0.1", 2**80))


def test_numbers_only_need_no_thread(loop):
    flags = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV
    answer = loop.run_until_complete(no_threads(loop).getnameinfo(("127.0.0.1", 80), flags))
    assert answer == ("127.0.0.1", "80")


def test_lookups_are_logged_in_debug_mode(loop, caplog):
    loop.set_debug(True)
    caplog.set_level(logging.DEBUG, "asyncio")
    loop.run_until_complete(loop.getaddrinfo("127.0.0.1", 80, type=socket.SOCK_STREAM))
    first, second = [r for r in caplog.records if "address info" in r.getMessage()]
    assert first.getMessage() == "Get address info 127.0.0.1:80, type=<SocketKind.SOCK_STREAM: 1>"
    assert second.getMessage().startswith("Getting address info 127.0.0.1:80, type=<")
    assert second.levelno == logging.DEBUG


def test_slow_lookups_are_logged_louder(loop, caplog):
    loop.set_debug(True)
    loop.slow_callback_duration = 0.0
    caplog.set_level(logging.INFO, "asyncio")
    loop.run_until_complete(loop.getaddrinfo("127.0.0.1", 80))
    assert [
        r.levelno for r in caplog.records if "took" in r.getMessage() and "Getting" in r.getMessage()
    ] == [logging.INFO]


def test_the_executor_is_made_once_and_on_demand(loop):
    assert loop._default_executor is None
    loop.run_until_complete(loop.run_in_executor(None, int))
    first = loop._default_executor
    loop.run_until_complete(loop.run_in_executor(None, int))
    assert loop._default_executor is first
    loop.run_until_complete(loop.shutdown_default_executor())


def test_a_shutdown_with_nothing_to_shut_down_is_still_one(loop):
    loop.run_until_complete(loop.shutdown_default_executor())
    with pytest.raises(RuntimeError, match="Executor shutdown has been called"):
        loop.run_in_executor(None, int)


def test_a_shutdown_waits_no_longer_than_it_is_told(loop):
    """On every Python; the threads go on, and the loop can be closed."""
    leave = threading.Event()

    async def main():
        work = loop.run_in_executor(None, leave.wait, 20)
        with pytest.warns(RuntimeWarning, match="did not finishing joining its threads within 0.01 seconds"):
            await loop.shutdown_default_executor(0.01)
        leave.set()
        return await work

    assert loop.run_until_complete(main()) is True


def test_a_cancelled_shutdown_leaves_the_loop_usable(loop):
    leave = threading.Event()

    async def main():
        work = loop.run_in_executor(None, leave.wait, 20)
        task = loop.create_task(loop.shutdown_default_executor())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        leave.set()
        await work

    loop.run_until_complete(main())


def test_a_shutdown_that_fails_says_so(loop):
    class Broken(ThreadPoolExecutor):
        def shutdown(self, wait=True, *, cancel_futures=False):
            if wait:
                raise LookupError("broken")

    loop.set_default_executor(Broken())
    with pytest.raises(LookupError, match="broken"):
        loop.run_until_complete(loop.shutdown_default_executor())
