"""SSLTransport on the inside: frames, records, memory, what the poller is told."""

import asyncio
import contextlib
import gc
import socket
import ssl
import sys
import weakref

import pytest

from loopkit.tls.upgrade import UpgradedSSLTransport
from tests.support.leaks import open_descriptors
from tests.support.net import blocking, connect, reset, unix_pair
from tests.support.protocols import BufferedRecorder, Recorder
from tests.support.pythons import cpython_only, drop
from tests.support.tls import NAME, client_context, server_context, tls_connect


@contextlib.asynccontextmanager
async def pair(protocol=Recorder):
    """A client and a server protocol of the loop under test, connected to each other."""
    loop = asyncio.get_running_loop()
    made = loop.create_future()

    class Server(Recorder):
        def connection_made(self, transport):
            super().connection_made(transport)
            made.set_result(self)

    async with await loop.create_server(Server, "127.0.0.1", 0, ssl=server_context()) as listener:
        address = listener.sockets[0].getsockname()
        _, client = await loop.create_connection(
            protocol, *address, ssl=client_context(), server_hostname=NAME
        )
        server = await made
        yield client, server
        for side in client, server:
            side.transport.abort()
            await side.lost()


async def test_one_frame_stands_between_the_turn_and_the_protocol():
    names = []

    class Looking(Recorder):
        def data_received(self, data):
            frame = sys._getframe(1)
            while frame.f_code.co_name not in ("_turns", "call"):
                names.append(frame.f_code.co_name)
                frame = frame.f_back
            super().data_received(data)

    async with pair(Looking) as (client, server):
        server.transport.write(b"hello")
        await client.received(5)
    assert [name for name in names if name != "_run"] == ["on_readable"]  # that one is debug mode's


async def test_the_protocol_can_be_replaced_when_all_is_over():
    """asyncio's raises AttributeError. Whoever puts his own back does not make the transport an open one."""
    async with pair() as (client, server):
        transport = client.transport
        transport.abort()
        await client.lost()
        await asyncio.sleep(0)
        transport.set_protocol(client)
        client.transport = server.transport
        gone = weakref.ref(transport)
        del transport
    drop()  # `pair` held it, too
    assert gone() is None


async def test_one_descriptor_a_connection():
    async with pair():
        before = len(open_descriptors())
        async with pair():
            assert len(open_descriptors()) == before + 3  # both ends, and a listener


@cpython_only("it has tracemalloc")
async def test_no_buffer_is_kept_for_an_idle_connection():
    if asyncio.get_running_loop().get_debug():
        pytest.skip("in debug mode every handle carries the place of its birth")
    import tracemalloc

    async with pair():  # what is imported and cached at the first time
        pass
    gc.collect()
    tracemalloc.start()
    try:
        async with contextlib.AsyncExitStack() as stack:
            before = tracemalloc.get_traced_memory()[0]
            for _ in range(10):
                await stack.enter_async_context(pair())
            gc.collect()
            used = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert used / 20 < 16 * 1024  # Python's part of either end, with contexts and certificates of its own


async def test_an_echo_asks_the_poller_nothing():
    """Not one epoll_ctl, in its own words."""

    class Echo(Recorder):
        def data_received(self, data):
            super().data_received(data)
            self.transport.write(data)

    async with pair(Echo) as (client, server):
        server.transport.write(b"warm")
        await server.received(4)
        tables, calls = asyncio.get_running_loop()._watches, []
        arm, settle = tables._arm, tables._settle
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(type(tables), "_arm", lambda self, *args: (calls.append(args), arm(*args)))
            patch.setattr(type(tables), "_settle", lambda self, *args: (calls.append(args), settle(*args)))
            for count in range(1, 6):
                server.transport.write(b"echo")
                await server.received(4 + 4 * count)
        assert calls == []
        assert client.data.endswith(b"echo")


async def test_what_an_interrupted_connection_left_in_the_buffers_reaches_no_other_one():
    """All connections of a loop share the two buffers; Ctrl-C may come between two lines that use them."""
    loop = asyncio.get_running_loop()

    def soil():
        loop._tls.is_at_rest = False
        loop._tls.incoming.write(b"half a record")
        loop._tls.outgoing.write(b"an answer to nobody")

    async with pair() as (client, server):
        for count, (sender, receiver) in enumerate([(client, server), (server, client)] * 2, 1):
            soil()
            sender.transport.write(b"x" * 40_000)  # not held
            await receiver.received(40_000 * (count + 1 >> 1))
        soil()
        async with pair() as (newcomer, other):
            newcomer.transport.write(b"hello")
            await other.received(5)
            soil()
            newcomer.transport.close()
            assert await other.lost() is None
            assert await newcomer.lost() is None
        soil()
        client.transport.write(b"small")
        await server.received(80_005)
        assert client.data == b"x" * 80_000


async def test_what_a_program_says_by_its_ssl_object_reaches_no_other_connection():
    """It may do so at any time, and none of us sees it."""

    class Echo(Recorder):
        def data_received(self, data):
            super().data_received(data)
            said_by.write(b"nobody sends this")
            self.transport.write(data)
            asyncio.get_running_loop().call_soon(said_by.write, b"nor this")

    async with pair() as (other_client, other_server), pair(Echo) as (client, server):
        said_by = other_server.transport.get_extra_info("ssl_object")
        assert said_by.version() == "TLSv1.3"
        for count in range(1, 10):
            server.transport.write(b"x" * 2_000)
            client.transport.write(b"y" * 40_000)  # not held
            await server.received(42_000 * count)
        assert sorted(server.data) == sorted(b"x" * 18_000 + b"y" * 360_000)
        assert other_client.data == b""


async def test_nothing_refers_to_a_connection_that_has_ended():
    """Nor to its context: there is no circle, though OpenSSL says by exceptions that it wants more."""
    gc.collect()
    gc.disable()
    try:
        loop, context = asyncio.get_running_loop(), client_context()
        async with await loop.create_server(Recorder, "127.0.0.1", 0, ssl=server_context()) as listener:
            client = Recorder()
            await loop.create_connection(
                lambda: client, *listener.sockets[0].getsockname(), ssl=context, server_hostname=NAME
            )
            client.transport.write(b"hello")
            await asyncio.sleep(0.01)
            client.transport.close()
            await client.lost()
            await asyncio.sleep(0.01)
        transport, context = weakref.ref(client.transport), weakref.ref(context)
        client.transport = None
        drop()
        assert transport() is None
        assert context() is None
    finally:
        gc.enable()


@cpython_only("objects have a size to ask for")
async def test_a_large_write_leaves_the_loops_buffers_small():
    async with pair() as (client, server):
        data = bytes(range(256)) * 40_000
        client.transport.write(data)
        buffers = asyncio.get_running_loop()._tls
        assert not buffers.outgoing.pending
        assert not buffers.incoming.pending
        assert sys.getsizeof(buffers.fetch()) < 100
        assert await server.received(len(data)) == data


async def test_many_small_records_reach_the_protocol_joined():
    """Each is a call of the protocol otherwise, five times what asyncio needs."""

    class Counting(Recorder):
        calls = 0

        def data_received(self, data):
            self.calls += 1
            super().data_received(data)

    protocols = []

    def factory():
        protocols.append(Counting())
        return protocols[-1]

    loop = asyncio.get_running_loop()
    async with await loop.create_server(factory, "127.0.0.1", 0, ssl=server_context()) as listener:
        address = listener.sockets[0].getsockname()

        def send():
            with connect(address) as sock:
                incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
                tls = client_context().wrap_bio(incoming, outgoing, server_hostname=NAME)
                while True:
                    try:
                        tls.do_handshake()
                        break
                    except ssl.SSLWantReadError:
                        sock.sendall(outgoing.read())
                        incoming.write(sock.recv(65536))
                sock.sendall(outgoing.read())
                for number in range(3000):
                    tls.write(b"%4d" % number)
                sock.sendall(outgoing.read())
                sock.shutdown(socket.SHUT_WR)
                while sock.recv(65536):
                    pass

        await blocking(send)
        [protocol] = protocols
        await protocol.lost()
        assert protocol.data == b"".join(b"%4d" % number for number in range(3000))
        assert protocol.calls < 30


async def test_a_failed_handshake_is_reported_in_debug_mode_only(reports):
    loop = asyncio.get_running_loop()
    loop.set_debug(False)
    loop.set_exception_handler(reports)

    def knock(address):
        with connect(address) as sock, contextlib.suppress(ConnectionResetError):
            sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
            sock.recv(100)

    async with await loop.create_server(Recorder, "127.0.0.1", 0, ssl=server_context()) as listener:
        address = listener.sockets[0].getsockname()
        await blocking(knock, address)
        assert reports == []
        loop.set_debug(True)
        await blocking(knock, address)
        loop.set_debug(False)
    assert reports.messages == ["Error on transport creation for incoming connection"]


async def test_a_protocol_may_change_its_kind_in_the_middle_of_a_record():
    """What a small buffer left inside OpenSSL goes to the next protocol."""

    class Small(BufferedRecorder):
        def buffer_updated(self, nbytes):
            super().buffer_updated(nbytes)
            self.transport.set_protocol(rest)

    rest = Recorder()
    async with pair(lambda: Small(size=10)) as (client, server):
        server.transport.write(b"0123456789and the rest")
        assert await rest.received(12) == b"and the rest"
        assert client.data == b"0123456789"
        client.transport.set_protocol(client)


async def test_start_tls_leaves_a_shell_of_the_old_transport():
    loop = asyncio.get_running_loop()
    with unix_pair() as (ours, theirs):
        theirs.setblocking(False)
        left, client = await loop.create_connection(Recorder, sock=ours)
        right, server = await loop.create_connection(Recorder, sock=theirs)
        secure, _ = await asyncio.gather(
            loop.start_tls(left, client, client_context(), server_hostname=NAME),
            loop.start_tls(right, server, server_context(), server_side=True),
        )
        assert type(secure) is UpgradedSSLTransport
        assert loop._watches.owner(ours.fileno()) is secure
        assert repr(left) == f"<ReplacedTransport {secure!r}>"
        assert "SSLTransport" in repr(secure)
        secure.close()
        assert await server.lost() is None
        assert await client.lost() is None
        assert "closed" in repr(secure)
        assert "closed" in repr(left)
        assert left.is_closing()
        left.close()
        left.abort()
        left.pause_reading()
        left.write(b"x")


async def test_a_client_that_resets_in_the_handshake_leaves_nothing(reports):
    loop = asyncio.get_running_loop()
    loop.set_debug(False)
    loop.set_exception_handler(reports)
    async with await loop.create_server(Recorder, "127.0.0.1", 0, ssl=server_context()) as listener:
        address = listener.sockets[0].getsockname()
        for _ in range(5):
            await blocking(lambda: reset(connect(address)))
        sock = await blocking(tls_connect, address)  # it still serves
        sock.close()
    assert reports == []
