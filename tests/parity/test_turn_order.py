"""What runs before what: ready callbacks, I/O, timers, stop."""

import asyncio
import socket
import time
import weakref

import pytest

from tests.support.net import unix_pair
from tests.support.pythons import counts_references


@pytest.fixture
def readable():
    """A socket with a byte to read."""
    with unix_pair() as (ours, theirs):
        theirs.send(b"x")
        yield ours


@pytest.mark.uvloop_differs(reason="timers come first there, then ready callbacks")
def test_ready_callbacks_come_before_io_before_timers(new_loop, readable):
    loop = new_loop()
    order = []

    def on_readable():
        loop.remove_reader(readable)
        order.append("io")

    def on_timer():
        order.append("timer")
        loop.stop()

    loop.add_reader(readable, on_readable)
    loop.call_at(loop.time() - 1, on_timer)
    loop.call_soon(order.append, "soon 1")
    loop.call_soon(order.append, "soon 2")
    loop.run_forever()
    assert order == ["soon 1", "soon 2", "io", "timer"]


@pytest.mark.uvloop_differs(reason="timers come first there")
def test_what_io_and_timers_schedule_comes_after_both(new_loop, readable):
    loop = new_loop()
    order = []

    def on_readable():
        loop.remove_reader(readable)
        order.append("io")
        loop.call_soon(order.append, "scheduled by io")

    def on_timer():
        order.append("timer")
        loop.call_soon(order.append, "scheduled by timer")
        loop.call_soon(loop.stop)

    loop.add_reader(readable, on_readable)
    loop.call_at(loop.time() - 1, on_timer)
    loop.run_forever()
    assert order == ["io", "timer", "scheduled by io", "scheduled by timer"]


def test_io_is_not_starved_by_callbacks_that_never_end(new_loop, readable):
    loop = new_loop()
    rounds = 0

    def again():
        nonlocal rounds
        rounds += 1
        loop.call_soon(again)

    loop.call_soon(again)
    loop.add_reader(readable, loop.stop)
    loop.run_forever()
    loop.remove_reader(readable)
    assert rounds < 10_000


def test_timers_are_not_starved_by_callbacks_that_never_end(new_loop):
    loop = new_loop()

    def again():
        loop.call_soon(again)

    loop.call_soon(again)
    loop.call_later(0.001, loop.stop)
    loop.run_forever()


def test_timers_are_not_starved_by_io_that_never_ends(new_loop, readable):
    loop = new_loop()
    loop.add_reader(readable, int)  # nobody reads: it is always readable
    loop.call_later(0.001, loop.stop)
    loop.run_forever()
    loop.remove_reader(readable)


def test_callbacks_are_not_starved_by_io_that_never_ends(new_loop, readable):
    loop = new_loop()
    left = 100

    def count_down():
        nonlocal left
        left -= 1
        if left:
            loop.call_soon(count_down)
        else:
            loop.stop()

    loop.add_reader(readable, int)
    loop.call_soon(count_down)
    loop.run_forever()
    loop.remove_reader(readable)
    assert left == 0


def test_callbacks_are_not_starved_by_timers_that_never_end(new_loop):
    loop = new_loop()

    def again():
        loop.call_later(0, again)

    again()
    loop.call_soon(lambda: loop.call_soon(lambda: loop.call_soon(loop.stop)))
    loop.run_forever()


def test_one_reader_is_called_once_for_each_time_it_finds_data(new_loop, readable):
    loop = new_loop()
    calls = []

    def on_readable():
        calls.append(readable.recv(1))
        loop.call_later(0.001, loop.stop)

    loop.add_reader(readable, on_readable)
    loop.run_forever()
    loop.remove_reader(readable)
    assert calls == [b"x"]


def test_a_reader_removed_by_another_of_the_same_turn_does_not_run(new_loop):
    loop = new_loop()
    with unix_pair() as (one, one_peer), unix_pair() as (two, two_peer):
        one_peer.send(b"x")
        two_peer.send(b"x")
        ran = []

        def only(mine, other):
            ran.append(mine)
            loop.remove_reader(mine)
            loop.remove_reader(other)

        loop.add_reader(one, only, one, two)
        loop.add_reader(two, only, two, one)
        loop.call_later(0.005, loop.stop)
        loop.run_forever()
        assert len(ran) == 1


def test_reading_comes_before_writing_of_one_descriptor(new_loop, readable):
    loop = new_loop()
    order = []

    def on_readable():
        readable.recv(1)
        order.append("read")

    def on_writable():
        order.append("write")
        loop.remove_writer(readable)
        loop.stop()

    loop.add_writer(readable, on_writable)
    loop.add_reader(readable, on_readable)
    loop.run_forever()
    loop.remove_reader(readable)
    assert order == ["read", "write"]


def test_stop_in_a_reader_lets_the_turn_end(new_loop, readable):
    loop = new_loop()
    ran = []

    def on_readable():
        loop.remove_reader(readable)
        ran.append("io")
        loop.stop()

    loop.add_reader(readable, on_readable)
    loop.run_forever()
    assert ran == ["io"]
    loop.call_soon(loop.stop)
    loop.run_forever()


def test_a_future_wakes_its_waiters_in_order(new_loop):
    loop = new_loop()
    order = []

    async def main():
        future = loop.create_future()

        async def wait(name):
            await future
            order.append(name)

        tasks = [asyncio.ensure_future(wait(name)) for name in "abc"]
        await asyncio.sleep(0)
        future.set_result(None)
        loop.call_soon(order.append, "scheduled after the result")
        await asyncio.gather(*tasks)

    loop.run_until_complete(main())
    assert order == ["a", "b", "c", "scheduled after the result"]


def test_an_idle_loop_sleeps(new_loop, loop_name):
    if loop_name == "busy":
        pytest.skip("polling in a circle is what this loop is for")
    loop = new_loop()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        loop.add_reader(ours, int)
        loop.call_later(0.2, loop.stop)
        before = time.process_time()
        loop.run_forever()
        used = time.process_time() - before
        loop.remove_reader(ours)
    assert used < 0.1  # of processor time, not of the clock on the wall


def test_a_reader_that_is_set_in_a_turn_is_not_called_for_what_was_polled_before(new_loop):
    """The data may have been taken meanwhile: a callback that trusts add_reader, and receives from a blocking
    socket, would hang the loop."""
    loop = new_loop()
    with unix_pair() as (ours, theirs):
        log = []

        def successor():
            log.append(ours.recv(10))
            loop.stop()

        def take_over():
            log.append(ours.recv(10))
            loop.add_reader(ours, successor)
            loop.call_soon(theirs.send, b"more")

        loop.add_reader(ours, int)
        theirs.send(b"data")
        loop.call_soon(take_over)
        loop.run_forever()
        loop.remove_reader(ours)
    assert log == [b"data", b"more"]


@pytest.mark.uvloop_differs(reason="the new one is called for the old one's event")
def test_a_writer_that_is_set_in_a_turn_waits_for_the_next(new_loop):
    loop = new_loop()
    with unix_pair() as (ours, theirs):
        log = []

        def on_writable():
            log.append("new writer")
            loop.remove_writer(ours)

        def take_over():
            loop.add_writer(ours, on_writable)
            loop.call_soon(log.append, "next turn")

        loop.add_writer(ours, int)
        loop.call_soon(take_over)
        loop.call_later(0.005, loop.stop)
        loop.run_forever()
    assert log == ["next turn", "new writer"]


@pytest.mark.parametrize("debug", [False, True])
def test_what_is_set_in_the_last_turn_waits_for_the_next_run(new_loop, debug, loop_name):
    if loop_name == "uvloop":
        pytest.skip("known to crash in debug mode")
    loop = new_loop()
    loop.set_debug(debug)
    log = []
    with unix_pair() as (ours, theirs):
        theirs.send(b"data")

        def last():
            loop.add_reader(ours, log.append, "readable")
            loop.call_at(loop.time() - 1, log.append, "timer")
            loop.call_soon(log.append, "soon")
            loop.stop()

        loop.call_soon(loop.call_soon, last)
        loop.run_forever()
        assert log == []
        loop.call_soon(loop.stop)
        loop.run_forever()
        assert sorted(set(log)) == ["readable", "soon", "timer"]
        loop.remove_reader(ours)


@pytest.mark.uvloop_differs(reason="the interruption goes on through it", run=False)
def test_after_an_interruption_what_was_due_comes_before_what_was_scheduled_later(new_loop):
    loop = new_loop()
    log = []

    def interrupt():
        loop.call_soon(log.append, "scheduled in it")
        raise KeyboardInterrupt

    loop.call_at(loop.time() - 2, log.append, "due first")
    loop.call_at(loop.time() - 1, log.append, "due second")
    loop.call_soon(interrupt)
    loop.call_soon(log.append, "ready with it")
    with pytest.raises(KeyboardInterrupt):
        loop.run_forever()
    for _ in range(2):
        loop.call_soon(loop.stop)
        loop.run_forever()
    assert log == ["ready with it", "due first", "due second", "scheduled in it"]


@counts_references
def test_a_busy_loop_keeps_nothing_of_its_last_calls_alive(new_loop):
    loop = new_loop()
    alive = []

    class Thing:
        pass

    def use(thing):
        alive.append(weakref.ref(thing))

    with unix_pair() as (ours, theirs):
        theirs.send(b"x")
        loop.call_later(0, use, Thing())
        loop.call_soon(use, Thing())
        loop.add_reader(ours, lambda thing: (use(thing), loop.remove_reader(ours)), Thing())
        seen = []

        def look(turns):
            if turns:
                loop.call_soon(look, turns - 1)
            else:
                seen.extend(ref() for ref in alive)
                loop.stop()

        loop.call_later(0.002, look, 3)
        loop.run_forever()
    assert seen == [None] * 3


async def test_what_lies_in_the_kernel_at_accept_is_heard_before_the_handler_goes_on():
    """With the line unread, the end would be a reset, and the answer lost."""

    async def refuse(reader, writer):
        for _ in range(3):
            await asyncio.sleep(0)
        writer.write(b"421 too many connections\r\n")
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    loop = asyncio.get_running_loop()
    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    address = server.sockets[0].getsockname()

    for _ in range(20):
        # Blocking, in the loop's own thread: the line is there before the loop can accept.
        with socket.create_connection(address, timeout=10) as sock:
            sock.sendall(b"EHLO x\r\n")
            answer = await loop.run_in_executor(None, lambda: (sock.recv(100), sock.recv(100)))
        assert answer == (b"421 too many connections\r\n", b"")
    server.close()
    await server.wait_closed()
    await loop.shutdown_default_executor()
