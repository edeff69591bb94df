"""Files through a transport and through a socket."""

import asyncio
import contextlib
import io
import tempfile

import pytest

from tests.support import net, tls
from tests.support.protocols import Recorder

from ..registry import probe, same

CONTENT = bytes(range(256)) * 1000


@contextlib.contextmanager
def _file():
    """A regular file with the content, at its beginning."""
    with tempfile.TemporaryFile() as file:
        file.write(CONTENT)
        file.seek(0)
        yield file


async def _sends(loop, file, expected, **how):
    """Send the file over a TCP transport and compare what arrives, the count and the file's position."""
    with net.tcp_pair() as (ours, theirs):
        reading = loop.create_task(net.blocking(net.read_exactly, theirs, len(expected)))
        transport, protocol = await loop.connect_accepted_socket(Recorder, ours)
        try:
            same(await loop.sendfile(transport, file, **how), len(expected))
        finally:
            transport.close()
            await protocol.lost()
        same(await reading == expected, True)
    same(file.tell(), how.get("offset", 0) + len(expected))


@probe("sendfile", "a regular file over TCP")
async def sendfile(loop):
    with _file() as file:
        await _sends(loop, file, CONTENT)


@probe("sendfile", "offset= count=")
async def sendfile_part(loop):
    with _file() as file:
        await _sends(loop, file, CONTENT[1000:3000], offset=1000, count=2000)


@probe("sendfile", "fallback=True: a file without a descriptor")
async def sendfile_fallback(loop):
    await _sends(loop, io.BytesIO(CONTENT), CONTENT, fallback=True)


@probe("sendfile", "fallback=False: refused for such a file")
async def sendfile_no_fallback(loop):
    with pytest.raises(asyncio.SendfileNotAvailableError):
        await _sends(loop, io.BytesIO(CONTENT), b"", fallback=False)


@probe("sendfile", "over TLS")
async def sendfile_tls(loop):
    received = loop.create_future()

    def read(sock):
        data = net.read_exactly(sock, len(CONTENT))
        loop.call_soon_threadsafe(received.set_result, data)
        net.read_all(sock)
        sock.unwrap()

    with tls.tls_serving(read) as address, _file() as file:
        secure = {"ssl": tls.client_context(), "server_hostname": tls.NAME}
        transport, protocol = await loop.create_connection(Recorder, *address, **secure)
        try:
            same(await loop.sendfile(transport, file), len(CONTENT))
            same(await received == CONTENT, True)
        finally:
            transport.close()
            await protocol.lost()


async def _sock_sends(loop, file, expected, **how):
    with net.tcp_pair() as (ours, theirs):
        reading = loop.create_task(net.blocking(net.read_exactly, theirs, len(expected)))
        try:
            same(await loop.sock_sendfile(ours, file, **how), len(expected))
        finally:
            ours.close()
            data = await reading
        same(data == expected, True)
    same(file.tell(), how.get("offset", 0) + len(expected))


@probe("sock_sendfile", "a regular file")
async def sock_sendfile(loop):
    with _file() as file:
        await _sock_sends(loop, file, CONTENT)


@probe("sock_sendfile", "offset= count=")
async def sock_sendfile_part(loop):
    with _file() as file:
        await _sock_sends(loop, file, CONTENT[1000:3000], offset=1000, count=2000)


@probe("sock_sendfile", "fallback=True: a file without a descriptor")
async def sock_sendfile_fallback(loop):
    await _sock_sends(loop, io.BytesIO(CONTENT), CONTENT, fallback=True)


@probe("sock_sendfile", "fallback=False: refused for such a file")
async def sock_sendfile_no_fallback(loop):
    with pytest.raises(asyncio.SendfileNotAvailableError):
        await _sock_sends(loop, io.BytesIO(CONTENT), b"", fallback=False)
