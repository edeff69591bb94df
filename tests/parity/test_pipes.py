"""connect_read_pipe and connect_write_pipe: FIFOs, sockets, terminals."""

import asyncio
import os
import pty
import socket
import tty

import pytest

from tests.support.protocols import Recorder


@pytest.fixture
def fifo():
    """Both ends of a pipe as files; closed afterwards, unless the test did."""
    read, write = os.pipe()
    ends = open(read, "rb", 0), open(write, "wb", 0)
    yield ends
    for end in ends:
        end.close()


class Reader(Recorder):
    """A protocol for the read end."""


async def connect_read(pipe, factory=Reader):
    return await asyncio.get_running_loop().connect_read_pipe(factory, pipe)


async def connect_write(pipe, factory=Recorder):
    return await asyncio.get_running_loop().connect_write_pipe(factory, pipe)


async def test_reads_a_fifo_to_its_end(fifo):
    read, write = fifo
    transport, protocol = await connect_read(read)
    assert protocol.transport is transport
    write.write(b"one")
    assert await protocol.received(3) == b"one"
    write.write(b"two")
    assert await protocol.received(6) == b"onetwo"
    write.close()
    assert await protocol.lost() is None
    assert protocol.events[-2:] == ["eof", "lost"]
    await asyncio.sleep(0)
    assert read.closed


@pytest.mark.uvloop_differs(reason="data_received comes before the awaiting coroutine goes on")
async def test_the_awaiting_coroutine_goes_on_before_the_first_data(fifo):
    read, write = fifo
    write.write(b"early")
    transport, protocol = await connect_read(read)
    events = list(protocol.events)
    await protocol.received(5)
    transport.close()
    await protocol.lost()
    assert events == ["made"]


async def test_closing_the_read_end(fifo):
    read, _ = fifo
    transport, protocol = await connect_read(read)
    assert not transport.is_closing()
    transport.close()
    transport.close()
    assert transport.is_closing()
    assert protocol.events == ["made"]
    assert await protocol.lost() is None
    assert protocol.events == ["made", "lost"]


async def test_pausing_and_resuming(fifo):
    read, write = fifo
    transport, protocol = await connect_read(read)
    assert transport.is_reading()
    transport.pause_reading()
    assert not transport.is_reading()
    write.write(b"waits")
    await asyncio.sleep(0.003)
    assert protocol.data == b""
    transport.resume_reading()
    transport.resume_reading()
    assert await protocol.received(5) == b"waits"
    transport.close()
    await protocol.lost()


@pytest.mark.uvloop_differs(reason="write_eof() fails: not a socket")
async def test_writes_a_fifo(fifo):
    read, write = fifo
    transport, protocol = await connect_write(write)
    transport.write(b"one")
    transport.writelines([b"two", b"three"])
    transport.write(b"")
    transport.write_eof()
    assert await protocol.lost() is None
    assert read.read() == b"onetwothree"


async def test_writes_much_to_a_slow_reader(fifo):
    from tests.support.net import blocking

    read, write = fifo
    transport, protocol = await connect_write(write)
    data = bytes(range(256)) * 16384
    transport.write(data)
    assert transport.get_write_buffer_size() > 0
    assert "pause" in protocol.events
    transport.close()
    with open(os.dup(read.fileno()), "rb") as mine:
        assert await blocking(mine.read) == data
    assert await protocol.lost() is None
    assert "resume" in protocol.events


async def test_the_pipe_is_known(fifo):
    read, write = fifo
    reading, read_protocol = await connect_read(read)
    writing, write_protocol = await connect_write(write)
    assert reading.get_extra_info("pipe") is read
    assert writing.get_extra_info("pipe") is write
    writing.close()
    await write_protocol.lost()
    await read_protocol.lost()


@pytest.mark.uvloop_differs(reason="calls eof_received() of a protocol that only writes")
async def test_the_writer_learns_that_the_reader_is_gone(fifo):
    read, write = fifo
    transport, protocol = await connect_write(write)
    read.close()
    await protocol.lost()
    assert protocol.events == ["made", "lost"]
    assert transport.is_closing()


async def test_aborting_a_write_end_throws_away_what_is_left(fifo):
    _, write = fifo
    transport, protocol = await connect_write(write)
    transport.write(b"x" * 1_000_000)
    transport.abort()
    assert await protocol.lost() is None


async def test_closing_a_write_end_twice(fifo):
    _, write = fifo
    transport, protocol = await connect_write(write)
    assert transport.can_write_eof()
    transport.close()
    transport.close()
    await protocol.lost()
    assert protocol.events == ["made", "lost"]


async def test_water_marks(fifo):
    _, write = fifo
    transport, protocol = await connect_write(write)
    transport.set_write_buffer_limits(high=1000, low=10)
    assert transport.get_write_buffer_limits() == (10, 1000)
    transport.close()
    await protocol.lost()


async def test_a_socket_can_be_read_as_a_pipe():
    ours, theirs = socket.socketpair()
    with theirs:
        transport, protocol = await connect_read(ours)
        theirs.sendall(b"hello")
        assert await protocol.received(5) == b"hello"
        theirs.close()
        assert await protocol.lost() is None


async def test_a_socket_can_be_written_as_a_pipe():
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.settimeout(10)
        transport, protocol = await connect_write(ours)
        transport.write(b"hello")
        assert theirs.recv(10) == b"hello"
        transport.close()
        assert await protocol.lost() is None


async def test_a_terminal_can_be_read_and_its_end_is_quiet():
    """The kernel tells the end of a pseudo terminal as EIO."""
    master, slave = pty.openpty()
    tty.setraw(slave)
    transport, protocol = await connect_read(open(master, "rb", 0))
    os.write(slave, b"hello")
    assert await protocol.received(5) == b"hello"
    os.close(slave)
    await protocol.lost()
    assert not isinstance(protocol.lost_with, LookupError)


async def test_a_terminal_can_be_written():
    master, slave = pty.openpty()
    tty.setraw(slave)
    transport, protocol = await connect_write(open(slave, "wb", 0))
    transport.write(b"hello")
    await asyncio.sleep(0.001)
    assert os.read(master, 100) == b"hello"
    transport.close()
    await protocol.lost()
    os.close(master)


@pytest.mark.uvloop_differs(reason="libuv ends the process", run=False)
async def test_regular_files_are_refused(tmp_path):
    loop = asyncio.get_running_loop()
    with open(tmp_path / "file", "wb") as file:
        with pytest.raises(ValueError, match="^Pipe transport is for pipes/sockets only.$"):
            await loop.connect_read_pipe(Recorder, file)
        with pytest.raises(
            ValueError, match="^Pipe transport is only for pipes, sockets and character devices$"
        ):
            await loop.connect_write_pipe(Recorder, file)


@pytest.mark.uvloop_differs(reason="classes of its own", run=False)
async def test_they_are_asyncio_transports(fifo):
    read, write = fifo
    reading, read_protocol = await connect_read(read)
    writing, write_protocol = await connect_write(write)
    assert isinstance(reading, asyncio.ReadTransport)
    assert isinstance(writing, asyncio.WriteTransport)
    assert repr(reading)
    assert repr(writing)
    writing.close()
    await write_protocol.lost()
    await read_protocol.lost()


async def test_the_protocol_can_be_replaced(fifo):
    read, write = fifo
    transport, first = await connect_read(read)
    second = Reader()
    transport.set_protocol(second)
    assert transport.get_protocol() is second
    write.write(b"x")
    await second.received(1)
    write.close()
    await second.lost()
    assert first.events == ["made"]


async def test_an_exception_of_the_protocol_is_reported_and_closes(fifo, reports):
    class Failing(Reader):
        def data_received(self, data):
            raise LookupError("in data_received")

    asyncio.get_running_loop().set_exception_handler(reports)
    read, write = fifo
    transport, protocol = await connect_read(read, Failing)
    write.write(b"x")
    await asyncio.sleep(0.005)
    assert isinstance(reports.exceptions[0], LookupError)
    if (
        "lost" not in protocol.events
    ):  # asyncio leaves it open: the exception is one of a plain callback there
        transport.close()
        await protocol.lost()


async def test_streams_on_pipes(fifo):
    read, write = fifo
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), read)
    write.write(b"one\ntwo\n")
    assert await reader.readline() == b"one\n"
    assert await reader.readline() == b"two\n"
    write.close()
    assert await reader.read() == b""
    await asyncio.sleep(0.001)
    transport.close()


async def test_both_ends_in_one_loop(fifo):
    read, write = fifo
    _, reading = await connect_read(read)
    transport, writing = await connect_write(write)
    for number in range(200):
        transport.write(b"%03d" % number)
    transport.close()
    await writing.lost()
    await reading.lost()
    assert reading.data == b"".join(b"%03d" % number for number in range(200))
