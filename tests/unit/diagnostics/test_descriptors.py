"""The fd table in words: is it the kernel's, and are owners, peers and bytes true?"""

import asyncio
import fcntl
import os
import random
import re
import signal
import socket
import subprocess
import sys
from select import POLLIN, POLLOUT

import pytest

import loopkit
from loopkit.diagnostics import fds
from loopkit.diagnostics.descriptors import address_words, mask_words, open_files
from tests.support.net import TOO_MUCH, listener


@pytest.fixture
def loop():
    loop = loopkit.EpollLoop()
    yield loop
    loop.close()


def by_number(loop):
    return {found.fd: found for found in fds(loop)}


@pytest.mark.loops("epoll", "poll")  # on the busy one a thousand steps take a minute
async def test_table_and_kernel_agree_after_a_thousand_random_opens_and_closes():
    loop = asyncio.get_running_loop()
    before = {fd for fd, _ in open_files()}
    known_before = {found.fd for found in fds(loop) if found.kind != "unknown"}
    rng = random.Random(13)
    server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0)
    address = server.sockets[0].getsockname()
    transports, raw = [], []
    for _ in range(1000):
        choice = rng.random()
        if choice < 0.3 and len(transports) < 20:
            transports.append((await loop.create_connection(asyncio.Protocol, *address))[0])
        elif choice < 0.55 and transports:
            transports.pop(rng.randrange(len(transports))).abort()
            await asyncio.sleep(0)
        elif choice < 0.8 and len(raw) < 20:
            pair = socket.socketpair()
            loop.add_reader(pair[0], int)
            raw.append(pair)
        elif raw:
            pair = raw.pop(rng.randrange(len(raw)))
            loop.remove_reader(pair[0])
            pair[0].close()
            pair[1].close()
    await asyncio.sleep(0.01)
    kernel = {fd for fd, _ in open_files()}
    ours = {found.fd for found in fds(loop) if found.kind != "unknown"}
    assert ours <= kernel
    strangers = before - known_before
    others = {theirs.fileno() for _, theirs in raw}
    assert kernel - ours - others <= strangers
    assert {found.fd for found in fds(loop)} == kernel
    for ours, theirs in raw:
        loop.remove_reader(ours)
        ours.close()
        theirs.close()
    for transport in transports:
        transport.abort()
    server.close()
    server.abort_clients()
    await asyncio.sleep(0.01)


async def test_owner_peer_and_unsent_bytes_are_told():
    loop = asyncio.get_running_loop()
    peers = []
    server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0)
    with socket.create_connection(server.sockets[0].getsockname()) as client:
        client.setblocking(False)

        class Sender(asyncio.Protocol):
            def connection_made(self, transport):
                peers.append(transport)

        with listener() as peer:
            transport, _ = await loop.create_connection(Sender, *peer.getsockname())
            transport.write(b"x" * TOO_MUCH)
            await asyncio.sleep(0)
            found = by_number(loop)[transport.get_extra_info("socket").fileno()]
            assert found.kind == "connection"
            assert "Sender" in found.owner
            assert found.peer == "{}:{}".format(*peer.getsockname())
            assert found.unsent == transport.get_write_buffer_size() > 0
            assert found.wanted & POLLOUT
            assert found.idle is not None
            transport.abort()
        own = {found.owner for found in fds(loop) if found.kind == "loop"}
        assert "the wake-up" in own
        assert any(found.kind == "server" for found in fds(loop))
    server.close()
    await asyncio.sleep(0.01)


def test_what_the_kernel_has_and_the_loop_does_not_know_is_told(loop):
    with open(os.devnull) as file:
        found = by_number(loop)[file.fileno()]
    assert (found.kind, found.owner) == ("unknown", os.devnull)


def test_what_the_loop_has_for_itself_is_told(loop):
    loop.add_signal_handler(signal.SIGUSR2, int)
    found = [(found.kind, found.owner) for found in fds(loop)]
    assert {("loop", "signals"), ("loop", "signals, other end"), ("loop", "the wake-up")} <= set(found)
    loop.remove_signal_handler(signal.SIGUSR2)
    assert "signals" not in {found.owner for found in fds(loop)}


def test_a_socket_that_the_loop_does_not_know_is_told_with_its_peer(loop):
    with listener() as peer, socket.create_connection(peer.getsockname()) as sock:
        found = by_number(loop)[sock.fileno()]
        assert (found.kind, found.peer) == ("unknown", "{}:{}".format(*peer.getsockname()))
        assert found.idle is not None


def test_the_program_keeps_its_locks_on_files(tmp_path):
    """They are the process's: it loses them when any descriptor of the file is closed, a duplicate too."""
    loop = loopkit.PollLoop()  # epoll takes no files
    code = f"import fcntl; fcntl.lockf(open({str(tmp_path / 'db')!r}, 'a'), fcntl.LOCK_EX | fcntl.LOCK_NB)"
    with open(tmp_path / "db", "a") as known, open(tmp_path / "db", "a") as unknown:
        fcntl.lockf(unknown, fcntl.LOCK_EX)
        loop.add_reader(known, int)
        assert {known.fileno(), unknown.fileno()} <= {found.fd for found in fds(loop)}
        locked = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        loop.remove_reader(known)
    loop.close()
    assert "BlockingIOError" in locked.stderr


def test_a_peer_that_has_closed_is_told(loop):
    with listener() as server, socket.create_connection(server.getsockname()) as sock:
        peer, _ = server.accept()
        assert not by_number(loop)[sock.fileno()].ended
        peer.close()
        sock.settimeout(10)
        assert sock.recv(1) == b""
        assert by_number(loop)[sock.fileno()].ended


def test_a_reader_is_told_by_its_function(loop):
    def on_readable():
        pass

    def on_writable():
        pass

    with socket.socket() as sock:
        loop.add_reader(sock.fileno(), on_readable)
        found = by_number(loop)[sock.fileno()]
        assert found.kind == "add_reader"
        assert found.owner.endswith("on_readable")
        assert (found.wanted, found.armed) == (POLLIN, POLLIN)
        loop.add_writer(sock.fileno(), on_writable)
        assert re.fullmatch(r"\S+on_readable and \S+on_writable", by_number(loop)[sock.fileno()].owner)
        loop.remove_reader(sock.fileno())
        assert re.fullmatch(r"\S+on_writable", by_number(loop)[sock.fileno()].owner)
        loop.remove_writer(sock.fileno())


def test_masks_and_addresses_in_words():
    assert mask_words(POLLIN | POLLOUT) == "read+write"
    assert mask_words(0) == "-"
    assert mask_words(1 << 14) == "0x4000"
    assert address_words(("::1", 80, 0, 0)) == "[::1]:80"
    assert address_words(("10.0.0.1", 80)) == "10.0.0.1:80"
    assert address_words("/run/x.sock") == "/run/x.sock"
    assert address_words(b"\0abstract").endswith("abstract")


@pytest.mark.loops("epoll")
async def test_who_is_looked_at_stays_nonblocking():
    """PyPy makes a socket of a descriptor a blocking one, and so all its duplicates."""
    loop = asyncio.get_running_loop()
    left, right = socket.socketpair()
    right.setblocking(False)
    with right:
        transport, _ = await loop.create_connection(asyncio.Protocol, sock=left)
        assert {left.fileno(), right.fileno()} <= {found.fd for found in fds(loop)}
        assert not os.get_blocking(left.fileno())
        assert not os.get_blocking(right.fileno())
        transport.close()
        await asyncio.sleep(0)
