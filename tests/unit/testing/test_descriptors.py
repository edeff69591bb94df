"""Pipes and descriptors of the simulated kernel, by their numbers, and TLS in blocking code."""

import asyncio
import os
import select
import socket
import ssl

import pytest

from loopkit.testing import EscapedError, run
from tests.support.tls import server_context, tls_connect


def simulated(function):
    """Run the coroutine function *function* in a simulation with threads."""

    def test():
        server_context()  # who makes certificates with a program makes them out here
        run(function, threads="real")

    test.__name__ = function.__name__
    return test


@simulated
async def test_a_pipe_carries_bytes_to_a_transport():
    reader, writer = os.pipe()
    stream = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(stream), open(reader, "rb", buffering=0)
    )
    with open(writer, "w") as file:
        file.write("hello\n")
    assert await stream.read() == b"hello\n"
    transport.close()


@simulated
async def test_a_full_pipe_takes_no_more_and_a_blocking_write_waits():
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    assert os.write(writer, bytes(100_000)) == 65536
    with pytest.raises(BlockingIOError):
        os.write(writer, b"x")
    os.set_blocking(writer, True)
    writing = asyncio.create_task(asyncio.to_thread(os.write, writer, bytes(5000)))
    await asyncio.sleep(1)
    assert len(os.read(reader, 1 << 20)) == 65536
    assert await writing == 5000
    os.close(writer)
    assert len(os.read(reader, 1 << 20)) == 5000
    assert os.read(reader, 10) == b""
    os.close(reader)


@simulated
async def test_a_buffer_may_grow_and_shrink_after_it_was_lent():
    """PyPy keeps the size of what a view that nobody has released still shows."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        data = bytearray(b"hello")
        del data[: ours.send(data)]
        data += b"and more"
        ours.sendall(data)
        data.clear()
        room = bytearray(100)
        assert theirs.recv_into(room) == 13
        del room[13:]
        assert room == b"helloand more"
    first, second = socket.socketpair(type=socket.SOCK_DGRAM)
    with first, second:
        data += b"datagram"
        first.send(data)
        data.clear()
        room += bytes(100)
        assert second.recvfrom_into(room)[0] == 8
        assert room[:8] == b"datagram"
        room.clear()
    reader, writer = os.pipe()
    with open(reader, "rb", buffering=0) as reading, open(writer, "wb", buffering=0) as writing:
        data += b"in a pipe"
        writing.write(data)
        os.writev(writer, [data])
        data.clear()
        assert reading.read(9) == b"in a pipe"
        data += bytes(9)
        assert os.readv(reader, [data]) == 9
        data += b", and on"
        assert data == b"in a pipe, and on"


@simulated
async def test_a_pipe_without_a_reader_is_broken():
    reader, writer = os.pipe()
    os.close(reader)
    with pytest.raises(BrokenPipeError):
        os.write(writer, b"x")
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.read(reader, 1)
    os.close(writer)


@simulated
async def test_select_and_poll_know_simulated_sockets():
    left, right = socket.socketpair()
    with left, right:
        assert select.select([left], [left], [], 0) == ([], [left], [])
        right.send(b"x")
        assert select.select([left], [], [], None) == ([left], [], [])
        poller = select.poll()
        poller.register(left, select.POLLIN)
        assert poller.poll(0) == [(left.fileno(), select.POLLIN)]
        left.recv(1)
        assert poller.poll(1000) == []
        assert asyncio.get_running_loop().time() == 1
        with open("/dev/null") as real, pytest.raises(EscapedError, match="no kernel has both"):
            select.select([left, real], [], [], 0)


@simulated
async def test_a_blocking_tls_client_talks_to_a_simulated_server():
    async def upper(reader, writer):
        writer.write((await reader.readline()).upper())
        await reader.read()
        writer.close()

    def talk(address):
        with tls_connect(address) as sock:
            assert isinstance(sock, ssl.SSLSocket)
            sock.sendall(b"hello\n")
            return sock.recv(100), sock.version()

    async with await asyncio.start_server(upper, "127.0.0.1", 0, ssl=server_context()) as server:
        answer, version = await asyncio.to_thread(talk, server.sockets[0].getsockname())
    assert (answer, version) == (b"HELLO\n", "TLSv1.3")


@simulated
async def test_a_subclass_of_a_program_is_simulated_too():
    class Counting(socket.socket):
        sent = 0

        def send(self, data, flags=0):
            self.sent += len(data)
            return super().send(data, flags)

    left, right = socket.socketpair()
    with right, Counting(fileno=left.detach()) as sock:
        assert sock.send(b"hello") == sock.sent == 5
        assert right.recv(100) == b"hello"
