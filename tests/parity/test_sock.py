"""sock_recv, sock_recv_into, sock_sendall, sock_accept, sock_connect and the datagram three."""

import asyncio
import errno
import socket

import pytest

from tests.support.net import (
    TOO_MUCH,
    blocking,
    connect,
    echo,
    listener,
    read_all,
    read_exactly,
    reset,
    serving,
    tcp_pair,
    unix_pair,
)

no_datagrams = pytest.mark.uvloop_differs(reason="sock_recvfrom and friends are not implemented")


@pytest.fixture(params=["tcp", "unix"])
def pair(request):
    with tcp_pair() if request.param == "tcp" else unix_pair() as ends:
        yield ends


@pytest.fixture
def udp_pair():
    """Two UDP sockets bound on loopback, not connected."""
    with socket.socket(type=socket.SOCK_DGRAM) as ours, socket.socket(type=socket.SOCK_DGRAM) as theirs:
        for sock in (ours, theirs):
            sock.bind(("127.0.0.1", 0))
        ours.setblocking(False)
        theirs.settimeout(10)
        yield ours, theirs


async def cancel(awaitable):
    """Start it, let it wait, cancel it."""
    task = asyncio.ensure_future(awaitable)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not task.done()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_recv_of_what_is_there(pair):
    ours, theirs = pair
    theirs.sendall(b"hello")
    assert await asyncio.get_running_loop().sock_recv(ours, 100) == b"hello"


async def test_recv_waits(pair):
    ours, theirs = pair
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(loop.sock_recv(ours, 100))
    await asyncio.sleep(0.002)
    assert not task.done()
    theirs.sendall(b"late")
    assert await task == b"late"


async def test_recv_takes_no_more_than_asked(pair):
    ours, theirs = pair
    loop = asyncio.get_running_loop()
    theirs.sendall(b"abcdef")
    assert await loop.sock_recv(ours, 4) == b"abcd"
    assert await loop.sock_recv(ours, 4) == b"ef"


async def test_recv_at_the_end_is_empty(pair):
    ours, theirs = pair
    loop = asyncio.get_running_loop()
    theirs.close()
    assert await loop.sock_recv(ours, 10) == b""
    assert await loop.sock_recv(ours, 10) == b""


async def test_recv_again_and_again(pair):
    ours, theirs = pair
    loop = asyncio.get_running_loop()
    for number in range(200):
        task = asyncio.ensure_future(loop.sock_recv(ours, 100))
        await asyncio.sleep(0)
        theirs.sendall(b"%d" % number)
        assert await task == b"%d" % number


async def test_recv_into_writes_to_the_buffer(pair):
    ours, theirs = pair
    loop = asyncio.get_running_loop()
    buffer = bytearray(10)
    theirs.sendall(b"hello")
    assert await loop.sock_recv_into(ours, buffer) == 5
    assert buffer[:5] == b"hello"
    task = asyncio.ensure_future(loop.sock_recv_into(ours, memoryview(buffer)[2:4]))
    await asyncio.sleep(0)
    theirs.sendall(b"XYZ")
    assert await task == 2
    assert buffer[:5] == b"heXYo"
    assert await loop.sock_recv(ours, 10) == b"Z"


async def test_recv_after_cancelling_one_loses_nothing(pair):
    ours, theirs = pair
    loop = asyncio.get_running_loop()
    await cancel(loop.sock_recv(ours, 10))
    await cancel(loop.sock_recv_into(ours, bytearray(10)))
    theirs.sendall(b"kept")
    await asyncio.sleep(0.001)
    assert await loop.sock_recv(ours, 10) == b"kept"


@pytest.mark.uvloop_differs(reason="remove_reader returns None")
async def test_a_cancelled_recv_leaves_no_reader(pair):
    ours, _ = pair
    loop = asyncio.get_running_loop()
    await cancel(loop.sock_recv(ours, 10))
    await asyncio.sleep(0)
    assert loop.remove_reader(ours) is False


async def test_a_cancelled_recv_does_not_disturb_a_reader_added_since(pair):
    ours, theirs = pair
    loop = asyncio.get_running_loop()
    got = []
    task = asyncio.ensure_future(loop.sock_recv(ours, 10))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    loop.add_reader(ours, lambda: got.append(ours.recv(10)))
    with pytest.raises(asyncio.CancelledError):
        await task
    theirs.sendall(b"x")
    await asyncio.sleep(0.002)
    loop.remove_reader(ours)
    assert got == [b"x"]


async def test_a_connection_may_follow_a_closed_socket_of_the_same_number():
    loop = asyncio.get_running_loop()
    for _ in range(2):
        with unix_pair() as (ours, theirs):
            receiving = asyncio.ensure_future(loop.sock_recv(ours, 10))
            await asyncio.sleep(0)
            theirs.sendall(b"x")
            assert await receiving == b"x"
            number = ours.fileno()
        with unix_pair() as (ours, theirs):
            assert ours.fileno() == number
            reader, writer = await asyncio.open_unix_connection(sock=ours)
            theirs.sendall(b"hello")
            assert await reader.readexactly(5) == b"hello"
            writer.close()
            await writer.wait_closed()


async def test_a_socket_closed_after_cancelling_can_be_followed_by_one_of_the_same_number():
    loop = asyncio.get_running_loop()
    for _ in range(5):
        with unix_pair() as (ours, theirs):
            await cancel(loop.sock_recv(ours, 10))
            task = asyncio.ensure_future(loop.sock_recv(ours, 10))
            await asyncio.sleep(0)
            theirs.sendall(b"x")
            assert await task == b"x"


async def test_sendall_of_little(pair):
    ours, theirs = pair
    assert await asyncio.get_running_loop().sock_sendall(ours, b"hello") is None
    assert theirs.recv(10) == b"hello"


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
async def test_sendall_of_much_waits_for_the_reader(pair, kind):
    ours, theirs = pair
    data = bytes(range(256)) * (TOO_MUCH // 256)
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(loop.sock_sendall(ours, kind(data)))
    await asyncio.sleep(0.002)
    assert not task.done()
    assert await blocking(read_exactly, theirs, len(data)) == data
    await task


async def test_sendall_of_nothing(pair):
    ours, theirs = pair
    loop = asyncio.get_running_loop()
    assert await loop.sock_sendall(ours, b"") is None
    await loop.sock_sendall(ours, b"x")
    assert theirs.recv(10) == b"x"


async def test_sendall_that_is_cancelled_leaves_the_socket_usable(pair):
    ours, theirs = pair
    loop = asyncio.get_running_loop()
    await cancel(loop.sock_sendall(ours, b"x" * TOO_MUCH))
    reading = asyncio.ensure_future(blocking(read_all, theirs))
    await loop.sock_sendall(ours, b"sent")
    ours.shutdown(socket.SHUT_WR)
    data = await reading
    assert data.endswith(b"xsent")
    assert len(data) < TOO_MUCH


async def test_sendall_to_a_closed_peer_fails(pair):
    ours, theirs = pair
    loop = asyncio.get_running_loop()
    theirs.close()
    with pytest.raises((BrokenPipeError, ConnectionResetError)):
        for _ in range(10):
            await loop.sock_sendall(ours, b"x" * 65536)


async def test_recv_from_a_reset_peer_fails():
    loop = asyncio.get_running_loop()
    with tcp_pair() as (ours, theirs):
        task = asyncio.ensure_future(loop.sock_recv(ours, 10))
        await asyncio.sleep(0.001)
        reset(theirs)
        with pytest.raises(ConnectionResetError):
            await task


async def test_recv_and_sendall_of_one_socket_at_once(pair):
    ours, theirs = pair
    loop = asyncio.get_running_loop()
    receiving = asyncio.ensure_future(loop.sock_recv(ours, 10))
    sending = asyncio.ensure_future(loop.sock_sendall(ours, b"x" * TOO_MUCH + b"mine"))
    await asyncio.sleep(0.001)
    assert not receiving.done()
    assert not sending.done()
    theirs.sendall(b"theirs")
    assert await receiving == b"theirs"
    data = await blocking(read_exactly, theirs, TOO_MUCH + 4)
    await sending
    assert data.endswith(b"xmine")


async def test_accept_gives_a_non_blocking_socket_and_the_address():
    loop = asyncio.get_running_loop()
    with listener() as server:
        with connect(server.getsockname()) as client:
            sock, address = await loop.sock_accept(server)
            with sock:
                assert sock.gettimeout() == 0
                assert address == client.getsockname()
                client.sendall(b"x")
                assert await loop.sock_recv(sock, 10) == b"x"


async def test_accept_waits_and_can_be_repeated():
    loop = asyncio.get_running_loop()
    with listener() as server:
        for _ in range(3):
            task = asyncio.ensure_future(loop.sock_accept(server))
            await asyncio.sleep(0.001)
            assert not task.done()
            with connect(server.getsockname()):
                sock, _ = await task
                sock.close()


async def test_a_cancelled_accept_loses_no_connection():
    loop = asyncio.get_running_loop()
    with listener() as server:
        await cancel(loop.sock_accept(server))
        with connect(server.getsockname()) as client:
            sock, address = await loop.sock_accept(server)
            sock.close()
            assert address == client.getsockname()


async def test_connect_and_talk():
    loop = asyncio.get_running_loop()
    with serving(echo) as address, socket.socket() as sock:
        sock.setblocking(False)
        assert await loop.sock_connect(sock, address) is None
        await loop.sock_sendall(sock, b"hello")
        assert await loop.sock_recv(sock, 10) == b"hello"


async def test_connect_resolves_a_name():
    loop = asyncio.get_running_loop()
    with serving(echo) as address, socket.socket() as sock:
        sock.setblocking(False)
        await loop.sock_connect(sock, ("localhost", address[1]))
        assert sock.getpeername() == address


async def test_connect_to_a_unix_socket(tmp_path):
    loop = asyncio.get_running_loop()
    path = str(tmp_path / "s")
    with serving(echo, path=path), socket.socket(socket.AF_UNIX) as sock:
        sock.setblocking(False)
        await loop.sock_connect(sock, path)
        await loop.sock_sendall(sock, b"hello")
        assert await loop.sock_recv(sock, 10) == b"hello"


async def test_connect_that_is_refused_names_the_address():
    loop = asyncio.get_running_loop()
    with socket.socket() as probe, socket.socket() as sock:
        probe.bind(("127.0.0.1", 0))
        sock.setblocking(False)
        with pytest.raises(ConnectionRefusedError) as caught:
            await loop.sock_connect(sock, probe.getsockname())
        assert f"Connect call failed {probe.getsockname()}" in str(caught.value)


async def test_connect_that_is_cancelled_leaves_the_loop_sane():
    loop = asyncio.get_running_loop()
    # A listener whose queue is full keeps the next connections waiting.
    with listener(backlog=0) as server:
        waiting = []
        try:
            for _ in range(3):
                sock = socket.socket()
                sock.setblocking(False)
                sock.connect_ex(server.getsockname())
                waiting.append(sock)
            with socket.socket() as sock:
                sock.setblocking(False)
                task = asyncio.ensure_future(loop.sock_connect(sock, server.getsockname()))
                await asyncio.sleep(0.005)
                if not task.done():
                    task.cancel()
                    with pytest.raises(asyncio.CancelledError):
                        await task
                else:
                    await task
        finally:
            for sock in waiting:
                sock.close()
    with serving(echo) as address, socket.socket() as sock:
        sock.setblocking(False)
        await loop.sock_connect(sock, address)
        await loop.sock_sendall(sock, b"still")
        assert await loop.sock_recv(sock, 10) == b"still"


@no_datagrams
async def test_recvfrom_tells_the_sender(udp_pair):
    ours, theirs = udp_pair
    loop = asyncio.get_running_loop()
    theirs.sendto(b"first", ours.getsockname())
    assert await loop.sock_recvfrom(ours, 100) == (b"first", theirs.getsockname())
    task = asyncio.ensure_future(loop.sock_recvfrom(ours, 100))
    await asyncio.sleep(0.001)
    theirs.sendto(b"second", ours.getsockname())
    assert await task == (b"second", theirs.getsockname())


@no_datagrams
async def test_recvfrom_into_writes_to_the_buffer(udp_pair):
    ours, theirs = udp_pair
    loop = asyncio.get_running_loop()
    buffer = bytearray(10)
    theirs.sendto(b"hello", ours.getsockname())
    assert await loop.sock_recvfrom_into(ours, buffer) == (5, theirs.getsockname())
    assert buffer[:5] == b"hello"
    task = asyncio.ensure_future(loop.sock_recvfrom_into(ours, buffer, 3))
    await asyncio.sleep(0.001)
    theirs.sendto(b"HELLO", ours.getsockname())
    assert await task == (3, theirs.getsockname())
    assert buffer[:5] == b"HELlo"


@no_datagrams
async def test_sendto_sends_and_counts(udp_pair):
    ours, theirs = udp_pair
    loop = asyncio.get_running_loop()
    assert await loop.sock_sendto(ours, b"hello", theirs.getsockname()) == 5
    assert theirs.recvfrom(100) == (b"hello", ours.getsockname())


@pytest.mark.uvloop_differs(reason="sock_recvfrom and friends are not implemented", run=False)
async def test_cancelled_datagram_operations_lose_nothing(udp_pair):
    ours, theirs = udp_pair
    loop = asyncio.get_running_loop()
    await cancel(loop.sock_recvfrom(ours, 10))
    await cancel(loop.sock_recvfrom_into(ours, bytearray(10)))
    theirs.sendto(b"kept", ours.getsockname())
    assert await loop.sock_recvfrom(ours, 10) == (b"kept", theirs.getsockname())


@pytest.mark.uvloop_differs(reason="sock_sendto is not implemented", run=False)
async def test_sendto_that_has_to_wait_can_be_cancelled(tmp_path):
    loop = asyncio.get_running_loop()
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ours:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as theirs:
            ours.setblocking(False)
            theirs.settimeout(10)
            theirs.bind(path)
            with pytest.raises(BlockingIOError):
                while True:
                    ours.sendto(b"full", path)
            await cancel(loop.sock_sendto(ours, b"never sent", path))
            waiting = asyncio.ensure_future(loop.sock_sendto(ours, b"sent", path))
            await asyncio.sleep(0)
            messages = {theirs.recv(100)}
            await waiting
            while b"sent" not in messages:
                messages.add(theirs.recv(100))
    assert messages == {b"full", b"sent"}


async def test_a_transports_socket_is_refused():
    loop = asyncio.get_running_loop()
    with unix_pair() as (ours, theirs):
        transport, _ = await loop.create_unix_connection(asyncio.Protocol, sock=ours)
        for operation in (
            loop.sock_recv(ours, 10),
            loop.sock_recv_into(ours, bytearray(10)),
            loop.sock_sendall(ours, b"x" * 10_000_000),
        ):
            with pytest.raises(RuntimeError, match=r"^File descriptor \d+ is used by transport "):
                await operation
        transport.abort()
        await asyncio.sleep(0)
        await asyncio.sleep(0)


async def test_an_echo_server_and_many_clients_in_sock_operations():
    loop = asyncio.get_running_loop()

    async def serve(sock):
        with sock:
            while data := await loop.sock_recv(sock, 65536):
                await loop.sock_sendall(sock, data)

    async def accept(server):
        async with asyncio.TaskGroup() as group:
            for _ in range(20):
                sock, _ = await loop.sock_accept(server)
                group.create_task(serve(sock))

    async def client(address, number):
        with socket.socket() as sock:
            sock.setblocking(False)
            await loop.sock_connect(sock, address)
            for round_ in range(10):
                message = b"%d/%d" % (number, round_)
                await loop.sock_sendall(sock, message)
                assert await loop.sock_recv(sock, 100) == message

    with listener() as server:
        async with asyncio.TaskGroup() as group:
            group.create_task(accept(server))
            for number in range(20):
                group.create_task(client(server.getsockname(), number))


@pytest.mark.parametrize("data", ["text", 5])
async def test_sendall_names_what_has_no_buffer(pair, data):
    with pytest.raises(TypeError) as caught:
        await asyncio.get_running_loop().sock_sendall(pair[0], data)
    assert str(caught.value) == f"a bytes-like object is required, not {type(data).__name__!r}"


@pytest.mark.uvloop_differs(reason="waits for ever", run=False)
async def test_accept_on_a_connection_that_has_been_read_is_an_error(pair):
    """That it was found empty says nothing of what else it is asked for."""
    loop, (ours, theirs) = asyncio.get_running_loop(), pair
    theirs.sendall(b"x")
    assert await loop.sock_recv(ours, 10) == b"x"
    with pytest.raises(OSError) as caught:
        async with asyncio.timeout(5):
            await loop.sock_accept(ours)
    assert caught.value.errno == errno.EINVAL


@pytest.mark.uvloop_differs(reason="waits for ever", run=False)
async def test_recv_on_a_listener_that_has_accepted_is_an_error():
    loop = asyncio.get_running_loop()
    with listener() as server, connect(server.getsockname()):
        accepted, _ = await loop.sock_accept(server)
        with accepted, pytest.raises(OSError) as caught:
            async with asyncio.timeout(5):
                await loop.sock_recv(server, 10)
    assert caught.value.errno == errno.ENOTCONN
