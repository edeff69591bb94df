"""Servers, TCP and Unix."""

import contextlib
import os
import socket

import pytest

from tests.support import net
from tests.support.protocols import Echo

from ..registry import probe, same
from .connections import unix_path


@contextlib.asynccontextmanager
async def _listening(method, *args, **kwargs):
    """The server that the method of a loop makes, and a function that talks to one address of it."""
    protocols = []

    def factory():
        protocols.append(Echo())
        return protocols[-1]

    async def talk(address):
        same(await net.blocking(net.talk, address, b"hello"), b"hello")
        await protocols[-1].lost()

    server = await method(factory, *args, **kwargs)
    try:
        yield server, talk
    finally:
        server.close()
        await server.wait_closed()


@probe("create_server", "a host and a port")
async def create_server(loop):
    async with _listening(loop.create_server, "127.0.0.1", 0) as (server, talk):
        same(server.is_serving(), True)
        await talk(server.sockets[0].getsockname())
    same(server.is_serving(), False)


@probe("create_server", "several hosts")
async def create_server_hosts(loop):
    async with _listening(loop.create_server, ["127.0.0.1", "127.0.0.2"], 0) as (server, talk):
        addresses = [sock.getsockname() for sock in server.sockets]
        same(sorted(host for host, port in addresses), ["127.0.0.1", "127.0.0.2"])
        for address in addresses:
            await talk(address)


@probe("create_server", "family= flags=")
async def create_server_family(loop):
    how = {"family": socket.AF_INET, "flags": socket.AI_PASSIVE | socket.AI_NUMERICHOST}
    async with _listening(loop.create_server, None, 0, **how) as (server, talk):
        same([sock.family for sock in server.sockets], [socket.AF_INET])
        await talk(("127.0.0.1", server.sockets[0].getsockname()[1]))


@probe("create_server", "sock=")
async def create_server_sock(loop):
    with net.listener() as sock:
        address = sock.getsockname()
        async with _listening(loop.create_server, sock=sock) as (server, talk):
            await talk(address)


@probe("create_server", "backlog= reuse_address=")
async def create_server_backlog(loop):
    how = {"backlog": 7, "reuse_address": True}
    async with _listening(loop.create_server, "127.0.0.1", 0, **how) as (server, talk):
        sock = server.sockets[0]
        same(sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR) != 0, True)
        await talk(sock.getsockname())


@probe("create_server", "reuse_port=")
async def create_server_reuse_port(loop):
    async with _listening(loop.create_server, "127.0.0.1", 0, reuse_port=True) as (one, talk):
        port = one.sockets[0].getsockname()[1]
        async with _listening(loop.create_server, "127.0.0.1", port, reuse_port=True) as (two, _):
            same(two.sockets[0].getsockname()[1], port)


@probe("create_server", "keep_alive=", since=(3, 13))
async def create_server_keep_alive(loop):
    async with _listening(loop.create_server, "127.0.0.1", 0, keep_alive=True) as (server, talk):
        same(server.sockets[0].getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) != 0, True)


@probe("create_server", "start_serving=False")
async def create_server_not_serving(loop):
    async with _listening(loop.create_server, "127.0.0.1", 0, start_serving=False) as (server, talk):
        same(server.is_serving(), False)
        await server.start_serving()
        same(server.is_serving(), True)
        await talk(server.sockets[0].getsockname())


@probe("create_server", "OSError for an address in use")
async def create_server_in_use(loop):
    with net.listener() as sock:
        with pytest.raises(OSError, match="address already in use"):
            await loop.create_server(Echo, *sock.getsockname())


@probe("create_unix_server", "a path")
async def create_unix_server(loop):
    with unix_path() as path:
        async with _listening(loop.create_unix_server, path) as (server, talk):
            await talk(path)


@probe("create_unix_server", "path= backlog=")
async def create_unix_server_backlog(loop):
    with unix_path() as path:
        async with _listening(loop.create_unix_server, path=path, backlog=7) as (server, talk):
            await talk(path)


@probe("create_unix_server", "an abstract address")
async def create_unix_server_abstract(loop):
    path = f"\0loop {os.getpid()} {id(loop)}"
    async with _listening(loop.create_unix_server, path) as (server, talk):
        await talk(path)


@probe("create_unix_server", "sock=")
async def create_unix_server_sock(loop):
    with unix_path() as path, socket.socket(socket.AF_UNIX) as sock:
        sock.bind(path)
        async with _listening(loop.create_unix_server, sock=sock) as (server, talk):
            await talk(path)


@probe("create_unix_server", "start_serving=False")
async def create_unix_server_not_serving(loop):
    with unix_path() as path:
        async with _listening(loop.create_unix_server, path, start_serving=False) as (server, talk):
            same(server.is_serving(), False)
            await server.start_serving()
            await talk(path)


@probe("create_unix_server", "cleanup_socket=", since=(3, 13))
async def create_unix_server_cleanup(loop):
    for cleanup in True, False:
        with unix_path() as path:
            async with _listening(loop.create_unix_server, path, cleanup_socket=cleanup):
                pass
            same(os.path.exists(path), not cleanup)
