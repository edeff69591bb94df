"""The sock_* family: coroutines on plain non-blocking sockets."""

import asyncio
import socket

import pytest

from tests.support import net

from ..registry import probe, same
from .connections import unix_path


def _datagrams():
    """Two bound UDP sockets, non-blocking."""
    pair = socket.socket(type=socket.SOCK_DGRAM), socket.socket(type=socket.SOCK_DGRAM)
    for sock in pair:
        sock.bind(("127.0.0.1", 0))
        sock.setblocking(False)
    return pair


async def _waits(loop, receiving, send):
    """Start to receive, send only then; what was received."""
    task = loop.create_task(receiving)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    send()
    return await task


@probe("sock_recv", "what is there, and the end")
async def sock_recv(loop):
    with net.tcp_pair() as (ours, theirs):
        theirs.sendall(b"hello")
        same(await loop.sock_recv(ours, 100), b"hello")
        theirs.close()
        same(await loop.sock_recv(ours, 100), b"")


@probe("sock_recv", "waits")
async def sock_recv_waits(loop):
    with net.tcp_pair() as (ours, theirs):
        send = lambda: theirs.sendall(b"hello")  # noqa: E731
        same(await _waits(loop, loop.sock_recv(ours, 100), send), b"hello")


@probe("sock_recv", "cancelled, then again")
async def sock_recv_cancelled(loop):
    with net.tcp_pair() as (ours, theirs):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(loop.sock_recv(ours, 100), 0.001)
        theirs.sendall(b"hello")
        same(await loop.sock_recv(ours, 100), b"hello")


@probe("sock_recv_into", "waits")
async def sock_recv_into(loop):
    with net.tcp_pair() as (ours, theirs):
        buffer = bytearray(100)
        send = lambda: theirs.sendall(b"hello")  # noqa: E731
        same(await _waits(loop, loop.sock_recv_into(ours, buffer), send), 5)
        same(bytes(buffer[:5]), b"hello")


@probe("sock_recv_into", "a memoryview")
async def sock_recv_into_view(loop):
    with net.tcp_pair() as (ours, theirs):
        buffer = bytearray(10)
        theirs.sendall(b"hello")
        same(await loop.sock_recv_into(ours, memoryview(buffer)[5:]), 5)
        same(bytes(buffer[5:]), b"hello")


@probe("sock_recvfrom", "data and address")
async def sock_recvfrom(loop):
    one, two = _datagrams()
    with one, two:
        send = lambda: two.sendto(b"hello", one.getsockname())  # noqa: E731
        same(await _waits(loop, loop.sock_recvfrom(one, 100), send), (b"hello", two.getsockname()))


@probe("sock_recvfrom_into", "count and address")
async def sock_recvfrom_into(loop):
    one, two = _datagrams()
    buffer = bytearray(100)
    with one, two:
        send = lambda: two.sendto(b"hello", one.getsockname())  # noqa: E731
        same(await _waits(loop, loop.sock_recvfrom_into(one, buffer), send), (5, two.getsockname()))
    same(bytes(buffer[:5]), b"hello")


@probe("sock_recvfrom_into", "nbytes")
async def sock_recvfrom_into_nbytes(loop):
    one, two = _datagrams()
    with one, two:
        two.sendto(b"hello", one.getsockname())
        same(await loop.sock_recvfrom_into(one, bytearray(100), 2), (2, two.getsockname()))


@probe("sock_sendall", "more than the kernel takes")
async def sock_sendall(loop):
    data = b"hello" * 1_000_000
    with net.tcp_pair() as (ours, theirs):
        reading = loop.create_task(net.blocking(net.read_exactly, theirs, len(data)))
        same(await loop.sock_sendall(ours, data), None)
        same(await reading == data, True)


@probe("sock_sendall", "memoryview and bytearray")
async def sock_sendall_buffers(loop):
    with net.tcp_pair() as (ours, theirs):
        await loop.sock_sendall(ours, memoryview(b"hello"))
        await loop.sock_sendall(ours, bytearray(b"world"))
        same(net.read_exactly(theirs, 10), b"helloworld")


@probe("sock_sendto", "an address")
async def sock_sendto(loop):
    one, two = _datagrams()
    with one, two:
        same(await loop.sock_sendto(one, b"hello", two.getsockname()), 5)
        two.settimeout(net.PATIENCE)
        same(two.recvfrom(100), (b"hello", one.getsockname()))


@probe("sock_connect", "TCP")
async def sock_connect(loop):
    with net.listener() as listener, socket.socket() as sock:
        sock.setblocking(False)
        same(await loop.sock_connect(sock, listener.getsockname()), None)
        same(sock.getpeername(), listener.getsockname())


@probe("sock_connect", "Unix")
async def sock_connect_unix(loop):
    with unix_path() as path, net.serving(net.echo, path=path), socket.socket(socket.AF_UNIX) as sock:
        sock.setblocking(False)
        await loop.sock_connect(sock, path)
        same(sock.getpeername(), path)


@probe("sock_connect", "a host by name")
async def sock_connect_name(loop):
    with net.listener() as listener, socket.socket() as sock:
        sock.setblocking(False)
        await loop.sock_connect(sock, ("localhost", listener.getsockname()[1]))
        same(sock.getpeername(), listener.getsockname())


@probe("sock_connect", "ConnectionRefusedError")
async def sock_connect_refused(loop):
    with socket.socket() as sock:
        sock.setblocking(False)
        with pytest.raises(ConnectionRefusedError):
            await loop.sock_connect(sock, ("127.0.0.1", net.refused_port()))


@probe("sock_accept", "waits")
async def sock_accept(loop):
    with net.listener() as listener, socket.socket() as client:
        connect = lambda: client.connect(listener.getsockname())  # noqa: E731
        sock, address = await _waits(loop, loop.sock_accept(listener), connect)
        with sock:
            same(address, client.getsockname())
            same(sock.getblocking(), False)


@probe("sock_accept", "Unix")
async def sock_accept_unix(loop):
    with unix_path() as path, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        listener.setblocking(False)
        with net.connect(path) as client:
            sock, _ = await loop.sock_accept(listener)
            with sock:
                client.sendall(b"hello")
                same(await loop.sock_recv(sock, 100), b"hello")
