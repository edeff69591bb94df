"""What programs override, replace or look at: asyncio goes through its public methods, and so do we."""

import asyncio
import socket
import threading
import time
from unittest import mock

import pytest

from tests.support.net import unix_pair

# -- the clock -----------------------------------------------------------------------------------------------


class Clock:
    """The real clock, and how much it was moved on."""

    def __init__(self):
        self.skew, self.real = 0.0, time.monotonic

    def __call__(self, *maybe_self):
        return self.real() + self.skew


def on_class(loop, clock):
    def now(self):
        return clock()

    return mock.patch.object(type(loop), "time", now)


WAYS = {
    "on the loop": lambda loop, clock: mock.patch.object(loop, "time", clock),
    "on its class": on_class,
    "in the time module": lambda loop, clock: mock.patch.object(time, "monotonic", clock),
}


def elsewhere(loop):
    """Turns of the loop that no timer causes."""
    return loop.run_in_executor(None, time.sleep, 0.001)


@pytest.mark.filterwarnings("ignore:.*is the real clock:RuntimeWarning")  # the replacement asks it
@pytest.mark.uvloop_differs(reason="has a clock of its own", run=False)
@pytest.mark.parametrize("debug", [False, True], ids=["plain", "debug"])
@pytest.mark.parametrize("way", WAYS)
async def test_a_replaced_clock_counts_at_once(way, debug):
    loop, clock, fired = asyncio.get_running_loop(), Clock(), []
    loop.set_debug(debug)
    loop.slow_callback_duration = 1e9
    await asyncio.sleep(0)
    with WAYS[way](loop, clock):
        before = loop.time()
        loop.call_later(1000, fired.append, "late")
        clock.skew = 1001.0
        assert loop.time() - before >= 1001
        loop.call_later(0, fired.append, "soon")
        while len(fired) < 2:
            await elsewhere(loop)
        assert fired == ["late", "soon"]
        clock.skew = 0.0
        loop.call_later(500, fired.append, "never")
    assert loop.time() - before < 100
    loop.call_later(0, fired.append, "in time")
    while len(fired) < 3:
        await elsewhere(loop)
    assert fired == ["late", "soon", "in time"]


@pytest.mark.uvloop_differs(reason="has a clock of its own", run=False)
async def test_asyncios_timeouts_follow_a_replaced_clock():
    loop, clock = asyncio.get_running_loop(), Clock()
    with mock.patch.object(time, "monotonic", clock):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3600):
                clock.skew = 3601.0
                while True:
                    await elsewhere(loop)


# -- timers of a subclass ------------------------------------------------------------------------------------


@pytest.mark.uvloop_differs(reason="goes past it")
def test_call_later_goes_through_call_at(new_loop):
    """A loop that renames, counts or delays its timers overrides the one method."""
    kind = type(new_loop())
    seen = []

    class Counting(kind):
        def call_at(self, when, callback, *args, context=None):
            seen.append((callback, args))
            return super().call_at(when, callback, *args, context=context)

    class Deeper(Counting):
        pass

    for made in (Counting, Deeper):
        loop = made()
        try:
            handle = loop.call_later(0, seen.append, "called")
            assert isinstance(handle, asyncio.TimerHandle)
            loop.run_until_complete(asyncio.sleep(0.001))
        finally:
            loop.close()
        assert (seen.append, ("called",)) in seen
        assert "called" in seen
        assert len(seen) >= 3  # sleep() called it, too
        seen.clear()


@pytest.mark.uvloop_differs(reason="goes past it, and lets nobody replace it")
def test_call_later_goes_through_a_call_at_that_was_put_on_the_loop(new_loop):
    loop = new_loop()
    seen, original = [], loop.call_at

    def mine(when, callback, *args, context=None):
        seen.append(args)
        return original(when, callback, *args, context=context)

    loop.call_at = mine
    loop.call_soon(loop.call_later, 0, loop.stop)
    loop.run_forever()
    loop.run_until_complete(asyncio.sleep(0.001))
    assert len(seen) >= 2  # sleep() called it, too
    del loop.call_at
    seen.clear()
    loop.call_soon(loop.call_later, 0, loop.stop)
    loop.run_forever()
    assert not seen


@pytest.mark.uvloop_differs(reason="goes past it, and lets nobody replace it")
def test_call_later_goes_through_a_call_at_that_was_put_on_the_class(new_loop):
    kind = type("Loop", (type(new_loop()),), {})
    loop = kind()
    original, seen = kind.call_at, []

    def mine(self, when, callback, *args, context=None):
        seen.append(args)
        return original(self, when, callback, *args, context=context)

    kind.call_at = mine
    try:
        loop.run_until_complete(asyncio.sleep(0.001))
    finally:
        loop.close()
    assert seen


@pytest.mark.uvloop_differs(reason="goes past it")
def test_a_call_later_of_its_own_may_go_on_to_call_at(new_loop):
    kind = type(new_loop())
    seen = []

    class Both(kind):
        def call_later(self, delay, callback, *args, context=None):
            seen.append("later")
            return super().call_later(delay, callback, *args, context=context)

        def call_at(self, when, callback, *args, context=None):
            seen.append("at")
            return super().call_at(when, callback, *args, context=context)

    loop = Both()
    loop.call_later(0, loop.stop)
    loop.run_forever()
    loop.close()
    assert seen == ["later", "at"]


# -- the ready queue -----------------------------------------------------------------------------------------


@pytest.mark.uvloop_differs(reason="its queue cannot be seen", run=False)
async def test_the_ready_queue_holds_what_is_ready_and_nothing_else():
    loop, seen = asyncio.get_running_loop(), []

    def look():
        seen.append([handle._callback for handle in loop._ready])

    def look_and_end(future):
        look()
        future.set_result(None)

    def end(future):
        future.set_result(None)

    # Nothing but what is meant may become ready meanwhile: no timers, no turns of the task.
    alone, before, timer = (loop.create_future() for _ in range(3))
    loop.call_soon(look_and_end, alone)
    await alone
    loop.call_soon(look)
    loop.call_soon(end, before)
    await before
    loop.call_later(0.001, look_and_end, timer)
    await timer
    assert seen == [[], [end], []]


@pytest.mark.uvloop_differs(reason="its queue cannot be seen", run=False)
async def test_waiting_until_nothing_is_ready_ends():
    loop, called = asyncio.get_running_loop(), []
    loop.call_soon(loop.call_soon, loop.call_soon, called.append, 1)
    rounds = 0
    while loop._ready:
        rounds += 1
        assert rounds < 100
        await asyncio.sleep(0)
    assert called == [1]


# -- what is no callback -------------------------------------------------------------------------------------


@pytest.mark.uvloop_differs(reason="another text")
def test_a_callback_of_none_is_reported(new_loop, reports):
    loop = new_loop()
    loop.set_debug(False)
    loop.set_exception_handler(reports)
    loop.call_soon(None)
    loop.call_later(0, None)
    loop.call_at(loop.time(), None)
    loop.call_soon_threadsafe(None)
    future = loop.create_future()
    future.add_done_callback(None)
    future.set_result(1)
    loop.run_until_complete(asyncio.sleep(0.01))
    assert [str(exc) for exc in reports.exceptions] == ["'NoneType' object is not callable"] * 5
    assert all(message.startswith("Exception in callback None") for message in reports.messages)


def test_a_handle_of_none_can_be_cancelled(new_loop, reports):
    loop = new_loop()
    loop.set_debug(False)
    loop.set_exception_handler(reports)
    for handle in (loop.call_soon(None), loop.call_later(0, None)):
        assert not handle.cancelled()
        handle.cancel()
        assert handle.cancelled()
    loop.run_until_complete(asyncio.sleep(0.01))
    assert reports == []


# -- is there anything? --------------------------------------------------------------------------------------


async def look(receive):
    """What is there now, if anything is."""
    try:
        async with asyncio.timeout(0):
            return await receive
    except TimeoutError:
        return None


@pytest.mark.uvloop_differs(reason="waits before it receives", run=False)
@pytest.mark.parametrize("between", [0, 1, 2])
async def test_a_timeout_of_zero_gets_what_is_there(between):
    loop = asyncio.get_running_loop()
    with unix_pair() as (ours, theirs):
        for message in (b"one", b"two", b"three"):
            assert await look(loop.sock_recv(ours, 100)) is None
            theirs.send(message)
            for _ in range(between):
                await asyncio.sleep(0)
            assert await look(loop.sock_recv(ours, 100)) == message
        buffer = bytearray(100)
        for message in (b"four", b"five"):
            theirs.send(message)
            assert await look(loop.sock_recv_into(ours, buffer)) == len(message)
            assert buffer.startswith(message)


@pytest.mark.uvloop_differs(reason="waits before it accepts", run=False)
async def test_a_timeout_of_zero_accepts_who_is_there():
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        for _ in range(3):
            assert await look(loop.sock_accept(server)) is None
            with socket.create_connection(server.getsockname()):
                sock, _ = await look(loop.sock_accept(server))
                sock.close()


@pytest.mark.parametrize("replacement", ["a function", "a class"])
async def test_threads_wake_a_loop_whose_program_has_replaced_socket_socket(replacement):
    """As tests do that allow no network."""
    loop, woken, errors = asyncio.get_running_loop(), asyncio.Event(), []

    class NoNetwork(socket.socket):
        def __init__(self, *args, **kwargs):
            raise OSError("there is no network in this test")

    def wake():
        try:
            loop.call_soon_threadsafe(woken.set)
        except Exception as exc:
            errors.append(exc)

    thread = threading.Thread(target=wake)
    no_network = NoNetwork if replacement == "a class" else lambda *args, **kwargs: NoNetwork()
    with mock.patch("socket.socket", no_network):
        thread.start()
        await asyncio.to_thread(thread.join)
        await woken.wait()
    assert errors == []
