"""write, writelines, water marks and flow control."""

import array
import asyncio
import sys

import pytest

from tests.support.net import TOO_MUCH, blocking, fill, read_all, read_exactly, tcp_pair, unix_pair
from tests.support.protocols import Recorder
from tests.support.pythons import NOT_BYTES


class Connection:
    """A transport on one end of a socket pair, a blocking socket on the other."""

    def __init__(self, pair=unix_pair, factory=Recorder):
        self.pair, self.factory = pair(), factory

    async def __aenter__(self):
        ours, self.peer = self.pair.__enter__()
        loop = asyncio.get_running_loop()
        self.transport, self.protocol = await loop.create_connection(self.factory, sock=ours)
        return self

    async def __aexit__(self, *_):
        if "lost" not in self.protocol.events:
            self.transport.abort()
            await self.protocol.lost()
        self.pair.__exit__(None, None, None)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
async def test_every_kind_of_bytes_can_be_written(kind):
    async with Connection() as c:
        c.transport.write(kind(b"hello"))
        assert await blocking(c.peer.recv, 10) == b"hello"
        c.transport.write(kind(b""))
        c.transport.writelines([kind(b"one"), kind(b""), kind(b"two")])
        assert await blocking(read_exactly, c.peer, 6) == b"onetwo"


async def test_a_memoryview_of_wider_items_is_written_whole():
    import array

    numbers = array.array("I", range(1000))
    async with Connection() as c:
        c.transport.write(memoryview(numbers))
        assert await blocking(read_exactly, c.peer, 4000) == numbers.tobytes()


@pytest.mark.parametrize("data", ["text", 5, ["list"]])
async def test_what_is_no_bytes_is_refused(data):
    async with Connection() as c:
        with pytest.raises(TypeError):
            c.transport.write(data)


@pytest.mark.uvloop_differs(reason="another text")
async def test_what_is_no_bytes_is_named():
    if sys.version_info >= (3, 14):
        expected = "data argument must be a bytes, bytearray, or memoryview object, not 'str'"
    else:
        expected = "data argument must be a bytes-like object, not 'str'"
    async with Connection() as c:
        with pytest.raises(TypeError) as caught:
            c.transport.write("text")
        assert str(caught.value) == expected


async def test_writelines_takes_any_iterable():
    async with Connection() as c:
        c.transport.writelines(b"%d," % number for number in range(100))
        c.transport.writelines([])
        c.transport.close()
        assert await blocking(read_all, c.peer) == b"".join(b"%d," % n for n in range(100))


async def test_writelines_takes_any_kind_of_buffer():
    async with Connection() as c:
        c.transport.writelines([array.array("B", b"one")])
        c.transport.writelines([array.array("B", b"two"), b"three"])
        assert await blocking(read_exactly, c.peer, 11) == b"onetwothree"


@pytest.mark.loops("asyncio", "epoll", "poll", "select", "busy")  # uvloop's text is another on some versions
async def test_writelines_names_what_has_no_buffer():
    if sys.version_info >= (3, 12):
        expected = "memoryview: a bytes-like object is required, not 'str'"
    else:
        expected = f"sequence item 1: {NOT_BYTES}"
    async with Connection() as c:
        with pytest.raises(TypeError) as caught:
            c.transport.writelines([b"one", "text"])
        assert str(caught.value) == expected


async def test_writes_keep_their_order_when_the_peer_is_slow():
    async with Connection() as c:
        pieces = [bytes([number % 256]) * (number * 37) for number in range(300)]
        for number, piece in enumerate(pieces):
            if number % 3:
                c.transport.write(piece)
            else:
                c.transport.writelines([piece[:10], piece[10:]])
        c.transport.close()
        assert await blocking(read_all, c.peer) == b"".join(pieces)


async def test_more_buffers_than_one_system_call_takes():
    async with Connection() as c:
        c.transport.write(b"x" * 1_000_000)
        for number in range(5000):  # IOV_MAX is 1024
            c.transport.write(b"%04d" % number)
        c.transport.close()
        data = await blocking(read_all, c.peer)
        assert data[1_000_000:] == b"".join(b"%04d" % n for n in range(5000))


async def test_a_buffer_that_was_sent_at_once_may_be_changed_afterwards():
    async with Connection() as c:
        buffer = bytearray(b"first")
        c.transport.write(buffer)
        await asyncio.sleep(0.001)
        buffer[:] = b"other"
        c.transport.write(buffer)
        assert await blocking(read_exactly, c.peer, 10) == b"firstother"
        buffer.extend(b"resizing needs that nobody holds it")


async def test_the_size_of_the_write_buffer_is_known():
    async with Connection() as c:
        assert c.transport.get_write_buffer_size() == 0
        c.transport.write(b"x" * 1_000_000)
        await asyncio.sleep(0)
        size = c.transport.get_write_buffer_size()
        assert 0 < size < 1_000_000
        c.transport.write(b"y" * 1000)
        assert c.transport.get_write_buffer_size() == size + 1000
        await blocking(read_exactly, c.peer, 1_001_000)
        await asyncio.sleep(0.002)
        assert c.transport.get_write_buffer_size() == 0


@pytest.mark.uvloop_differs(reason="RuntimeError: the handler is closed", run=False)
async def test_writing_after_the_connection_is_gone_is_silent(caplog):
    async with Connection() as c:
        c.transport.abort()
        await c.protocol.lost()
        for _ in range(4):
            c.transport.write(b"x")
        assert caplog.messages == []


@pytest.mark.uvloop_differs(reason="RuntimeError: the handler is closed", run=False)
async def test_writing_on_and_on_after_that_is_warned_of(asyncio_log):
    async with Connection() as c:
        c.transport.abort()
        await c.protocol.lost()
        for _ in range(10):
            c.transport.write(b"x")
    warned = [record.getMessage() for record in asyncio_log]
    assert "socket.send() raised exception." in warned
    assert 1 <= len(warned) <= 6


async def test_the_protocol_is_paused_above_the_high_mark_and_resumed_at_the_low_one():
    async with Connection() as c:
        c.transport.set_write_buffer_limits(high=100_000, low=10_000)
        assert c.transport.get_write_buffer_limits() == (10_000, 100_000)
        c.transport.write(b"x" * 1_000_000)
        await asyncio.sleep(0)
        assert c.protocol.events == ["made", "pause"]
        await blocking(read_exactly, c.peer, 1_000_000)
        await c.protocol.until_event("resume")
        assert c.protocol.events == ["made", "pause", "resume"]


async def test_it_is_paused_once_however_much_is_written():
    async with Connection() as c:
        for _ in range(20):
            c.transport.write(b"x" * 100_000)
        assert c.protocol.events.count("pause") == 1
        await blocking(read_exactly, c.peer, 2_000_000)
        await c.protocol.until_event("resume")
        assert c.protocol.events.count("resume") == 1


async def test_a_small_rest_does_not_pause():
    async with Connection() as c:
        fill(c.transport.get_extra_info("socket")._sock) if hasattr(
            c.transport.get_extra_info("socket"), "_sock"
        ) else pytest.skip("this transport's socket gives no way to fill it")
        c.transport.write(b"x" * 65536)
        await asyncio.sleep(0)
        assert c.protocol.events == ["made"]
        c.transport.write(b"x")
        assert c.protocol.events == ["made", "pause"]


@pytest.mark.uvloop_differs(reason="the low mark is 16 bytes there")
async def test_the_marks_are_64_and_16_kib_unless_told_otherwise():
    async with Connection() as c:
        assert c.transport.get_write_buffer_limits() == (16384, 65536)


async def test_a_mark_that_is_left_out_follows_the_other():
    async with Connection() as c:
        c.transport.set_write_buffer_limits(high=400)
        assert c.transport.get_write_buffer_limits() == (100, 400)
        c.transport.set_write_buffer_limits(low=100)
        assert c.transport.get_write_buffer_limits() == (100, 400)
        c.transport.set_write_buffer_limits(high=0)
        assert c.transport.get_write_buffer_limits() == (0, 0)


@pytest.mark.parametrize(("high", "low"), [(1, 2), (5, -1), (-1, None)])
async def test_marks_that_make_no_sense_are_refused(high, low):
    async with Connection() as c:
        with pytest.raises(ValueError, match="must be >= low"):
            c.transport.set_write_buffer_limits(high=high, low=low)


async def test_marks_that_make_no_sense_are_named():
    async with Connection() as c:
        with pytest.raises(ValueError) as caught:
            c.transport.set_write_buffer_limits(high=1, low=2)
        assert str(caught.value) == "high (1) must be >= low (2) must be >= 0"


async def test_a_high_mark_of_zero_pauses_whenever_something_is_left():
    async with Connection() as c:
        c.transport.set_write_buffer_limits(high=0)
        c.transport.write(b"x")
        assert c.protocol.events == ["made"]
        c.transport.write(b"x" * 1_000_000)
        await asyncio.sleep(0)
        assert "pause" in c.protocol.events
        await blocking(read_exactly, c.peer, 1_000_001)
        await c.protocol.until_event("resume")


@pytest.mark.parametrize("method", ["pause_writing", "resume_writing"])
async def test_an_exception_in_flow_control_is_reported_and_the_connection_lives(method, reports):
    asyncio.get_running_loop().set_exception_handler(reports)

    class Failing(Recorder):
        pass

    def fail(self):
        getattr(Recorder, method)(self)
        raise LookupError(f"in {method}")

    setattr(Failing, method, fail)
    async with Connection(factory=Failing) as c:
        c.transport.write(b"x" * 1_000_000)
        await blocking(read_exactly, c.peer, 1_000_000)
        await asyncio.sleep(0.002)
        (report,) = reports
        assert report["message"] == f"protocol.{method}() failed"
        assert isinstance(report["exception"], LookupError)
        assert report["transport"] is c.transport
        assert report["protocol"] is c.protocol
        c.transport.write(b"alive")
        assert await blocking(read_exactly, c.peer, 5) == b"alive"


async def test_drain_waits_for_a_slow_reader():
    with tcp_pair() as (ours, theirs):
        reader, writer = await asyncio.open_connection(sock=ours)
        parts = TOO_MUCH // 100_000
        drained = []

        async def write():
            for _ in range(parts):
                writer.write(b"x" * 100_000)
                await writer.drain()
                drained.append(1)

        task = asyncio.ensure_future(write())
        await asyncio.sleep(0.005)
        assert len(drained) < parts
        assert len(await blocking(read_exactly, theirs, parts * 100_000)) == parts * 100_000
        await task
        writer.close()
        await writer.wait_closed()


async def test_writing_in_resume_writing_goes_on():
    class Source(Recorder):
        left = 30

        def resume_writing(self):
            super().resume_writing()
            self.produce()

        def produce(self):
            while self.left and self.events.count("pause") == self.events.count("resume"):
                self.left -= 1
                self.transport.write(b"x" * 100_000)

    async with Connection(factory=Source) as c:
        c.protocol.produce()
        assert len(await blocking(read_exactly, c.peer, 3_000_000)) == 3_000_000


@pytest.mark.uvloop_differs(reason="RuntimeError: the handler is closed", run=False)
@pytest.mark.parametrize("kind", [bytes, bytearray])
async def test_resume_writing_has_last_words_after_close(kind):
    class Source(Recorder):
        def resume_writing(self):
            super().resume_writing()
            self.transport.write(kind(b"last words"))

    async with Connection(factory=Source) as c:
        c.transport.write(b"x" * 1_000_000)
        c.transport.close()
        assert await blocking(read_all, c.peer) == b"x" * 1_000_000 + b"last words"
        await c.protocol.lost()


def test_a_program_that_ends_in_pause_writing_can_run_again(new_loop):
    """Each of two connections does it: the second must not keep the loop from coming to rest."""
    loop = new_loop()

    class Leaving(Recorder):
        def pause_writing(self):
            raise SystemExit("out")

    async def connect(sock):
        fill(sock)
        transport, _ = await loop.create_connection(Leaving, sock=sock)
        transport.set_write_buffer_limits(high=0)
        return transport

    with unix_pair() as (one, here), unix_pair() as (two, there):
        transports = [loop.run_until_complete(connect(sock)) for sock in (one, two)]

        def write():
            for transport in transports:
                transport.write(b"x" * 5000)

        loop.call_soon(write)
        with pytest.raises(SystemExit, match="out"):
            loop.run_forever()
        assert not loop.is_running()
        for transport in transports:
            transport.abort()
        loop.run_until_complete(asyncio.sleep(0.001))


async def test_a_header_and_a_body_arrive_together_in_order():
    async with Connection(tcp_pair) as c:
        for number in range(50):
            c.transport.write(b"header %02d " % number)
            c.transport.write(b"body %02d" % number)
            assert await blocking(read_exactly, c.peer, 17) == b"header %02d body %02d" % (number, number)


async def test_what_is_written_before_the_loop_is_blocked_is_not_held_back():
    """A callback that writes and then computes for long must not keep the peer waiting past its return."""
    async with Connection(tcp_pair) as c:
        got = []
        loop = asyncio.get_running_loop()

        def write():
            c.transport.write(b"x")

        loop.call_soon(write)
        loop.call_soon(lambda: got.append(c.peer.recv(1)))  # blocks the loop until the byte is there
        await asyncio.sleep(0.01)
        assert got == [b"x"]
