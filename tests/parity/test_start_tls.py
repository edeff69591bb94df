"""start_tls: TLS on connections that were in use."""

import asyncio
import contextlib
import gc
import socket
import ssl
import sys
import threading
import weakref

import pytest

from tests.support.net import TOO_MUCH, blocking, read_all, read_exactly, serving, tcp_pair
from tests.support.protocols import BufferedRecorder, Recorder
from tests.support.pythons import collect, counts_references
from tests.support.tls import NAME, authority, client_context, say_goodbye, server_context

OURS = ("epoll", "poll", "select", "busy")

# The one program of these tests: in the clear "STARTTLS" and "GO", and then an echo until close_notify.


def serve(sock):
    """The server's half, blocking."""
    assert read_exactly(sock, 8) == b"STARTTLS"
    sock.sendall(b"GO")
    with server_context().wrap_socket(sock, server_side=True, suppress_ragged_eofs=False) as secure:
        with contextlib.suppress(OSError):
            while data := secure.recv(65536):
                secure.sendall(data)
            say_goodbye(secure)


def ask(sock, message=b"hello"):
    """The client's half, blocking; the answer to `message`."""
    sock.sendall(b"STARTTLS")
    assert read_exactly(sock, 2) == b"GO"
    with client_context().wrap_socket(sock, server_hostname=NAME, suppress_ragged_eofs=False) as secure:
        secure.sendall(message)
        answer = read_exactly(secure, len(message))
        say_goodbye(secure)
        return answer


@contextlib.asynccontextmanager
async def in_the_clear(protocol=Recorder, handler=serve):
    """A client protocol of the loop under test that has asked for TLS, and been told to go on."""
    with serving(handler) as address:
        _, protocol = await asyncio.get_running_loop().create_connection(protocol, *address)
        protocol.transport.write(b"STARTTLS")
        assert await protocol.received(2) == b"GO"
        protocol.data.clear()
        yield protocol
        if "lost" not in protocol.events:
            protocol.transport.abort()
            await protocol.lost()


async def upgrade(protocol, context=None, **options):
    options.setdefault("server_hostname", NAME)
    loop = asyncio.get_running_loop()
    return await loop.start_tls(protocol.transport, protocol, context or client_context(), **options)


@pytest.mark.parametrize("kind", [Recorder, lambda: BufferedRecorder(size=100)], ids=["plain", "buffered"])
async def test_a_client_goes_on_with_tls(kind):
    async with in_the_clear(kind) as protocol:
        transport = await upgrade(protocol)
        transport.write(b"hello" * 1000)
        assert await protocol.received(5000) == b"hello" * 1000
        assert transport.get_extra_info("ssl_object").version() == "TLSv1.3"
        assert transport.get_extra_info("peername") == protocol.transport.get_extra_info("peername")
        transport.close()
        assert await protocol.lost() is None
        assert protocol.events.count("made") == protocol.events.count("lost") == 1


async def test_a_server_goes_on_with_tls():
    class Server(Recorder):
        def data_received(self, data):
            super().data_received(data)
            if self.data == b"STARTTLS":
                self.data.clear()
                self.transport.write(b"GO")
                self.upgrading = asyncio.ensure_future(self.upgrade())
            elif b"STARTTLS" not in self.data:
                self.secure.write(data)

        async def upgrade(self):
            loop = asyncio.get_running_loop()
            self.secure = await loop.start_tls(self.transport, self, server_context(), server_side=True)

    server = Server()
    listener = await asyncio.get_running_loop().create_server(lambda: server, "127.0.0.1", 0)
    address = listener.sockets[0].getsockname()

    def client():
        with socket.create_connection(address, 10) as sock:
            return ask(sock)

    assert await blocking(client) == b"hello"
    assert await server.lost() is None
    listener.close()
    await listener.wait_closed()


@pytest.mark.loops(*OURS)
async def test_what_was_written_in_the_clear_is_sent_first():
    """More than the socket takes at once: asyncio and uvloop confuse themselves over that."""
    clear = b"x" * TOO_MUCH

    def patient(sock):
        assert read_exactly(sock, 8) == b"STARTTLS"
        sock.sendall(b"GO")
        assert read_exactly(sock, len(clear)) == clear
        with server_context().wrap_socket(sock, server_side=True) as secure:
            secure.sendall(secure.recv(100))
            secure.recv(1)

    async with in_the_clear(handler=patient) as protocol:
        protocol.transport.write(clear)
        transport = await upgrade(protocol)
        transport.write(b"hello")
        assert await protocol.received(5) == b"hello"


@pytest.mark.loops(*OURS)
async def test_a_protocol_that_was_paused_in_the_clear_is_resumed():
    clear, go_on = b"x" * TOO_MUCH, threading.Event()

    def patient(sock):
        read_exactly(sock, 8)
        sock.sendall(b"GO")
        go_on.wait(10)
        read_exactly(sock, len(clear))
        with server_context().wrap_socket(sock, server_side=True) as secure:
            secure.recv(1)

    async with in_the_clear(handler=patient) as protocol:
        protocol.transport.write(clear)
        assert protocol.events[-1] == "pause"
        go_on.set()
        await upgrade(protocol)
        assert protocol.events[-2:] == ["pause", "resume"]


async def test_streams():
    """StreamWriter.start_tls, which exists from Python 3.11 on."""
    done = asyncio.get_running_loop().create_future()

    async def handle(reader, writer):
        assert await reader.readexactly(8) == b"STARTTLS"
        writer.write(b"GO")
        await writer.start_tls(server_context())
        writer.write(await reader.readexactly(5))
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
        done.set_result(None)

    async with await asyncio.start_server(handle, "127.0.0.1", 0) as server:
        address = server.sockets[0].getsockname()
        reader, writer = await asyncio.open_connection(*address)
        writer.write(b"STARTTLS")
        assert await reader.readexactly(2) == b"GO"
        await writer.start_tls(client_context(), server_hostname=NAME)
        writer.write(b"hello")
        assert await reader.readexactly(5) == b"hello"
        writer.close()
        await writer.wait_closed()
        await done


@pytest.mark.loops(*OURS)
async def test_a_handshake_that_the_reader_has_read_already_is_not_lost():
    """The client does not wait for our answer. asyncio: from 3.14 on."""

    async def handle(reader, writer):
        assert await reader.readexactly(8) == b"STARTTLS"
        while not reader._buffer:  # until the client's hello is there, too
            await asyncio.sleep(0.001)
        await writer.start_tls(server_context())
        writer.write(await reader.readexactly(5))
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    def hasty(address):
        with socket.create_connection(address, 10) as sock:
            sock.sendall(b"STARTTLS")
            with client_context().wrap_socket(sock, server_hostname=NAME) as secure:
                secure.sendall(b"hello")
                answer = read_exactly(secure, 5)
                say_goodbye(secure)
                return answer

    async with await asyncio.start_server(handle, "127.0.0.1", 0) as server:
        assert await blocking(hasty, server.sockets[0].getsockname()) == b"hello"


# --- who holds the old transport ----------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["close", "abort"])
async def test_the_old_transport_still_closes_the_connection(method):
    ended = threading.Event()

    def watch(sock):
        with contextlib.suppress(OSError):
            serve(sock)
        ended.set()

    async with in_the_clear(handler=watch) as protocol:
        transport = await upgrade(protocol)
        getattr(protocol.transport, method)()
        assert await protocol.lost() is None
        assert protocol.transport.is_closing()
        transport.write(b"nothing")
        transport.close()
        transport.abort()
        await blocking(ended.wait, 10)


@pytest.mark.uvloop_differs(reason="its transports have no socket", run=False)
async def test_the_sockets_stay_what_they_were():
    async with in_the_clear() as protocol:
        old = protocol.transport.get_extra_info("socket")
        number, name = old.fileno(), old.getsockname()
        transport = await upgrade(protocol)
        new = transport.get_extra_info("socket")
        assert old.fileno() == new.fileno() == number
        assert old.getsockname() == new.getsockname() == name
        transport.write(b"hello")
        await protocol.received(5)
        with pytest.raises(RuntimeError, match="is used by transport"):
            asyncio.get_running_loop().add_reader(number, print)


@pytest.mark.uvloop_differs(reason="has no close_clients", run=False)
@pytest.mark.skipif(not hasattr(asyncio.Server, "close_clients"), reason="asyncio has it from 3.13 on")
async def test_a_server_still_knows_its_upgraded_connections():
    upgraded = asyncio.get_running_loop().create_future()

    class Server(Recorder):
        def data_received(self, data):
            self.transport.write(b"GO")
            self.upgrading = asyncio.ensure_future(self.upgrade())

        async def upgrade(self):
            loop = asyncio.get_running_loop()
            upgraded.set_result(
                await loop.start_tls(self.transport, self, server_context(), server_side=True)
            )

    def client(address):
        with socket.create_connection(address, 10) as sock:
            sock.sendall(b"STARTTLS")
            read_exactly(sock, 2)
            with client_context().wrap_socket(sock, server_hostname=NAME) as secure:
                return read_all(secure)

    server = Server()
    listener = await asyncio.get_running_loop().create_server(lambda: server, "127.0.0.1", 0)
    answer = asyncio.ensure_future(blocking(client, listener.sockets[0].getsockname()))
    await upgraded
    listener.close()
    listener.close_clients()
    assert await answer == b""
    await server.lost()
    await listener.wait_closed()


@pytest.mark.loops("asyncio", *OURS)
@pytest.mark.parametrize("how", ["the old transport", "the server", "the new transport"])
async def test_what_was_written_arrives_though_the_old_transport_is_closed(how):
    if how == "the server" and not hasattr(asyncio.Server, "close_clients"):
        pytest.skip("asyncio has it from 3.13 on")
    loop, much = asyncio.get_running_loop(), b"x" * 2_000_000

    class Server(Recorder):
        def connection_made(self, transport):
            super().connection_made(transport)
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)

        def data_received(self, data):
            self.transport.write(b"GO")
            self.upgrading = asyncio.ensure_future(self.upgrade())

        async def upgrade(self):
            new = await loop.start_tls(self.transport, self, server_context(), server_side=True)
            new.write(much)
            if how == "the old transport":
                self.transport.close()
            elif how == "the server":
                listener.close_clients()
            else:
                new.close()

    def client(address):
        with socket.create_connection(address, 10) as sock:
            sock.sendall(b"STARTTLS")
            read_exactly(sock, 2)
            with client_context().wrap_socket(sock, server_hostname=NAME) as secure:
                return read_all(secure)

    server = Server()
    listener = await loop.create_server(lambda: server, "127.0.0.1", 0)
    assert await blocking(client, listener.sockets[0].getsockname()) == much
    await server.lost()
    listener.close()
    await listener.wait_closed()


@pytest.mark.loops(*OURS)
async def test_the_old_transport_is_the_connection():
    """Who holds it pauses, resumes and asks the new one by it."""
    async with in_the_clear() as protocol:
        old = protocol.transport
        shown = old.get_extra_info("socket")
        pause_reading, resume_reading, close = old.pause_reading, old.resume_reading, old.close
        new = await upgrade(protocol)
        pause_reading()
        assert not new.is_reading()
        resume_reading()
        assert new.is_reading()
        assert old.get_extra_info("ssl_object") is new.get_extra_info("ssl_object") is not None
        assert old.get_extra_info("socket") is shown
        old.pause_reading()
        assert not new.is_reading()
        assert not old.is_reading()
        new.write(b"hello")
        for _ in range(20):
            await asyncio.sleep(0)
        assert protocol.data == b""
        old.resume_reading()
        assert new.is_reading()
        assert await protocol.received(5) == b"hello"
        old.set_write_buffer_limits(high=1000)
        assert old.get_write_buffer_limits() == new.get_write_buffer_limits() == (250, 1000)
        assert old.get_write_buffer_size() == 0
        assert not old.can_write_eof()
        with pytest.raises(NotImplementedError):
            old.write_eof()
        with pytest.raises(TypeError, match="bytes-like|bytes, bytearray"):
            old.write("text")
        new.write(b"held")
        assert new._held == b"held"
        shown.fileno()
        assert new._held is None  # whoever has the number may write to it
        await protocol.received(9)
        close()
        assert new.is_closing()
        await protocol.lost()
        assert old.is_closing()


@pytest.mark.loops("asyncio", *OURS)
async def test_last_words_in_the_clear_may_follow_the_call():
    """A server that says GO when it is ready for the handshake."""
    loop = asyncio.get_running_loop()

    class Server(Recorder):
        def data_received(self, data):
            self.upgrading = asyncio.ensure_future(
                loop.start_tls(self.transport, self, server_context(), server_side=True)
            )
            loop.call_soon(loop.call_soon, self.transport.write, b"GO")

    def client(address):
        with socket.create_connection(address, 10) as sock:
            sock.sendall(b"STARTTLS")
            assert read_exactly(sock, 2) == b"GO"
            with client_context().wrap_socket(sock, server_hostname=NAME) as secure:
                return secure.version()

    server = Server()
    async with await loop.create_server(lambda: server, "127.0.0.1", 0) as listener:
        assert (await blocking(client, listener.sockets[0].getsockname())).startswith("TLS")
        await server.upgrading
        await server.lost()


async def test_pausing_works_as_before():
    async with in_the_clear() as protocol:
        transport = await upgrade(protocol)
        transport.pause_reading()
        transport.write(b"hello")
        for _ in range(20):
            await asyncio.sleep(0)
        assert protocol.data == b""
        transport.resume_reading()
        assert await protocol.received(5) == b"hello"


# --- failures -----------------------------------------------------------------------------------------------


async def test_a_wrong_certificate_is_refused():
    async with in_the_clear() as protocol:
        with pytest.raises(ssl.SSLCertVerificationError):
            await upgrade(protocol, ssl.create_default_context())
        assert isinstance(await protocol.lost(), ssl.SSLCertVerificationError)


async def refused(address, over_plain):
    """A connection whose certificate was refused, and the end of that."""
    loop = asyncio.get_running_loop()
    context = ssl.create_default_context()
    if over_plain:
        transport, protocol = await loop.create_connection(asyncio.Protocol, *address)
        attempt = loop.start_tls(transport, protocol, context, server_hostname=NAME)
        del transport, protocol
    else:
        attempt = loop.create_connection(asyncio.Protocol, *address, ssl=context, server_hostname=NAME)
    try:
        await attempt
    except ssl.SSLCertVerificationError:
        pass
    else:
        pytest.fail("it was accepted")
    del attempt
    await asyncio.sleep(0.005)  # a loop that has slept keeps nothing alive


def shake_hands(sock):
    with contextlib.suppress(OSError):
        server_context().wrap_socket(sock, server_side=True).close()


@pytest.mark.loops(*OURS, *(["asyncio"] if sys.version_info >= (3, 14, 9) else []))
@pytest.mark.parametrize("over_plain", [False, True])
@counts_references
async def test_nothing_is_left_for_the_collector_after_a_failed_handshake(over_plain):
    def transports():
        return {id(thing) for thing in gc.get_objects() if isinstance(thing, asyncio.BaseTransport)}

    with serving(shake_hands) as address:
        gc.collect()
        before = transports()
        gc.disable()
        try:
            await refused(address, over_plain)
            assert transports() - before == set()
        finally:
            gc.enable()


@pytest.mark.loops("asyncio", *OURS)
@pytest.mark.skipif(not hasattr(ssl, "_check_sslobject_params"), reason="not asked for before Python 3.14.8")
async def test_a_context_that_checks_names_needs_one():
    loop = asyncio.get_running_loop()
    with serving(lambda sock: sock.recv(1)) as address:
        with pytest.raises(ValueError, match="check_hostname requires server_hostname"):
            await loop.create_connection(Recorder, *address, ssl=client_context(), server_hostname="")
        transport, protocol = await loop.create_connection(Recorder, *address)
        with pytest.raises(ValueError, match="check_hostname requires server_hostname"):
            await loop.start_tls(transport, protocol, client_context())
        transport.close()
        await protocol.lost()


def hang_up(sock):
    read_exactly(sock, 8)
    sock.sendall(b"GO")
    sock.recv(1)


async def test_a_peer_that_hangs_up():
    async with in_the_clear(handler=hang_up) as protocol:
        with pytest.raises(ConnectionResetError):
            await upgrade(protocol)
        protocol.note("lost")  # which asyncio does not tell


@contextlib.asynccontextmanager
async def stalling():
    stop = threading.Event()

    def stall(sock):
        read_exactly(sock, 8)
        sock.sendall(b"GO")
        stop.wait(10)

    async with in_the_clear(handler=stall) as protocol:
        yield protocol
        stop.set()


async def test_a_peer_that_stalls_is_given_up():
    async with stalling() as protocol:
        with pytest.raises(ConnectionAbortedError, match="SSL handshake is taking longer"):
            await upgrade(protocol, ssl_handshake_timeout=0.05)
        protocol.note("lost")  # which asyncio does not tell


@pytest.mark.loops(*OURS)
async def test_a_protocol_always_hears_of_the_end():
    """asyncio does not tell it after a handshake that was cut short, too slow or cancelled."""
    async with in_the_clear(handler=hang_up) as protocol:
        with pytest.raises(ConnectionResetError):
            await upgrade(protocol)
        assert isinstance(await protocol.lost(), ConnectionResetError)
    async with stalling() as protocol:
        with pytest.raises(ConnectionAbortedError):
            await upgrade(protocol, ssl_handshake_timeout=0.05)
        assert isinstance(await protocol.lost(), ConnectionAbortedError)
    async with stalling() as protocol:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await upgrade(protocol)
        assert await protocol.lost() is None


async def test_cancelled_nothing_is_left():
    context = client_context()
    async with stalling() as protocol:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await upgrade(protocol, context)
        assert protocol.transport.is_closing()
        await asyncio.sleep(0.01)
        protocol.note("lost")
    reference = weakref.ref(context)
    del context
    collect()
    assert reference() is None


@pytest.mark.loops(*OURS)
async def test_the_old_transport_closed_during_the_handshake():
    async with stalling() as protocol:
        upgrading = asyncio.ensure_future(upgrade(protocol))
        await asyncio.sleep(0)
        protocol.transport.close()
        with pytest.raises(ConnectionAbortedError):
            await upgrading
        assert await protocol.lost() is None


@pytest.mark.loops("asyncio", *OURS)
@pytest.mark.parametrize("unsent", [b"", b"x" * 3_000_000], ids=["nothing unsent", "much unsent"])
async def test_a_transport_that_is_closing_is_waited_for(unsent):
    def read(sock):
        sock.sendall(b"GO")
        read_all(sock)

    async with in_the_clear(handler=read) as protocol:
        protocol.transport.write(unsent)
        protocol.transport.close()
        assert await upgrade(protocol) is None
        assert await protocol.lost() is None
        assert protocol.events.count("lost") == 1


@pytest.mark.loops(*OURS)
async def test_a_closed_transport_is_refused_at_once():
    """asyncio waits until the time for the handshake is over."""
    async with in_the_clear() as protocol:
        protocol.transport.close()
        await protocol.lost()
        with pytest.raises(ConnectionAbortedError, match="needs an open connection"):
            await upgrade(protocol)


async def test_wrong_arguments():
    loop = asyncio.get_running_loop()
    async with in_the_clear() as protocol:
        with pytest.raises(
            TypeError, match="sslcontext is expected to be an instance of ssl.SSLContext, got"
        ):
            await loop.start_tls(protocol.transport, protocol, None)
        with pytest.raises(TypeError, match="is not supported by start_tls"):
            await loop.start_tls(object(), protocol, client_context())
        for name in ("ssl_handshake_timeout", "ssl_shutdown_timeout"):
            with pytest.raises(ValueError, match=f"{name} should be a positive number, got 0"):
                await upgrade(protocol, **{name: 0})


# --- the general way ----------------------------------------------------------------------------------------


@pytest.mark.loops(*OURS)
async def test_tls_in_tls():
    """The outer handshake, the inner one, and an echo through both. asyncio and uvloop may hang in it."""
    loop = asyncio.get_running_loop()
    finished = loop.create_future()

    class Server(Recorder):
        def connection_made(self, transport):
            super().connection_made(transport)
            transport.pause_reading()
            self.upgrading = asyncio.ensure_future(self.upgrade())

        async def upgrade(self):
            self.secure = await loop.start_tls(self.transport, self, server_context(), server_side=True)

        def data_received(self, data):
            super().data_received(data)
            self.secure.write(data)

        def connection_lost(self, exc):
            super().connection_lost(exc)
            finished.set_result(exc)

    listener = await loop.create_server(Server, "127.0.0.1", 0, ssl=server_context())
    address = listener.sockets[0].getsockname()
    outer, protocol = await loop.create_connection(
        Recorder, *address, ssl=client_context(), server_hostname=NAME
    )
    inner = await loop.start_tls(outer, protocol, client_context(), server_hostname=NAME)
    message = b"hello" * 50_000
    inner.write(message)
    assert await protocol.received(len(message)) == message
    inner.close()
    assert await protocol.lost() is None
    await finished
    listener.close()
    await listener.wait_closed()


@pytest.mark.loops(*OURS)
async def test_a_context_with_a_will_of_its_own_is_asked():
    class Careful(ssl.SSLContext):
        asked = 0

        def wrap_bio(self, *args, **kwargs):
            self.asked += 1
            return super().wrap_bio(*args, **kwargs)

    context = Careful(ssl.PROTOCOL_TLS_CLIENT)
    authority().configure_trust(context)
    async with in_the_clear() as protocol:
        transport = await upgrade(protocol, context)
        transport.write(b"hello")
        assert await protocol.received(5) == b"hello"
        assert context.asked == 1


@pytest.mark.loops(*OURS)
async def test_a_transport_of_another_make():
    """All that is asked of it are asyncio's transport methods and the marker."""

    class Relay(asyncio.Transport):
        _start_tls_compatible = True

        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def set_protocol(self, protocol):
            self.inner.set_protocol(protocol)

        def __getattr__(self, name):
            return getattr(self.inner, name)

        pause_reading = property(lambda self: self.inner.pause_reading)
        resume_reading = property(lambda self: self.inner.resume_reading)
        write = property(lambda self: self.inner.write)
        close = property(lambda self: self.inner.close)
        is_closing = property(lambda self: self.inner.is_closing)
        get_extra_info = property(lambda self: self.inner.get_extra_info)

    async with in_the_clear() as protocol:
        loop = asyncio.get_running_loop()
        transport = await loop.start_tls(
            Relay(protocol.transport), protocol, client_context(), server_hostname=NAME
        )
        transport.write(b"hello")
        assert await protocol.received(5) == b"hello"


async def test_unconnected_pairs_can_be_upgraded_at_both_ends():
    """Both ends in one loop, by connections that asyncio did not make."""
    loop = asyncio.get_running_loop()
    with tcp_pair() as (ours, theirs):
        theirs.setblocking(False)
        left, client = await loop.create_connection(Recorder, sock=ours)
        right, server = await loop.create_connection(Recorder, sock=theirs)
        left, right = await asyncio.gather(
            loop.start_tls(left, client, client_context(), server_hostname=NAME),
            loop.start_tls(right, server, server_context(), server_side=True),
        )
        left.write(b"from left")
        right.write(b"from right")
        assert await server.received(9) == b"from left"
        assert await client.received(10) == b"from right"
        left.close()
        assert await server.lost() is None
        assert await client.lost() is None
