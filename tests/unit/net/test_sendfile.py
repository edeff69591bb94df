"""sendfile: files that are not regular, where a file stands afterwards, protocols that pause meanwhile."""

import asyncio
import contextlib
import io
import os
import socket
import sys
from asyncio import constants

import pytest

from loopkit.net import sendfile as module
from tests.support.net import blocking, read_all, read_exactly, tcp_pair
from tests.support.programs import run_program
from tests.support.protocols import Recorder

DATA = bytes(range(256)) * 8192
SMALL = 64 * 1024


@pytest.fixture
def file(tmp_path):
    (tmp_path / "file").write_bytes(DATA)
    with open(tmp_path / "file", "rb") as file:
        yield file


@pytest.fixture
def pair():
    with tcp_pair() as (ours, theirs):
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL)
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
        yield ours, theirs


@pytest.fixture
async def connection(pair):
    """A transport, its protocol, and the socket of its peer."""
    ours, theirs = pair
    transport, protocol = await asyncio.get_running_loop().create_connection(Recorder, sock=ours)
    yield transport, protocol, theirs
    if "lost" not in protocol.events:
        transport.abort()
        await protocol.lost()


async def turns(count=5):
    for _ in range(count):
        await asyncio.sleep(0)


# -- what is no regular file ---------------------------------------------------------------------------------


@pytest.fixture
def stream():
    """The reading end of a pipe that holds 5000 bytes and is closed."""
    reader, writer = os.pipe()
    os.write(writer, DATA[:5000])
    os.close(writer)
    with open(reader, "rb") as file:
        yield file


async def test_a_pipe_is_read_and_written(pair, stream):
    ours, theirs = pair
    assert await asyncio.get_running_loop().sock_sendfile(ours, stream) == 5000
    assert await blocking(read_exactly, theirs, 5000) == DATA[:5000]


async def test_a_pipe_on_a_transport(connection, stream):
    transport, protocol, theirs = connection
    assert await asyncio.get_running_loop().sendfile(transport, stream, count=3000) == 3000
    assert await blocking(read_exactly, theirs, 3000) == DATA[:3000]
    assert transport.get_protocol() is protocol
    assert transport.is_reading()


async def test_a_pipe_when_copying_is_forbidden(connection, stream):
    loop = asyncio.get_running_loop()
    with pytest.raises(asyncio.SendfileNotAvailableError, match="not a regular file"):
        await loop.sendfile(connection[0], stream, fallback=False)


async def test_a_file_that_has_no_size_but_contents(pair):
    ours, theirs = pair
    with open("/proc/self/status", "rb") as file:
        count = await asyncio.get_running_loop().sock_sendfile(ours, file)
    assert count > 0
    assert (await blocking(read_exactly, theirs, count)).startswith(b"Name:")


async def test_a_descriptor_that_is_closed(pair):
    class Broken(io.RawIOBase):
        def fileno(self):
            return 10_000

        def readinto(self, buffer):
            return 0

    assert await asyncio.get_running_loop().sock_sendfile(pair[0], Broken()) == 0


# -- where the file stands -----------------------------------------------------------------------------------


async def test_a_buffered_file_goes_on_behind_what_was_sent(pair, file):
    assert file.read(10) == DATA[:10]  # there is more in its buffer now
    assert await asyncio.get_running_loop().sock_sendfile(pair[0], file, 100, 1000) == 1000
    assert file.tell() == 1100
    assert file.read(10) == DATA[1100:1110]


async def test_an_object_with_nothing_but_a_descriptor(pair, tmp_path):
    class Bare:
        def __init__(self, fd):
            self.fileno = lambda: fd

    (tmp_path / "file").write_bytes(DATA)
    fd = os.open(tmp_path / "file", os.O_RDONLY)
    try:
        assert await asyncio.get_running_loop().sock_sendfile(pair[0], Bare(fd), 100, 1000) == 1000
        assert os.lseek(fd, 0, os.SEEK_CUR) == 1100
    finally:
        os.close(fd)


@pytest.mark.parametrize("kind", ["native", "copied"])
async def test_a_cancelled_transfer(connection, file, kind):
    transport, protocol, theirs = connection
    source = file if kind == "native" else io.BytesIO(DATA)
    sending = asyncio.create_task(asyncio.get_running_loop().sendfile(transport, source))
    await blocking(read_exactly, theirs, 1000)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    position = source.tell()
    transport.write(b"after")
    transport.close()
    rest = await blocking(read_all, theirs)
    assert rest == DATA[1000:position] + b"after"
    await protocol.lost()


async def test_a_cancelled_transfer_on_a_socket(pair, file):
    ours, theirs = pair
    sending = asyncio.create_task(asyncio.get_running_loop().sock_sendfile(ours, file))
    await turns()
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    position = file.tell()
    ours.close()
    assert await blocking(read_all, theirs) == DATA[:position]


@pytest.mark.skipif(sys.version_info < (3, 14), reason="offset 0 meant the position before Python 3.14")
async def test_copying_starts_at_the_offset(connection):
    source = io.BytesIO(DATA)
    source.seek(50)
    assert await asyncio.get_running_loop().sendfile(connection[0], source, 0, 100) == 100
    assert await blocking(read_exactly, connection[2], 100) == DATA[:100]


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="offset 0 is the beginning from Python 3.14 on")
async def test_copying_from_0_starts_at_the_position(connection):
    source = io.BytesIO(DATA)
    source.seek(50)
    assert await asyncio.get_running_loop().sendfile(connection[0], source, 0, 100) == 100
    assert await blocking(read_exactly, connection[2], 100) == DATA[50:150]


# -- the end of the connection -------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["abort", "close"])
@pytest.mark.parametrize("kind", ["native", "copied"])
async def test_a_transport_that_is_closed_meanwhile(connection, file, how, kind):
    transport, protocol, theirs = connection
    source = file if kind == "native" else io.BytesIO(DATA)
    sending = asyncio.create_task(asyncio.get_running_loop().sendfile(transport, source))
    await blocking(read_exactly, theirs, 1000)
    getattr(transport, how)()
    receiving = asyncio.ensure_future(blocking(read_all, theirs))
    with pytest.raises(ConnectionError, match="[Cc]onnection (is )?closed by peer"):
        await sending
    assert DATA[1000:].startswith(await receiving)
    await protocol.lost()


async def test_a_transport_that_is_closed_before_its_turn(connection, file):
    transport, protocol, theirs = connection
    transport.write(DATA)
    sending = asyncio.create_task(asyncio.get_running_loop().sendfile(transport, file))
    await turns()
    transport.close()
    receiving = asyncio.ensure_future(blocking(read_all, theirs))
    with pytest.raises(ConnectionError):
        await sending
    assert await receiving == DATA
    assert file.tell() == 0
    await protocol.lost()


async def test_a_second_transfer_has_to_wait(connection, file):
    transport, protocol, theirs = connection
    loop = asyncio.get_running_loop()
    sending = asyncio.create_task(loop.sendfile(transport, file))
    await turns()
    with pytest.raises(RuntimeError, match="unable to sendfile; sendfile is in progress"):
        await loop.sendfile(transport, file)
    assert await blocking(read_exactly, theirs, len(DATA)) == DATA
    assert await sending == len(DATA)


async def test_after_the_end_was_written(connection, file):
    connection[0].write_eof()
    with pytest.raises(RuntimeError, match=r"Cannot call sendfile\(\) after write_eof\(\)"):
        await asyncio.get_running_loop().sendfile(connection[0], file)


async def test_the_end_is_written_after_a_transfer(connection, file):
    transport, protocol, theirs = connection
    receiving = asyncio.ensure_future(blocking(read_all, theirs))
    await asyncio.get_running_loop().sendfile(transport, file)
    transport.write_eof()
    assert await receiving == DATA
    with pytest.raises(RuntimeError, match="Cannot call write"):
        transport.write(b"x")


# -- protocols that pause ------------------------------------------------------------------------------------


@contextlib.contextmanager
def forced_to_copy(transport):
    type(transport)._sendfile_compatible = constants._SendfileMode.FALLBACK
    try:
        yield
    finally:
        type(transport)._sendfile_compatible = constants._SendfileMode.TRY_NATIVE


async def test_a_protocol_that_is_paused_is_resumed(connection, file):
    transport, protocol, theirs = connection
    transport.write(DATA)
    assert protocol.events == ["made", "pause"]
    receiving = asyncio.ensure_future(blocking(read_exactly, theirs, 2 * len(DATA)))
    with forced_to_copy(transport):
        await asyncio.get_running_loop().sendfile(transport, file)
    assert await receiving == DATA + DATA
    await protocol.until(lambda: "resume" in protocol.events)
    assert protocol.events == ["made", "pause", "resume"]


async def test_a_protocol_learns_that_it_must_pause(connection, file):
    transport, protocol, theirs = connection
    transport.set_write_buffer_limits(high=1000)
    with forced_to_copy(transport):
        # One piece at a time, until one does not fit into the kernel's buffers: nobody reads yet.
        sent = 0
        while protocol.events == ["made"]:
            sent += await asyncio.get_running_loop().sendfile(transport, file, 0, module.READ_SIZE)
    assert protocol.events == ["made", "pause"]
    assert len(await blocking(read_exactly, theirs, sent)) == sent
    await protocol.until_event("resume")


def test_a_function_of_os_that_was_replaced_before_this_room_was_entered_is_not_called():
    # The tools that catch blocking calls do it, after `import loopkit`; this room is loaded later.
    code = """
        import os, socket, tempfile

        def blocking(*args):
            raise AssertionError("a blocking call")

        async def main():
            ours, theirs = socket.socketpair()
            transport, _ = await loop.create_connection(asyncio.Protocol, sock=ours)
            with theirs, tempfile.TemporaryFile(buffering=0) as file:
                file.write(b"hello")
                await loop.sendfile(transport, file)
                print(theirs.recv(100))
            transport.close()

        loop = new_loop()
        os.sendfile = blocking
        loop.run_until_complete(main())
        loop.close()
    """
    assert run_program("epoll", code) == (0, "b'hello'\n", "")
