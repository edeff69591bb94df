"""What threads do for a loop: blocking functions and names."""

import concurrent.futures
import socket
import threading

import pytest

from ..registry import probe, same


@probe("run_in_executor", "in a thread, with arguments")
async def run_in_executor(loop):
    ident, total = await loop.run_in_executor(None, lambda *args: (threading.get_ident(), sum(args)), 1, 2)
    same(ident != threading.get_ident(), True)
    same(total, 3)


@probe("run_in_executor", "an executor of one's own")
async def run_in_executor_own(loop):
    with concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="own") as executor:
        name = await loop.run_in_executor(executor, lambda: threading.current_thread().name)
    same(name, "own_0")


@probe("run_in_executor", "the exception")
async def run_in_executor_raises(loop):
    with pytest.raises(ValueError):
        await loop.run_in_executor(None, int, "x")


@probe("set_default_executor", "is used")
async def set_default_executor(loop):
    loop.set_default_executor(concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="own"))
    same(await loop.run_in_executor(None, lambda: threading.current_thread().name), "own_0")


@probe("set_default_executor", "TypeError for anything else")
async def set_default_executor_wrong(loop):
    with pytest.raises(TypeError):
        loop.set_default_executor("executor")


NUMERIC = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV
LOCAL = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("127.0.0.1", 80))


@probe("getaddrinfo", "family= type= proto= flags=")
async def getaddrinfo(loop):
    found = await loop.getaddrinfo(
        "127.0.0.1",
        80,
        family=socket.AF_INET,
        type=socket.SOCK_STREAM,
        proto=socket.IPPROTO_TCP,
        flags=socket.AI_NUMERICHOST,
    )
    same(found, [LOCAL])


@probe("getaddrinfo", "localhost, and a port as a string")
async def getaddrinfo_names(loop):
    query = {"host": "localhost", "port": "80", "type": socket.SOCK_STREAM}
    same(await loop.getaddrinfo(**query), socket.getaddrinfo(**query))


@probe("getaddrinfo", "gaierror")
async def getaddrinfo_fails(loop):
    with pytest.raises(socket.gaierror):
        await loop.getaddrinfo("no number", 80, flags=socket.AI_NUMERICHOST)


@probe("getnameinfo", "an address and its service")
async def getnameinfo(loop):
    for flags in NUMERIC, socket.NI_NUMERICHOST:
        same(await loop.getnameinfo(("127.0.0.1", 80), flags), socket.getnameinfo(("127.0.0.1", 80), flags))


@probe("getnameinfo", "IPv6 with its scope")
async def getnameinfo_scope(loop):
    address = "fe80::1", 80, 0, 1
    same(await loop.getnameinfo(address, NUMERIC), socket.getnameinfo(address, NUMERIC))
