"""loopkit.sockets: do blocking programs go on saying the same with `await` in front, on any loop?"""

import array
import asyncio
import errno
import inspect
import os
import resource
import socket as blocking
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

import loopkit
from loopkit import sockets as socket
from loopkit.sockets.awaited import INSTEAD
from tests.support.net import PATIENCE, fill, free_port, reset

FACTORIES = [loopkit.Loop, loopkit.SelectLoop, loopkit.BusyLoop, asyncio.SelectorEventLoop]


def on_every_loop(test: Callable[[], Awaitable[None]]) -> Callable[..., None]:
    @pytest.mark.parametrize("factory", FACTORIES, ids=lambda factory: factory.__name__)
    def run(factory: Callable[[], asyncio.AbstractEventLoop]) -> None:
        async def limited() -> None:
            async with asyncio.timeout(PATIENCE):
                await test()

        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(limited())

    return run


async def connected() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = await socket.create_connection(server.getsockname())
        served, _ = await server.accept()
    return client, served


async def asleep() -> None:
    """Let all other tasks run until they wait."""
    for _ in range(20):
        await asyncio.sleep(0)


# -- Connections.


@on_every_loop
async def test_a_program_of_blocking_sockets_needs_only_await():
    async def talk(client):
        with client:
            while data := await client.recv(1024):
                await client.sendall(data.upper())

    async def serve(server):
        async with asyncio.TaskGroup() as tasks:
            async for client, address in server.clients():
                assert address == client.getpeername()
                tasks.create_task(talk(client))

    async with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("127.0.0.1", 0))
        server.listen()
        serving = asyncio.create_task(serve(server))
        clients = [await socket.create_connection(server.getsockname()) for _ in range(5)]
        for number, client in enumerate(clients):
            await client.sendall(b"client %d" % number)
        for number, client in enumerate(clients):
            assert await client.recv(100) == b"CLIENT %d" % number
            client.close()
        serving.cancel()
        await asyncio.wait([serving])


@on_every_loop
async def test_both_ends_know_their_addresses_and_options():
    client, served = await connected()
    with client, served:
        assert client.getsockname() == served.getpeername()
        assert (client.family, client.type, client.proto) == (socket.AF_INET, socket.SOCK_STREAM, 6)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        assert client.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
        assert len(client.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8)) == 8
        assert not client.get_inheritable()
        client.set_inheritable(True)
        assert client.get_inheritable()
        assert str(client.fileno()) in repr(client)


@on_every_loop
async def test_a_refused_connection_says_what_a_blocking_socket_says():
    port = free_port()
    with pytest.raises(ConnectionRefusedError, match="Connection refused"):
        await socket.create_connection(("127.0.0.1", port))
    with pytest.raises(ExceptionGroup, match="could not connect to 127.0.0.1"):
        await socket.create_connection(("127.0.0.1", port), all_errors=True)
    with socket.socket() as sock:
        assert await sock.connect_ex(("127.0.0.1", port)) == errno.ECONNREFUSED


@on_every_loop
async def test_an_unknown_name_is_a_gaierror():
    with pytest.raises(blocking.gaierror):
        await socket.create_connection(("no such host.invalid", 1))
    with socket.socket() as sock:
        with pytest.raises(blocking.gaierror):
            await sock.connect_ex(("no such host.invalid", 1))


@on_every_loop
async def test_names_are_looked_up_and_the_source_can_be_chosen():
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = ("localhost", server.getsockname()[1])
        with await socket.create_connection(address, source_address=("127.0.0.2", 0)) as client:
            assert client.getsockname()[0] == "127.0.0.2"
            served, (host, _) = await server.accept()
            served.close()
            assert host == "127.0.0.2"
    assert await socket.getnameinfo(("127.0.0.1", 80), 3) == ("127.0.0.1", "80")


@on_every_loop
async def test_no_descriptor_left_pauses_accepting_and_is_told_once():
    told = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: told.append(context["message"]))
    with socket.create_server(("127.0.0.1", 0)) as server:
        clients = server.clients()
        with blocking.create_connection(server.getsockname()):
            soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            used = max(map(int, os.listdir("/proc/self/fd")))
            next_one = asyncio.ensure_future(anext(clients))
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(used, 3), hard))
            try:
                while not told:
                    await asyncio.sleep(0)
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            client, _ = await next_one
            client.close()
        await clients.aclose()
    assert told == ["socket.accept() out of system resource; nobody is let in until that changes"]


# -- Bytes.


@on_every_loop
async def test_send_says_how_much_and_sendall_sends_all():
    client, served = await connected()
    with client, served:
        data = bytes(range(256)) * 40_000
        count = await client.send(data)
        assert 0 < count < len(data)
        sending = asyncio.create_task(client.sendall(data[count:]))
        received = bytearray()
        while len(received) < len(data):
            received += await served.recv(1 << 20)
        await sending
        assert received == data


@on_every_loop
async def test_sendall_with_flags_sends_all():
    client, served = await connected()
    with client, served:
        data = bytes(range(256)) * 40_000
        sending = asyncio.create_task(client.sendall(data, socket.MSG_NOSIGNAL))
        received = bytearray()
        while len(received) < len(data):
            received += await served.recv(1 << 20)
        await sending
        assert received == data


@on_every_loop
async def test_send_waits_until_there_is_room():
    client, served = socket.socketpair()  # of TCP sockets a full one may get room again
    with client, served:
        with blocking.socket(fileno=os.dup(client.fileno())) as same:
            fill(same)
        sending = asyncio.create_task(client.send(b"more"))
        await asleep()
        assert not sending.done()
        while not sending.done():
            await served.recv(1 << 20)
        assert await sending == 4


@on_every_loop
async def test_recv_into_fills_the_front_of_any_buffer():
    client, served = await connected()
    with client, served:
        await client.sendall(b"abcdef")
        words = array.array("H", [0, 0, 0])
        assert await served.recv_into(words, 4) == 4
        assert words.tobytes() == b"abcd\0\0"
        with pytest.raises(ValueError, match="the buffer holds 6 bytes, 7 were asked for"):
            await served.recv_into(words, 7)
        assert await served.recv_into(words, 0, socket.MSG_PEEK) == 2
        assert await served.recv_into(words) == 2


@on_every_loop
async def test_peeking_takes_nothing_away():
    client, served = await connected()
    with client, served:
        peeking = asyncio.create_task(served.recv(3, socket.MSG_PEEK))
        await asleep()
        assert not peeking.done()
        await client.sendall(b"line\nrest")
        assert await peeking == b"lin"
        assert await served.readline() == b"line\n"
        assert await served.recv(2, socket.MSG_PEEK) == b"re"
        assert await served.recv(100) == b"rest"


@on_every_loop
async def test_datagrams():
    with socket.socket(type=socket.SOCK_DGRAM) as one, socket.socket(type=socket.SOCK_DGRAM) as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        receiving = asyncio.create_task(other.recvfrom(100))
        await asleep()
        assert await one.sendto(b"first", other.getsockname()) == 5
        assert await receiving == (b"first", one.getsockname())
        assert await one.sendto(b"second", 0, other.getsockname()) == 6
        assert (await other.recvfrom(3, socket.MSG_PEEK))[0] == b"sec"
        buffer = bytearray(10)
        assert await other.recvfrom_into(buffer) == (6, one.getsockname())
        assert buffer[:6] == b"second"


@on_every_loop
async def test_descriptors_travel_over_a_unix_socket():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        receiving = asyncio.create_task(theirs.recvmsg(10, socket.CMSG_SPACE(4)))
        await asleep()
        descriptor = array.array("i", [ours.fileno()])
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, descriptor)]
        assert await ours.sendmsg([b"take ", b"it"], rights) == 7
        data, ancillary, _, _ = await receiving
        assert data == b"take it"
        with socket.socket(fileno=array.array("i", ancillary[0][2])[0]) as same:
            await same.sendall(b"!")
            assert await theirs.recv(1) == b"!"


@on_every_loop
async def test_a_file_is_sent():
    client, served = await connected()
    with client, served, tempfile.TemporaryFile() as file:
        file.write(b"0123456789")
        file.flush()
        assert await client.sendfile(file, 2, 5) == 5
        assert await served.recv(100) == b"23456"


# -- Lines.


@on_every_loop
async def test_lines_come_whole_however_they_are_cut():
    client, served = await connected()
    with client, served:

        async def read():
            return [line async for line in served]

        reading = asyncio.create_task(read())
        for piece in (b"on", b"e\ntwo\n\nth", b"ree\nno end"):
            await client.sendall(piece)
            await asleep()
        client.shutdown(socket.SHUT_WR)
        assert await reading == [b"one\n", b"two\n", b"\n", b"three\n", b"no end"]
        assert await served.readline() == b""


@on_every_loop
async def test_a_line_without_end_comes_in_pieces():
    client, served = await connected()
    with client, served:
        await client.sendall(b"abcdefgh\nij\n")
        assert await served.readline(5) == b"abcde"
        assert await served.readline(5) == b"fgh\n"
        assert await served.readline(3) == b"ij\n"
        assert await served.readline(0) == b""
        sending = asyncio.create_task(client.sendall(b"x" * 200_000 + b"\n"))
        assert await served.readline() == b"x" * 65536
        assert len(await served.readline(-1)) == 200_001 - 65536
        await sending


@on_every_loop
async def test_what_was_read_ahead_is_received_first():
    client, served = await connected()
    with client, served:
        await client.sendall(b"head\nbody")
        assert await served.readline() == b"head\n"
        buffer = bytearray(2)
        assert await served.recv_into(buffer) == 2
        assert buffer == b"bo"
        assert await served.recv(100) == b"dy"


@on_every_loop
async def test_a_time_limit_loses_nothing_of_a_line():
    client, served = await connected()
    with client, served:
        await client.sendall(b"half a ")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await served.readline()
        await client.sendall(b"line\n")
        assert await served.readline() == b"half a line\n"


# -- Several tasks, closing, fairness.


@on_every_loop
async def test_two_tasks_that_send_do_not_mix_their_bytes():
    client, served = await connected()
    with client, served:
        tasks = [asyncio.create_task(client.sendall(letter * 3_000_000)) for letter in (b"a", b"b")]
        received = bytearray()
        while len(received) < 6_000_000:
            received += await served.recv(1 << 20)
        await asyncio.gather(*tasks)
        assert received == b"a" * 3_000_000 + b"b" * 3_000_000


@on_every_loop
async def test_two_tasks_that_receive_get_a_piece_each():
    client, served = await connected()
    with client, served:
        tasks = [asyncio.create_task(served.recv(1)) for _ in range(2)]
        await asleep()
        await client.sendall(b"12")
        assert sorted(await asyncio.gather(*tasks)) == [b"1", b"2"]


@on_every_loop
async def test_closing_tells_all_who_wait():
    client, served = await connected()
    tasks = [asyncio.create_task(served.recv(1)) for _ in range(2)]
    tasks.append(asyncio.create_task(served.sendall(bytes(50_000_000))))
    await asleep()
    number = served.fileno()
    served.close()
    served.close()
    with client.dup() as new:
        os.dup2(new.fileno(), number)  # so that a reader left behind would be this one's
        for error in await asyncio.gather(*tasks, return_exceptions=True):
            assert isinstance(error, OSError)
            assert error.errno == errno.EBADF
    os.close(number)
    with pytest.raises(OSError, match="Bad file descriptor"):
        await served.recv(1)
    client.close()


@on_every_loop
async def test_closing_does_not_swallow_a_cancellation():
    client, served = await connected()
    waiting = asyncio.create_task(served.recv(1))
    await asleep()
    waiting.cancel()
    served.close()
    await asyncio.wait([waiting])
    assert waiting.cancelled()
    client.close()


@on_every_loop
async def test_a_reset_is_an_error_and_an_end_is_none():
    client, served = await connected()
    with served:
        reset(blocking.socket(fileno=client.detach()))
        with pytest.raises(ConnectionResetError):
            await served.recv(1)
        assert await served.recv(1) == b""


@on_every_loop
async def test_detaching_gives_the_descriptor_away_unless_that_would_lose_something():
    client, served = await connected()
    with served:
        await served.sendall(b"one\ntwo")
        assert await client.readline() == b"one\n"
        with pytest.raises(RuntimeError, match="3 bytes are read ahead"):
            client.detach()
        assert await client.recv(3) == b"two"
        waiting = asyncio.create_task(client.recv(1))
        await asleep()
        with pytest.raises(RuntimeError, match=r"on which 1 task\(s\) wait"):
            client.detach()
        await served.sendall(b"x")
        await waiting
        with socket.socket(fileno=client.detach()) as again, again.dup() as twice:
            assert client.fileno() == -1
            with socket.fromfd(again.fileno(), again.family, again.type) as third:
                assert len({again.fileno(), twice.fileno(), third.fileno()}) == 3
                await third.sendall(b"still connected")
            assert await served.recv(100) == b"still connected"


@on_every_loop
async def test_who_never_has_to_wait_lets_the_others_run():
    client, served = await connected()
    with client, served:
        turns = 0

        async def count():
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        counting = asyncio.create_task(count())
        await client.sendall(bytes(80))
        for _ in range(80):
            await served.recv(1)
        assert turns >= 8
        counting.cancel()


# -- The module.


def test_every_method_has_the_name_of_the_blocking_one() -> None:
    extra = {"wrap", "clients", "readline"}
    ours = {name for name in vars(socket.socket) if not name.startswith("_")} - extra
    assert ours <= set(dir(blocking.socket))
    missing = {name for name in dir(blocking.socket) if not name.startswith("_")} - ours - set(INSTEAD)
    assert missing <= {"recvmsg_into", "sendmsg_afalg", "getblocking", "timeout", "ioctl", "share"}


def test_everything_public_has_a_docstring() -> None:
    public = [getattr(socket, name) for name in socket.__all__]
    public += [value for name, value in vars(socket.socket).items() if not name.startswith("_")]
    assert [thing for thing in public if not inspect.getdoc(thing)] == []


@pytest.mark.parametrize("name", sorted(INSTEAD))
def test_what_makes_no_sense_says_what_to_use_instead(name: str) -> None:
    with socket.socket() as sock, pytest.raises(AttributeError, match=f"no attribute '{name}'; "):
        getattr(sock, name)


def test_constants_are_those_of_the_socket_module_and_what_blocks_is_not_there() -> None:
    assert all(hasattr(socket, name) for name in socket.PLAIN)
    assert socket.SO_REUSEADDR == blocking.SO_REUSEADDR
    assert socket.inet_aton("127.0.0.1") == b"\x7f\0\0\1"
    with pytest.raises(AttributeError, match="no attribute 'gethostbyname'"):
        socket.gethostbyname  # noqa: B018


def test_a_tls_socket_is_refused() -> None:
    context = ssl.create_default_context()
    with context.wrap_socket(blocking.socket(), server_hostname="x") as sock:
        with pytest.raises(TypeError, match="a TLS socket cannot be awaited"):
            socket.socket.wrap(sock)


def test_import_loopkit_does_not_load_it() -> None:
    code = "import sys, loopkit; assert 'loopkit.sockets' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], check=True)
