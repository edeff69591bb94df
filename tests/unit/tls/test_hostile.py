"""Peers that mean harm: how much one can make the loop do at a time, and remember."""

import array
import asyncio
import contextlib
import ctypes
import ctypes.util
import fcntl
import socket
import ssl
import sys
import termios

import pytest

from loopkit.tls.transport import CALM_READ_SIZE, MOST_OWED, WARY_READ_SIZE
from tests.support.net import blocking, connect
from tests.support.protocols import Recorder
from tests.support.tls import NAME, client_context, server_context, tls_connect

#: Where CPython's SSL object keeps OpenSSL's: after its head and a reference to the socket.
POINTER = 24

#: Looked for now: that asks a child, and a test on the simulated kernel has none.
LIBRARY = ctypes.util.find_library("ssl") or "libssl.so.3"


class Peer:
    """A blocking TLS client that has its records in its own hands."""

    def __init__(self, address):
        self.sock = connect(address)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = client_context(ssl.TLSVersion.TLSv1_3).wrap_bio(
            self.incoming, self.outgoing, server_hostname=NAME
        )
        while True:
            try:
                self.tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                self.flush()
                self.incoming.write(self.sock.recv(65536))
        self.flush()

    def flush(self):
        self.sock.sendall(self.outgoing.read())

    def key_updates(self, count, answered=False):
        """As bytes."""
        library = ctypes.CDLL(LIBRARY)
        library.SSL_key_update.argtypes = [ctypes.c_void_p, ctypes.c_int]
        library.SSL_do_handshake.argtypes = [ctypes.c_void_p]
        pointer = ctypes.c_void_p.from_address(id(self.tls._sslobj) + POINTER).value
        for _ in range(count):
            assert library.SSL_key_update(pointer, int(answered)) == 1
            assert library.SSL_do_handshake(pointer) == 1
        return self.outgoing.read()


needs_openssls_own = pytest.mark.skipif(
    sys.implementation.name != "cpython"
    or sys.version_info >= (3, 14)
    or not sys.platform.startswith("linux"),
    reason="how CPython's object refers to OpenSSL's is known of these only",
)


@contextlib.asynccontextmanager
async def serving(protocol=Recorder):
    loop = asyncio.get_running_loop()
    made = loop.create_future()

    class Server(protocol):
        def connection_made(self, transport):
            super().connection_made(transport)
            made.set_result(self)

    async with await loop.create_server(Server, "127.0.0.1", 0, ssl=server_context()) as server:
        yield server.sockets[0].getsockname(), made


class Asked:
    """A socket that notes how much it was asked for."""

    def __init__(self, sock):
        self.sock, self.sizes = sock, []

    def recv(self, size):
        self.sizes.append(size)
        return self.sock.recv(size)

    def __getattr__(self, name):
        return getattr(self.sock, name)


@needs_openssls_own
async def test_key_updates_without_end_are_looked_at_a_few_at_a_time():
    async with serving() as (address, made):
        peer = await blocking(Peer, address)
        protocol = await made
        transport = protocol.transport
        transport._socket = asked = Asked(transport._socket)
        flood = peer.key_updates(10_000)
        peer.tls.write(b"at last")
        flood += peer.outgoing.read()
        await blocking(peer.sock.sendall, flood)
        assert await protocol.received(7) == b"at last"
        assert asked.sizes[0] == CALM_READ_SIZE
        assert asked.sizes.count(CALM_READ_SIZE) < 20
        assert max(asked.sizes) == CALM_READ_SIZE
        assert asked.sizes.count(WARY_READ_SIZE) > len(asked.sizes) / 2
        peer.sock.close()
        await protocol.lost()


@needs_openssls_own
async def test_the_answers_that_a_peer_does_not_read_are_not_kept_without_end():
    async with serving() as (address, made):
        peer = await blocking(Peer, address)
        protocol = await made
        transport = protocol.transport
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2048)
        largest = 0

        def flood():
            nonlocal largest
            with contextlib.suppress(OSError):
                while True:
                    peer.sock.sendall(peer.key_updates(500, answered=True))
                    largest = max(largest, transport.get_write_buffer_size())

        flooding = asyncio.ensure_future(blocking(flood))
        error = await protocol.lost()
        assert isinstance(error, ConnectionAbortedError)
        assert largest <= 2 * MOST_OWED
        await flooding
        peer.sock.close()


async def test_records_of_one_byte_arrive_together():
    class Counting(Recorder):
        calls = 0

        def data_received(self, data):
            self.calls += 1
            super().data_received(data)

    async with serving(Counting) as (address, made):
        peer = await blocking(Peer, address)
        protocol = await made
        for number in range(2000):
            peer.tls.write(b"%d" % (number % 10))
        await blocking(peer.flush)
        data = await protocol.received(2000)
        assert data == b"0123456789" * 200
        assert protocol.calls < 40
        peer.sock.close()
        await protocol.lost()


async def test_a_record_that_comes_byte_by_byte_is_one_message():
    async with serving() as (address, made):
        peer = await blocking(Peer, address)
        protocol = await made
        peer.tls.write(b"hello")

        def send():
            peer.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for byte in peer.outgoing.read():
                peer.sock.send(bytes([byte]))

        await blocking(send)
        assert await protocol.received(5) == b"hello"
        assert protocol.events.count("data") == 1
        peer.sock.close()
        await protocol.lost()


@pytest.mark.parametrize("last", [1, 10])
async def test_the_end_of_a_record_brings_all_of_it(last):
    """Its first part is inside OpenSSL by then: what comes out is longer than what came in."""
    async with serving() as (address, made):
        peer = await blocking(Peer, address)
        protocol = await made
        peer.tls.write(b"x" * 1000)
        record = peer.outgoing.read()
        peer.sock.sendall(record[:-last])
        while array.array("i", fcntl.ioctl(protocol.transport._fd, termios.FIONREAD, bytes(4)))[0]:
            await asyncio.sleep(0)
        peer.sock.sendall(record[-last:])
        assert await protocol.received(1000) == b"x" * 1000
        assert protocol.events.count("data") == 1
        peer.sock.close()
        await protocol.lost()


@pytest.mark.leaks("errors", reason="debug mode reports every handshake that fails")
async def test_handshakes_that_stall_keep_nobody_waiting_and_leave_nothing():
    """Each at another point; in the end their peers give up."""
    loop = asyncio.get_running_loop()
    async with await loop.create_server(Recorder, "127.0.0.1", 0, ssl=server_context()) as server:
        address = server.sockets[0].getsockname()

        def stall():
            hello = ssl.MemoryBIO()
            tls = client_context().wrap_bio(ssl.MemoryBIO(), hello, server_hostname=NAME)
            with contextlib.suppress(ssl.SSLWantReadError):
                tls.do_handshake()
            words = hello.read()
            stalling = [connect(address) for _ in range(150)]
            for number, sock in enumerate(stalling):
                sock.sendall(words if number % 3 == 0 else words[:100] if number % 3 == 1 else b"")
            return stalling

        stalling = await blocking(stall)
        while server._active < len(stalling):
            await asyncio.sleep(0.001)
        sock = await blocking(tls_connect, address)  # it still serves
        sock.close()
        for sock in stalling:
            sock.close()
        while server._active:
            await asyncio.sleep(0.001)
        buffers = loop._tls
        assert not buffers.incoming.pending
        assert not buffers.outgoing.pending


async def test_what_a_name_callback_writes_elsewhere_stays_out_of_the_handshake():
    """OpenSSL calls the program in the middle of a handshake; it may write to another TLS connection."""
    others = []
    context = server_context()

    def on_name(sock, name, context):
        for other in others:
            other.write(bytearray(b"somebody knocks"))

    context.sni_callback = on_name

    class Server(Recorder):
        def connection_made(self, transport):
            super().connection_made(transport)
            others.append(transport)

    loop = asyncio.get_running_loop()
    protocols = []

    def factory():
        protocols.append(Server())
        return protocols[-1]

    async with await loop.create_server(factory, "127.0.0.1", 0, ssl=context) as server:
        address = server.sockets[0].getsockname()
        first = await blocking(tls_connect, address)
        second = await blocking(tls_connect, address)
        assert await blocking(first.recv, 100) == b"somebody knocks"
        others[1].write(b"hello")
        assert await blocking(second.recv, 100) == b"hello"
        for sock in (first, second):
            sock.close()
        for protocol in protocols:
            await protocol.lost()
