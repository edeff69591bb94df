"""sendfile and sock_sendfile: what arrives, where the file stands afterwards, what happens meanwhile."""

import asyncio
import io
import socket
import ssl
import sys

import pytest

from tests.support.net import blocking, fill, read_all, read_exactly, reset, tcp_pair, unix_pair
from tests.support.protocols import Recorder
from tests.support.tls import authority

pytestmark = pytest.mark.uvloop_differs(reason="implements neither", run=False)

DATA = bytes(range(256)) * 8192  # 2 MiB: more than the sockets' buffers hold
SMALL = 64 * 1024


@pytest.fixture
def file(tmp_path):
    (tmp_path / "file").write_bytes(DATA)
    with open(tmp_path / "file", "rb") as file:
        yield file


@pytest.fixture
def pair():
    """A pair of TCP sockets with small buffers."""
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


async def ended(transport, protocol, theirs):
    """Close the transport; everything that its peer has got."""
    transport.close()
    data = await blocking(read_all, theirs)
    await protocol.lost()
    return data


async def turns(count=5):
    for _ in range(count):
        await asyncio.sleep(0)


def position(offset, sent):
    """Where a file stands that was opened at its beginning."""
    moves = sent or sys.version_info >= (3, 14, 6)  # before, sending nothing left it where it was
    return offset + sent if moves else 0


RANGES = [(0, None), (1000, None), (0, 5000), (1000, 2000), (len(DATA) - 10, 100), (len(DATA) + 5, None)]


# -- on a transport ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("offset", "count"), RANGES)
async def test_a_range_of_a_file(connection, file, offset, count):
    expected = DATA[offset:] if count is None else DATA[offset : offset + count]
    sending = asyncio.create_task(asyncio.get_running_loop().sendfile(connection[0], file, offset, count))
    assert await blocking(read_exactly, connection[2], len(expected)) == expected
    assert await sending == len(expected)
    assert file.tell() == position(offset, len(expected))
    assert await ended(*connection) == b""


async def test_an_empty_file(connection, tmp_path):
    (tmp_path / "empty").touch()
    with open(tmp_path / "empty", "rb") as empty:
        assert await asyncio.get_running_loop().sendfile(connection[0], empty) == 0
    assert await ended(*connection) == b""


async def test_what_is_written_before_and_after(connection, file):
    transport, protocol, theirs = connection
    before, after = b"b" * 300_000, b"a" * 300_000
    receiving = asyncio.ensure_future(blocking(read_all, theirs))
    transport.write(before)
    assert await asyncio.get_running_loop().sendfile(transport, file) == len(DATA)
    transport.write(after)
    transport.close()
    assert await receiving == before + DATA + after


async def test_writing_meanwhile_is_refused(connection, file):
    transport, protocol, theirs = connection
    sending = asyncio.create_task(asyncio.get_running_loop().sendfile(transport, file))
    await turns()
    with pytest.raises(RuntimeError, match="unable to write; sendfile is in progress"):
        transport.write(b"x")
    with pytest.raises(RuntimeError, match=r"unable to write(lines)?; sendfile is in progress"):
        transport.writelines([b"x", b"y"])
    assert await blocking(read_exactly, theirs, len(DATA)) == DATA
    await sending
    transport.write(b"after")
    assert await ended(*connection) == b"after"


async def test_nothing_is_received_meanwhile(connection, file):
    transport, protocol, theirs = connection
    sending = asyncio.create_task(asyncio.get_running_loop().sendfile(transport, file))
    await turns()
    assert not transport.is_reading()
    theirs.sendall(b"question")
    await turns()
    assert protocol.events == ["made"]
    await blocking(read_exactly, theirs, len(DATA))
    await sending
    assert transport.is_reading()
    assert await protocol.received(8) == b"question"


async def test_a_paused_transport_stays_paused(connection, file):
    transport, protocol, theirs = connection
    transport.pause_reading()
    await asyncio.get_running_loop().sendfile(transport, file, 0, 100)
    assert not transport.is_reading()


async def test_cancellation(connection, file):
    transport, protocol, theirs = connection
    sending = asyncio.create_task(asyncio.get_running_loop().sendfile(transport, file))
    await turns()
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert transport.is_reading()
    transport.write(b"after")
    received = await ended(*connection)
    sent = len(received) - len(b"after")
    assert 0 < sent < len(DATA)
    assert received == DATA[:sent] + b"after"


async def test_a_peer_that_goes_away(connection, file):
    transport, protocol, theirs = connection
    sending = asyncio.create_task(asyncio.get_running_loop().sendfile(transport, file))
    await turns()
    reset(theirs)
    with pytest.raises(ConnectionError):
        await sending
    assert 0 < file.tell() < len(DATA)


async def test_a_closing_transport(connection, file):
    connection[0].close()
    with pytest.raises(RuntimeError, match="Transport is closing"):
        await asyncio.get_running_loop().sendfile(connection[0], file)


async def test_a_transport_that_cannot(file):
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0))
    with pytest.raises(RuntimeError, match="sendfile is not supported for transport"):
        await loop.sendfile(transport, file)
    transport.close()
    await turns()


# -- by copying ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("offset", "count"), RANGES)
async def test_a_file_without_a_descriptor(connection, offset, count):
    expected = DATA[offset:] if count is None else DATA[offset : offset + count]
    file = io.BytesIO(DATA)
    sending = asyncio.create_task(asyncio.get_running_loop().sendfile(connection[0], file, offset, count))
    assert await blocking(read_exactly, connection[2], len(expected)) == expected
    assert await sending == len(expected)
    assert file.tell() == offset + len(expected)
    assert await ended(*connection) == b""


async def test_copying_may_be_forbidden(connection):
    with pytest.raises(asyncio.SendfileNotAvailableError, match="not a regular file"):
        await asyncio.get_running_loop().sendfile(connection[0], io.BytesIO(DATA), fallback=False)
    assert connection[0].is_reading()
    connection[0].write(b"after")
    assert await ended(*connection) == b"after"


async def test_a_peer_that_goes_away_while_copying(connection):
    transport, protocol, theirs = connection
    file = io.BytesIO(DATA)
    sending = asyncio.create_task(asyncio.get_running_loop().sendfile(transport, file))
    await blocking(read_exactly, theirs, 1000)
    reset(theirs)
    with pytest.raises(ConnectionError):
        await sending
    assert 1000 <= file.tell() < len(DATA)
    await protocol.lost()


@pytest.fixture(scope="module")
def contexts():
    """(server's, client's) TLS context."""
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority().issue_cert("localhost").configure_cert(server)
    client = ssl.create_default_context()
    authority().configure_trust(client)
    return server, client


async def test_over_tls(contexts, file):
    loop = asyncio.get_running_loop()
    accepted = []

    def accept():
        accepted.append(Recorder())
        return accepted[0]

    server = await loop.create_server(accept, "127.0.0.1", 0, ssl=contexts[0])
    address = server.sockets[0].getsockname()
    transport, protocol = await loop.create_connection(
        Recorder, *address, ssl=contexts[1], server_hostname="localhost"
    )
    with pytest.raises(RuntimeError, match="fallback is disabled and native sendfile is not supported"):
        await loop.sendfile(transport, file, fallback=False)
    transport.write(b"before")
    assert await loop.sendfile(transport, file, 1000) == len(DATA) - 1000
    assert file.tell() == len(DATA)
    transport.write(b"after")
    transport.close()
    await accepted[0].lost()
    assert accepted[0].data == b"before" + DATA[1000:] + b"after"
    await protocol.lost()
    server.close()
    await server.wait_closed()


# -- on a socket ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("offset", "count"), RANGES)
async def test_a_range_of_a_file_on_a_socket(pair, file, offset, count):
    ours, theirs = pair
    expected = DATA[offset:] if count is None else DATA[offset : offset + count]
    receiving = asyncio.ensure_future(blocking(read_all, theirs))
    assert await asyncio.get_running_loop().sock_sendfile(ours, file, offset, count) == len(expected)
    ours.close()
    assert await receiving == expected
    assert file.tell() == position(offset, len(expected))


async def test_on_a_unix_socket(file):
    with unix_pair() as (ours, theirs):
        receiving = asyncio.ensure_future(blocking(read_all, theirs))
        assert await asyncio.get_running_loop().sock_sendfile(ours, file) == len(DATA)
        ours.close()
        assert await receiving == DATA


async def test_an_object_in_memory_on_a_socket(pair):
    ours, theirs = pair
    file = io.BytesIO(DATA)
    receiving = asyncio.ensure_future(blocking(read_all, theirs))
    assert await asyncio.get_running_loop().sock_sendfile(ours, file, 1000) == len(DATA) - 1000
    ours.close()
    assert await receiving == DATA[1000:]
    assert file.tell() == len(DATA)


async def test_copying_may_be_forbidden_on_a_socket(pair):
    with pytest.raises(asyncio.SendfileNotAvailableError, match="not a regular file"):
        await asyncio.get_running_loop().sock_sendfile(pair[0], io.BytesIO(DATA), fallback=False)


async def test_cancellation_on_a_socket(pair, file):
    ours, theirs = pair
    loop = asyncio.get_running_loop()
    sending = asyncio.create_task(loop.sock_sendfile(ours, file))
    await turns()
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert not loop.remove_writer(ours)
    ours.close()
    received = await blocking(read_all, theirs)
    assert 0 < len(received) < len(DATA)
    assert DATA.startswith(received)


async def test_a_peer_that_goes_away_on_a_socket(pair, file):
    ours, theirs = pair
    sending = asyncio.create_task(asyncio.get_running_loop().sock_sendfile(ours, file))
    await turns()
    reset(theirs)
    with pytest.raises(ConnectionError):
        await sending
    assert 0 < file.tell() < len(DATA)


async def test_a_peer_that_has_gone(pair, file):
    ours, theirs = pair
    ours.shutdown(socket.SHUT_WR)
    with pytest.raises(BrokenPipeError):
        await asyncio.get_running_loop().sock_sendfile(ours, file)
    with pytest.raises(asyncio.SendfileNotAvailableError, match=r"os.sendfile call failed"):
        await asyncio.get_running_loop().sock_sendfile(ours, file, fallback=False)


async def test_the_socket_of_a_transport(connection, file):
    transport, protocol, theirs = connection
    loop = asyncio.get_running_loop()
    sock = transport.get_extra_info("socket")
    with socket.socket(fileno=sock.fileno()) as same:
        fill(same)
        with pytest.raises(RuntimeError, match="is used by transport"):
            await loop.sock_sendfile(same, file)
        same.detach()


# -- arguments -----------------------------------------------------------------------------------------------

WRONG = [
    ({"count": 0}, ValueError, r"count must be a positive integer \(got 0\)"),
    ({"count": -5}, ValueError, r"count must be a positive integer \(got -5\)"),
    ({"count": 5.0}, TypeError, r"count must be a positive integer \(got 5.0\)"),
    ({"offset": -1}, ValueError, r"offset must be a non-negative integer \(got -1\)"),
    ({"offset": "x"}, TypeError, r"offset must be a non-negative integer \(got 'x'\)"),
]


@pytest.mark.parametrize(("arguments", "error", "text"), WRONG)
async def test_wrong_numbers(connection, file, arguments, error, text):
    loop = asyncio.get_running_loop()
    with pytest.raises(error, match=text):
        await loop.sendfile(connection[0], file, **arguments)
    assert connection[0].is_reading()


@pytest.mark.parametrize(("arguments", "error", "text"), WRONG)
async def test_wrong_numbers_on_a_socket(pair, file, arguments, error, text):
    with pytest.raises(error, match=text):
        await asyncio.get_running_loop().sock_sendfile(pair[0], file, **arguments)


async def test_a_text_file(pair, connection, tmp_path):
    loop = asyncio.get_running_loop()
    with open(tmp_path / "text", "w+") as file:
        with pytest.raises(ValueError, match="file should be opened in binary mode"):
            await loop.sock_sendfile(pair[0], file)
        with pytest.raises(ValueError, match="file should be opened in binary mode"):
            await loop.sendfile(connection[0], file)


async def test_a_datagram_socket(file):
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        with pytest.raises(ValueError, match="only SOCK_STREAM type sockets are supported"):
            await asyncio.get_running_loop().sock_sendfile(sock, file)


async def test_a_tls_socket(file):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    with context.wrap_socket(socket.socket(), do_handshake_on_connect=False) as sock:
        sock.setblocking(False)
        with pytest.raises(TypeError, match="Socket cannot be of type SSLSocket"):
            await asyncio.get_running_loop().sock_sendfile(sock, file)


async def test_a_blocking_socket_in_debug_mode(file):
    loop = asyncio.get_running_loop()
    loop.set_debug(True)
    with socket.socket() as sock, pytest.raises(ValueError, match="the socket must be non-blocking"):
        await loop.sock_sendfile(sock, file)
