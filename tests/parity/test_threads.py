"""Loops in several threads at once share nothing: no context, no buffer, no flag.

The threads are made to take turns every few bytecodes, so that whatever two loops have in common is soon used
by both at once.
"""

import asyncio
import contextvars
import socket
import sys
import threading

import pytest

from tests.support.net import PATIENCE
from tests.support.protocols import Echo
from tests.support.tls import NAME, client_context, server_context

THREADS = 4
ROUNDS = 30

variable = contextvars.ContextVar("variable")


@pytest.fixture(autouse=True)
def restless():
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


async def by_sock_calls(loop, name):
    """A pair of sockets, one end of which sends back what it gets."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        theirs.setblocking(False)

        async def echo():
            while data := await loop.sock_recv(theirs, 100):
                await loop.sock_sendall(theirs, data)

        echoing = asyncio.create_task(echo())
        buffer = bytearray(100)
        for number in range(ROUNDS):
            message = b"%s %d" % (name, number)
            await loop.sock_sendall(ours, message)
            if number % 2:
                assert await loop.sock_recv(ours, 100) == message
            else:
                count = await loop.sock_recv_into(ours, buffer)
                assert buffer[:count] == message
        ours.shutdown(socket.SHUT_WR)
        await echoing


async def by_streams(loop, name, **tls):
    server_tls = {"ssl": tls["server"]} if tls else {}
    client_tls = {"ssl": tls["client"], "server_hostname": NAME} if tls else {}
    server = await loop.create_server(Echo, "127.0.0.1", 0, **server_tls)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname(), **client_tls)
    for number in range(ROUNDS):
        message = b"%s %d\n" % (name * 50, number)
        writer.write(message)
        writer.write(message)
        assert await reader.readline() == message
        assert await reader.readline() == message
    writer.close()
    await writer.wait_closed()
    server.close()
    await server.wait_closed()


async def by_datagrams(loop, name):
    arrived = asyncio.Queue()

    class Receiver(asyncio.DatagramProtocol):
        def datagram_received(self, data, addr):
            arrived.put_nowait(data)

    receiving, _ = await loop.create_datagram_endpoint(Receiver, ("127.0.0.1", 0))
    address = receiving.get_extra_info("sockname")
    sending, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=address)
    for number in range(ROUNDS):
        message = b"%s %d" % (name, number)
        sending.sendto(message)
        assert await arrived.get() == message
    sending.close()
    receiving.close()


async def by_timers_and_executors(loop, name):
    for _ in range(ROUNDS):
        loop.call_later(1000, str).cancel()
        await asyncio.sleep(0)
        assert await loop.run_in_executor(None, bytes.upper, name) == name.upper()
        assert variable.get() == name


async def by_errors(loop, name):
    """A callback that fails goes to the handler of its own loop."""
    heard = []
    before = loop.get_exception_handler()
    loop.set_exception_handler(lambda loop, context: heard.append(str(context["exception"])))
    for _ in range(ROUNDS):
        loop.call_soon(int, name.decode())
        await asyncio.sleep(0)
    loop.set_exception_handler(before)
    assert len(heard) == ROUNDS
    assert all(repr(name.decode()) in text for text in heard)


async def everything(name, reports):
    loop = asyncio.get_running_loop()
    loop.slow_callback_duration = 1e9
    loop.set_exception_handler(reports)
    variable.set(name)
    tls = {"server": server_context(), "client": client_context()}
    await asyncio.gather(
        by_sock_calls(loop, name),
        by_streams(loop, name),
        by_streams(loop, name, **tls),
        by_datagrams(loop, name),
        by_timers_and_executors(loop, name),
    )
    await by_errors(loop, name)


def in_threads(work):
    """Call *work* with a number in each of some threads; what it raised there."""
    errors = []

    def enter(number):
        try:
            work(number)
        except BaseException as exc:
            errors.append(exc)

    threads = [threading.Thread(target=enter, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE * 6)
    return errors


@pytest.mark.timeout(90)
@pytest.mark.parametrize("debug", [False, True], ids=["plain", "debug"])
def test_loops_in_threads_share_nothing(new_loop, loop_name, debug, reports):
    if loop_name == "uvloop" and debug:
        pytest.skip("known to crash in debug mode")

    def work(number):
        with asyncio.Runner(loop_factory=new_loop, debug=debug) as runner:
            runner.run(everything(b"loop-%d" % number, reports))

    assert in_threads(work) == []
    assert reports == []


@pytest.mark.timeout(90)
def test_loops_call_each_other_from_their_threads(new_loop):
    """Each tells the next one, round and round, by call_soon_threadsafe."""
    loops, heard = {}, {number: [] for number in range(THREADS)}
    ready = threading.Barrier(THREADS)

    def work(number):
        async def main():
            loop = asyncio.get_running_loop()
            loops[number] = loop
            done = loop.create_future()
            await loop.run_in_executor(None, ready.wait)
            other = loops[(number + 1) % THREADS]

            def hear(count):
                heard[(number + 1) % THREADS].append(count)
                if count == ROUNDS - 1:
                    loop.call_soon_threadsafe(done.set_result, None)

            for count in range(ROUNDS):
                other.call_soon_threadsafe(hear, count)
                await asyncio.sleep(0)
            await done
            await loop.run_in_executor(None, ready.wait)

        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(main())

    assert in_threads(work) == []
    assert heard == {number: list(range(ROUNDS)) for number in range(THREADS)}
