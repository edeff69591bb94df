"""What one message costs, in Python frames and in system calls. Counted, never timed."""

import asyncio
import contextlib
import importlib
import sys
from collections import Counter
from pathlib import Path

import pytest

import loopkit
from tests.shape.counting import MESSAGES, CountingLoop, CountingPoller, Meter, measure_echo
from tests.support.net import connect, listener, read_exactly, unix_pair
from tests.support.pythons import cpython_only
from tests.support.tls import server_context, tls_connect

# What stdlib has in C on CPython, and we call, is Python on PyPy: futures, tasks, `ssl`, `_get_running_loop`.
counts_stdlib = cpython_only("what PyPy has in Python for futures, tasks and ssl is counted as well")


async def protocol_echo(loop, on_message, **options):
    transports = []

    class Echo(asyncio.Protocol):
        def connection_made(self, transport):
            self.transport = transport
            transports.append(transport)

        def data_received(self, data):
            on_message()
            self.transport.write(data)

    server = await loop.create_server(Echo, "127.0.0.1", 0, **options)

    async def close():
        for transport in transports:
            transport.abort()
        server.close()
        await asyncio.sleep(0)

    return server.sockets[0].getsockname(), close


async def tls_echo(loop, on_message):
    return await protocol_echo(loop, on_message, ssl=server_context())


async def buffered_echo(loop, on_message):
    class Echo(asyncio.BufferedProtocol):
        def connection_made(self, transport):
            self.transport = transport
            self.buffer = bytearray(65536)

        def get_buffer(self, sizehint):
            return self.buffer

        def buffer_updated(self, nbytes):
            on_message()
            self.transport.write(bytes(self.buffer[:nbytes]))

    server = await loop.create_server(Echo, "127.0.0.1", 0)

    async def close():
        server.close()
        server.abort_clients()
        await asyncio.sleep(0)

    return server.sockets[0].getsockname(), close


async def streams_echo(loop, on_message):
    async def serve(reader, writer):
        while data := await reader.read(65536):
            on_message()
            writer.write(data)
            await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)

    async def close():
        server.close()
        await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}))

    return server.sockets[0].getsockname(), close


async def sock_echo(loop, on_message):
    server = listener()

    async def serve():
        sock, _ = await loop.sock_accept(server)
        with sock:
            while data := await loop.sock_recv(sock, 65536):
                on_message()
                await loop.sock_sendall(sock, data)

    task = loop.create_task(serve())

    async def close():
        await task
        server.close()

    return server.getsockname(), close


# -- frames --------------------------------------------------------------------------------------------------


def measured(serve, dial=connect):
    meter = Meter(count_frames=True)
    measure_echo(loopkit.EpollLoop, serve, meter, dial)
    return meter


def frames_per_message(serve, dial=connect):
    """Frames entered on the server per message, by name; without the counter's own."""
    return {
        name.rpartition(".")[2]: count / MESSAGES
        for name, count in measured(serve, dial).frames.items()
        if not name.endswith("on_message")
    }


PACKAGE = str(Path(loopkit.__file__).parent)


async def frames_of_connections(count):
    """Python frames of ours, on average, from accepting a connection to its end; one message is echoed."""
    loop, lost = asyncio.get_running_loop(), []

    class Echo(asyncio.Protocol):
        def connection_made(self, transport):
            self.transport = transport

        def data_received(self, data):
            self.transport.write(data)

        def connection_lost(self, exc):
            lost.append(exc)

    def come_and_go():
        for _ in range(count):
            with connect(address) as sock:
                sock.sendall(b"hello")
                assert read_exactly(sock, 5) == b"hello"

    server = await loop.create_server(Echo, "127.0.0.1", 0)
    address = server.sockets[0].getsockname()
    frames = Counter()

    def on_event(frame, event, arg):
        if event == "call" and frame.f_code.co_filename.startswith(PACKAGE):
            frames[frame.f_code.co_qualname] += 1

    visits = loop.run_in_executor(None, come_and_go)
    sys.setprofile(on_event)
    await visits
    while len(lost) < count:
        await asyncio.sleep(0)
    sys.setprofile(None)
    server.close()
    return sum(frames.values()) / count


@counts_stdlib
def test_a_connection_that_comes_and_goes_costs_few_frames():
    # 36 of its own, from `_on_connections` to `__del__`; the visitor's thread wakes the loop when it ends.
    with asyncio.Runner(loop_factory=loopkit.EpollLoop) as runner:
        assert runner.run(frames_of_connections(100)) < 36.5


def frames_of_a_write(data):
    """The frames in which a write goes out that is not held."""
    frames = []

    async def write():
        transport, _ = await loop.create_connection(asyncio.Protocol, sock=ours)
        sys.setprofile(lambda frame, event, arg: event == "call" and frames.append(frame.f_code.co_name))
        transport.write(data)
        sys.setprofile(None)
        transport.abort()
        await asyncio.sleep(0)

    with contextlib.closing(loopkit.EpollLoop()) as loop, unix_pair() as (ours, theirs):
        loop.run_until_complete(write())
        assert theirs.recv(100) == bytes(data)
    return frames


@pytest.mark.parametrize("data", [b"hello", bytearray(b"hello"), memoryview(b"hello")])
def test_a_write_that_goes_out_whole_is_looked_at_no_more(data):
    # In particular, nothing is cast, cut or copied: the kernel said that it has everything.
    assert frames_of_a_write(data) == ["write", "_write", "_takes_writes", "_send"]


@counts_stdlib
def test_a_message_costs_a_protocol_three_frames():
    assert frames_per_message(protocol_echo) == {"on_readable": 1, "data_received": 1, "write": 1}


@counts_stdlib
def test_a_message_costs_a_buffered_protocol_five_frames():
    frames = frames_per_message(buffered_echo)
    assert frames == {
        "on_readable_buffered": 1,
        "get_buffer": 1,
        "buffer_updated": 1,
        "write": 1,
        "_send_held": 1,
    }


@counts_stdlib
def test_a_message_costs_a_protocol_on_tls_three_frames():
    frames = frames_per_message(tls_echo, tls_connect)
    assert frames == {"on_readable": 1, "data_received": 1, "write": 1}


@counts_stdlib
def test_an_asynchronous_generator_costs_one_frame_of_the_loop():
    """`asynccontextmanager` makes one each time: websockets for every message that it sends."""
    frames = []

    async def generate():
        yield 1

    async def main():
        sys.setprofile(lambda frame, event, arg: event == "call" and frames.append(frame.f_code.co_name))
        async for _ in generate():
            pass
        sys.setprofile(None)

    with asyncio.Runner(loop_factory=loopkit.EpollLoop) as runner:
        runner.run(main())
        assert not runner.get_loop()._asyncgens
    assert set(frames) == {"generate", "asyncgen_firstiter"}
    assert frames.count("asyncgen_firstiter") == 1


# Upper bounds that hold today, on every version; what stdlib's own streams and tasks need is most of it.
@counts_stdlib
@pytest.mark.parametrize(("serve", "bound"), [(streams_echo, 20), (sock_echo, 11)])
def test_a_message_costs_a_coroutine_few_frames(serve, bound):
    frames = frames_per_message(serve)
    assert sum(frames.values()) <= bound, frames


def test_the_plain_turn_knows_nothing_of_who_looks():
    """Neither by name nor by a frame: what looks puts itself in the place of the poll, or of the turn."""
    code = loopkit.Loop._turns.__code__
    seen = {"_instruments", "_debug", "audience", "metrics", "observers", "tell", "watch"}
    assert not seen & {*code.co_names, *code.co_varnames, *code.co_freevars}
    before = frames_per_message(protocol_echo)
    for name in ("metrics", "observing", "stalls"):
        importlib.import_module(f"loopkit.diagnostics.{name}")
    assert frames_per_message(protocol_echo) == before


# -- system calls --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("serve", [protocol_echo, buffered_echo, streams_echo, sock_echo])
def test_a_message_costs_one_poll_and_no_epoll_ctl(serve):
    meter = Meter()
    measure_echo(CountingLoop, serve, meter)
    assert meter.calls["epoll_ctl"] == 0
    assert meter.calls["poll(0)"] == 0
    assert meter.calls["poll"] <= MESSAGES + 1


@pytest.mark.parametrize("serve", [protocol_echo, pytest.param(streams_echo, marks=counts_stdlib)])
def test_a_message_costs_three_system_calls(serve):
    assert measured(serve).kernel == dict.fromkeys(("poll", "recv", "send"), MESSAGES)


@counts_stdlib
def test_a_message_on_tls_costs_three_system_calls_as_well():
    """OpenSSL works in memory: record by record from the socket it would make two more."""
    assert measured(tls_echo, tls_connect).kernel == dict.fromkeys(("poll", "recv", "send"), MESSAGES)


def test_a_step_of_a_task_costs_no_poll():
    steps = 170
    with contextlib.closing(CountingLoop()) as loop:

        async def work():
            for _ in range(steps):
                await asyncio.sleep(0)

        loop.frozen = True  # so that the turn's limit of rounds counts, and not the one of time
        meter = Meter()
        meter.start()
        loop.run_until_complete(work())
        meter.stop()
    assert 1 <= meter.calls["poll(0)"] <= steps / 16 + 2


def test_pausing_and_resuming_costs_no_epoll_ctl():
    with contextlib.closing(CountingLoop()) as loop, unix_pair() as (ours, theirs):

        async def main():
            transport, _ = await loop.connect_accepted_socket(asyncio.Protocol, ours)
            await asyncio.sleep(0)
            meter = Meter()
            meter.start()
            for _ in range(10):
                transport.pause_reading()
                await asyncio.sleep(0)
                transport.resume_reading()
            meter.stop()
            transport.abort()
            await asyncio.sleep(0)
            return meter.calls["epoll_ctl"]

        assert loop.run_until_complete(main()) == 0


def test_a_paused_transport_that_gets_data_is_disarmed_once():
    """An event that nobody wants must not come again in every turn."""
    with contextlib.closing(CountingLoop()) as loop, unix_pair() as (ours, theirs):

        async def main():
            transport, _ = await loop.connect_accepted_socket(asyncio.Protocol, ours)
            transport.pause_reading()
            theirs.send(b"x")
            meter = Meter()
            meter.start()
            for _ in range(10):
                await asyncio.sleep(0.001)
            meter.stop()
            transport.abort()
            await asyncio.sleep(0)
            return meter.calls

        calls = loop.run_until_complete(main())
    assert calls["epoll_ctl"] == 1
    assert calls["poll"] + calls["poll(0)"] <= 21


def test_a_thousand_wakeups_from_a_callback_cost_one_event():
    with contextlib.closing(CountingLoop()) as loop:
        ran = []

        def schedule():
            for _ in range(1000):
                loop.call_soon_threadsafe(ran.append, 1)
            loop.call_soon_threadsafe(loop.stop)

        loop.call_soon(schedule)
        before = CountingPoller.calls.total()
        loop.run_forever()
        assert len(ran) == 1000
        assert CountingPoller.calls.total() - before <= 2


def test_header_and_body_leave_in_one_system_call():
    async def answer(loop, on_message):
        class Answer(asyncio.Protocol):
            def connection_made(self, transport):
                self.transport = transport

            def data_received(self, data):
                on_message()
                self.transport.write(data[:10])
                self.transport.write(data[10:])

        server = await loop.create_server(Answer, "127.0.0.1", 0)

        async def close():
            server.close()
            server.abort_clients()
            await asyncio.sleep(0)

        return server.sockets[0].getsockname(), close

    assert measured(answer).kernel == dict.fromkeys(("poll", "recv", "send"), MESSAGES)


def test_header_and_body_of_a_program_that_may_send_by_itself_leave_at_once():
    """It has passed the socket: what it sends there must not come before what it wrote."""
    with contextlib.closing(loopkit.EpollLoop()) as loop, unix_pair() as (ours, theirs):
        theirs.setblocking(False)

        async def main():
            transport, _ = await loop.connect_accepted_socket(asyncio.Protocol, ours)
            transport.write(b"header")
            assert theirs.recv(100) == b"header"
            ours.send(b"body")
            assert theirs.recv(100) == b"body"
            transport.abort()
            await asyncio.sleep(0)

        loop.run_until_complete(main())
