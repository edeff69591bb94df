"""Pipe transports: what is a hang-up and what is not, shared descriptors, what waits, who watches what."""

import asyncio
import contextlib
import os
import pty
import resource
import select
import socket
import sys
import tty

import pytest

import loopkit
from loopkit.transports import pipe
from tests.support.fdtable import armed, is_read
from tests.support.protocols import Recorder
from tests.support.pythons import collect


@contextlib.contextmanager
def opened(*fds, mode="r+b"):
    """Unbuffered file objects of the descriptors, closed in the end."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(open(fd, mode, buffering=0)) for fd in fds]


async def reading(file):
    return await asyncio.get_running_loop().connect_read_pipe(Recorder, file)


async def writing(file):
    return await asyncio.get_running_loop().connect_write_pipe(Recorder, file)


@pytest.fixture
async def full():
    """(transport, protocol, reading end) of a pipe that takes no more: 100 writes of 1000 bytes wait."""
    reader, writer = os.pipe()
    transport, protocol = await writing(open(writer, "wb", buffering=0))
    while transport.get_write_buffer_size() < 100_000:
        transport.write(b"%4d" % (transport.get_write_buffer_size() // 1000) * 250)
    with open(reader, "rb", buffering=0) as end:
        yield transport, protocol, end
        if "lost" not in protocol.events:
            transport.abort()
            await protocol.lost()


class Torn:
    """A pipe at which Ctrl-C comes."""

    def fileno(self):
        raise KeyboardInterrupt


@pytest.mark.parametrize("kind", [pipe.ReadPipeTransport, pipe.WritePipeTransport])
def test_what_ctrl_c_has_torn_in_its_making_has_nothing_to_say(new_loop, kind, monkeypatch):
    unheard = []
    monkeypatch.setattr(sys, "unraisablehook", unheard.append)
    with pytest.raises(KeyboardInterrupt):
        kind(new_loop(), Torn(), Recorder())
    collect()
    assert unheard == []


async def read_all(file):
    """Everything up to the end of a pipe, through a transport of its own."""
    transport, protocol = await reading(open(os.dup(file.fileno()), "rb", buffering=0))
    await protocol.lost()
    return bytes(protocol.data)


# -- what is a hang-up ---------------------------------------------------------------------------------------


async def test_data_for_the_writing_end_of_a_socket_is_no_hang_up():
    ours, theirs = socket.socketpair()
    with theirs:
        transport, protocol = await writing(ours)
        theirs.sendall(b"question")
        await asyncio.sleep(0)
        transport.write(b"answer")
        assert theirs.recv(100) == b"answer"
        assert not transport.is_closing()
        assert ours.recv(100) == b"question"
        transport.close()
        await protocol.lost()


@pytest.mark.parametrize("how", [socket.SHUT_WR, socket.SHUT_RDWR, None])
async def test_a_socket_that_hangs_up(how):
    ours, theirs = socket.socketpair()
    with theirs:
        transport, protocol = await writing(ours)
        if how is None:
            theirs.close()
        else:
            theirs.shutdown(how)
        assert await protocol.lost() is None


async def test_a_fifo_that_is_open_both_ways_is_not_hung_up_by_its_own_data(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    file = open(tmp_path / "fifo", "r+b", buffering=0)
    transport, protocol = await writing(file)
    transport.write(b"hello")
    for _ in range(3):
        await asyncio.sleep(0)
    assert not transport.is_closing()
    assert file.read(5) == b"hello"
    transport.close()
    await protocol.lost()


@pytest.mark.parametrize(("waiting", "error"), [(True, BrokenPipeError), (False, type(None))])
async def test_a_reader_that_goes_away(full, waiting, error):
    transport, protocol, end = full
    if not waiting:
        transport.close()
        transport.abort()
        await protocol.lost()
        reader, writer = os.pipe()
        end = open(reader, "rb", buffering=0)
        transport, protocol = await writing(open(writer, "wb", buffering=0))
    end.close()
    assert isinstance(await protocol.lost(), error)
    assert transport.is_closing()
    transport.write(b"ignored")


async def test_a_device_is_not_watched_for_a_hang_up():
    master, slave = pty.openpty()
    tty.setraw(slave)
    with opened(master) as (other,):
        transport, protocol = await writing(open(slave, "wb", buffering=0))
        assert not is_read(asyncio.get_running_loop()._watches, slave)
        transport.write(b"hello")
        assert other.read(100) == b"hello"
        transport.close()
        await protocol.lost()


async def test_a_terminal_whose_other_side_is_gone_ends_quietly(reports):
    asyncio.get_running_loop().set_exception_handler(reports)
    master, slave = pty.openpty()
    transport, protocol = await reading(open(master, "rb", buffering=0))
    os.close(slave)
    await protocol.lost()
    assert reports == []


# -- two on one descriptor -----------------------------------------------------------------------------------


async def test_both_directions_on_one_terminal():
    master, slave = pty.openpty()
    tty.setraw(slave)
    with opened(slave) as (user,):
        one = await reading(open(master, "rb", buffering=0))
        two = await writing(open(master, "wb", buffering=0, closefd=False))
        user.write(b"typed")
        assert await one[1].received(5) == b"typed"
        two[0].write(b"shown")
        assert user.read(100) == b"shown"
        two[0].close()
        await two[1].lost()
        user.write(b" more")
        assert await one[1].received(10) == b"typed more"
        one[0].close()
        await one[1].lost()


async def test_both_directions_on_one_socket():
    ours, theirs = socket.socketpair()
    with theirs:
        one = await reading(ours)
        two = await writing(open(ours.fileno(), "wb", buffering=0, closefd=False))
        theirs.sendall(b"question")
        assert await one[1].received(8) == b"question"
        two[0].write(b"answer")
        assert theirs.recv(100) == b"answer"
        two[0].close()
        await two[1].lost()
        theirs.sendall(b"!")
        assert await one[1].received(9) == b"question!"
        one[0].close()
        await one[1].lost()


async def test_the_socket_of_a_transport_is_refused():
    ours, theirs = socket.socketpair()
    loop = asyncio.get_running_loop()
    with theirs:
        transport, protocol = await loop.create_unix_connection(Recorder, sock=ours)
        with pytest.raises(RuntimeError, match="is used by transport"):
            await reading(ours)
        transport.abort()
        await protocol.lost()


async def test_pipes_are_not_tried_blindly():
    # Somebody else may make the shared file blocking: the busy poller must ask before we read.
    reader, writer = os.pipe()
    with opened(writer, mode="wb"):
        transport, protocol = await reading(open(reader, "rb", buffering=0))
        assert asyncio.get_running_loop()._watches.owner(reader) is None
        os.set_blocking(reader, True)
        for _ in range(3):
            await asyncio.sleep(0)
        transport.close()
        await protocol.lost()


# -- reading -------------------------------------------------------------------------------------------------


async def test_pausing_keeps_what_comes():
    reader, writer = os.pipe()
    transport, protocol = await reading(open(reader, "rb", buffering=0))
    transport.pause_reading()
    transport.pause_reading()
    assert not transport.is_reading()
    os.write(writer, b"hello")
    for _ in range(3):
        await asyncio.sleep(0)
    assert protocol.events == ["made"]
    os.close(writer)
    transport.resume_reading()
    transport.resume_reading()
    assert await protocol.lost() is None
    assert protocol.data == b"hello"
    assert protocol.events == ["made", "data", "eof", "lost"]


async def test_closing_a_paused_pipe_leaves_nothing_armed():
    reader, writer = os.pipe()
    with opened(writer, mode="wb"):
        transport, protocol = await reading(open(reader, "rb", buffering=0))
        transport.pause_reading()
        transport.close()
        await protocol.lost()
        assert not armed(asyncio.get_running_loop()._watches, reader)


async def test_one_event_reads_a_bounded_amount(monkeypatch):
    reader, writer = os.pipe()
    sizes = []
    protocol = Recorder()
    monkeypatch.setattr(protocol, "data_received", lambda data: sizes.append(len(data)))
    os.set_blocking(writer, False)
    written = os.write(writer, b"x" * 70_000)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: protocol, open(reader, "rb", buffering=0)
    )
    transport.max_size = 1000
    os.close(writer)
    await protocol.lost()
    assert sum(sizes) == written
    assert set(sizes) <= {1000, written % 1000}


async def test_an_error_of_read_is_reported(reports):
    asyncio.get_running_loop().set_exception_handler(reports)
    reader, writer = os.pipe()
    transport, protocol = await reading(open(reader, "rb", buffering=0))
    # What is at the number now can be polled, and not be read.
    with socket.create_server(("127.0.0.1", 0)) as server:
        os.dup2(server.fileno(), reader)
        transport.pause_reading()
        asyncio.get_running_loop()._watches.rebuild()
        transport.on_readable()
        assert isinstance(await protocol.lost(), OSError)
    os.close(writer)
    assert reports.messages == ["Fatal read error on pipe transport"]


# -- writing -------------------------------------------------------------------------------------------------


async def test_everything_leaves_in_order(full):
    transport, protocol, end = full
    transport.write(bytearray(b"last"))
    transport.close()
    transport.write(b"ignored")
    data = await read_all(end)
    assert await protocol.lost() is None
    assert data.endswith(b"last")
    assert len(data) % 1000 == 4
    waited = data[-100_004:-4]
    assert [int(waited[at : at + 4]) for at in range(0, 100_000, 1000)] == list(range(100))


async def test_many_small_writes_need_few_calls(full, monkeypatch):
    transport, protocol, end = full
    calls = []

    def counting(fd, parts):
        calls.append(len(parts))
        return os.writev(fd, parts)

    monkeypatch.setattr(pipe, "writev", counting)
    transport.write_eof()
    await read_all(end)
    await protocol.lost()
    assert len(calls) < 20
    assert max(calls) == 100


async def test_a_buffer_that_changes_later_was_copied(full):
    transport, protocol, end = full
    data = bytearray(b"before")
    transport.write(data)
    data[:] = b"after "
    transport.close()
    assert (await read_all(end)).endswith(b"before")


async def test_pause_and_resume(full):
    transport, protocol, end = full
    assert protocol.events == ["made", "pause"]
    os.set_blocking(end.fileno(), False)
    while "resume" not in protocol.events:
        end.read(65536)
        await asyncio.sleep(0)
    assert transport.get_write_buffer_size() <= 16 * 1024


async def test_abort_drops_what_waits(full):
    transport, protocol, end = full
    transport.abort()
    transport.abort()
    assert transport.get_write_buffer_size() == 0
    assert await protocol.lost() is None
    assert protocol.events.count("lost") == 1


async def test_writing_after_the_end_warns_from_the_sixth_time_on(full, asyncio_log):
    transport, protocol, end = full
    transport.abort()
    for _ in range(7):
        transport.write(b"x")
    text = "pipe closed by peer or os.write(pipe, data) raised exception."
    assert [record.getMessage() for record in asyncio_log] == [text] * 2


@pytest.mark.parametrize("data", ["text", None, 5])
async def test_what_is_no_bytes(full, data):
    with pytest.raises(AssertionError, match=repr(data)):
        full[0].write(data)


# -- what the poller refuses ---------------------------------------------------------------------------------


@pytest.mark.loops("select")
@pytest.mark.parametrize("connect", [reading, writing])
async def test_a_descriptor_beyond_the_limit_of_select(connect):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft <= 1100:
        pytest.skip("not enough descriptors allowed here")
    ends = os.pipe()
    high = 1050
    with opened(*ends, mode="rb"):
        os.dup2(ends[connect is writing], high)
        with pytest.raises(ValueError, match="its limit is 1023"):
            await connect(open(high, "rb", buffering=0))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(high)


async def test_repr():
    reader, writer = os.pipe()
    one = await reading(open(reader, "rb", buffering=0))
    two = await writing(open(writer, "wb", buffering=0))
    assert repr(one[0]) == f"<ReadPipeTransport fd={reader} polling>"
    assert repr(two[0]) == f"<WritePipeTransport fd={writer} idle bufsize=0>"
    one[0].pause_reading()
    two[0].close()
    assert repr(one[0]) == f"<ReadPipeTransport fd={reader} idle>"
    assert repr(two[0]) == f"<WritePipeTransport closing fd={writer} idle bufsize=0>"
    one[0].close()
    await one[1].lost()
    await two[1].lost()
    assert repr(one[0]) == f"<ReadPipeTransport closed fd={reader}>"
    assert repr(two[0]) == f"<WritePipeTransport closed fd={writer}>"


def test_a_pipe_that_outlives_its_loop_warns_and_is_closed():
    loop = loopkit.Loop()
    reader, writer = os.pipe()
    transport, protocol = loop.run_until_complete(
        loop.connect_read_pipe(Recorder, open(reader, "rb", buffering=0))
    )
    loop.close()
    assert repr(transport) == f"<ReadPipeTransport fd={reader} open>"
    with pytest.warns(ResourceWarning, match="unclosed transport"):
        transport.__del__()
    transport._pipe = None
    with pytest.raises(BrokenPipeError):
        os.write(writer, b"x")
    os.close(writer)


def test_what_a_second_look_needs():
    assert getattr(select, "POLLRDHUP", 0x2000) == pipe.POLLRDHUP
