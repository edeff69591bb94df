"""Unix sockets: clients, servers, abstract names, what is left in the file system."""

import asyncio
import os
import socket
import sys

import pytest

from tests.support.net import blocking, connect, echo, serving, talk, tcp_pair, unix_pair
from tests.support.protocols import Echo, Recorder


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "socket")


async def close(server):
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize("kind", [str, os.fsencode])
async def test_serves_on_a_path(path, kind):
    loop = asyncio.get_running_loop()
    server = await loop.create_unix_server(Echo, kind(path))
    assert await blocking(talk, path) == b"hello"
    await close(server)


async def test_serves_on_a_path_object(tmp_path):
    loop = asyncio.get_running_loop()
    server = await loop.create_unix_server(Echo, tmp_path / "socket")
    assert await blocking(talk, str(tmp_path / "socket")) == b"hello"
    await close(server)


@pytest.mark.uvloop_differs(reason="the peer's name is bytes cut short", run=False)
@pytest.mark.parametrize("name", ["\0loopkit-test-{}", b"\0loopkit-test-{}"], ids=["str", "bytes"])
async def test_serves_on_an_abstract_name(name):
    name = name.replace(b"{}", b"%d" % os.getpid()) if isinstance(name, bytes) else name.format(os.getpid())
    loop = asyncio.get_running_loop()
    server = await loop.create_unix_server(Echo, name)
    assert await blocking(talk, name) == b"hello"
    transport, protocol = await loop.create_unix_connection(Recorder, name)
    transport.write(b"again")
    assert await protocol.received(5) == b"again"
    transport.close()
    await protocol.lost()
    await close(server)


@pytest.mark.parametrize("kind", [str, os.fsencode])
async def test_connects_to_a_path(path, kind):
    loop = asyncio.get_running_loop()
    with serving(echo, path=path):
        transport, protocol = await loop.create_unix_connection(Recorder, kind(path))
        transport.write(b"hello")
        assert await protocol.received(5) == b"hello"
        assert transport.get_extra_info("peername") == path
        transport.close()
        await protocol.lost()


async def test_connects_to_a_path_object(tmp_path):
    loop = asyncio.get_running_loop()
    with serving(echo, path=str(tmp_path / "socket")):
        transport, protocol = await loop.create_unix_connection(Recorder, tmp_path / "socket")
        assert transport.get_extra_info("peername") == str(tmp_path / "socket")
        transport.abort()
        await protocol.lost()


async def test_takes_sockets():
    loop = asyncio.get_running_loop()
    with unix_pair() as (ours, theirs):
        transport, protocol = await loop.create_unix_connection(Recorder, sock=ours)
        transport.write(b"hello")
        assert await blocking(theirs.recv, 10) == b"hello"
        transport.close()
        await protocol.lost()


async def test_serves_on_a_bound_socket(path):
    loop = asyncio.get_running_loop()
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(path)
    server = await loop.create_unix_server(Echo, sock=sock)
    assert await blocking(talk, path) == b"hello"
    await close(server)


async def test_nobody_there_is_an_error(path):
    loop = asyncio.get_running_loop()
    with pytest.raises(FileNotFoundError):
        await loop.create_unix_connection(Recorder, path)
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(path)
    with pytest.raises(ConnectionRefusedError):
        await loop.create_unix_connection(Recorder, path)


async def test_a_stale_socket_is_removed(path):
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(path)
    server = await loop.create_unix_server(Echo, path)
    assert await blocking(talk, path) == b"hello"
    await close(server)


async def test_a_file_in_the_way_is_left_alone(tmp_path):
    loop = asyncio.get_running_loop()
    path = tmp_path / "file"
    path.write_text("precious")
    with pytest.raises(OSError, match=f"Address '{path}' is already in use") as caught:
        await loop.create_unix_server(Echo, str(path))
    assert caught.value.errno == 98
    assert path.read_text() == "precious"


async def test_a_directory_that_is_missing_is_an_error(tmp_path):
    loop = asyncio.get_running_loop()
    with pytest.raises(FileNotFoundError):
        await loop.create_unix_server(Echo, str(tmp_path / "missing" / "socket"))


async def test_a_name_that_is_too_long_is_an_error(tmp_path):
    loop = asyncio.get_running_loop()
    with pytest.raises(OSError):
        await loop.create_unix_server(Echo, str(tmp_path / ("x" * 200)))


@pytest.mark.skipif(sys.version_info < (3, 13), reason="the socket is removed from Python 3.13 on")
async def test_the_socket_is_removed_on_close(path):
    loop = asyncio.get_running_loop()
    server = await loop.create_unix_server(Echo, path)
    assert os.path.exists(path)
    await close(server)
    assert not os.path.exists(path)


@pytest.mark.skipif(sys.version_info < (3, 13), reason="cleanup_socket is new in Python 3.13")
async def test_the_socket_stays_when_told_so(path):
    loop = asyncio.get_running_loop()
    server = await loop.create_unix_server(Echo, path, cleanup_socket=False)
    await close(server)
    assert os.path.exists(path)


@pytest.mark.skipif(sys.version_info < (3, 13), reason="the socket is removed from Python 3.13 on")
async def test_a_socket_of_somebody_else_is_not_removed(path):
    loop = asyncio.get_running_loop()
    server = await loop.create_unix_server(Echo, path)
    os.rename(path, path + ".moved")  # so that the next one has another inode
    second = await loop.create_unix_server(Echo, path)
    await close(server)
    assert os.path.exists(path)
    assert await blocking(talk, path) == b"hello"
    await close(second)
    assert not os.path.exists(path)


@pytest.mark.skipif(sys.version_info < (3, 13), reason="the socket is removed from Python 3.13 on")
async def test_a_socket_that_is_gone_already_is_no_error(path):
    loop = asyncio.get_running_loop()
    server = await loop.create_unix_server(Echo, path)
    os.unlink(path)
    await close(server)
    assert not os.path.exists(path)


async def test_neither_path_nor_socket_is_an_error():
    loop = asyncio.get_running_loop()
    with pytest.raises(ValueError, match="^path was not specified, and no sock specified$"):
        await loop.create_unix_server(Recorder)
    with pytest.raises(ValueError, match="^no path and sock were specified$"):
        await loop.create_unix_connection(Recorder)


async def test_path_and_socket_is_an_error(path):
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_UNIX) as sock:
        with pytest.raises(ValueError, match="^path and sock can not be specified at the same time$"):
            await loop.create_unix_server(Recorder, path, sock=sock)
        with pytest.raises(ValueError, match="^path and sock can not be specified at the same time$"):
            await loop.create_unix_connection(Recorder, path, sock=sock)


async def test_sockets_of_another_kind_are_refused():
    loop = asyncio.get_running_loop()
    with tcp_pair() as (ours, _), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagram:
        for sock in (ours, datagram):
            with pytest.raises(ValueError, match="^A UNIX Domain Stream Socket was expected, got <socket"):
                await loop.create_unix_connection(Recorder, sock=sock)
            with pytest.raises(ValueError, match="^A UNIX Domain Stream Socket was expected, got <socket"):
                await loop.create_unix_server(Recorder, sock=sock)


async def test_ssl_options_without_ssl_are_refused(path):
    loop = asyncio.get_running_loop()
    for name in ("ssl_handshake_timeout", "ssl_shutdown_timeout"):
        with pytest.raises(ValueError, match=f"^{name} is only meaningful with ssl$"):
            await loop.create_unix_server(Recorder, path, **{name: 1.0})
        with pytest.raises(ValueError, match=f"^{name} is only meaningful with ssl$"):
            await loop.create_unix_connection(Recorder, path, **{name: 1.0})
    with pytest.raises(ValueError, match="^server_hostname is only meaningful with ssl$"):
        await loop.create_unix_connection(Recorder, path, server_hostname="x")
    with pytest.raises(TypeError, match="^ssl argument must be an SSLContext or None$"):
        await loop.create_unix_server(Recorder, path, ssl=True)


async def test_it_can_wait_with_serving(path):
    loop = asyncio.get_running_loop()
    server = await loop.create_unix_server(Echo, path, start_serving=False)
    assert not server.is_serving()
    with pytest.raises(ConnectionRefusedError):
        await blocking(connect, path)
    await server.start_serving()
    assert await blocking(talk, path) == b"hello"
    await close(server)


async def test_streams_on_top(path):
    async def handle(reader, writer):
        writer.write((await reader.readline()).upper())
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_unix_server(handle, path)
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(b"hello\n")
    assert await reader.read() == b"HELLO\n"
    writer.close()
    await writer.wait_closed()
    await close(server)


async def test_many_clients_at_once(path):
    loop = asyncio.get_running_loop()
    server = await loop.create_unix_server(Echo, path, backlog=50)
    answers = await asyncio.gather(*(blocking(talk, path, b"%d" % n) for n in range(30)))
    assert answers == [b"%d" % n for n in range(30)]
    await close(server)
