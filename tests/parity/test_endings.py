"""What a peer sees when a connection ends: a plain blocking one, that knows nothing of event loops.

An end is an end under asyncio and here; a reset only what asyncio resets, too.
"""

import asyncio
import contextlib
import contextvars
import io
import socket
import ssl
import sys

import pytest

from tests.support.net import PATIENCE, blocking
from tests.support.protocols import Recorder
from tests.support.tls import NAME, client_context, server_context

LOOPS = ("asyncio", "epoll", "poll", "select", "busy")

pytestmark = pytest.mark.loops(*LOOPS)

LINE = b"EHLO x\r\n"
MUCH = b"x" * 200_000


def listener():
    """Bound, with room for `MUCH` in a connection that nobody has accepted yet."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    sock.bind(("127.0.0.1", 0))
    sock.listen()
    return sock


def ending(sock):
    """How the stream ends."""
    try:
        while sock.recv(65536):
            pass
    except ConnectionResetError:
        return "reset"
    return "end"


async def observed(protocol, say=b"", peer=None, **options):
    """What *peer*, or one that has said something before it is accepted and then listens, sees."""
    loop = asyncio.get_running_loop()
    protocols = []

    def factory():
        protocols.append(protocol())
        return protocols[-1]

    with listener() as sock, socket.create_connection(sock.getsockname(), timeout=PATIENCE) as client:
        await blocking(client.sendall, say)
        server = await loop.create_server(factory, sock=sock, **options)
        async with server:
            if peer is not None:
                seen = await blocking(peer, client)
            else:
                seen = await blocking(ending, client)
            for one in protocols:
                if "made" in one.events:
                    await one.lost()
    return seen


class Answering(Recorder):
    """Answers what comes first, and ends the connection in some way."""

    def end(self):
        self.transport.close()

    def data_received(self, data):
        if not self.data:
            super().data_received(data)
            self.transport.write(b"bye")
            self.end()


class Aborting(Answering):
    def end(self):
        self.transport.abort()


class HalfClosing(Answering):
    def end(self):
        self.transport.write_eof()
        self.transport.close()


class ClosingLater(Answering):
    """As a handler of streams does, which is a task."""

    def end(self):
        loop = asyncio.get_running_loop()
        loop.call_soon(loop.call_soon, self.transport.close)


class Failing(Recorder):
    def data_received(self, data):
        super().data_received(data)
        raise LookupError


class Refusing(Recorder):
    def connection_made(self, transport):
        super().connection_made(transport)
        transport.close()


class RefusingHarshly(Recorder):
    def connection_made(self, transport):
        super().connection_made(transport)
        transport.abort()


class RefusingPolitely(Recorder):
    def connection_made(self, transport):
        super().connection_made(transport)
        transport.write(b"421 too many connections\r\n")
        transport.close()


class Pausing(Recorder):
    """Reads nothing, and closes."""

    def connection_made(self, transport):
        super().connection_made(transport)
        transport.pause_reading()
        asyncio.get_running_loop().call_later(0.01, transport.close)


class Buffered(asyncio.BufferedProtocol, Recorder):
    def get_buffer(self, sizehint):
        self.buffer = bytearray(1000)
        return self.buffer

    def buffer_updated(self, nbytes):
        self.transport.write(b"bye")
        self.transport.close()


@pytest.mark.parametrize(
    ("protocol", "said", "expected"),
    [
        (Answering, LINE, "end"),
        (Answering, MUCH, "end"),
        (Aborting, LINE, "end"),
        (Aborting, MUCH, "end"),
        (HalfClosing, LINE, "end"),
        (HalfClosing, MUCH, "end"),
        (ClosingLater, LINE, "end"),
        (ClosingLater, MUCH, "end"),
        (Failing, LINE, "end"),
        (Failing, MUCH, "end"),
        (Refusing, b"", "end"),
        (Refusing, LINE, "reset"),
        (RefusingHarshly, b"", "end"),
        (RefusingHarshly, LINE, "reset"),
        (RefusingPolitely, b"", "end"),
        (RefusingPolitely, LINE, "reset"),
        (Pausing, LINE, "reset"),
        (Buffered, LINE, "end"),
        (Buffered, MUCH, "reset"),
    ],
)
async def test_a_plain_connection_ends(protocol, said, expected, reports):
    asyncio.get_running_loop().set_exception_handler(reports)
    assert await observed(protocol, said) == expected


@pytest.mark.skipif(sys.version_info < (3, 13), reason="asyncio has them from 3.13 on")
@pytest.mark.parametrize("method", ["close_clients", "abort_clients"])
async def test_a_server_ends_its_connections(method):
    loop = asyncio.get_running_loop()
    heard = loop.create_future()

    class Server(Recorder):
        def data_received(self, data):
            super().data_received(data)
            heard.set_result(self)

    async with await loop.create_server(Server, "127.0.0.1", 0) as server:
        with socket.create_connection(server.sockets[0].getsockname(), timeout=PATIENCE) as client:
            client.send(LINE)
            protocol = await heard
            getattr(server, method)()
            assert await blocking(ending, client) == "end"
            await protocol.lost()


# -- TLS -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "said", [b"hello", LINE, b"GET / HTTP/1.0\r\n\r\n", b"x" * 5000, b"\x16\x03\x01\x00\x05hello", MUCH]
)
async def test_what_is_no_tls_gets_an_end(said, reports):
    asyncio.get_running_loop().set_exception_handler(reports)
    assert await observed(Recorder, said, ssl=server_context()) == "end"


async def test_who_never_says_a_word_gets_an_end(reports):
    asyncio.get_running_loop().set_exception_handler(reports)
    assert await observed(Recorder, ssl=server_context(), ssl_handshake_timeout=0.05) == "end"


def secure(client, context=None):
    return (context or client_context()).wrap_socket(
        client, server_hostname=NAME, suppress_ragged_eofs=False, do_handshake_on_connect=False
    )


def detached(tls):
    """The socket beneath, without TLS."""
    return socket.socket(fileno=tls.detach())


def tls_ending(tls):
    try:
        while tls.recv(65536):
            pass
    except ssl.SSLEOFError:
        return "cut off"
    except ConnectionResetError:
        return "reset"
    return "close_notify"


@pytest.mark.parametrize(
    ("protocol", "expected"),
    [(Answering, "close_notify"), (Aborting, "cut off"), (ClosingLater, "close_notify")],
)
@pytest.mark.parametrize("said", [LINE, b"x" * 15_000])
async def test_a_secure_connection_ends(protocol, said, expected):
    def talk(client):
        with secure(client) as tls:
            tls.do_handshake()
            tls.sendall(said)
            return tls_ending(tls)

    assert await observed(protocol, peer=talk, ssl=server_context()) == expected


async def test_who_refuses_the_certificate_gets_an_end(reports):
    asyncio.get_running_loop().set_exception_handler(reports)

    def refuse(client):
        with secure(client, ssl.create_default_context()) as tls:
            with contextlib.suppress(ssl.SSLCertVerificationError):
                tls.do_handshake()
            with detached(tls) as sock:
                sock.settimeout(PATIENCE)
                return ending(sock)

    assert await observed(Recorder, peer=refuse, ssl=server_context()) == "end"


@pytest.mark.parametrize("rubbish", [b"rubbish", b"\x17\x03\x03\x00\x20" + b"x" * 32, MUCH])
async def test_rubbish_after_the_handshake_gets_an_end(rubbish, reports):
    asyncio.get_running_loop().set_exception_handler(reports)

    def talk(client):
        with secure(client) as tls:
            tls.do_handshake()
            tls.sendall(LINE)
            tls.recv(2)
            with detached(tls) as sock:
                sock.settimeout(PATIENCE)
                sock.sendall(rubbish[:20000])
                return ending(sock)

    class Server(Recorder):
        def data_received(self, data):
            self.transport.write(b"ok")

    assert await observed(Server, peer=talk, ssl=server_context()) == "end"


# -- who cancels everything ----------------------------------------------------------------------------------


@pytest.mark.leaks("errors", reason="debug mode tells of connections that were cancelled")
@pytest.mark.parametrize("when", ["the factory", "before the task", "after the task"])
def test_the_connection_ends_though_all_tasks_were_cancelled_while_it_was_accepted(new_loop, when):
    """A handler that was cancelled before its first step can close nothing."""
    loop = new_loop()
    made = []

    def stop():
        loop.stop()
        for task in asyncio.all_tasks(loop):
            task.cancel()

    class Server(Recorder):
        def __init__(self):
            super().__init__(keep_open=True)
            made.append(self)
            if when == "the factory":
                loop.call_soon(stop)

        def connection_made(self, transport):
            super().connection_made(transport)
            if when == "before the task":
                loop.call_soon(stop)
            self.task = loop.create_task(self.serve())
            if when == "after the task":
                loop.call_soon(stop)

        async def serve(self):
            try:
                await asyncio.sleep(100)
            finally:
                self.transport.close()

    server = loop.run_until_complete(loop.create_server(Server, "127.0.0.1", 0))
    with socket.create_connection(server.sockets[0].getsockname(), timeout=PATIENCE) as client:
        loop.run_forever()
        server.close()
        loop.run_until_complete(asyncio.wait_for(server.wait_closed(), PATIENCE))
        [protocol] = made
        loop.run_until_complete(asyncio.wait_for(protocol.lost(), PATIENCE))
        assert ending(client) == "end"
        if not protocol.task.done():
            protocol.task.cancel()
        loop.run_until_complete(asyncio.gather(protocol.task, return_exceptions=True))


async def test_who_is_being_accepted_is_no_task_that_can_be_seen_later():
    loop = asyncio.get_running_loop()

    made = loop.create_future()

    class Server(Recorder):
        def connection_made(self, transport):
            super().connection_made(transport)
            self.task = loop.create_task(asyncio.sleep(0))
            made.set_result(self)

    async with await loop.create_server(Server, "127.0.0.1", 0) as server:
        with socket.create_connection(server.sockets[0].getsockname(), timeout=PATIENCE):
            here = await made
            await here.task
            await asyncio.sleep(0)  # asyncio's own task for it ends when the connection has begun
            assert asyncio.all_tasks() == {asyncio.current_task()}
            here.transport.abort()
            await here.lost()


async def test_who_is_being_accepted_answers_as_a_task_does(reports):
    loop = asyncio.get_running_loop()
    seen = loop.create_future()

    class Server(Recorder):
        def connection_made(self, transport):
            super().connection_made(transport)
            loop.call_soon(self.look)
            loop.call_soon(bool)

        def look(self):
            for task in asyncio.all_tasks():
                task.print_stack(file=io.StringIO())
                answers = task.get_coro().__name__, task.get_name(), task.get_stack(), task.cancelling()
                assert [*map(type, answers)] == [str, str, list, int]
                if sys.version_info >= (3, 12):
                    assert isinstance(task.get_context(), contextvars.Context)
            seen.set_result(len(asyncio.all_tasks()))
            self.transport.close()

    loop.set_exception_handler(reports)
    async with await loop.create_server(Server, "127.0.0.1", 0) as server:
        with socket.create_connection(server.sockets[0].getsockname(), timeout=PATIENCE):
            assert await asyncio.wait_for(seen, PATIENCE) >= 2  # ours, and the newcomer
    assert reports == []
