"""Transports: what they are, what they tell, set_protocol, BufferedProtocol, replaced methods."""

import asyncio
import gc
import socket
import warnings
import weakref

import pytest

from tests.support.net import blocking, read_exactly, tcp_pair, unix_pair
from tests.support.protocols import BufferedRecorder, Recorder
from tests.support.pythons import collect


@pytest.fixture
async def connection():
    """Make a transport; what the test leaves open is aborted. Gives (transport, protocol, blocking peer)."""
    pairs, opened = [], []

    async def connection(factory=Recorder, pair=unix_pair):
        pairs.append(pair())
        ours, peer = pairs[-1].__enter__()
        opened.append(await asyncio.get_running_loop().create_connection(factory, sock=ours))
        return (*opened[-1], peer)

    yield connection
    for transport, protocol in opened:
        if "lost" not in protocol.events:
            transport.abort()
            await protocol.lost()
    for manager in pairs:
        manager.__exit__(None, None, None)


# --- what they are and tell


@pytest.mark.uvloop_differs(reason="classes of its own")
async def test_it_is_an_asyncio_transport(connection):
    transport, _, _ = await connection()
    assert isinstance(transport, asyncio.Transport)
    assert isinstance(transport, asyncio.ReadTransport)
    assert isinstance(transport, asyncio.WriteTransport)


@pytest.mark.uvloop_differs(reason="a PseudoSocket that refuses more")
async def test_the_socket_is_a_transport_socket(connection):
    transport, _, peer = await connection(pair=tcp_pair)
    sock = transport.get_extra_info("socket")
    assert isinstance(sock, asyncio.trsock.TransportSocket)
    assert sock.family == socket.AF_INET
    assert sock.type == socket.SOCK_STREAM
    assert sock.getpeername() == peer.getsockname()
    assert sock.gettimeout() == 0
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    sock.shutdown(socket.SHUT_WR)
    assert peer.recv(10) == b""


async def test_names_are_known_and_stay_known_after_closing(connection):
    transport, protocol, peer = await connection(pair=tcp_pair)
    assert transport.get_extra_info("peername") == peer.getsockname()
    assert transport.get_extra_info("sockname") == peer.getpeername()
    names = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
    transport.close()
    await protocol.lost()
    await asyncio.sleep(0)
    assert (transport.get_extra_info("peername"), transport.get_extra_info("sockname")) == names


@pytest.mark.uvloop_differs(reason="None")
async def test_the_socket_is_known_after_closing_and_is_closed(connection):
    transport, protocol, _ = await connection()
    transport.close()
    await protocol.lost()
    await asyncio.sleep(0)
    assert transport.get_extra_info("socket").fileno() == -1


async def test_the_peer_is_known_though_it_has_gone_already():
    loop = asyncio.get_running_loop()
    with tcp_pair() as (ours, theirs):
        name = theirs.getsockname()
        theirs.close()
        transport, protocol = await loop.create_connection(Recorder, sock=ours)
        assert transport.get_extra_info("peername") in (name, None)
        await protocol.lost()


async def test_what_is_unknown_is_the_default(connection):
    transport, _, _ = await connection()
    marker = object()
    assert transport.get_extra_info("nonsense") is None
    assert transport.get_extra_info("nonsense", marker) is marker
    assert transport.get_extra_info("sslcontext") is None
    assert transport.get_extra_info("peercert", marker) is marker


async def test_repr_works_in_every_state(connection):
    transport, protocol, _ = await connection()
    assert repr(transport).startswith("<")
    transport.write(b"x" * 1_000_000)
    assert repr(transport)
    transport.pause_reading()
    assert repr(transport)
    transport.close()
    assert repr(transport)
    transport.abort()
    await protocol.lost()
    assert repr(transport)


@pytest.mark.uvloop_differs(reason="its own repr")
async def test_repr_tells_the_state(connection):
    transport, protocol, _ = await connection()
    await asyncio.sleep(0.001)
    number = transport.get_extra_info("socket").fileno()
    assert f" fd={number} read=" in repr(transport)
    assert "write=<idle, bufsize=0>" in repr(transport)
    transport.close()
    assert "closing" in repr(transport)
    await protocol.lost()
    await asyncio.sleep(0)
    assert "closed" in repr(transport)


async def test_it_takes_weak_references_and_goes_when_it_is_closed(connection):
    transport, protocol, _ = await connection()
    reference = weakref.ref(transport)
    assert reference() is transport


@pytest.mark.uvloop_differs(reason="does not keep to this", run=False)
async def test_a_transport_nobody_closed_warns():
    loop = asyncio.get_running_loop()
    with unix_pair() as (ours, theirs):
        transport, protocol = await loop.create_connection(Recorder, sock=ours)
        transport.pause_reading()
        await asyncio.sleep(0.001)
        protocol.transport = None
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            del transport, protocol, ours
            gc.collect()
        messages = [str(w.message) for w in caught if issubclass(w.category, ResourceWarning)]
        assert any(message.startswith("unclosed transport <") for message in messages)


@pytest.mark.uvloop_differs(reason="does not keep to this", run=False)
@pytest.mark.parametrize("kind", ["stream", "datagram"])
def test_a_transport_warns_though_its_socket_was_closed_before_it(new_loop, kind):
    """The collector ends a cycle in any order, and programs close sockets that are not theirs any more."""
    loop = new_loop()
    ours, theirs = socket.socketpair(type=socket.SOCK_STREAM if kind == "stream" else socket.SOCK_DGRAM)
    if kind == "stream":
        making = loop.create_connection(asyncio.Protocol, sock=ours)
    else:
        making = loop.create_datagram_endpoint(asyncio.DatagramProtocol, sock=ours)
    transport, _ = loop.run_until_complete(making)
    loop.close()
    ours.close()
    theirs.close()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        del transport, _, making
        collect()
    messages = [str(w.message) for w in caught if issubclass(w.category, ResourceWarning)]
    assert [message[:20] for message in messages] == ["unclosed transport <"]


# --- set_protocol


async def test_the_protocol_can_be_replaced(connection):
    transport, first, peer = await connection()
    assert transport.get_protocol() is first
    peer.sendall(b"one")
    await first.received(3)
    second = Recorder()
    transport.set_protocol(second)
    assert transport.get_protocol() is second
    peer.sendall(b"two")
    await second.received(3)
    transport.close()
    await second.lost()
    assert first.data == b"one"
    assert first.events == ["made", "data"]
    assert second.events == ["data", "lost"]
    first.note("lost")  # for the fixture: it has nothing left to close


async def test_the_protocol_can_be_replaced_when_all_is_over():
    """A library that puts its own back at the end, say. That does not make the transport an open one."""
    with unix_pair() as (ours, _):
        transport, protocol = await asyncio.get_running_loop().create_connection(Recorder, sock=ours)
        transport.close()
        await protocol.lost()
        await asyncio.sleep(0)
        transport.set_protocol(protocol)
        assert transport.get_protocol() is protocol
        protocol.transport = None
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            del transport
            collect()
        assert [str(w.message) for w in caught] == []


@pytest.mark.parametrize(
    ("first_kind", "second_kind"), [(Recorder, BufferedRecorder), (BufferedRecorder, Recorder)]
)
async def test_the_other_kind_of_protocol_can_take_over(connection, first_kind, second_kind):
    transport, first, peer = await connection(first_kind)
    peer.sendall(b"one")
    await first.received(3)
    second = second_kind()
    transport.set_protocol(second)
    peer.sendall(b"two")
    assert await second.received(3) == b"two"
    assert first.data == b"one"
    transport.close()
    await second.lost()
    first.note("lost")


async def test_replacing_the_protocol_in_data_received(connection):
    second = Recorder()

    class Handing(Recorder):
        def data_received(self, data):
            super().data_received(data)
            self.transport.set_protocol(second)

    transport, first, peer = await connection(Handing)
    peer.sendall(b"one")
    await first.received(3)
    peer.sendall(b"two")
    assert await second.received(3) == b"two"
    transport.close()
    await second.lost()
    first.note("lost")


async def test_replacing_the_protocol_in_connection_made(connection):
    second = Recorder()

    class Handing(Recorder):
        def connection_made(self, transport):
            super().connection_made(transport)
            transport.set_protocol(second)

    transport, first, peer = await connection(Handing)
    peer.sendall(b"for the second")
    assert await second.received(14) == b"for the second"
    transport.close()
    await second.lost()
    first.note("lost")


# --- methods replaced on an instance


@pytest.mark.uvloop_differs(reason="transports take no attributes", run=False)
async def test_a_replaced_write_is_used(connection):
    transport, protocol, peer = await connection()
    written, original = [], transport.write

    def write(data):
        written.append(bytes(data))
        original(data)

    transport.write = write
    transport.write(b"hello")
    assert written == [b"hello"]
    assert await blocking(read_exactly, peer, 5) == b"hello"


@pytest.mark.uvloop_differs(reason="transports take no attributes", run=False)
async def test_streams_use_replaced_methods():
    with unix_pair() as (ours, theirs):
        _, writer = await asyncio.open_unix_connection(sock=ours)
        calls = []
        original = writer.transport.write
        writer.transport.write = lambda data: (calls.append("write"), original(data))
        writer.write(b"hello")
        await writer.drain()
        assert calls == ["write"]
        assert await blocking(theirs.recv, 10) == b"hello"
        writer.transport.abort()
        await asyncio.sleep(0.001)


@pytest.mark.uvloop_differs(reason="transports take no attributes", run=False)
async def test_a_replaced_close_is_used_when_the_stream_ends(connection):
    transport, protocol, peer = await connection()
    closed = []
    original = transport.close
    transport.close = lambda: (closed.append(1), original())
    peer.shutdown(socket.SHUT_WR)
    await protocol.lost()
    assert closed == [1]


async def test_a_protocol_whose_methods_are_replaced_before_any_data(connection):
    transport, protocol, peer = await connection()
    got = []
    protocol.data_received = lambda data: (got.append(data), protocol.note("data"))
    transport.set_protocol(protocol)
    peer.sendall(b"x")
    await protocol.until_event("data")
    assert got == [b"x"]


def test_methods_of_a_loop_can_be_replaced(new_loop, loop_name):
    if loop_name == "uvloop":
        pytest.xfail("C calls C there")
    loop = new_loop()
    calls = []
    original = loop.call_soon

    def call_soon(callback, *args, context=None):
        calls.append(callback)
        return original(callback, *args, context=context)

    loop.call_soon = call_soon

    async def main():
        await asyncio.sleep(0)
        future = loop.create_future()
        future.add_done_callback(lambda _: None)
        future.set_result(1)
        await future

    loop.run_until_complete(main())
    assert len(calls) >= 3


# --- BufferedProtocol


async def test_a_buffered_protocol_gets_the_data_in_its_own_buffer(connection):
    transport, protocol, peer = await connection(BufferedRecorder)
    peer.sendall(b"hello")
    assert await protocol.received(5) == b"hello"
    peer.close()
    assert await protocol.lost() is None
    assert protocol.events == ["made", "data", "eof", "lost"]


async def test_a_small_buffer_is_filled_again_and_again(connection):
    transport, protocol, peer = await connection(lambda: BufferedRecorder(size=7))
    data = bytes(range(256))
    peer.sendall(data)
    assert await protocol.received(256) == data


async def test_any_writable_buffer_will_do(connection):
    class Slices(BufferedRecorder):
        def get_buffer(self, sizehint):
            return memoryview(self.buffer)[100:110]

        def buffer_updated(self, nbytes):
            self.data += self.buffer[100 : 100 + nbytes]
            self.note("data")

    transport, protocol, peer = await connection(Slices)
    peer.sendall(b"0123456789abc")
    assert await protocol.received(13) == b"0123456789abc"


@pytest.mark.uvloop_differs(reason="hints 65536")
async def test_the_size_hint_is_minus_one(connection):
    transport, protocol, peer = await connection(BufferedRecorder)
    peer.sendall(b"x")
    await protocol.received(1)
    assert set(protocol.hints) == {-1}


@pytest.mark.uvloop_differs(reason="another text, another kind of error", run=False)
@pytest.mark.parametrize("answer", [b"", bytearray()])
async def test_an_empty_buffer_ends_the_connection(connection, reports, answer):
    class Empty(BufferedRecorder):
        def get_buffer(self, sizehint):
            return answer

    asyncio.get_running_loop().set_exception_handler(reports)
    transport, protocol, peer = await connection(Empty)
    peer.sendall(b"x")
    error = await protocol.lost()
    assert isinstance(error, RuntimeError)
    assert str(error) == "get_buffer() returned an empty buffer"
    assert len(reports) == 1


@pytest.mark.uvloop_differs(reason="connection_lost() is told a RuntimeError", run=False)
@pytest.mark.parametrize("method", ["get_buffer", "buffer_updated"])
async def test_an_exception_of_a_buffered_protocol_ends_the_connection(connection, reports, method):
    class Failing(BufferedRecorder):
        pass

    def fail(self, *args):
        raise LookupError(f"in {method}")

    setattr(Failing, method, fail)
    asyncio.get_running_loop().set_exception_handler(reports)
    transport, protocol, peer = await connection(Failing)
    peer.sendall(b"x")
    assert isinstance(await protocol.lost(), LookupError)
    assert len(reports) == 1
    assert reports[0]["protocol"] is protocol
    assert reports[0]["transport"] is transport


@pytest.mark.uvloop_differs(reason="another text")
@pytest.mark.parametrize("method", ["get_buffer", "buffer_updated"])
async def test_the_report_names_the_method(connection, reports, method):
    class Failing(BufferedRecorder):
        pass

    def fail(self, *args):
        raise LookupError(f"in {method}")

    setattr(Failing, method, fail)
    asyncio.get_running_loop().set_exception_handler(reports)
    transport, protocol, peer = await connection(Failing)
    peer.sendall(b"x")
    await protocol.lost()
    assert reports.messages == [f"Fatal error: protocol.{method}() call failed."]


async def test_a_buffered_protocol_can_pause(connection):
    class OneAtATime(BufferedRecorder):
        def buffer_updated(self, nbytes):
            super().buffer_updated(nbytes)
            self.transport.pause_reading()

    transport, protocol, peer = await connection(lambda: OneAtATime(size=10))
    peer.sendall(b"0123456789abcdefghij")
    await protocol.received(10)
    await asyncio.sleep(0.002)
    assert len(protocol.data) == 10
    transport.resume_reading()
    assert await protocol.received(20) == b"0123456789abcdefghij"


async def test_a_buffered_protocol_may_keep_the_connection_open_after_the_end(connection):
    transport, protocol, peer = await connection(lambda: BufferedRecorder(keep_open=True))
    peer.shutdown(socket.SHUT_WR)
    await protocol.until_event("eof")
    transport.write(b"answer")
    assert await blocking(read_exactly, peer, 6) == b"answer"
