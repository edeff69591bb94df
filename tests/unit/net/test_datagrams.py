"""create_datagram_endpoint: what becomes of the socket when something fails."""

import asyncio
import socket

import pytest

from tests.support.leaks import open_descriptors
from tests.support.protocols import DatagramRecorder


def broken():
    raise ZeroDivisionError


async def test_a_factory_that_fails_leaves_no_socket():
    before = open_descriptors()
    with pytest.raises(ZeroDivisionError):
        await asyncio.get_running_loop().create_datagram_endpoint(broken, local_addr=("127.0.0.1", 0))
    assert open_descriptors() == before


async def test_a_factory_that_fails_leaves_the_programs_socket_alone():
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        with pytest.raises(ZeroDivisionError):
            await asyncio.get_running_loop().create_datagram_endpoint(broken, sock=sock)
        assert sock.fileno() != -1


async def test_the_socket_of_another_transport_is_refused():
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(DatagramRecorder, local_addr=("127.0.0.1", 0))
    with socket.socket(fileno=transport.get_extra_info("socket").fileno()) as same:
        with pytest.raises(RuntimeError, match="is used by transport"):
            await loop.create_datagram_endpoint(DatagramRecorder, sock=same)
        same.detach()
    transport.close()
    await protocol.lost()


async def test_the_first_address_that_works_is_taken(monkeypatch):
    loop = asyncio.get_running_loop()
    address = ("127.0.0.1", 0)

    async def getaddrinfo(host, port, **kwargs):
        return [
            (socket.AF_INET6, socket.SOCK_DGRAM, 17, "", ("2001:db8::1", 0, 0, 0)),
            (socket.AF_INET, socket.SOCK_DGRAM, 17, "", address),
        ]

    monkeypatch.setattr(loop, "getaddrinfo", getaddrinfo, raising=False)
    transport, protocol = await loop.create_datagram_endpoint(DatagramRecorder, local_addr=("some.host", 0))
    assert transport.get_extra_info("sockname")[0] == "127.0.0.1"
    address = ("192.0.2.1", 0)
    with pytest.raises(OSError) as caught:
        await loop.create_datagram_endpoint(DatagramRecorder, local_addr=("some.host", 0))
    assert "192.0.2.1" not in str(caught.value)  # of several errors the first is told
    transport.close()
    await protocol.lost()
