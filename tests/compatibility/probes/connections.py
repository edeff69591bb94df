"""Connecting: TCP, Unix, and what another server accepted."""

import asyncio
import contextlib
import socket
import tempfile
from pathlib import Path

import pytest

from tests.support import net
from tests.support.protocols import Recorder

from ..registry import probe, same


async def _echoes(connecting):
    """Await a connection to an echo server, send and receive through it, close it; its transport."""
    transport, protocol = await connecting
    transport.write(b"hello")
    same(await protocol.received(5), b"hello")
    transport.close()
    same(await protocol.lost(), None)
    return transport


def _two_addresses(loop, port):
    """Have the loop resolve every name to two addresses, of which the first refuses."""

    async def getaddrinfo(host, port, **kwargs):
        return [
            (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (host, port))
            for host in ("127.0.0.2", "127.0.0.1")
        ]

    loop.getaddrinfo = getaddrinfo


@probe("create_connection", "a host and a port")
async def create_connection(loop):
    with net.serving(net.echo) as address:
        transport = await _echoes(loop.create_connection(Recorder, *address))
    same(transport.get_extra_info("peername"), address)


@probe("create_connection", "family= proto= flags=")
async def create_connection_family(loop):
    how = {"family": socket.AF_INET, "proto": socket.IPPROTO_TCP, "flags": socket.AI_NUMERICHOST}
    with net.serving(net.echo) as address:
        await _echoes(loop.create_connection(Recorder, *address, **how))


@probe("create_connection", "sock=")
async def create_connection_sock(loop):
    with net.serving(net.echo) as address, socket.create_connection(address) as sock:
        sock.setblocking(False)
        await _echoes(loop.create_connection(Recorder, sock=sock))


@probe("create_connection", "local_addr=")
async def create_connection_local_addr(loop):
    with net.serving(net.echo) as address:
        connecting = loop.create_connection(Recorder, *address, local_addr=("127.0.0.3", 0))
        transport, protocol = await connecting
        same(transport.get_extra_info("sockname")[0], "127.0.0.3")
        transport.close()
        await protocol.lost()


@probe("create_connection", "happy_eyeballs_delay=")
async def create_connection_happy_eyeballs(loop):
    with net.serving(net.echo) as (host, port):
        _two_addresses(loop, port)
        await _echoes(loop.create_connection(Recorder, "two.test", port, happy_eyeballs_delay=10))


@probe("create_connection", "interleave=")
async def create_connection_interleave(loop):
    with net.serving(net.echo) as (host, port):
        _two_addresses(loop, port)
        await _echoes(loop.create_connection(Recorder, "two.test", port, interleave=1))


@probe("create_connection", "all_errors=", since=(3, 12))
async def create_connection_all_errors(loop):
    port = net.refused_port()
    _two_addresses(loop, port)
    with pytest.raises(ExceptionGroup) as caught:
        await loop.create_connection(Recorder, "two.test", port, all_errors=True)
    same([type(error) for error in caught.value.exceptions], [ConnectionRefusedError] * 2)


@probe("create_connection", "ConnectionRefusedError")
async def create_connection_refused(loop):
    with pytest.raises(ConnectionRefusedError):
        await loop.create_connection(Recorder, "127.0.0.1", net.refused_port())


@probe("create_connection", "cancelled while it connects")
async def create_connection_cancelled(loop):
    with net.black_hole() as address:
        connecting = asyncio.ensure_future(loop.create_connection(Recorder, *address))
        await asyncio.sleep(0)
        connecting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await connecting


@contextlib.contextmanager
def unix_path():
    """A path for a Unix socket, short enough and gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="loop") as directory:
        yield str(Path(directory, "sock"))


@probe("create_unix_connection", "a path")
async def create_unix_connection(loop):
    with unix_path() as path, net.serving(net.echo, path=path):
        await _echoes(loop.create_unix_connection(Recorder, path))


@probe("create_unix_connection", "path= as a pathlib.Path")
async def create_unix_connection_path(loop):
    with unix_path() as path, net.serving(net.echo, path=path):
        await _echoes(loop.create_unix_connection(Recorder, path=Path(path)))


@probe("create_unix_connection", "sock=")
async def create_unix_connection_sock(loop):
    with net.unix_pair() as (ours, theirs):
        transport, protocol = await loop.create_unix_connection(Recorder, sock=ours)
        theirs.sendall(b"hello")
        same(await protocol.received(5), b"hello")
        transport.close()
        await protocol.lost()


@probe("create_unix_connection", "FileNotFoundError")
async def create_unix_connection_fails(loop):
    with unix_path() as path, pytest.raises(FileNotFoundError):
        await loop.create_unix_connection(Recorder, path)


@probe("connect_accepted_socket", "TCP")
async def connect_accepted_socket(loop):
    with net.tcp_pair() as (ours, theirs):
        transport, protocol = await loop.connect_accepted_socket(Recorder, sock=ours)
        theirs.sendall(b"hello")
        same(await protocol.received(5), b"hello")
        transport.write(b"world")
        same(await net.blocking(net.read_exactly, theirs, 5), b"world")
        theirs.close()
        same(await protocol.lost(), None)


@probe("connect_accepted_socket", "Unix")
async def connect_accepted_socket_unix(loop):
    with net.unix_pair() as (ours, theirs):
        transport, protocol = await loop.connect_accepted_socket(Recorder, ours)
        theirs.sendall(b"hello")
        same(await protocol.received(5), b"hello")
        transport.close()
        await protocol.lost()


@probe("connect_accepted_socket", "ValueError for a datagram socket")
async def connect_accepted_socket_wrong(loop):
    with socket.socket(type=socket.SOCK_DGRAM) as sock, pytest.raises(ValueError):
        await loop.connect_accepted_socket(Recorder, sock)
