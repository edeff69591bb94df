"""`sock_*` and buffers: bytes are counted, not items, and what does not fit is refused before any is taken.

asyncio counts items when it sends (half of an `array("H")` is sent, silently) and asks some buffers for a
length that they have not.
"""

import array
import asyncio
import ctypes
import socket
import struct
import threading

import pytest

from tests.support.net import unix_pair
from tests.support.pythons import cpython_only


def matrix(data):
    return memoryview(bytearray(data)).cast("B", [len(data) // 4, 4])


class Record(ctypes.Structure):
    _fields_ = (("number", ctypes.c_uint32), ("flag", ctypes.c_uint16), ("rest", ctypes.c_uint16))


KINDS = {
    "bytearray": bytearray,
    "two-byte items": lambda data: array.array("H", data),
    "doubles": lambda data: array.array("d", data),
    "two dimensions": matrix,
    "ctypes": lambda data: (ctypes.c_uint32 * (len(data) // 4)).from_buffer_copy(data),
    "ctypes records": lambda data: (Record * (len(data) // 8)).from_buffer_copy(data),
    "a view of ctypes": lambda data: memoryview((ctypes.c_uint16 * (len(data) // 2)).from_buffer_copy(data)),
}

SCALARS = {
    "a number of ctypes": lambda data: ctypes.c_uint64.from_buffer_copy(data),
    "a record of ctypes": lambda data: Record.from_buffer_copy(data),
}


def pattern(size):
    return bytes(range(256)) * (size // 256)


# -- sending -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["bytes", *KINDS, *SCALARS])
async def test_what_goes_out_at_once_goes_out_whole(kind):
    loop = asyncio.get_running_loop()
    data = bytes(range(8)) if kind in SCALARS else pattern(1024)
    with unix_pair() as (ours, theirs):
        await loop.sock_sendall(ours, {"bytes": bytes, **KINDS, **SCALARS}[kind](data))
        assert theirs.recv(4096) == data


@pytest.mark.parametrize("kind", ["bytes", *KINDS])
@pytest.mark.parametrize("items", ["as many items as bytes are taken", "many"])
async def test_what_has_to_wait_goes_out_whole(kind, items):
    """The dangerous number of items: as many as the kernel takes bytes at first."""
    loop = asyncio.get_running_loop()
    make = {"bytes": bytes, **KINDS}[kind]
    with unix_pair() as (ours, theirs), unix_pair() as (probe, _):
        for sock in (ours, probe):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
        room = probe.send(bytes(1 << 20))
        if items == "many":
            size = 1 << 20
        else:
            sample = memoryview(make(pattern(1024)))
            size = room * (1024 // len(sample)) // 8 * 8
        data = (pattern(1024) * (size // 1024 + 1))[:size]
        got = bytearray()

        def read():
            while len(got) < len(data):
                got.extend(theirs.recv(65536))

        sending = loop.create_task(loop.sock_sendall(ours, make(data)))
        await asyncio.sleep(0)
        thread = threading.Thread(target=read)
        thread.start()
        await sending
        await loop.run_in_executor(None, thread.join)
        assert got == data


@pytest.mark.parametrize(
    "data",
    ["text", None, 5, [1, 2], memoryview(bytearray(64))[::2]],
    ids=["str", "None", "int", "list", "every other byte"],
)
async def test_what_cannot_be_sent_is_refused_before_anything_is(data):
    loop = asyncio.get_running_loop()
    with unix_pair() as (ours, theirs):
        with pytest.raises((TypeError, BufferError)):
            await loop.sock_sendall(ours, data)
        ours.close()
        assert theirs.recv(100) == b""


@pytest.mark.parametrize("kind", KINDS)
async def test_nothing_is_sent_of_an_empty_buffer(kind):
    loop = asyncio.get_running_loop()
    with unix_pair() as (ours, theirs):
        empty = memoryview(b"") if kind == "two dimensions" else KINDS[kind](b"")
        await loop.sock_sendall(ours, empty)
        ours.close()
        assert theirs.recv(100) == b""


# -- receiving -----------------------------------------------------------------------------------------------


def into(buffer):
    return (
        bytes(memoryview(buffer).cast("B")) if memoryview(buffer).ndim == 1 else memoryview(buffer).tobytes()
    )


@pytest.mark.parametrize("kind", [*KINDS, *SCALARS])
async def test_bytes_are_received_into_a_buffer_of_any_kind(kind):
    """Three times: what is known of the first receive decides what the others do."""
    loop = asyncio.get_running_loop()
    size = 8 if kind in SCALARS else 512
    buffer = {**KINDS, **SCALARS}[kind](bytes(size))
    with unix_pair() as (ours, theirs):
        for count in (size, size // 2, size):
            data = pattern(512)[:count]
            theirs.send(data)
            assert await loop.sock_recv_into(ours, buffer) == count
            assert memoryview(buffer).tobytes()[:count] == data
        theirs.close()
        assert await loop.sock_recv_into(ours, buffer) == 0


@pytest.mark.parametrize("kind", [*KINDS, *SCALARS])
async def test_a_datagram_is_received_into_a_buffer_of_any_kind(kind):
    loop = asyncio.get_running_loop()
    size = 8 if kind in SCALARS else 512
    buffer = {**KINDS, **SCALARS}[kind](bytes(size))
    with unix_pair(socket.SOCK_DGRAM) as (ours, theirs):
        for options, expected in (((), size), ((4,), 4)):
            theirs.send(pattern(512)[:size])
            count, _ = await loop.sock_recvfrom_into(ours, buffer, *options)
            assert count == expected
            assert memoryview(buffer).tobytes()[:count] == pattern(512)[:count]


BAD_BUFFERS = {
    "bytes": b"read only",
    "a read-only view": memoryview(b"read only"),
    "str": "text",
    "None": None,
    "a list": [1, 2],
    "every other byte": memoryview(bytearray(64))[::2],
}


@pytest.mark.parametrize("warm", [False, True], ids=["first", "after a short receive"])
@pytest.mark.parametrize("kind", BAD_BUFFERS)
async def test_a_buffer_that_cannot_be_filled_is_refused_before_anything_is_taken(kind, warm):
    loop = asyncio.get_running_loop()
    with unix_pair() as (ours, theirs):
        if warm:
            theirs.send(b"warm")
            assert await loop.sock_recv(ours, 100) == b"warm"
        theirs.send(b"precious")
        with pytest.raises((TypeError, BufferError)):
            await loop.sock_recv_into(ours, BAD_BUFFERS[kind])
        assert await loop.sock_recv(ours, 100) == b"precious"


NEGATIVE = pytest.param(
    -1, ValueError, marks=cpython_only("PyPy's recvfrom_into() takes -1 for all there is room for")
)


@pytest.mark.parametrize(("nbytes", "error"), [NEGATIVE, (100, ValueError), ("4", TypeError)])
async def test_a_number_of_bytes_that_does_not_fit_is_refused_before_anything_is_taken(nbytes, error):
    loop = asyncio.get_running_loop()
    with unix_pair(socket.SOCK_DGRAM) as (ours, theirs):
        theirs.send(b"precious")
        with pytest.raises(error):
            await loop.sock_recvfrom_into(ours, bytearray(10), nbytes)
        assert (await loop.sock_recvfrom(ours, 100))[0] == b"precious"


@pytest.mark.parametrize("warm", [False, True], ids=["first", "after a short receive"])
@pytest.mark.parametrize("nbytes", [-1, "4", None, 2.5])
async def test_a_nonsensical_number_of_bytes_takes_nothing(nbytes, warm):
    loop = asyncio.get_running_loop()
    with unix_pair() as (ours, theirs):
        if warm:
            theirs.send(b"warm")
            assert await loop.sock_recv(ours, 100) == b"warm"
        theirs.send(b"precious")
        with pytest.raises((ValueError, TypeError)):
            await loop.sock_recv(ours, nbytes)
        assert await loop.sock_recv(ours, 100) == b"precious"


async def test_an_empty_buffer_receives_nothing_and_takes_nothing():
    loop = asyncio.get_running_loop()
    with unix_pair() as (ours, theirs):
        theirs.send(struct.pack("4s", b"data"))
        for empty in (bytearray(), array.array("H"), (ctypes.c_uint32 * 0)()):
            assert await loop.sock_recv_into(ours, empty) == 0
        assert await loop.sock_recv(ours, 100) == b"data"
