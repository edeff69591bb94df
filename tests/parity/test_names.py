"""getaddrinfo and getnameinfo."""

import asyncio
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", None, b"127.0.0.1"])
@pytest.mark.parametrize("port", [80, "80", "http", 0, None])
async def test_getaddrinfo_answers_as_the_socket_module(host, port):
    if host is None and port is None:
        pytest.skip("neither asks for anything")
    loop = asyncio.get_running_loop()
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        try:
            expected = socket.getaddrinfo(host, port, type=kind)
        except socket.gaierror:
            pytest.skip("this machine does not resolve it")
        assert await loop.getaddrinfo(host, port, type=kind) == expected


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6, socket.AF_UNSPEC])
async def test_getaddrinfo_minds_the_family(family):
    loop = asyncio.get_running_loop()
    try:
        expected = socket.getaddrinfo("localhost", 80, family=family, type=socket.SOCK_STREAM)
    except socket.gaierror:
        pytest.skip("localhost has no address of this family here")
    assert await loop.getaddrinfo("localhost", 80, family=family, type=socket.SOCK_STREAM) == expected


@pytest.mark.parametrize(
    ("host", "port", "options"),
    [
        ("127.0.0.1", 80, {}),
        ("127.0.0.1", 80, {"type": socket.SOCK_STREAM, "proto": socket.IPPROTO_TCP}),
        ("127.0.0.1", 80, {"type": socket.SOCK_DGRAM, "proto": socket.IPPROTO_UDP}),
        ("127.0.0.1", 80, {"family": socket.AF_INET, "type": socket.SOCK_STREAM}),
        ("::1", 80, {"family": socket.AF_INET6, "type": socket.SOCK_STREAM}),
        ("::1", 80, {"type": socket.SOCK_STREAM, "flags": socket.AI_PASSIVE}),
        ("127.0.0.1", 80, {"type": socket.SOCK_STREAM, "flags": socket.AI_NUMERICHOST}),
        ("127.0.0.1", 80, {"type": socket.SOCK_STREAM, "flags": socket.AI_CANONNAME}),
        ("0.0.0.0", 80, {"type": socket.SOCK_STREAM}),
        ("127.1", 80, {"type": socket.SOCK_STREAM}),
        ("::ffff:127.0.0.1", 80, {"type": socket.SOCK_STREAM}),
        (None, 80, {"type": socket.SOCK_STREAM, "flags": socket.AI_PASSIVE}),
    ],
)
@pytest.mark.uvloop_differs(reason="answers literals itself, otherwise", run=False)
async def test_getaddrinfo_of_a_literal_answers_as_the_socket_module(host, port, options):
    loop = asyncio.get_running_loop()
    assert await loop.getaddrinfo(host, port, **options) == socket.getaddrinfo(host, port, **options)


@pytest.mark.uvloop_differs(reason="loses the scope")
async def test_getaddrinfo_of_a_scoped_address():
    loop = asyncio.get_running_loop()
    name = socket.if_indextoname(1)
    try:
        expected = socket.getaddrinfo(f"fe80::1%{name}", 80, type=socket.SOCK_STREAM)
    except socket.gaierror:
        pytest.skip("no IPv6 here")
    assert await loop.getaddrinfo(f"fe80::1%{name}", 80, type=socket.SOCK_STREAM) == expected


@pytest.mark.parametrize(
    ("host", "options"),
    [
        ("127.0.0.1", {"family": socket.AF_INET6}),
        ("::1", {"family": socket.AF_INET}),
        ("not a host", {"flags": socket.AI_NUMERICHOST}),
        ("256.256.256.256", {"flags": socket.AI_NUMERICHOST}),
    ],
)
async def test_what_cannot_be_resolved_is_a_gaierror(host, options):
    loop = asyncio.get_running_loop()
    with pytest.raises(socket.gaierror):
        await loop.getaddrinfo(host, 80, type=socket.SOCK_STREAM, **options)


async def test_getnameinfo_answers_as_the_socket_module():
    loop = asyncio.get_running_loop()
    numeric = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV
    assert await loop.getnameinfo(("127.0.0.1", 80), numeric) == ("127.0.0.1", "80")
    assert await loop.getnameinfo(("127.0.0.1", 80), socket.NI_NUMERICHOST) == socket.getnameinfo(
        ("127.0.0.1", 80), socket.NI_NUMERICHOST
    )
    try:
        expected = socket.getnameinfo(("::1", 443), numeric)
    except OSError:
        pytest.skip("no IPv6 here")
    assert await loop.getnameinfo(("::1", 443), numeric) == expected


async def test_a_lookup_can_be_cancelled():
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(1) as executor:
        loop.set_default_executor(executor)
        busy = threading.Event()
        loop.run_in_executor(None, busy.wait, 10)
        task = asyncio.ensure_future(loop.getaddrinfo("localhost", 80))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        busy.set()
