"""Who shuts a server down, and who learns of it: its own handlers, whoever cancels them, whoever waits."""

import asyncio
import contextlib
import socket
import sys

import pytest

from tests.support.net import PATIENCE, TOO_MUCH, blocking, connect, read_all
from tests.support.protocols import Recorder
from tests.support.tls import NAME, client_context, server_context

returns_at_once = pytest.mark.uvloop_differs(reason="wait_closed() returns at once")
waits_for_clients = pytest.mark.skipif(
    sys.version_info < (3, 12, 1), reason="waits for the clients from Python 3.12.1 on"
)
#: asyncio's streams report a cancelled handler as an error before.
cancels_quietly = pytest.mark.skipif(sys.version_info < (3, 13), reason="streams close from Python 3.13 on")


def said(address, text=b"stop\n", tls=False):
    """What a blocking client hears after it has said *text*, to the end."""
    with contextlib.ExitStack() as stack:
        client = stack.enter_context(connect(address))
        if tls:
            client = stack.enter_context(client_context().wrap_socket(client, server_hostname=NAME))
        client.sendall(text)
        return read_all(client)


def soon(waiting):
    return asyncio.wait_for(waiting, PATIENCE)


# -- by a handler --------------------------------------------------------------------------------------------


@pytest.mark.uvloop_differs(reason="close() does not end serve_forever()")
@pytest.mark.parametrize("tls", [False, True], ids=["tcp", "tls"])
async def test_a_handler_of_streams_ends_the_server_and_answers_before(tls):
    async def handle(reader, writer):
        assert await reader.readline() == b"stop\n"
        writer.write(b"bye")
        server.close()
        writer.close()
        await writer.wait_closed()

    options = {"ssl": server_context()} if tls else {}
    server = await asyncio.start_server(handle, "127.0.0.1", 0, **options)
    address = server.sockets[0].getsockname()
    hearing = asyncio.ensure_future(blocking(said, address, b"stop\n", tls))
    with pytest.raises(asyncio.CancelledError):
        await soon(server.serve_forever())
    await soon(server.wait_closed())
    assert await hearing == b"bye"
    with pytest.raises(ConnectionRefusedError):
        await blocking(connect, address)


@waits_for_clients
@returns_at_once
async def test_a_handler_that_waits_for_the_end_of_its_own_connection_waits_for_itself():
    async def handle(reader, writer):
        await reader.readline()
        server.close()
        waiting.append(asyncio.ensure_future(server.wait_closed()))
        await asyncio.sleep(0.005)
        assert not waiting[0].done()
        writer.write(b"bye")
        writer.close()

    waiting = []
    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    assert await blocking(said, server.sockets[0].getsockname()) == b"bye"
    await soon(waiting[0])
    await soon(server.wait_closed())


@pytest.mark.parametrize("end", ["close", "abort"])
async def test_a_handler_ends_everybody_elses_connection_and_its_own(end):
    """As servers of websockets do when one of their handlers closes them."""
    loop = asyncio.get_running_loop()
    here = []

    class Handler(Recorder):
        def connection_made(self, transport):
            super().connection_made(transport)
            here.append(self)

        def data_received(self, data):
            server.close()
            for handler in here:
                getattr(handler.transport, end)()

    server = await loop.create_server(Handler, "127.0.0.1", 0)
    address = server.sockets[0].getsockname()
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(connect(address)) for _ in range(5)]
        while len(here) < len(clients):
            await asyncio.sleep(0.001)
        clients[2].sendall(b"stop")
        await soon(server.wait_closed())
        for handler in here:
            assert await soon(handler.lost()) is None
        for client in clients:
            assert await blocking(read_all, client) == b""
    assert [handler.events for handler in here] == [["made", "lost"]] * 5


async def test_a_handler_task_ends_the_connections_of_others_whose_tasks_it_waits_for():
    """The last of them to end is the one that ends the others, and waits."""
    ended = []

    async def handle(reader, writer):
        tasks.add(asyncio.current_task())
        try:
            if await reader.readline():
                server.close()
                others = tasks - {asyncio.current_task()}
                for other in others:
                    other.cancel()
                await asyncio.wait(others)
                ended.append("all others")
        except asyncio.CancelledError:  # a handler that ends in order
            ended.append("other")
        writer.close()

    tasks = set()
    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    address = server.sockets[0].getsockname()
    with contextlib.ExitStack() as stack:
        others = [stack.enter_context(connect(address)) for _ in range(3)]
        while len(tasks) < len(others):
            await asyncio.sleep(0.001)
        assert await blocking(said, address) == b""
        await soon(server.wait_closed())
        for other in others:
            assert await blocking(read_all, other) == b""
    assert ended == ["other"] * 3 + ["all others"]


# -- by cancelling its handlers ------------------------------------------------------------------------------


@cancels_quietly
@pytest.mark.parametrize("where", ["before its first step", "in a read", "in a drain"])
async def test_a_cancelled_handler_of_streams_ends_its_connection(where):
    loop = asyncio.get_running_loop()
    cancelled = asyncio.Event()
    much = b"x" * TOO_MUCH

    def cancel():
        [handler] = [task for task in asyncio.all_tasks() if task.get_coro().__name__ == "handle"]
        handler.cancel()
        cancelled.set()

    def connected(reader, writer):
        if where == "before its first step":
            loop.call_soon(cancel)
        return handle(reader, writer)

    async def handle(reader, writer):
        if where == "in a drain":
            writer.write(much)
        loop.call_soon(cancel)
        await (writer.drain() if where == "in a drain" else reader.read())

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    with connect(server.sockets[0].getsockname()) as client:
        await cancelled.wait()
        server.close()
        waiting = asyncio.ensure_future(server.wait_closed())
        # What was written before is sent; only then it is the end.
        assert await blocking(read_all, client) == (much if where == "in a drain" else b"")
        await soon(waiting)


@waits_for_clients
@returns_at_once
@pytest.mark.parametrize("leave", ["the peer", "the server"])
async def test_the_connection_of_a_cancelled_task_is_waited_for(leave):
    """A task that was cancelled leaves its connection to its protocol, and that to its peer."""
    loop = asyncio.get_running_loop()
    here = []

    class Handler(Recorder):
        def connection_made(self, transport):
            super().connection_made(transport)
            self.task = loop.create_task(asyncio.sleep(3600))
            here.append(self)

    server = await loop.create_server(Handler, "127.0.0.1", 0)
    with connect(server.sockets[0].getsockname()) as client:
        while not here:
            await asyncio.sleep(0.001)
        [handler] = here
        handler.task.cancel()
        server.close()
        waiting = asyncio.ensure_future(server.wait_closed())
        await asyncio.wait([handler.task])
        await asyncio.sleep(0.005)
        assert not waiting.done()
        if leave == "the peer":
            client.shutdown(socket.SHUT_WR)
        else:
            handler.transport.close()
        await soon(waiting)
        assert handler.lost_with is None
        assert await blocking(read_all, client) == b""


@cancels_quietly
def test_the_end_of_a_program_ends_the_connections_of_its_handlers(new_loop):
    """`asyncio.run` cancels them when the program has ended, and closes the loop."""
    entered = []
    clients = []

    async def handle(reader, writer):
        entered.append(writer)
        await reader.read()

    async def main():
        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        clients.extend(connect(server.sockets[0].getsockname()) for _ in range(3))
        while len(entered) < len(clients):
            await asyncio.sleep(0.001)
        server.close()

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(main())
    for client in clients:
        with client:
            assert read_all(client) == b""
