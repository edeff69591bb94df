"""Errors of operations that fail leave no reference cycle: nothing waits for the garbage collector.

An exception's traceback holds the frames it came through, and their variables. One that a frame of ours keeps
in a variable holds itself, and with it the program's protocol factory, its arguments, and so on.
"""

import asyncio
import gc
import socket

import pytest

from tests.support.net import refused_port
from tests.support.pythons import cpython_only

NOWHERE = ("192.0.2.1", 0)  # a documentation address that this machine does not have


def dead_end(loop, host, **options):
    return loop.create_connection(asyncio.Protocol, host, refused_port(), **options)


async def sock_connect(loop):
    with socket.socket() as sock:
        sock.setblocking(False)
        await loop.sock_connect(sock, ("127.0.0.1", refused_port()))


async def many(loop, **options):
    """All the addresses of localhost and one more."""

    async def getaddrinfo(host, port, **rest):
        return [
            (family, socket.SOCK_STREAM, 6, "", (name, refused_port(), *more))
            for family, name, *more in ((socket.AF_INET6, "::1", 0, 0), (socket.AF_INET, "127.0.0.1"))
        ]

    loop.getaddrinfo = getaddrinfo
    try:
        await loop.create_connection(asyncio.Protocol, "many.invalid", 1, **options)
    finally:
        del loop.getaddrinfo


def exec_nothing(loop):
    return loop.subprocess_exec(asyncio.SubprocessProtocol, "/nonexistent/program")


async def cut_short(loop):
    """A connection that is cancelled under way."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        with socket.create_connection(full.getsockname()):
            async with asyncio.timeout(0.01):
                await loop.create_connection(asyncio.Protocol, *full.getsockname())
                raise TimeoutError("there was room")


FAILURES = {
    "refused": lambda loop: dead_end(loop, "127.0.0.1"),
    "by name": lambda loop: dead_end(loop, "localhost"),
    "several": lambda loop: many(loop),
    "all errors": lambda loop: many(loop, all_errors=True),
    "a race": lambda loop: many(loop, happy_eyeballs_delay=0.001),
    "all errors of a race": lambda loop: many(loop, happy_eyeballs_delay=0.001, all_errors=True),
    "local address": lambda loop: dead_end(loop, "127.0.0.1", local_addr=NOWHERE),
    "local address of another family": lambda loop: dead_end(loop, "127.0.0.1", local_addr=("::1", 0)),
    "local addresses in a race": lambda loop: many(loop, local_addr=NOWHERE, happy_eyeballs_delay=0.001),
    "no Unix server": lambda loop: loop.create_unix_connection(asyncio.Protocol, "/nonexistent/x"),
    "sock_connect": sock_connect,
    "datagrams": lambda loop: loop.create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=NOWHERE),
    "server": lambda loop: loop.create_server(asyncio.Protocol, *NOWHERE),
    "Unix server": lambda loop: loop.create_unix_server(asyncio.Protocol, "/nonexistent/x"),
    "no such name": lambda loop: loop.create_connection(asyncio.Protocol, "no-such-host.invalid", 1),
    "no such program": exec_nothing,
    "cancelled": cut_short,
}


@cpython_only("its collector says what it has found")
@pytest.mark.parametrize("what", FAILURES)
async def test_a_failure_leaves_no_cycle(what):
    loop = asyncio.get_running_loop()
    error = None

    async def fail():
        try:
            await FAILURES[what](loop)
        except (OSError, ExceptionGroup) as exc:
            return type(exc)

    assert await fail() is not None  # what is loaded or made once is there now
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        error = await fail()
        for _ in range(3):
            await asyncio.sleep(0)
        gc.collect()
        found = [thing for thing in gc.garbage if isinstance(thing, BaseException)]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    assert error is not None
    assert found == []
