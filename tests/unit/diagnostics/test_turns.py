"""The observed turn beside the plain one: the same programs, the same order of everything."""

import asyncio
import contextlib
import logging
import random
import socket

import pytest

import loopkit
from loopkit.diagnostics import turns
from tests.cli.commands import python
from tests.support.net import unix_pair


class Frozen:
    """A clock that moves when the program says so: order must not depend on how long things take."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def make_loop(kind, clock):
    class Loop(loopkit.EpollLoop):
        time = staticmethod(clock)

    loop = Loop()
    loop.set_debug(kind == "observed")
    loop.slow_callback_duration = 1e9  # the frozen clock jumps; nothing here is slow
    return loop


# -- programs: each gets a loop and a list to write its order into, and stops the loop at its end ------------


def callbacks_that_make_callbacks(loop, log, clock, stack):
    def grow(depth, name):
        log.append((name, depth))
        if depth:
            loop.call_soon(grow, depth - 1, name + "l")
            loop.call_soon(grow, depth - 1, name + "r")

    loop.call_soon(grow, 5, "x")
    loop.call_later(1, loop.stop)
    for _ in range(4):
        loop.call_soon(clock.__setattr__, "now", clock.now + 1)


def timers_of_every_kind(loop, log, clock, stack):
    def timer(name):
        log.append(name)
        if name == "chain":
            loop.call_at(clock.now - 5, log.append, "overdue, made by a timer")
            loop.call_soon(log.append, "ready, made by a timer")

    loop.call_at(1000, timer, "a")
    loop.call_at(1000, timer, "b")
    loop.call_at(990, timer, "chain")
    loop.call_at(1001, timer, "not yet")
    loop.call_at(995, timer, "cancelled").cancel()
    handle = loop.call_at(996, timer, "cancelled by a timer")
    loop.call_at(991, handle.cancel)
    loop.call_soon(
        lambda: loop.call_soon(lambda: (setattr(clock, "now", 1002), loop.call_later(0, loop.stop)))
    )


def io_and_timers_and_callbacks(loop, log, clock, stack):
    one, its_peer = stack(unix_pair())
    two, other_peer = stack(unix_pair())

    def on_readable(sock, name):
        log.append((name, sock.recv(1)))
        loop.call_soon(log.append, f"made by {name}")
        loop.call_at(clock.now, log.append, f"timer of {name}")

    def on_writable():
        log.append("writable")
        loop.remove_writer(two)
        other_peer.send(b"3")
        loop.call_soon(loop.call_soon, loop.call_soon, loop.stop)

    loop.add_reader(one, on_readable, one, "one")
    loop.add_reader(two, on_readable, two, "two")
    its_peer.send(b"1")
    loop.call_soon(other_peer.send, b"2")
    loop.call_later(0, loop.add_writer, two, on_writable)
    loop.call_soon(log.append, "ready")


def readers_that_remove_each_other(loop, log, clock, stack):
    pairs = [stack(unix_pair()) for _ in range(4)]

    def on_readable(number):
        log.append(number)
        for other, (sock, _) in enumerate(pairs):
            if other != number:
                loop.remove_reader(sock)
        pairs[number][0].recv(1)
        loop.call_soon(loop.stop)

    for number, (sock, peer) in enumerate(pairs):
        peer.send(b"x")
        loop.add_reader(sock, on_readable, number)


def tasks_and_futures(loop, log, clock, stack):
    async def worker(name, queue):
        while (item := await queue.get()) is not None:
            log.append((name, item))
            await asyncio.sleep(0)
        log.append((name, "done"))

    async def main():
        queue = asyncio.Queue()
        async with asyncio.TaskGroup() as group:
            for name in "abc":
                group.create_task(worker(name, queue))
            for number in range(9):
                queue.put_nowait(number)
                if number % 4 == 0:
                    await asyncio.sleep(0)
            for _ in "abc":
                queue.put_nowait(None)
        log.append("main is done")

    loop.create_task(main()).add_done_callback(lambda _: loop.stop())


def protocols_and_streams(loop, log, clock, stack):
    class Server(asyncio.Protocol):
        def connection_made(self, transport):
            log.append("made")
            self.transport = transport

        def data_received(self, data):
            log.append(("server got", data))
            self.transport.write(b"header ")
            self.transport.write(data)
            loop.call_soon(log.append, "made by the server")

        def eof_received(self):
            log.append("eof")

        def connection_lost(self, exc):
            log.append(("lost", exc))
            loop.call_soon(loop.stop)

    async def main():
        ours, theirs = socket.socketpair()
        await loop.connect_accepted_socket(Server, ours)
        reader, writer = await asyncio.open_connection(sock=theirs)
        writer.write(b"first")
        log.append(await reader.readexactly(12))
        writer.writelines([b"a", b"b"])
        log.append(await reader.readexactly(9))
        writer.close()
        log.append("closed")

    loop._keep = loop.create_task(main())


def failures(loop, log, clock, stack):
    loop.set_exception_handler(lambda loop, context: log.append(repr(context["exception"])))
    ours, peer = stack(unix_pair())
    peer.send(b"x")

    def on_readable():
        loop.remove_reader(ours)
        raise LookupError("reader")

    loop.add_reader(ours, on_readable)
    loop.call_soon(lambda: 1 / 0)
    loop.call_at(1000, lambda: [][0])
    loop.call_soon(log.append, "goes on")
    loop.call_later(0, loop.call_soon, loop.stop)


def stopping_in_the_middle(loop, log, clock, stack):
    def stop():
        log.append("stop")
        loop.stop()
        loop.call_soon(log.append, "next run")

    loop.call_soon(stop)
    loop.call_soon(log.append, "same turn")
    loop.call_at(1000, log.append, "timer of the same turn")


PROGRAMS = [
    callbacks_that_make_callbacks,
    timers_of_every_kind,
    io_and_timers_and_callbacks,
    readers_that_remove_each_other,
    tasks_and_futures,
    protocols_and_streams,
    failures,
    stopping_in_the_middle,
]


def order_of(program, kind):
    """Run the program under that kind of turn; what it wrote down."""
    log, clock = [], Frozen()
    with contextlib.ExitStack() as stack:
        loop = make_loop(kind, clock)
        stack.callback(loop.close)
        program(loop, log, clock, stack.enter_context)
        loop.run_forever()
        log.append("stopped")
        loop.stop()
        loop.run_forever()
    return log


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_both_turns_run_a_program_in_the_same_order(program):
    plain = order_of(program, "plain")
    assert len(plain) >= 2
    assert order_of(program, "observed") == plain


@pytest.mark.parametrize("seed", range(15))
def test_both_turns_run_a_random_program_in_the_same_order(seed):
    def program(loop, log, clock, stack):
        choose = random.Random(seed)
        pairs = [stack(unix_pair()) for _ in range(3)]
        handles = []
        left = [80]

        def on_readable(number):
            log.append(("io", number, pairs[number][0].recv(1)))
            act()

        def act():
            log.append(left[0])
            left[0] -= 1
            if left[0] <= 0:
                loop.stop()
                return
            for _ in range(choose.randint(1, 2)):
                kind = choose.randrange(6)
                if kind == 0:
                    handles.append(loop.call_soon(act))
                elif kind == 1:
                    handles.append(loop.call_at(clock.now - choose.randrange(3), act))
                elif kind == 2:
                    pairs[choose.randrange(3)][1].send(b"x")
                elif kind == 3 and handles:
                    handles.pop(choose.randrange(len(handles))).cancel()
                elif kind == 4:
                    clock.now += choose.randrange(2)
                else:
                    loop.call_soon_threadsafe(act)
            loop.call_soon(act)  # so that it never dies out

        for number in range(3):
            loop.add_reader(pairs[number][0], on_readable, number)
        loop.call_soon(act)

    plain = order_of(program, "plain")
    assert len(plain) > 50
    assert order_of(program, "observed") == plain


# -- what only the observed turn does ------------------------------------------------------------------------


@pytest.fixture
def loop():
    loop = loopkit.EpollLoop()
    loop.set_debug(True)
    yield loop
    loop.close()


def run(loop):
    loop.call_later(0, loop.stop)
    loop.run_forever()


def test_a_slow_callback_is_named(loop, caplog):
    caplog.set_level(logging.WARNING, "asyncio")
    loop.slow_callback_duration = 0

    def slow():
        pass

    loop.call_soon(slow)
    run(loop)
    messages = [record.getMessage() for record in caplog.records]
    assert any("slow() at" in message and message.startswith("Executing <Handle") for message in messages)
    assert all(message.endswith("seconds") for message in messages)


def test_a_slow_step_names_its_task(loop, caplog):
    caplog.set_level(logging.WARNING, "asyncio")
    loop.slow_callback_duration = 0

    async def slow():
        pass

    loop.run_until_complete(loop.create_task(slow(), name="the slow one"))
    assert any("name='the slow one'" in record.getMessage() for record in caplog.records)


def test_what_is_quick_is_not_mentioned(loop, caplog):
    caplog.set_level(logging.WARNING, "asyncio")
    loop.slow_callback_duration = 3600
    loop.call_soon(int)
    run(loop)
    assert caplog.records == []


def test_the_current_handle_is_known_while_it_runs(loop):
    seen = []
    handle = loop.call_soon(lambda: seen.append(loop._current_handle))
    run(loop)
    assert seen == [handle]
    assert loop._current_handle is None


def test_it_is_loaded_when_it_is_needed():
    code = """
import asyncio, sys, loopkit
loop = loopkit.Loop()
loop.run_until_complete(asyncio.sleep(0))
print("loopkit.diagnostics" in sys.modules)
loop.set_debug(True)
loop.run_until_complete(asyncio.sleep(0))
print("loopkit.diagnostics.turns" in sys.modules)
loop.close()
"""
    # In a process that has nothing of the tests' own: their loops' simulated kernel loads it, too.
    assert python("-c", code) == (0, "False\nTrue\n", "")


def test_a_description_is_the_task_or_the_handle(loop):
    handle = loop.call_soon(int)
    assert turns.describe(handle) == str(handle)

    async def main():
        task = asyncio.current_task()
        wakeup = loop.call_soon(task.cancelled)
        return turns.describe(wakeup) == repr(task)

    assert loop.run_until_complete(main())
