"""Whatever else a program does with the file of a connection, bytes leave in the order in which it sent them.

Under asyncio a write is sent at once. loopkit may hold it until the callback returns, and nobody may notice.
"""

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import threading
import warnings

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.net import tcp_pair, unix_pair
from tests.support.protocols import Recorder

ASYNCIO_AND_OURS = ("asyncio", "epoll", "poll", "select", "busy")

#: Examples on each loop; more on demand.
EXAMPLES = int(os.environ.get("LOOPKIT_EXAMPLES", "30"))


def forked(child):
    """Fork; *child* runs in the child, which then leaves without a word."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of pytest-xdist's threads
        pid = os.fork()
    if not pid:
        try:
            child()
        finally:
            os._exit(0)
    os.waitpid(pid, 0)


class Program:
    """A connection, and every way to send something on it. Each sends one word, once."""

    def __init__(self, transport, own=None):
        self.transport, self.own = transport, own
        self.shown = transport.get_extra_info("socket")
        self.number = self.dup = None  # which the program may get at one time and use at another
        self.file = tempfile.TemporaryFile()

    def close(self):
        self.file.close()
        if self.dup is not None:
            self.dup.close()

    def get_number(self, word):
        self.number = self.shown.fileno()
        self.transport.write(word)

    def get_dup(self, word):
        if self.dup is None:
            self.dup = self.shown.dup()
            self.dup.setblocking(False)
        self.dup.send(word)

    # -- the ways ------------------------------------------------------------------------------------------

    def write(self, word):
        self.transport.write(word)

    def write_much(self, word):
        self.transport.write(word * 3000)

    def write_mutable(self, word):
        self.transport.write(bytearray(word))

    def writelines(self, word):
        self.transport.writelines([word[:1], word[1:]])

    def by_number(self, word):
        os.write(self.shown.fileno(), word)

    def by_known_number(self, word):
        if self.number is None:
            self.get_number(word)
        else:
            os.write(self.number, word)

    def by_known_dup(self, word):
        self.get_dup(word)

    def by_fresh_dup(self, word):
        with self.shown.dup() as dup:
            dup.sendall(word)

    def by_private_socket(self, word):
        self.transport._sock.send(word)

    def by_own_socket(self, word):
        (self.transport.write if self.own is None else self.own.send)(word)

    def by_sendfile(self, word):
        offset = self.file.seek(0, os.SEEK_END)
        self.file.write(word)
        self.file.flush()
        os.sendfile(self.shown.fileno(), self.file.fileno(), offset, len(word))

    def by_thread(self, word):
        thread = threading.Thread(target=os.write, args=(self.shown.fileno(), word))
        thread.start()
        thread.join()

    def write_in_thread(self, word):
        thread = threading.Thread(target=self.transport.write, args=(word,))
        thread.start()
        thread.join()

    def by_child(self, word):
        number = self.shown.fileno()
        forked(lambda: os.write(number, word))

    def fork(self, word):
        """A child that does nothing but end as programs do, with what is held in its memory."""
        loop = asyncio.get_running_loop()
        self.transport.write(word)
        forked(getattr(loop, "_send_all_held", lambda: None))

    def by_program(self, word):
        subprocess.run(["/usr/bin/printf", word.decode()], stdout=self.shown, check=True)

    def set_option(self, word):
        self.shown.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self.transport.write(word)

    async def sock_sendall(self, word):
        self.get_dup(b"")
        await asyncio.get_running_loop().sock_sendall(self.dup, word)

    async def send_file(self, word):
        with tempfile.TemporaryFile() as file:
            file.write(word)
            file.flush()
            await asyncio.get_running_loop().sendfile(self.transport, file)

    async def next_callback(self, word):
        self.transport.write(word)
        await asyncio.sleep(0)


WAYS = sorted(
    name for name in vars(Program) if name[0] != "_" and name not in ("close", "get_number", "get_dup")
)


def expected(ways):
    return b"".join(b"%03d" % n * (3000 if way == "write_much" else 1) for n, way in enumerate(ways))


async def run(ways, transport, own=None):
    program = Program(transport, own)
    try:
        for number, way in enumerate(ways):
            waiting = getattr(program, way)(b"%03d" % number)
            if waiting is not None:
                await waiting
    finally:
        program.close()


@contextlib.contextmanager
def room(sock):
    """Room for all that is written: what is sent behind a transport's back overtakes what has to wait."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    yield sock


def read_all(peer):
    data = b""
    while chunk := peer.recv(1 << 20):
        data += chunk
    return data


async def on_accepted(ways):
    """On a connection that the loop has accepted: nobody else has the socket."""
    loop = asyncio.get_running_loop()
    accepted = loop.create_future()

    class Server(Recorder):
        def connection_made(self, transport):
            super().connection_made(transport)
            accepted.set_result(self)

    async with await loop.create_server(Server, "127.0.0.1", 0) as server:
        with socket.socket() as peer, room(peer):
            peer.connect(server.sockets[0].getsockname())
            protocol = await accepted
            protocol.transport.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20
            )
            await run(ways, protocol.transport)
            protocol.transport.close()
            await protocol.lost()
            return await loop.run_in_executor(None, read_all, peer)


async def on_passed(ways):
    """On a socket that the program has passed, and goes on using."""
    loop = asyncio.get_running_loop()
    with unix_pair() as (ours, theirs), room(ours), room(theirs):
        transport, protocol = await loop.create_connection(Recorder, sock=ours)
        await run(ways, transport, ours)
        transport.close()
        await protocol.lost()
        return await loop.run_in_executor(None, read_all, theirs)


few_big = st.lists(st.sampled_from(WAYS), min_size=1, max_size=12).filter(
    lambda ways: ways.count("write_much") <= 3 and ways.count("by_program") <= 1
)


@pytest.mark.loops(*ASYNCIO_AND_OURS)
@pytest.mark.parametrize("connection", [on_accepted, on_passed])
@pytest.mark.timeout(120)
def test_bytes_leave_in_the_order_in_which_they_were_sent(new_loop, connection):
    loop = new_loop()

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )
    @given(few_big)
    def mixed(ways):
        assert loop.run_until_complete(connection(ways)) == expected(ways)

    mixed()
    loop.run_until_complete(loop.shutdown_default_executor())


@pytest.mark.loops(*ASYNCIO_AND_OURS)
@pytest.mark.parametrize("way", WAYS)
async def test_nothing_overtakes_a_write(way):
    ways = ["write", way, "write", way]
    assert await on_accepted(ways) == expected(ways)


@pytest.mark.loops(*ASYNCIO_AND_OURS)
async def test_nothing_overtakes_a_write_from_data_received():
    loop = asyncio.get_running_loop()

    class Answering(Recorder):
        def data_received(self, data):
            self.transport.write(b"head ")
            os.write(self.transport.get_extra_info("socket").fileno(), b"body ")
            self.transport.write(b"tail")
            self.transport.close()

    async with await loop.create_server(Answering, "127.0.0.1", 0) as server:
        with socket.create_connection(server.sockets[0].getsockname()) as peer:
            peer.send(b"?")
            assert await loop.run_in_executor(None, read_all, peer) == b"head body tail"


def test_a_child_that_ends_as_programs_do_sends_nothing_twice(new_loop):
    loop = new_loop()
    with tcp_pair() as (ours, theirs):
        transport, protocol = loop.run_until_complete(loop.create_connection(Recorder, sock=ours))

        def write_and_fork():
            transport.write(b"once")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                pid = os.fork()
            if not pid:
                sys.exit(0)
            os.waitpid(pid, 0)
            loop.stop()

        loop.call_soon(write_and_fork)
        try:
            loop.run_forever()
        except SystemExit:
            os._exit(0)
        transport.close()
        loop.run_until_complete(protocol.lost())
        assert read_all(theirs) == b"once"


@pytest.mark.loops(*ASYNCIO_AND_OURS)
async def test_what_is_shut_down_by_the_program_was_sent():
    loop = asyncio.get_running_loop()
    accepted = []

    class Server(Recorder):
        def connection_made(self, transport):
            super().connection_made(transport)
            accepted.append(self)
            transport.write(b"last words")
            transport.get_extra_info("socket").shutdown(socket.SHUT_WR)

    async with await loop.create_server(Server, "127.0.0.1", 0) as server:
        with socket.create_connection(server.sockets[0].getsockname()) as peer:
            assert await loop.run_in_executor(None, read_all, peer) == b"last words"
            [protocol] = accepted
            protocol.transport.abort()
            await protocol.lost()


@pytest.mark.loops("epoll", "poll", "select", "busy")
async def test_to_ask_for_names_costs_nothing_of_the_holding():
    """Servers ask for them all the time: a header and a body leave together all the same."""
    loop = asyncio.get_running_loop()
    accepted = loop.create_future()

    class Server(Recorder):
        def connection_made(self, transport):
            super().connection_made(transport)
            shown = transport.get_extra_info("socket")
            assert isinstance(shown, asyncio.trsock.TransportSocket)
            assert shown.getpeername() == transport.get_extra_info("peername")
            assert shown.getsockname() == transport.get_extra_info("sockname")
            assert shown.family == socket.AF_INET
            assert shown.type == socket.SOCK_STREAM
            assert shown.proto == 6 or shown.proto == 0
            assert "TransportSocket" in repr(shown)
            assert not shown.get_inheritable()
            shown.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            transport.write(b"header")
            assert transport._held == b"header"
            shown.fileno()
            assert transport._held is None
            transport.write(b"body")
            assert transport._held is None
            accepted.set_result(self)

    async with await loop.create_server(Server, "127.0.0.1", 0) as server:
        with socket.create_connection(server.sockets[0].getsockname()):
            protocol = await accepted
            protocol.transport.abort()
            await protocol.lost()
