"""Protocols that fail, tasks that are cancelled, connections closed in the middle of everything."""

import asyncio
import contextlib
import socket
import sys

import pytest

from tests.support.net import blocking, connect, read_exactly, talk, tcp_pair, unix_pair
from tests.support.protocols import BufferedRecorder, Echo, Recorder
from tests.support.pythons import drop
from tests.support.servers import echo_server


class Failure(Exception):
    pass


@pytest.mark.parametrize("method", ["connection_made", "data_received", "eof_received", "connection_lost"])
async def test_an_exception_of_a_protocol_is_reported_and_the_server_goes_on(method, reports):
    class Failing(Echo):
        def connection_lost(self, exc):
            super().connection_lost(exc)
            if method == "connection_lost":
                raise Failure(method)

    if method != "connection_lost":

        def fail(self, *args):
            getattr(Echo, method)(self, *args)
            raise Failure(method)

        setattr(Failing, method, fail)

    loop = asyncio.get_running_loop()
    loop.set_exception_handler(reports)
    factories = [Failing]

    async with echo_server(lambda: (factories.pop() if factories else Echo)()) as (address, protocols):
        with connect(address) as client:
            client.sendall(b"x")
            client.shutdown(socket.SHUT_WR)
            while not reports:
                await asyncio.sleep(0.001)
        # What failed in connection_made stays open in asyncio: the exception was one of a plain callback.
        if method == "connection_made":
            protocols[0].transport.abort()
        await protocols[0].lost()
        await asyncio.sleep(0.001)
        assert isinstance(reports.exceptions[0], Failure)
        assert len(reports) == 1
        assert protocols[0].events.count("lost") == 1
        assert await blocking(talk, address) == b"hello"


@pytest.mark.parametrize("method", ["data_received", "eof_received"])
async def test_the_failing_connection_is_lost_with_the_exception(method, reports):
    class Failing(Recorder):
        pass

    def fail(self, *args):
        raise Failure(method)

    setattr(Failing, method, fail)
    asyncio.get_running_loop().set_exception_handler(reports)
    with unix_pair() as (ours, theirs):
        transport, protocol = await asyncio.get_running_loop().create_connection(Failing, sock=ours)
        theirs.sendall(b"x")
        theirs.shutdown(socket.SHUT_WR)
        assert isinstance(await protocol.lost(), Failure)
        (report,) = reports
        assert report["transport"] is transport
        assert report["protocol"] is protocol
        assert isinstance(report["exception"], Failure)


@pytest.mark.uvloop_differs(reason="another text")
@pytest.mark.parametrize("method", ["data_received", "eof_received"])
async def test_the_report_names_the_method(method, reports):
    class Failing(Recorder):
        pass

    def fail(self, *args):
        raise Failure(method)

    setattr(Failing, method, fail)
    asyncio.get_running_loop().set_exception_handler(reports)
    with unix_pair() as (ours, theirs):
        _, protocol = await asyncio.get_running_loop().create_connection(Failing, sock=ours)
        theirs.sendall(b"x")
        theirs.shutdown(socket.SHUT_WR)
        await protocol.lost()
        assert reports.messages == [f"Fatal error: protocol.{method}() call failed."]


@pytest.mark.uvloop_differs(reason="reports it as a fatal error of the transport", run=False)
@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("method", ["data_received", "eof_received", "connection_lost"])
def test_what_ends_the_program_leaves_the_loop_from_a_protocol(new_loop, error, method, loop_name):
    class Ending(Recorder):
        pass

    def end(self, *args):
        if method == "connection_lost":
            self.note("lost")
        raise error

    setattr(Ending, method, end)
    loop = new_loop()
    loop.set_exception_handler(lambda loop, context: None)
    with unix_pair() as (ours, theirs):
        transport, protocol = loop.run_until_complete(loop.create_connection(Ending, sock=ours))
        if method == "data_received":
            theirs.sendall(b"x")
        theirs.shutdown(socket.SHUT_WR)
        with pytest.raises(error):
            loop.run_until_complete(asyncio.sleep(5))
        if "lost" not in protocol.events:
            transport.abort()
            with contextlib.suppress(error):
                loop.run_until_complete(asyncio.sleep(0.001))
        # The loop goes on, however it was left.
        assert loop.run_until_complete(asyncio.sleep(0, "usable")) == "usable"


# --- cancellation


async def test_a_task_cancelled_in_a_read_of_a_stream_loses_nothing():
    with unix_pair() as (ours, theirs):
        reader, writer = await asyncio.open_unix_connection(sock=ours)
        for number in range(20):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0):
                    await reader.readexactly(4)
            theirs.sendall(b"%04d" % number)
            assert await reader.readexactly(4) == b"%04d" % number
        writer.close()
        await writer.wait_closed()


async def test_cancelling_everything_at_once_ends_everything():
    loop = asyncio.get_running_loop()
    with contextlib.ExitStack() as stack:
        tasks = []
        for _ in range(30):
            ours, _ = stack.enter_context(unix_pair())
            tasks.append(asyncio.ensure_future(loop.sock_recv(ours, 10)))
        tasks += [asyncio.ensure_future(asyncio.sleep(3600)) for _ in range(30)]
        await asyncio.sleep(0.001)
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(result, asyncio.CancelledError) for result in results)


@pytest.mark.skipif(sys.version_info < (3, 13), reason="streams report it as an error before Python 3.13")
async def test_a_server_handler_cancelled_mid_way_closes_its_connection():
    handler = asyncio.get_running_loop().create_future()

    async def handle(reader, writer):
        handler.set_result(asyncio.current_task())
        try:
            await reader.readline()
        finally:
            writer.close()
            await writer.wait_closed()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    with connect(server.sockets[0].getsockname()) as client:
        task = await handler
        # Not any new task: the one that accepts is asyncio's own, and is not to be cancelled here.
        task.cancel()
        assert await blocking(client.recv, 10) == b""
    server.close()
    await server.wait_closed()


# --- closing in the middle of everything


@pytest.mark.parametrize("recorder", [Recorder, BufferedRecorder])
async def test_closing_all_connections_from_one_of_their_callbacks(recorder):
    with contextlib.ExitStack() as stack:
        protocols, peers = [], []

        class Last(recorder):
            pass

        def received(self, *args):
            for protocol in protocols:
                protocol.transport.abort()

        Last.data_received = Last.buffer_updated = received
        for _ in range(20):
            ours, theirs = stack.enter_context(unix_pair())
            _, protocol = await asyncio.get_running_loop().create_connection(Last, sock=ours)
            protocols.append(protocol)
            peers.append(theirs)
        for peer in peers:
            peer.sendall(b"x")
        for protocol in protocols:
            assert await protocol.lost() is None
            assert protocol.events == ["made", "lost"]


async def test_a_new_connection_in_connection_lost_may_get_the_same_descriptor():
    loop = asyncio.get_running_loop()
    rounds = 30
    finished = loop.create_future()

    class Again(Echo):
        def connection_lost(self, exc):
            super().connection_lost(exc)
            asyncio.ensure_future(start())

    count = 0

    async def start():
        nonlocal count
        count += 1
        if count > rounds:
            finished.set_result(None)
            return
        ours, theirs = socket.socketpair()
        theirs.settimeout(10)
        _, protocol = await loop.create_connection(Again, sock=ours)
        theirs.sendall(b"x")
        await protocol.received(1)
        assert await blocking(theirs.recv, 10) == b"x"
        theirs.close()

    await start()
    await finished


@pytest.mark.filterwarnings("ignore:unclosed transport:ResourceWarning")  # which it is
def test_closing_the_loop_with_open_connections_is_possible(new_loop, loop_name):
    if loop_name == "uvloop":
        pytest.xfail("waits for the peer for ever")
    loop = new_loop()
    with tcp_pair() as (ours, theirs):
        transport, _ = loop.run_until_complete(loop.create_connection(Recorder, sock=ours))
        transport.abort()  # its connection_lost() is scheduled and never runs
        loop.close()
        ours.close()
    del transport, _
    drop()  # now, while it may say so


def test_stopping_with_connections_open_and_going_on(new_loop):
    loop = new_loop()
    with unix_pair() as (ours, theirs):
        transport, protocol = loop.run_until_complete(loop.create_connection(Echo, sock=ours))
        theirs.sendall(b"while it stood still")
        loop.run_until_complete(protocol.received(20))
        assert read_exactly(theirs, 20) == b"while it stood still"
        transport.close()
        loop.run_until_complete(protocol.lost())
