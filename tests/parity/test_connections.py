"""The life of a connection: what comes before what, ends of streams, closing, aborting."""

import asyncio
import contextlib
import errno
import socket

import pytest

from tests.support.net import (
    TOO_MUCH,
    blocking,
    connect,
    fill,
    read_all,
    read_exactly,
    reset,
    tcp_pair,
    unix_pair,
)
from tests.support.protocols import BufferedRecorder, Recorder

PAIRS = {"tcp": tcp_pair, "unix": unix_pair}


@pytest.fixture(params=PAIRS)
def pair(request):
    with PAIRS[request.param]() as ends:
        yield ends


@pytest.fixture
async def open_on():
    """Make a transport on a socket; what the test leaves open is aborted."""
    opened = []

    async def open_on(sock, factory=Recorder):
        opened.append(await asyncio.get_running_loop().create_connection(factory, sock=sock))
        return opened[-1]

    yield open_on
    for transport, protocol in opened:
        if "lost" not in protocol.events:
            transport.abort()
            await protocol.lost()


@pytest.mark.uvloop_differs(reason="data_received comes before the awaiting coroutine goes on")
async def test_the_awaiting_coroutine_goes_on_between_connection_made_and_the_first_data(pair, open_on):
    order = []

    class Ordered(Recorder):
        def connection_made(self, transport):
            super().connection_made(transport)
            order.append("connection_made")

        def data_received(self, data):
            super().data_received(data)
            order.append("data_received")

    ours, theirs = pair
    theirs.sendall(b"early")
    transport, protocol = await open_on(ours, Ordered)
    order.append("awaiting coroutine")
    await protocol.received(5)
    transport.abort()
    await protocol.lost()
    assert order == ["connection_made", "awaiting coroutine", "data_received"]


@pytest.mark.uvloop_differs(reason="data_received comes before the awaiting coroutine goes on")
async def test_so_it_is_with_connect_accepted_socket():
    loop = asyncio.get_running_loop()
    with tcp_pair() as (ours, theirs):
        theirs.sendall(b"early")
        transport, protocol = await loop.connect_accepted_socket(Recorder, ours)
        events = list(protocol.events)
        await protocol.received(5)
        transport.abort()
        await protocol.lost()
        assert events == ["made"]


async def test_the_end_of_the_stream_closes_by_default(pair, open_on):
    ours, theirs = pair
    transport, protocol = await open_on(ours)
    theirs.sendall(b"last words")
    theirs.close()
    assert await protocol.lost() is None
    assert protocol.events[0] == "made"
    assert protocol.events[-2:] == ["eof", "lost"]
    assert protocol.data == b"last words"
    assert transport.is_closing()


async def test_data_end_lost_come_once_and_in_this_order(pair, open_on):
    ours, theirs = pair
    _, protocol = await open_on(ours)
    theirs.sendall(b"x")
    theirs.shutdown(socket.SHUT_RDWR)
    await protocol.lost()
    await asyncio.sleep(0.002)
    assert protocol.events == ["made", "data", "eof", "lost"]


async def test_a_connection_kept_open_after_the_end_can_still_be_written_to(pair, open_on):
    ours, theirs = pair
    transport, protocol = await open_on(ours, lambda: Recorder(keep_open=True))
    theirs.sendall(b"question")
    theirs.shutdown(socket.SHUT_WR)
    await protocol.until_event("eof")
    await asyncio.sleep(0.002)
    assert "lost" not in protocol.events
    assert not transport.is_closing()
    transport.write(b"answer")
    assert await blocking(read_exactly, theirs, 6) == b"answer"
    transport.close()
    assert await protocol.lost() is None
    assert await blocking(theirs.recv, 10) == b""


async def test_the_end_of_the_stream_waits_for_what_is_still_to_be_written(pair, open_on):
    ours, theirs = pair
    transport, protocol = await open_on(ours)
    data = b"x" * 4_000_000
    transport.write(data)
    theirs.shutdown(socket.SHUT_WR)
    await protocol.until_event("eof")
    assert await blocking(read_all, theirs) == data
    assert await protocol.lost() is None


async def test_an_exception_in_eof_received_ends_the_connection(pair, open_on, reports):
    class Failing(Recorder):
        def eof_received(self):
            super().eof_received()
            raise LookupError("in eof_received")

    asyncio.get_running_loop().set_exception_handler(reports)
    ours, theirs = pair
    _, protocol = await open_on(ours, Failing)
    theirs.shutdown(socket.SHUT_WR)
    assert isinstance(await protocol.lost(), LookupError)
    assert len(reports) == 1


async def test_a_reset_is_an_error_and_nobody_is_bothered(open_on):
    with tcp_pair() as (ours, theirs):
        _, protocol = await open_on(ours)
        reset(theirs)
        assert isinstance(await protocol.lost(), ConnectionResetError)
        assert protocol.events == ["made", "lost"]


async def test_writing_to_a_peer_that_is_gone_is_an_error_of_the_connection(open_on):
    with tcp_pair() as (ours, theirs):
        transport, protocol = await open_on(ours)
        transport.pause_reading()
        reset(theirs)
        for _ in range(3):
            if not transport.is_closing():
                transport.write(b"x" * 100_000)
            await asyncio.sleep(0.001)
        error = await protocol.lost()
        assert isinstance(error, (BrokenPipeError, ConnectionResetError))


async def test_close_writes_what_is_left_first(pair, open_on):
    ours, theirs = pair
    transport, protocol = await open_on(ours)
    data = bytes(range(256)) * (TOO_MUCH // 256)
    transport.write(data)
    transport.close()
    assert transport.is_closing()
    await asyncio.sleep(0.001)
    assert "lost" not in protocol.events
    assert await blocking(read_all, theirs) == data
    assert await protocol.lost() is None


async def test_close_ends_reading_at_once(pair, open_on):
    ours, theirs = pair
    transport, protocol = await open_on(ours)
    transport.write(b"x" * 4_000_000)
    transport.close()
    theirs.sendall(b"too late")
    with contextlib.suppress(ConnectionResetError):  # which is how the kernel tells of bytes that nobody read
        await blocking(read_all, theirs)
    await protocol.lost()
    assert protocol.data == b""


async def test_connection_lost_is_never_called_inside_close(pair, open_on):
    ours, _ = pair
    transport, protocol = await open_on(ours)
    transport.close()
    assert protocol.events == ["made"]
    await protocol.lost()


async def test_closing_twice_is_closing(pair, open_on):
    ours, _ = pair
    transport, protocol = await open_on(ours)
    assert not transport.is_closing()
    transport.close()
    transport.close()
    await protocol.lost()
    transport.close()
    await asyncio.sleep(0.001)
    assert protocol.events == ["made", "lost"]


async def test_abort_throws_away_what_is_left(pair, open_on):
    ours, theirs = pair
    transport, protocol = await open_on(ours)
    transport.write(b"x" * 20_000_000)
    transport.abort()
    assert protocol.events[-1] != "lost"
    assert await protocol.lost() is None
    with_what_came = await blocking(read_all, theirs)
    assert len(with_what_came) < 20_000_000
    assert transport.get_write_buffer_size() == 0


async def test_abort_after_close_does_not_wait(pair, open_on):
    ours, _ = pair
    transport, protocol = await open_on(ours)
    transport.write(b"x" * 20_000_000)
    transport.close()
    transport.abort()
    assert await protocol.lost() is None


async def test_the_socket_is_closed_after_connection_lost(pair, open_on):
    ours, _ = pair
    transport, protocol = await open_on(ours)
    sock = transport.get_extra_info("socket")
    assert sock.fileno() >= 0
    transport.close()
    await protocol.lost()
    await asyncio.sleep(0)
    assert ours.fileno() == -1


async def test_write_eof_sends_the_end_and_leaves_reading_open(pair, open_on):
    ours, theirs = pair
    transport, protocol = await open_on(ours)
    assert transport.can_write_eof()
    transport.write(b"question")
    transport.write_eof()
    assert await blocking(read_all, theirs) == b"question"
    theirs.sendall(b"answer")
    assert await protocol.received(6) == b"answer"
    theirs.close()
    assert await protocol.lost() is None


async def test_write_eof_waits_for_what_is_still_to_be_written(pair, open_on):
    ours, theirs = pair
    transport, protocol = await open_on(ours)
    data = b"x" * 4_000_000
    transport.write(data)
    transport.write_eof()
    transport.write_eof()
    assert await blocking(read_all, theirs) == data
    transport.close()
    await protocol.lost()


async def test_writing_after_write_eof_is_refused(pair, open_on):
    ours, _ = pair
    transport, protocol = await open_on(ours)
    transport.write_eof()
    with pytest.raises(RuntimeError, match="(?i)^cannot call write\\(\\) after write_eof\\(\\)$"):
        transport.write(b"x")
    transport.close()
    await protocol.lost()


@pytest.mark.uvloop_differs(reason="write_eof() says nothing, and ends the connection")
async def test_write_eof_after_a_reset_says_so_and_what_had_come_is_read(open_on):
    with tcp_pair() as (ours, theirs):
        transport, protocol = await open_on(ours)
        theirs.sendall(b"last words")
        transport.pause_reading()
        reset(theirs)
        with pytest.raises(OSError) as caught:
            transport.write_eof()
        assert caught.value.errno == errno.ENOTCONN
        assert not transport.is_closing()
        transport.resume_reading()
        assert isinstance(await protocol.lost(), ConnectionResetError)
        assert protocol.data == b"last words"


@pytest.mark.parametrize("by", ["a callback", "data_received", "writelines"])
async def test_a_write_after_a_reset_is_told_of_the_reset(by):
    """The kernel says so once; whoever sends again hears of a broken pipe."""

    class Answering(Recorder):
        def connection_made(self, transport):
            super().connection_made(transport)
            transport.pause_reading()
            made.set_result(self)

        def data_received(self, data):
            super().data_received(data)
            self.transport.write(b"answer")

    loop = asyncio.get_running_loop()
    made = loop.create_future()
    async with await loop.create_server(Answering, "127.0.0.1", 0) as server:
        peer = connect(server.sockets[0].getsockname())
        protocol = await made
        peer.sendall(b"question")
        reset(peer)
        if by == "data_received":
            protocol.transport.resume_reading()
        elif by == "a callback":
            loop.call_soon(protocol.transport.write, b"x")
        else:
            loop.call_soon(protocol.transport.writelines, [b"x", b"y"])
        assert isinstance(await protocol.lost(), ConnectionResetError)


async def test_write_eof_then_the_peers_end_closes(pair, open_on):
    ours, theirs = pair
    transport, protocol = await open_on(ours)
    transport.write_eof()
    theirs.shutdown(socket.SHUT_WR)
    assert await protocol.lost() is None


async def test_write_eof_and_close(pair, open_on):
    ours, theirs = pair
    transport, protocol = await open_on(ours)
    transport.write(b"x" * 2_000_000)
    transport.write_eof()
    transport.close()
    assert len(await blocking(read_all, theirs)) == 2_000_000
    assert await protocol.lost() is None


async def test_pausing_stops_reading_and_resuming_goes_on(pair, open_on):
    ours, theirs = pair
    transport, protocol = await open_on(ours)
    assert transport.is_reading()
    transport.pause_reading()
    assert not transport.is_reading()
    theirs.sendall(b"waits")
    await asyncio.sleep(0.003)
    assert protocol.data == b""
    transport.resume_reading()
    assert transport.is_reading()
    assert await protocol.received(5) == b"waits"
    transport.close()
    assert not transport.is_reading()
    await protocol.lost()


async def test_pausing_and_resuming_twice_is_harmless(pair, open_on):
    ours, theirs = pair
    transport, protocol = await open_on(ours)
    transport.resume_reading()
    transport.pause_reading()
    transport.pause_reading()
    transport.resume_reading()
    transport.resume_reading()
    theirs.sendall(b"x")
    await protocol.received(1)
    transport.close()
    transport.pause_reading()
    transport.resume_reading()
    await protocol.lost()
    assert protocol.events == ["made", "data", "lost"]


@pytest.mark.uvloop_differs(reason="starts reading all the same")
async def test_pausing_in_connection_made_holds_back_the_first_data(pair, open_on):
    class Paused(Recorder):
        def connection_made(self, transport):
            super().connection_made(transport)
            transport.pause_reading()

    ours, theirs = pair
    theirs.sendall(b"waits")
    transport, protocol = await open_on(ours, Paused)
    await asyncio.sleep(0.003)
    assert protocol.data == b""
    transport.resume_reading()
    assert await protocol.received(5) == b"waits"
    transport.close()
    await protocol.lost()


async def test_pausing_in_data_received_holds_back_the_rest(pair, open_on):
    class OneAtATime(Recorder):
        def data_received(self, data):
            super().data_received(data)
            self.transport.pause_reading()

    ours, theirs = pair
    transport, protocol = await open_on(ours, OneAtATime)
    data = b"x" * 2_000_000
    sending = asyncio.ensure_future(blocking(theirs.sendall, data))
    await protocol.received(1)
    count = len(protocol.data)
    await asyncio.sleep(0.003)
    assert len(protocol.data) == count < len(data)
    while len(protocol.data) < len(data):
        count = len(protocol.data)
        transport.resume_reading()
        await protocol.received(count + 1)
    await sending
    transport.close()
    await protocol.lost()


@pytest.mark.uvloop_differs(reason="leaves a socket to the collector", run=False)
async def test_closing_in_connection_made(pair, open_on):
    class Closing(Recorder):
        def connection_made(self, transport):
            super().connection_made(transport)
            transport.close()

    ours, theirs = pair
    theirs.sendall(b"never read")
    _, protocol = await open_on(ours, Closing)
    assert await protocol.lost() is None
    assert protocol.events == ["made", "lost"]


async def test_closing_in_data_received(pair, open_on):
    class Closing(Recorder):
        def data_received(self, data):
            super().data_received(data)
            self.transport.write(b"bye")
            self.transport.close()

    ours, theirs = pair
    _, protocol = await open_on(ours, Closing)
    theirs.sendall(b"x")
    assert await blocking(read_all, theirs) == b"bye"
    assert await protocol.lost() is None
    assert protocol.events == ["made", "data", "lost"]


async def test_closing_in_eof_received(pair, open_on):
    class Closing(Recorder):
        def eof_received(self):
            super().eof_received()
            self.transport.close()
            return True

    ours, theirs = pair
    _, protocol = await open_on(ours, Closing)
    theirs.shutdown(socket.SHUT_WR)
    assert await protocol.lost() is None
    assert protocol.events == ["made", "eof", "lost"]


async def test_aborting_another_connection_whose_data_is_waiting(open_on):
    """Both are readable in one turn; the first ends the second, which then hears of nothing but its end."""
    with unix_pair() as (one, one_peer), unix_pair() as (two, two_peer):

        class Rival(Recorder):
            def data_received(self, data):
                super().data_received(data)
                for other in protocols:
                    if other is not self:
                        other.transport.abort()

        protocols = []
        for sock in (one, two):
            _, protocol = await open_on(sock, Rival)
            protocols.append(protocol)
        one_peer.sendall(b"x")
        two_peer.sendall(b"x")
        await asyncio.wait(
            [asyncio.ensure_future(p.lost()) for p in protocols], return_when="FIRST_COMPLETED"
        )
        loser = next(p for p in protocols if "lost" in p.events)
        winner = next(p for p in protocols if p is not loser)
        assert loser.events == ["made", "lost"]
        assert winner.events == ["made", "data"]
        winner.transport.abort()
        await winner.lost()


@pytest.mark.parametrize("recorder", [Recorder, BufferedRecorder])
async def test_a_megabyte_arrives_whole_and_in_order(pair, open_on, recorder):
    ours, theirs = pair
    transport, protocol = await open_on(ours, recorder)
    data = bytes(range(256)) * 4096
    sending = asyncio.ensure_future(blocking(theirs.sendall, data))
    assert await protocol.received(len(data)) == data
    await sending
    transport.close()
    await protocol.lost()


async def test_a_connection_outlives_a_full_peer(pair, open_on):
    ours, theirs = pair
    amount = fill(theirs)
    theirs.settimeout(10)
    transport, protocol = await open_on(ours)
    await protocol.received(amount)
    transport.write(b"ok")
    assert await blocking(read_exactly, theirs, 2) == b"ok"
    transport.close()
    await protocol.lost()


async def test_two_ends_in_one_loop(open_on):
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    one, one_protocol = await open_on(ours)
    two, two_protocol = await open_on(theirs)
    one.write(b"ping")
    assert await two_protocol.received(4) == b"ping"
    two.write(b"pong")
    assert await one_protocol.received(4) == b"pong"
    one.close()
    assert await one_protocol.lost() is None
    assert await two_protocol.lost() is None
    assert loop.is_running()


async def test_a_blocking_client_sees_everything_in_order():
    class Counter(Recorder):
        def connection_made(self, transport):
            super().connection_made(transport)
            for number in range(1000):
                transport.write(b"%d\n" % number)
            transport.close()

    loop = asyncio.get_running_loop()
    async with await loop.create_server(Counter, "127.0.0.1", 0) as server:

        def client():
            with connect(server.sockets[0].getsockname()) as sock:
                return read_all(sock)

        expected = b"".join(b"%d\n" % number for number in range(1000))
        assert await blocking(client) == expected
