"""TLS by create_connection, create_server and their kin. `start_tls` has a file of its own."""

import asyncio
import contextlib
import gc
import hashlib
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
import weakref

import pytest

from tests.support.net import (
    TOO_MUCH,
    blocking,
    connect,
    free_port,
    read_all,
    read_exactly,
    reset,
    serving,
    tcp_pair,
)
from tests.support.protocols import BufferedRecorder, Echo, Recorder
from tests.support.tls import (
    NAME,
    authority,
    certificate,
    client_context,
    say_goodbye,
    server_context,
    tls_connect,
    tls_serving,
)

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]
OURS = ("epoll", "poll", "select", "busy")
both_versions = pytest.mark.parametrize("version", VERSIONS, ids=["1.2", "1.3"])
needs_openssl = pytest.mark.skipif(not shutil.which("openssl"), reason="needs the openssl command")


class Serving:
    """A TLS server on loopback and the protocols of its connections."""

    def __init__(self, protocol=Recorder, context=None, **options):
        self.protocol, self.protocols = protocol, []
        self.context, self.options = context or server_context(), options

    def factory(self):
        self.protocols.append(self.protocol())
        return self.protocols[-1]

    async def __aenter__(self):
        self.server = await asyncio.get_running_loop().create_server(
            self.factory, "127.0.0.1", 0, ssl=self.context, **self.options
        )
        self.address = self.server.sockets[0].getsockname()
        return self

    async def __aexit__(self, *_):
        self.server.close()
        for protocol in self.protocols:
            if protocol.transport is not None and "lost" not in protocol.events:
                protocol.transport.abort()
                await protocol.lost()
        await self.server.wait_closed()

    async def first(self):
        """The first protocol, once its handshake is over."""
        while not self.protocols:
            await asyncio.sleep(0.001)
        await self.protocols[0].made()
        return self.protocols[0]


@contextlib.asynccontextmanager
async def connected(address, protocol=Recorder, context=None, **options):
    """A client protocol of the loop under test."""
    options.setdefault("server_hostname", NAME)
    _, protocol = await asyncio.get_running_loop().create_connection(
        protocol, *address, ssl=context or client_context(), **options
    )
    yield protocol
    if "lost" not in protocol.events:
        protocol.transport.abort()
        await protocol.lost()


@contextlib.contextmanager
def idle(serve):
    """A server, by `serving` or `tls_serving`, that neither reads nor closes while the block lasts."""
    over = threading.Event()
    with serve(lambda sock: over.wait()) as address:
        try:
            yield address
        finally:
            over.set()


def talk(address, message=b"hello", context=None):
    with tls_connect(address, context) as sock:
        sock.sendall(message)
        answer = read_exactly(sock, len(message))
        say_goodbye(sock)
        return answer


def echo(sock):
    while data := sock.recv(65536):
        sock.sendall(data)
    say_goodbye(sock)


def hear_all(sock):
    """What comes until close_notify, which is answered."""
    data = read_all(sock)
    say_goodbye(sock)
    return data


# --- bytes through ------------------------------------------------------------------------------------------


@both_versions
async def test_serves_a_blocking_client(version):
    async with Serving(Echo) as here:
        assert await blocking(talk, here.address, b"hello", client_context(version)) == b"hello"
        assert await here.protocols[0].lost() is None


@both_versions
async def test_talks_to_a_blocking_server(version):
    with tls_serving(echo) as address:
        async with connected(address, context=client_context(version)) as protocol:
            protocol.transport.write(b"hello")
            assert await protocol.received(5) == b"hello"
            protocol.transport.close()
            assert await protocol.lost() is None


async def test_megabytes_both_ways_arrive_unchanged():
    message = bytes(range(256)) * 16384

    def talk_large(address):
        with tls_connect(address) as sock:
            sock.setblocking(True)
            sock.settimeout(20)
            got = bytearray()
            for start in range(0, len(message), 65536):
                sock.sendall(message[start : start + 65536])
                got += read_exactly(sock, 65536)
            say_goodbye(sock)
            return bytes(got)

    async with Serving(Echo) as here:
        assert await blocking(talk_large, here.address) == message


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
async def test_a_large_write_is_sent_in_the_background(kind):
    message = bytes(range(256)) * 8192
    with tls_serving(hear_and_tell) as address:
        async with connected(address) as protocol:
            protocol.transport.write(kind(message))
            protocol.transport.write(b"end")
            assert (await protocol.received(64)).decode() == digest(message + b"end")


def digest(data):
    return hashlib.sha256(data).hexdigest()


def hear_and_tell(sock):
    """Answer what came, up to "end", by its digest."""
    data = bytearray()
    while not data.endswith(b"end"):
        data += sock.recv(65536)
    sock.sendall(digest(data).encode())
    with contextlib.suppress(OSError):
        sock.recv(1)


@pytest.mark.loops("uvloop", *OURS)
async def test_a_mutable_buffer_may_be_reused_after_write():
    """asyncio keeps a reference to it."""
    buffer = bytearray(b"x" * 4_000_000)
    with tls_serving(hear_and_tell) as address:
        async with connected(address) as protocol:
            expected = digest(bytes(buffer) + b"end")
            protocol.transport.write(buffer)
            buffer[:] = b"y" * len(buffer)
            protocol.transport.write(b"end")
            assert (await protocol.received(64)).decode() == expected


async def test_many_small_writes_stay_in_order():
    parts = [b"%06d" % n for n in range(20000)]
    with tls_serving(hear_and_tell) as address:
        async with connected(address) as protocol:
            for part in parts:
                protocol.transport.write(part)
            protocol.transport.writelines([b"", bytearray(b"e"), memoryview(b"nd")])
            assert (await protocol.received(64)).decode() == digest(b"".join(parts) + b"end")


async def test_many_connections_at_once():
    async with Serving(Echo) as here:
        clients = [blocking(talk, here.address, b"%d" % n) for n in range(20)]
        assert await asyncio.gather(*clients) == [b"%d" % n for n in range(20)]


async def test_streams():
    async def serve(reader, writer):
        writer.write((await reader.readline()).upper())
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=server_context()) as server:
        address = server.sockets[0].getsockname()
        reader, writer = await asyncio.open_connection(*address, ssl=client_context(), server_hostname=NAME)
        writer.write(b"hello\n")
        assert await reader.read() == b"HELLO\n"
        writer.close()
        await writer.wait_closed()


@pytest.mark.loops(*OURS)
async def test_header_and_body_leave_in_one_record():
    class Answer(Recorder):
        def data_received(self, data):
            self.transport.write(b"header ")
            self.transport.write(b"body")

    def ask(address):
        with tls_connect(address) as sock:
            sock.sendall(b"?")
            return sock.recv(100)  # one record at most

    async with Serving(Answer) as here:
        assert await blocking(ask, here.address) == b"header body"


# --- BufferedProtocol, set_protocol, pausing ----------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 100, 16384, 65536])
async def test_a_record_larger_than_the_buffer_is_read_to_its_end(size):
    """Its rest waits inside OpenSSL while the descriptor stays quiet."""
    message = b"abcde" * 1000
    with tls_serving(lambda sock: (sock.sendall(message), sock.recv(1))) as address:
        async with connected(address, lambda: BufferedRecorder(size=size)) as protocol:
            assert await protocol.received(len(message)) == message
            assert protocol.data == message
            protocol.transport.close()


@pytest.mark.parametrize("kind", [Recorder, lambda: BufferedRecorder(size=7)], ids=["plain", "buffered"])
async def test_nothing_arrives_while_reading_is_paused(kind):
    async with Serving(kind) as here:
        client = asyncio.ensure_future(blocking(send_and_wait, here.address, b"x" * 5000))
        protocol = await here.first()
        transport = protocol.transport
        await protocol.received(1)
        transport.pause_reading()
        transport.pause_reading()
        assert not transport.is_reading()
        count = len(protocol.data)
        for _ in range(20):
            await asyncio.sleep(0)
        assert len(protocol.data) == count
        transport.resume_reading()
        transport.resume_reading()
        assert transport.is_reading()
        await protocol.received(5000)
        transport.write(b".")
        await client


def send_and_wait(address, data):
    with tls_connect(address) as sock:
        sock.sendall(data)
        sock.recv(1)
        say_goodbye(sock)


async def test_paused_in_data_received_and_resumed_later_loses_nothing():
    class Pausing(Recorder):
        def data_received(self, data):
            super().data_received(data)
            self.transport.pause_reading()
            asyncio.get_running_loop().call_soon(self.transport.resume_reading)

    message = bytes(range(256)) * 1024
    async with Serving(Pausing) as here:
        client = asyncio.ensure_future(blocking(send_and_wait, here.address, message))
        protocol = await here.first()
        assert await protocol.received(len(message)) == message
        protocol.transport.write(b".")
        await client


async def test_set_protocol_takes_effect_with_the_next_data():
    async with Serving() as here:
        client = asyncio.ensure_future(blocking(send_twice, here.address))
        first = await here.first()
        await first.received(3)
        second = BufferedRecorder()
        first.transport.set_protocol(second)
        assert first.transport.get_protocol() is second
        first.transport.write(b".")
        assert await second.received(3) == b"two"
        assert first.data == b"one"
        first.transport.close()
        await client
        assert await second.lost() is None
        assert "lost" not in first.events
        first.note("lost")


def send_twice(address):
    with tls_connect(address) as sock:
        sock.sendall(b"one")
        sock.recv(1)
        sock.sendall(b"two")
        hear_all(sock)


# --- flow control -------------------------------------------------------------------------------------------


async def test_the_protocol_is_paused_when_the_peer_does_not_read():
    may_read = threading.Event()

    def lazy(address):
        with tls_connect(address) as sock:
            may_read.wait(10)
            return len(hear_all(sock))

    async with Serving() as here:
        client = asyncio.ensure_future(blocking(lazy, here.address))
        protocol = await here.first()
        transport, total = protocol.transport, 0
        assert transport.get_write_buffer_limits() == (128 * 1024, 512 * 1024)
        while "pause" not in protocol.events:
            transport.write(b"x" * 65536)
            total += 65536
            await asyncio.sleep(0)
        assert transport.get_write_buffer_size() >= 512 * 1024
        assert "resume" not in protocol.events
        may_read.set()
        await protocol.until_event("resume")
        assert transport.get_write_buffer_size() <= 128 * 1024
        transport.close()
        assert await client == total
        assert await protocol.lost() is None


async def test_limits_can_be_set():
    async with Serving() as here:
        client = asyncio.ensure_future(blocking(talk, here.address, b""))
        protocol = await here.first()
        protocol.transport.set_write_buffer_limits(high=1000, low=10)
        assert protocol.transport.get_write_buffer_limits() == (10, 1000)
        with pytest.raises(ValueError, match="must be >= low"):
            protocol.transport.set_write_buffer_limits(high=1, low=2)
        await client


@pytest.mark.loops("asyncio", *OURS)
async def test_a_flood_on_one_connection_leaves_the_others_their_turn():
    class Slow(Recorder):
        calls = 0

        def data_received(self, data):
            Slow.calls += 1

    def flood(address):
        with contextlib.suppress(OSError), tls_connect(address) as sock:
            while True:
                sock.sendall(b"x" * 65536)

    async with Serving(Slow) as here:
        client = asyncio.ensure_future(blocking(flood, here.address))
        await here.first()
        for _ in range(20):  # each needs its turn
            assert await blocking(handshake_only, here.address) is None
        here.protocols[0].transport.abort()
        await client


def handshake_only(address):
    tls_connect(address).close()


# --- the end ------------------------------------------------------------------------------------------------


@both_versions
async def test_close_sends_everything_and_then_close_notify(version):
    async with Serving() as here:
        client = asyncio.ensure_future(
            blocking(lambda: hear_all(tls_connect(here.address, client_context(version))))
        )
        protocol = await here.first()
        protocol.transport.write(b"x" * 3_000_000)
        protocol.transport.close()
        protocol.transport.write(b"ignored")
        protocol.transport.close()
        assert protocol.transport.is_closing()
        # A missing close_notify would be an SSLEOFError there.
        assert await client == b"x" * 3_000_000
        assert await protocol.lost() is None
        assert protocol.events.count("lost") == 1


async def test_the_peers_close_notify_is_the_end_of_the_stream():
    async with Serving() as here:
        await blocking(lambda: say_goodbye(tls_connect(here.address)))
        protocol = await here.first()
        assert await protocol.lost() is None
        assert protocol.events == ["made", "eof", "lost"]


@pytest.mark.uvloop_differs(reason="does not call eof_received()")
async def test_the_end_of_the_stream_without_close_notify_is_no_error():
    def vanish(address):
        with tls_connect(address) as sock:
            sock.recv(1)
            sock.sendall(b"bye")
            sock.shutdown(socket.SHUT_WR)  # of the socket: from here on TLS is out of it
            return read_all(sock)

    async with Serving() as here:
        client = asyncio.ensure_future(blocking(vanish, here.address))
        protocol = await here.first()
        protocol.transport.write(b".")
        assert await protocol.lost() is None
        assert protocol.data == b"bye"
        assert protocol.events[-2:] == ["eof", "lost"]
        assert await client == b""  # no alert, and no close_notify either


@pytest.mark.parametrize("ending", ["close_notify", "end of stream"])
async def test_what_was_written_is_sent_though_the_peer_sends_no_more(ending):
    """It reads on: what waits to be sent must reach it, from a TLS that has seen the end of the stream."""
    total = 4_000_000

    def leave_and_listen(address):
        raw = connect(address)
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = client_context().wrap_bio(incoming, outgoing, server_hostname=NAME)

        def run(method, *args):
            while True:
                try:
                    result = method(*args)
                except ssl.SSLWantReadError:
                    flush()
                    data = raw.recv(65536)
                    assert data, "the stream ends in the middle"
                    incoming.write(data)
                else:
                    flush()
                    return result

        def flush():
            if outgoing.pending:
                raw.sendall(outgoing.read())

        with raw:
            run(tls.do_handshake)
            count = len(run(tls.read, 65536))
            if ending == "close_notify":
                with contextlib.suppress(ssl.SSLWantReadError):
                    while True:
                        count += len(tls.read(65536))  # unwrap() does not go past data
                with contextlib.suppress(ssl.SSLWantReadError):
                    tls.unwrap()
                flush()
            else:
                raw.shutdown(socket.SHUT_WR)
            while count < total:
                data = run(tls.read, 65536)
                if not data:
                    break
                count += len(data)
            return count

    async with Serving() as here:
        client = asyncio.ensure_future(blocking(leave_and_listen, here.address))
        protocol = await here.first()
        protocol.transport.write(b"x" * total)
        assert await client == total
        assert await protocol.lost() is None


async def test_a_reset_is_told_as_such():
    def vanish(address):
        sock = tls_connect(address)
        sock.recv(1)
        reset(sock)

    async with Serving() as here:
        client = asyncio.ensure_future(blocking(vanish, here.address))
        protocol = await here.first()
        protocol.transport.write(b".")
        await client
        assert isinstance(await protocol.lost(), ConnectionResetError)
        assert "eof" not in protocol.events


async def test_an_answer_after_a_reset_is_told_of_the_reset():
    class Answering(Recorder):
        def data_received(self, data):
            super().data_received(data)
            self.transport.write(b"answer")

    async with Serving(Answering) as here:
        peer = await blocking(tls_connect, here.address)
        protocol = await here.first()
        protocol.transport.pause_reading()
        peer.sendall(b"question")
        reset(peer)
        protocol.transport.resume_reading()
        assert isinstance(await protocol.lost(), ConnectionResetError)


async def test_eof_received_cannot_keep_a_tls_connection_open(asyncio_log):
    async with Serving(lambda: Recorder(keep_open=True)) as here:
        await blocking(lambda: say_goodbye(tls_connect(here.address)))
        protocol = await here.first()
        assert await protocol.lost() is None
    assert "returning true from eof_received() has no effect when using ssl" in [
        record.getMessage() for record in asyncio_log
    ]


async def test_abort_ends_the_connection_at_once():
    with idle(tls_serving) as address:
        async with connected(address) as protocol:
            protocol.transport.write(b"x" * 10_000_000)
            protocol.transport.abort()
            assert protocol.transport.is_closing()
            assert await protocol.lost() is None
            assert "eof" not in protocol.events


async def test_a_peer_that_never_answers_close_notify_is_given_up():
    with idle(tls_serving) as address:
        async with connected(address, ssl_shutdown_timeout=0.05) as protocol:
            protocol.transport.close()
            error = await protocol.lost()
            assert isinstance(error, TimeoutError)
            assert str(error) == "SSL shutdown timed out"


async def test_a_peer_that_does_not_read_is_given_up():
    with idle(tls_serving) as address:
        async with connected(address, ssl_shutdown_timeout=0.05) as protocol:
            protocol.transport.write(bytes(TOO_MUCH))
            protocol.transport.close()
            error = await protocol.lost()
            assert isinstance(error, TimeoutError)


@pytest.mark.loops("uvloop", *OURS)
async def test_data_that_arrives_after_close_is_dropped():
    """asyncio ends such a connection with an SSLError."""
    closed = threading.Event()

    def late(sock):
        sock.sendall(b"hello")
        closed.wait(10)
        for _ in range(10):
            sock.sendall(b"x" * 65536)
        with contextlib.suppress(ssl.SSLError, OSError):
            read_all(sock)
        with contextlib.suppress(OSError):
            say_goodbye(sock)

    with tls_serving(late) as address:
        async with connected(address) as protocol:
            await protocol.received(5)
            protocol.transport.close()
            closed.set()
            assert await protocol.lost() is None
            assert protocol.data == b"hello"


async def test_writing_to_a_closed_connection_does_nothing():
    with tls_serving(echo) as address:
        async with connected(address) as protocol:
            protocol.transport.close()
            await protocol.lost()
            for _ in range(10):
                protocol.transport.write(b"x")
            assert protocol.events[-1] == "lost"
            assert not protocol.data


async def test_what_is_no_bytes_is_named():
    with tls_serving(echo) as address:
        async with connected(address) as protocol:
            with pytest.raises(TypeError) as caught:
                protocol.transport.write("text")
            assert str(caught.value) == "data: expecting a bytes-like instance, got str"
            protocol.transport.write(b"on")
            await protocol.received(2)


async def test_there_is_no_write_eof():
    with tls_serving(echo) as address:
        async with connected(address) as protocol:
            assert not protocol.transport.can_write_eof()
            with pytest.raises(NotImplementedError):
                protocol.transport.write_eof()
            protocol.transport.write(b"on")
            await protocol.received(2)


@pytest.mark.parametrize("method", ["connection_made", "data_received", "eof_received"])
async def test_an_error_of_the_protocol_is_reported_and_ends_the_connection(method, reports):
    asyncio.get_running_loop().set_exception_handler(reports)
    error = LookupError("mine")

    class Failing(Recorder):
        pass

    def fail(self, *args):
        if method == "connection_made":
            Recorder.connection_made(self, *args)
        raise error

    setattr(Failing, method, fail)

    def knock(address):
        with contextlib.suppress(OSError), tls_connect(address) as sock:
            sock.sendall(b"hello")
            say_goodbye(sock)

    async with Serving(Failing) as here:
        await blocking(knock, here.address)
        protocol = await here.first()
        assert await protocol.lost() is error
    assert error in reports.exceptions


# --- the handshake ------------------------------------------------------------------------------------------


@pytest.mark.loops(*OURS)
@both_versions
async def test_the_awaiting_coroutine_resumes_before_the_first_data(version):
    events = []

    class Noting(Recorder):
        def connection_made(self, transport):
            super().connection_made(transport)
            events.append("made")

        def data_received(self, data):
            super().data_received(data)
            events.append("data")

    with tls_serving(lambda sock: (sock.sendall(b"hello"), sock.recv(1))) as address:
        async with connected(address, Noting, client_context(version)) as protocol:
            events.append("resumed")
            await protocol.received(5)
            protocol.transport.close()
    assert events == ["made", "resumed", "data"]


@pytest.mark.loops("asyncio", *OURS)  # uvloop may leave such a peer waiting
@pytest.mark.parametrize(
    ("which", "reason"),
    [
        ({"by": "somebody else"}, "unable to get local issuer|self.signed"),
        ({"expired": True}, "expired"),
        ({"name": "other.test"}, "Hostname mismatch"),
    ],
    ids=["unknown issuer", "expired", "other name"],
)
@both_versions
async def test_a_wrong_certificate_is_refused(which, reason, version):
    with tls_serving(echo, server_context(**which)) as address:
        with pytest.raises(ssl.SSLCertVerificationError, match=reason):
            async with connected(address, context=client_context(version)):
                pass


@pytest.mark.loops("asyncio", *OURS)  # uvloop may leave such a peer waiting
async def test_true_means_the_system_s_authorities():
    with tls_serving(echo) as address:
        with pytest.raises(ssl.SSLCertVerificationError):
            await asyncio.get_running_loop().create_connection(
                Recorder, *address, ssl=True, server_hostname=NAME
            )


async def test_an_empty_host_name_is_not_checked():
    context = client_context()
    context.check_hostname = False
    with tls_serving(echo) as address:
        async with connected(address, context=context, server_hostname="") as protocol:
            protocol.transport.write(b"x")
            assert await protocol.received(1) == b"x"


async def test_a_server_survives_clients_that_refuse_its_certificate():
    asyncio.get_running_loop().set_debug(False)  # which would report each failed handshake

    def refuse(address):
        context = ssl.create_default_context()
        with pytest.raises(ssl.SSLCertVerificationError):
            tls_connect(address, context)

    async with Serving(Echo) as here:
        await blocking(refuse, here.address)
        assert await blocking(talk, here.address) == b"hello"


@pytest.mark.parametrize("rubbish", [b"GET / HTTP/1.1\r\n\r\n", b"\0" * 1000, b"\x16\x03\x01\xff\xff", b""])
async def test_a_server_survives_what_is_no_tls(rubbish):
    asyncio.get_running_loop().set_debug(False)  # which would report each failed handshake

    def knock(address):
        with connect(address) as sock, contextlib.suppress(OSError):
            sock.sendall(rubbish)
            sock.shutdown(socket.SHUT_WR)
            read_all(sock)

    async with Serving(Echo) as here:
        await blocking(knock, here.address)
        assert await blocking(talk, here.address) == b"hello"
        assert here.protocols[0].events == []


async def test_a_client_says_what_it_got_instead_of_tls():
    with serving(lambda sock: (sock.sendall(b"220 mail.test ESMTP\r\n"), sock.recv(1))) as address:
        with pytest.raises(ssl.SSLError, match="WRONG_VERSION_NUMBER|wrong version number"):
            async with connected(address):
                pass


async def test_a_peer_that_hangs_up_during_the_handshake():
    with serving(lambda sock: sock.recv(1)) as address:
        with pytest.raises(ConnectionResetError):
            async with connected(address):
                pass


async def test_a_server_that_stalls_the_handshake_is_given_up():
    with idle(serving) as address:
        with pytest.raises(
            ConnectionAbortedError, match=r"SSL handshake is taking longer than 0\.05 seconds"
        ):
            async with connected(address, ssl_handshake_timeout=0.05):
                pass


async def test_a_client_that_stalls_the_handshake_is_given_up():
    asyncio.get_running_loop().set_debug(False)  # which would report each failed handshake

    def stall(address):
        with connect(address) as sock:
            with contextlib.suppress(ConnectionResetError):
                assert sock.recv(1) == b""

    async with Serving(ssl_handshake_timeout=0.05) as here:
        await blocking(stall, here.address)
        assert [p.events for p in here.protocols] == [[]]


async def test_cancelled_during_the_handshake_nothing_is_left():
    context = client_context()
    with idle(serving) as address:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                async with connected(address, context=context):
                    pass
    reference = weakref.ref(context)
    del context
    await asyncio.sleep(0.005)  # a loop that has slept keeps nothing alive
    for _ in range(5):  # PyPy counts no references, and goes from one finalizer to the next
        gc.collect()
    assert reference() is None


@pytest.mark.uvloop_differs(reason="has neither close_clients nor abort_clients", run=False)
@pytest.mark.skipif(not hasattr(asyncio.Server, "abort_clients"), reason="asyncio has it from 3.13 on")
async def test_a_server_aborts_handshakes_too():
    def wait_for_the_end(address):
        with connect(address) as sock:
            return read_all(sock)

    async with Serving() as here:
        client = asyncio.ensure_future(blocking(wait_for_the_end, here.address))
        while not here.protocols:
            await asyncio.sleep(0.001)
        here.server.close()
        here.server.abort_clients()
        with contextlib.suppress(ConnectionResetError):
            assert await client == b""
        await here.server.wait_closed()


@both_versions
async def test_client_certificates(version):
    asyncio.get_running_loop().set_debug(False)  # which would report each failed handshake
    context = server_context()
    context.verify_mode = ssl.CERT_REQUIRED
    authority().configure_trust(context)
    with_certificate = client_context(version)
    certificate("alice@test").configure_cert(with_certificate)

    def anonymous(address):
        with (
            contextlib.suppress(ssl.SSLError, OSError),
            tls_connect(address, client_context(version)) as sock,
        ):
            sock.sendall(b"x")
            assert sock.recv(1) == b""

    async with Serving(Echo, context) as here:
        assert await blocking(talk, here.address, b"hello", with_certificate) == b"hello"
        peer = here.protocols[0].transport.get_extra_info("peercert")
        assert ("email", "alice@test") in peer["subjectAltName"]
        await blocking(anonymous, here.address)
        assert here.protocols[1].data == b""


async def test_sni_may_switch_the_context():
    other, seen = server_context(name="other.test"), []
    context = server_context()

    def choose(tls, name, _):
        seen.append((name, type(tls)))
        if name == "other.test":
            tls.context = other

    context.sni_callback = choose
    async with Serving(Echo, context) as here:
        assert await blocking(talk, here.address) == b"hello"
        for name in ("other.test", NAME):
            async with connected(here.address, server_hostname=name) as protocol:
                subject = protocol.transport.get_extra_info("peercert")["subjectAltName"]
                assert subject == (("DNS", name),)
    assert seen == [(NAME, ssl.SSLObject), ("other.test", ssl.SSLObject), (NAME, ssl.SSLObject)]


async def test_alpn():
    context, client = server_context(), client_context()
    context.set_alpn_protocols(["h2", "http/1.1"])
    client.set_alpn_protocols(["http/1.1"])
    async with Serving(Echo, context) as here, connected(here.address, context=client) as protocol:
        mine = protocol.transport.get_extra_info("ssl_object")
        theirs = (await here.first()).transport.get_extra_info("ssl_object")
        assert mine.selected_alpn_protocol() == theirs.selected_alpn_protocol() == "http/1.1"


@both_versions
async def test_a_client_may_resume_its_session(version):
    context = client_context(version)

    def twice(address):
        reused, session = [], None
        for _ in range(2):
            sock = tls_connect(address, context, session=session)
            sock.sendall(b"x")
            sock.recv(1)  # brings the tickets of TLS 1.3
            session = sock.session
            reused.append(sock.session_reused)
            say_goodbye(sock)
        return reused

    async with Serving(Echo) as here:
        assert await blocking(twice, here.address) == [False, True]
        second = here.protocols[1].transport.get_extra_info("ssl_object")
        assert second.session_reused


# --- what a transport says about itself ---------------------------------------------------------------------


@pytest.mark.uvloop_differs(reason="its transports are of its own kind", run=False)
async def test_extra_info():
    context = client_context()
    async with Serving(Echo) as here, connected(here.address, context=context) as protocol:
        transport = protocol.transport
        info = transport.get_extra_info
        assert isinstance(transport, asyncio.Transport)
        assert "ssl" in type(transport).__name__.lower()
        assert info("sslcontext") is context
        assert isinstance(info("ssl_object"), ssl.SSLObject)
        assert info("ssl_object").version() == "TLSv1.3"
        assert info("ssl_object").server_hostname == NAME
        assert info("peercert") == info("ssl_object").getpeercert()
        assert info("cipher") == info("ssl_object").cipher()
        assert info("compression", "unknown") is None
        assert info("peername") == here.address
        assert info("socket").getsockname() == info("sockname")
        assert info("nonsense", 5) == 5
        theirs = (await here.first()).transport.get_extra_info
        assert theirs("sslcontext") is here.context
        assert theirs("peername") == info("sockname")
        assert theirs("peercert") is None
        transport.close()
        await protocol.lost()
        assert info("cipher")[1] == "TLSv1.3"


async def test_protocols_see_the_context_in_connection_made():
    class Looking(Recorder):
        def connection_made(self, transport):
            super().connection_made(transport)
            self.seen = {
                name: transport.get_extra_info(name) for name in ("sslcontext", "ssl_object", "cipher")
            }

    async with Serving(Echo) as here, connected(here.address, Looking) as protocol:
        assert None not in protocol.seen.values()


# --- other doors --------------------------------------------------------------------------------------------


async def test_unix_sockets(tmp_path):
    loop, path = asyncio.get_running_loop(), str(tmp_path / "tls")
    server = await loop.create_unix_server(Echo, path, ssl=server_context())
    transport, protocol = await loop.create_unix_connection(
        Recorder, path, ssl=client_context(), server_hostname=NAME
    )
    transport.write(b"hello")
    assert await protocol.received(5) == b"hello"
    transport.close()
    assert await protocol.lost() is None
    server.close()
    await server.wait_closed()


async def test_a_socket_that_the_program_holds_stays_what_it_was():
    loop = asyncio.get_running_loop()
    with tls_serving(echo) as address:
        sock = connect(address)
        number, name = sock.fileno(), sock.getsockname()
        transport, protocol = await loop.create_connection(
            Recorder, sock=sock, ssl=client_context(), server_hostname=NAME
        )
        assert sock.fileno() == number
        assert sock.getsockname() == name == transport.get_extra_info("sockname")
        assert transport.get_extra_info("socket").fileno() == number
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        transport.write(b"hello")
        assert await protocol.received(5) == b"hello"
        transport.close()
        await protocol.lost()
        sock.close()


@pytest.mark.uvloop_differs(reason="returns its own SSLProtocol", run=False)
async def test_connect_accepted_socket():
    loop = asyncio.get_running_loop()
    with tcp_pair() as (ours, theirs):

        def client():
            with client_context().wrap_socket(theirs, server_hostname=NAME) as sock:
                sock.sendall(b"hello")
                return hear_all(sock)

        answer = asyncio.ensure_future(blocking(client))
        transport, protocol = await loop.connect_accepted_socket(Echo, ours, ssl=server_context())
        assert isinstance(protocol, Echo)
        await protocol.received(5)
        transport.close()
        assert await answer == b"hello"
        assert await protocol.lost() is None


async def test_a_context_with_a_will_of_its_own_is_asked():
    class Careful(ssl.SSLContext):
        asked = 0

        def wrap_bio(self, *args, **kwargs):
            self.asked += 1
            return super().wrap_bio(*args, **kwargs)

    client, server = Careful(ssl.PROTOCOL_TLS_CLIENT), Careful(ssl.PROTOCOL_TLS_SERVER)
    authority().configure_trust(client)
    certificate().configure_cert(server)
    async with Serving(Echo, server) as here, connected(here.address, context=client) as protocol:
        protocol.transport.write(b"hello")
        assert await protocol.received(5) == b"hello"
        assert client.asked == server.asked == 1
        protocol.transport.close()
        assert await protocol.lost() is None


# --- wrong arguments ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("ssl_argument", [True, False])
async def test_a_server_needs_a_context(ssl_argument):
    with pytest.raises(TypeError, match="ssl argument must be an SSLContext or None"):
        await asyncio.get_running_loop().create_server(Recorder, "127.0.0.1", 0, ssl=ssl_argument)


@pytest.mark.uvloop_differs(reason="raises TypeError")
async def test_an_accepted_socket_needs_a_context():
    with tcp_pair() as (ours, _):
        with pytest.raises(ValueError, match="Server side SSL needs a valid SSLContext"):
            await asyncio.get_running_loop().connect_accepted_socket(Recorder, ours, ssl=True)


@pytest.mark.parametrize("name", ["ssl_handshake_timeout", "ssl_shutdown_timeout"])
@pytest.mark.parametrize("seconds", [0, -1])
@pytest.mark.loops(*OURS)
async def test_timeouts_are_positive(name, seconds):
    """asyncio forgets to close the socket it has made."""
    with serving(lambda sock: sock.recv(1)) as address:
        with pytest.raises(ValueError, match=f"{name} should be a positive number, got {seconds}"):
            async with connected(address, **{name: seconds}):
                pass


@pytest.mark.loops("asyncio", *OURS)
@pytest.mark.leaks("errors", reason="a server in debug mode tells of a client that left too soon")
@pytest.mark.parametrize("method", ["abort", "close"])
async def test_who_leaves_in_connection_made_has_had_a_connection(method):
    class Leaving(Recorder):
        def connection_made(self, transport):
            super().connection_made(transport)
            getattr(transport, method)()

    async with Serving() as here:
        transport, protocol = await asyncio.get_running_loop().create_connection(
            Leaving, *here.address, ssl=client_context(), server_hostname=NAME
        )
        assert transport is protocol.transport
        assert transport.is_closing()
        await protocol.lost()


# --- peers with other habits --------------------------------------------------------------------------------


@needs_openssl
@pytest.mark.parametrize("command", [b"K\n", b"k\n"], ids=["asked for", "told"])
async def test_key_updates(command):
    """TLS 1.3: s_client changes its keys, and asks us to."""
    async with Serving(Echo) as here:
        with s_client(here.address, "-tls1_3") as client:
            protocol = await here.first()
            for _ in range(3):
                client.stdin.write(command)
                await blocking(expect, client, b"KEYUPDATE")
                client.stdin.write(b"hello\n")
                await protocol.until(lambda: protocol.data.endswith(b"hello\n"))
                protocol.data.clear()


@needs_openssl
async def test_renegotiation():
    """TLS 1.2: a server may ask for a new handshake in the middle of the connection."""
    key = certificate().private_key_pem.bytes()
    chain = certificate().cert_chain_pems[0].bytes()
    with serving_by_openssl(key + chain) as (address, server):
        async with connected(address, context=client_context(ssl.TLSVersion.TLSv1_2)) as protocol:
            protocol.transport.write(b"before\n")
            await blocking(expect, server, b"before\n")
            server.stdin.write(b"r\n")
            protocol.transport.write(b"after\n")
            await blocking(expect, server, b"after\n")
            server.stdin.write(b"answer\n")
            assert b"answer\n" in await protocol.received(7)


@contextlib.contextmanager
def s_client(address, *options):
    with run_openssl(["openssl", "s_client", "-connect", "{}:{}".format(*address), *options]) as process:
        yield process


@contextlib.contextmanager
def serving_by_openssl(pem):
    with tempfile.NamedTemporaryFile(suffix=".pem") as file:
        file.write(pem)
        file.flush()
        port = free_port()
        command = ["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert", file.name, "-tls1_2"]
        with run_openssl(command) as process:
            expect(process, b"ACCEPT")
            yield ("127.0.0.1", port), process


@contextlib.contextmanager
def run_openssl(command):
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT, bufsize=0) as process:
        try:
            yield process
        finally:
            process.kill()


def expect(process, text):
    """Read the output of a process until this comes; the time limit of the test is ours."""
    seen = b""
    while text not in seen:
        data = process.stdout.read(4096)
        assert data, f"{text!r} did not come; this did: {seen!r}"
        seen += data


@pytest.mark.loops(*OURS)
async def test_the_context_is_where_programs_look_for_it():
    context = client_context()
    async with Serving() as here:
        transport, protocol = await asyncio.get_running_loop().create_connection(
            Recorder, *here.address, ssl=context, server_hostname=NAME
        )
        assert transport._sslcontext is transport.get_extra_info("sslcontext") is context
        transport.close()
        await protocol.lost()
