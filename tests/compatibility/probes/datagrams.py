"""UDP and Unix datagrams through a transport."""

import socket
import tempfile
from pathlib import Path

import pytest

from tests.support import net
from tests.support.protocols import DatagramRecorder

from ..registry import probe, same


async def _close(transport, protocol):
    transport.close()
    same(await protocol.lost(), None)


async def _open(loop, **kwargs):
    transport, protocol = await loop.create_datagram_endpoint(DatagramRecorder, **kwargs)
    return transport, protocol, transport.get_extra_info("sockname")


def _peer():
    sock = socket.socket(type=socket.SOCK_DGRAM)
    sock.settimeout(net.PATIENCE)
    sock.bind(("127.0.0.1", 0))
    return sock


@probe("create_datagram_endpoint", "local_addr=")
async def create_datagram_endpoint(loop):
    transport, protocol, address = await _open(loop, local_addr=("127.0.0.1", 0))
    with _peer() as peer:
        peer.sendto(b"hello", address)
        same(await protocol.received(1), [(b"hello", peer.getsockname())])
        transport.sendto(b"world", peer.getsockname())
        same(await net.blocking(peer.recvfrom, 100), (b"world", address))
    await _close(transport, protocol)


@probe("create_datagram_endpoint", "remote_addr=")
async def create_datagram_endpoint_remote(loop):
    with _peer() as peer:
        transport, protocol, address = await _open(loop, remote_addr=peer.getsockname())
        transport.sendto(b"hello")
        same(await net.blocking(peer.recvfrom, 100), (b"hello", address))
        peer.sendto(b"world", address)
        same(await protocol.received(1), [(b"world", peer.getsockname())])
        await _close(transport, protocol)


@probe("create_datagram_endpoint", "family= proto= flags=")
async def create_datagram_endpoint_family(loop):
    how = {"family": socket.AF_INET, "proto": socket.IPPROTO_UDP, "flags": socket.AI_NUMERICHOST}
    transport, protocol, address = await _open(loop, local_addr=("127.0.0.1", 0), **how)
    same(transport.get_extra_info("socket").family, socket.AF_INET)
    await _close(transport, protocol)


@probe("create_datagram_endpoint", "family= alone")
async def create_datagram_endpoint_unbound(loop):
    transport, protocol, _ = await _open(loop, family=socket.AF_INET)
    with _peer() as peer:
        transport.sendto(b"hello", peer.getsockname())
        same((await net.blocking(peer.recvfrom, 100))[0], b"hello")
    await _close(transport, protocol)


@probe("create_datagram_endpoint", "reuse_port=")
async def create_datagram_endpoint_reuse_port(loop):
    one, protocol, address = await _open(loop, local_addr=("127.0.0.1", 0), reuse_port=True)
    two, other, again = await _open(loop, local_addr=address, reuse_port=True)
    same(again, address)
    await _close(one, protocol)
    await _close(two, other)


@probe("create_datagram_endpoint", "allow_broadcast=")
async def create_datagram_endpoint_broadcast(loop):
    transport, protocol, _ = await _open(loop, local_addr=("127.0.0.1", 0), allow_broadcast=True)
    sock = transport.get_extra_info("socket")
    same(sock.getsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST) != 0, True)
    await _close(transport, protocol)


@probe("create_datagram_endpoint", "sock=")
async def create_datagram_endpoint_sock(loop):
    ours = _peer()
    ours.setblocking(False)
    transport, protocol, address = await _open(loop, sock=ours)
    with _peer() as peer:
        peer.sendto(b"hello", address)
        same(await protocol.received(1), [(b"hello", peer.getsockname())])
    await _close(transport, protocol)


@probe("create_datagram_endpoint", "AF_UNIX by path")
async def create_datagram_endpoint_unix(loop):
    with (
        tempfile.TemporaryDirectory(prefix="loop") as directory,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as peer,
    ):
        here, there = str(Path(directory, "here")), str(Path(directory, "there"))
        peer.bind(there)
        peer.settimeout(net.PATIENCE)
        how = {"local_addr": here, "remote_addr": there, "family": socket.AF_UNIX}
        transport, protocol, _ = await _open(loop, **how)
        transport.sendto(b"hello")
        same(await net.blocking(peer.recvfrom, 100), (b"hello", here))
        peer.sendto(b"world", here)
        same(await protocol.received(1), [(b"world", there)])
        await _close(transport, protocol)


@probe("create_datagram_endpoint", "error_received()")
async def create_datagram_endpoint_error(loop):
    address = "127.0.0.1", net.free_port(socket.SOCK_DGRAM)
    transport, protocol, _ = await _open(loop, remote_addr=address)
    transport.sendto(b"hello")
    await protocol.until_event("error")
    same([type(error) for error in protocol.errors], [ConnectionRefusedError])
    await _close(transport, protocol)


@probe("create_datagram_endpoint", "ValueError for a stream socket")
async def create_datagram_endpoint_wrong(loop):
    with socket.socket() as sock, pytest.raises(ValueError):
        await loop.create_datagram_endpoint(DatagramRecorder, sock=sock)
