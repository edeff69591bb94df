"""What goes wrong in real life: nothing hangs, nothing leaks, nothing is lost, and the loop goes on."""

import asyncio
import contextlib
import hashlib
import os
import resource
import socket
import threading

import pytest

from tests.support.leaks import open_descriptors
from tests.support.net import blocking, connect, read_exactly, reset, talk
from tests.support.protocols import Recorder
from tests.support.servers import echo_server

MIB = 1 << 20


class PoliteEcho(Recorder):
    """Echoes, and reads no more while it cannot write."""

    paused = None

    def data_received(self, data):
        self.note("data")
        self.transport.write(data)

    def pause_writing(self):
        super().pause_writing()
        self.transport.pause_reading()
        if self.paused is not None:
            self.paused.set()

    def resume_writing(self):
        super().resume_writing()
        self.transport.resume_reading()


def push_and_pull(address, size, go=None):
    """Send `size` bytes and read them back slowly, in a thread each; whether the digests are the same.

    With an event `go`, reading starts when that is set.
    """
    block = bytes(range(256)) * 4096
    sent, got = hashlib.blake2b(), hashlib.blake2b()
    with connect(address) as sock:

        def push():
            for _ in range(size // len(block)):
                sock.sendall(block)
                sent.update(block)
            sock.shutdown(socket.SHUT_WR)

        pusher = threading.Thread(target=push)
        pusher.start()
        try:
            total = 0
            assert go is None or go.wait(10)
            while chunk := sock.recv(20_000):  # small bites: the server's buffers fill up
                got.update(chunk)
                total += len(chunk)
        finally:
            pusher.join()
    return total, sent.digest() == got.digest()


async def test_64_mib_are_echoed_to_a_slow_reader_intact_and_in_little_memory():
    class Telling(PoliteEcho):
        paused = threading.Event()

    async with echo_server(Telling) as (address, protocols):
        sizes = []

        async def watch():
            while True:
                sizes.extend(
                    protocol.transport.get_write_buffer_size()
                    for protocol in protocols
                    if "made" in protocol.events and "lost" not in protocol.events
                )
                await asyncio.sleep(0.002)

        watching = asyncio.ensure_future(watch())
        assert await blocking(push_and_pull, address, 64 * MIB, Telling.paused) == (64 * MIB, True)
        watching.cancel()
        with pytest.raises(asyncio.CancelledError):
            await watching
        await protocols[0].lost()
        assert "pause" in protocols[0].events
        assert max(sizes) < 2 * MIB  # the high-water mark and one read


async def test_streams_echo_16_mib_to_a_slow_reader():
    async def handle(reader, writer):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    result = await blocking(push_and_pull, server.sockets[0].getsockname(), 16 * MIB)
    assert result == (16 * MIB, True)
    server.close()
    await server.wait_closed()


async def test_a_flood_on_one_connection_does_not_starve_another():
    async with echo_server(PoliteEcho) as (address, _):
        flood = asyncio.ensure_future(blocking(push_and_pull, address, 16 * MIB))
        answers = [await blocking(talk, address) for _ in range(10)]
        assert answers == [b"hello"] * 10
        assert await flood == (16 * MIB, True)


# --- peers that misbehave


async def test_resets_in_every_state_leave_the_server_serving():
    def rude(address, number):
        sock = connect(address)
        if number % 4 == 1:
            sock.sendall(b"x")
        elif number % 4 == 2:
            sock.sendall(b"x" * 100_000)
        elif number % 4 == 3:
            sock.sendall(b"x")
            sock.recv(1)
        reset(sock)

    async with echo_server() as (address, protocols):
        await asyncio.gather(*(blocking(rude, address, number) for number in range(40)))
        assert await blocking(talk, address) == b"hello"
        while len(protocols) < 2:
            await asyncio.sleep(0.001)
        for protocol in protocols:
            await protocol.lost()
            assert protocol.events[0] == "made"
            assert protocol.events[-1] == "lost"
            assert protocol.events.count("lost") == 1


async def test_connections_closed_before_they_are_accepted():
    async with echo_server() as (address, _):
        for _ in range(30):
            connect(address).close()
        for _ in range(10):
            reset(connect(address))
        assert await blocking(talk, address) == b"hello"


async def test_half_close_by_the_client_still_gets_the_answer():
    def ask(address):
        with connect(address) as sock:
            sock.sendall(b"question")
            sock.shutdown(socket.SHUT_WR)
            return read_exactly(sock, 100)

    async with echo_server() as (address, protocols):
        assert await blocking(ask, address) == b"question"
        assert await protocols[0].lost() is None


# --- running out of descriptors


@contextlib.contextmanager
def no_descriptors_left():
    """Inside, nothing can be opened."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(open_descriptors()) + 1, hard))
    holes = []
    try:
        with contextlib.suppress(OSError):
            while True:
                holes.append(os.open("/dev/null", os.O_RDONLY))
        yield
    finally:
        for hole in holes:
            os.close(hole)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.uvloop_differs(reason="goes round in circles while it cannot accept", run=False)
async def test_accepting_without_descriptors_is_reported_and_taken_up_again(reports):
    loop = asyncio.get_running_loop()
    async with echo_server() as (address, protocols):
        assert await blocking(talk, address) == b"hello"
        # Its descriptor must be given back before we count them, not when there are none left.
        await protocols[0].lost()
        await asyncio.sleep(0.001)
        loop.set_exception_handler(reports)
        client = socket.socket()
        client.settimeout(10)
        with no_descriptors_left():
            client.connect(address)
            while not reports:
                await asyncio.sleep(0.001)
            await asyncio.sleep(0.01)
        assert reports[0]["message"] == "socket.accept() out of system resource"
        assert reports[0]["exception"].errno == 24
        assert "socket" in reports[0]
        # Nobody but the listener itself knows when to go on: the connection waits in the kernel meanwhile.
        with client:
            client.sendall(b"patience")
            assert await blocking(read_exactly, client, 8) == b"patience"
        assert len(protocols) == 2


async def test_connections_that_are_open_go_on_without_descriptors():
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda loop, context: None)
    async with echo_server() as (address, _):
        with connect(address) as client:
            client.sendall(b"one")
            assert await blocking(read_exactly, client, 3) == b"one"
            with no_descriptors_left():
                client.sendall(b"two")
                assert await blocking(read_exactly, client, 3) == b"two"


async def test_connecting_without_descriptors_is_an_error_and_no_more():
    loop = asyncio.get_running_loop()
    async with echo_server() as (address, _):
        with no_descriptors_left():
            with pytest.raises(OSError) as caught:
                await loop.create_connection(Recorder, *address)
            assert caught.value.errno == 24
        assert await blocking(talk, address) == b"hello"
