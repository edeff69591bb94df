"""Listening sockets: names, families, and the texts of what goes wrong."""

import asyncio
import errno
import socket
import sys

import pytest

from loopkit.net import listen


def test_a_path_is_told_from_an_abstract_name():
    assert listen.is_file("/tmp/x")
    assert listen.is_file(b"/tmp/x")
    for name in ("", b"", "\0x", b"\0x"):
        assert not listen.is_file(name)


@pytest.mark.parametrize(
    ("version", "text"),
    [((3, 12, 0), "address already in use"), ((3, 13, 0), r"\[errno 98\] address already in use")],
    ids=["312", "313"],
)
async def test_the_reason_of_a_failed_bind_is_told_as_the_version_does(monkeypatch, version, text):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr(listen.sys, "version_info", version)
        with pytest.raises(
            OSError, match=rf"error while attempting to bind on address \('127.0.0.1', {port}\): {text}"
        ) as caught:
            await asyncio.get_running_loop().create_server(asyncio.Protocol, "127.0.0.1", port)
        assert caught.value.errno == errno.EADDRINUSE


async def test_an_address_that_the_machine_does_not_have_is_left_out_from_313():
    """A name may stand for addresses of a family that is not enabled."""

    loop = asyncio.get_running_loop()
    elsewhere = "192.0.2.1"
    if sys.version_info >= (3, 13):
        with pytest.raises(OSError, match="could not bind on any address out of"):
            await loop.create_server(asyncio.Protocol, elsewhere, 0)
        server = await loop.create_server(asyncio.Protocol, [elsewhere, "127.0.0.1"], 0)
        assert [sock.getsockname()[0] for sock in server.sockets] == ["127.0.0.1"]
        server.close()
    else:
        with pytest.raises(OSError, match="error while attempting to bind on address"):
            await loop.create_server(asyncio.Protocol, [elsewhere, "127.0.0.1"], 0)
