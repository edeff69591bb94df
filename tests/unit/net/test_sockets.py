"""`sock_*`: waiting, being cancelled, taking one another's place."""

import array
import asyncio
import contextvars
import socket
import ssl

import pytest

from tests.support.fdtable import armed, is_read, is_written
from tests.support.net import blocking, fill, read_exactly, unix_pair
from tests.support.pythons import receives_nothing_at_once


async def receive(sock, operation, size=100):
    """Any of the receiving operations; the bytes."""
    loop = asyncio.get_running_loop()
    buffer = bytearray(size)
    if operation == "sock_recv":
        return await loop.sock_recv(sock, size)
    if operation == "sock_recvfrom":
        return (await loop.sock_recvfrom(sock, size))[0]
    if operation == "sock_recv_into":
        return bytes(buffer[: await loop.sock_recv_into(sock, buffer)])
    return bytes(buffer[: (await loop.sock_recvfrom_into(sock, buffer))[0]])


RECEIVING = ["sock_recv", "sock_recv_into", "sock_recvfrom", "sock_recvfrom_into"]
receiving = pytest.mark.parametrize("operation", RECEIVING)


@receiving
async def test_what_is_there_takes_no_turn(operation):
    with unix_pair() as (ours, theirs):
        theirs.send(b"x")
        with pytest.raises(StopIteration, match="x"):
            receive(ours, operation).send(None)


@receiving
async def test_what_comes_later_is_waited_for(operation):
    with unix_pair() as (ours, theirs):
        for _ in range(3):
            asyncio.get_running_loop().call_later(0.001, theirs.send, b"later")
            assert await receive(ours, operation) == b"later"
        theirs.close()
        assert await receive(ours, operation) == b""


@receiving
async def test_a_cancelled_receiver_loses_nothing(operation):
    """Not even what has come when it is cancelled: it is received by who resumes, not before."""
    with unix_pair() as (ours, theirs):
        task = asyncio.ensure_future(receive(ours, operation))
        await asyncio.sleep(0)
        theirs.send(b"precious")
        loop = asyncio.get_running_loop()
        loop.call_soon(task.cancel)  # in the very turn in which it would be woken
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await receive(ours, operation) == b"precious"


@receiving
async def test_a_cancelled_receiver_can_be_followed_by_another(operation):
    with unix_pair() as (ours, theirs):
        for _ in range(3):
            task = asyncio.ensure_future(receive(ours, operation))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert not is_read(asyncio.get_running_loop()._watches, ours.fileno())
        theirs.send(b"x")
        assert await receive(ours, operation) == b"x"


async def test_a_full_receive_is_followed_by_a_try_and_a_short_one_by_a_wait():
    """That it was found empty is only a hint: both ways end in the same bytes."""
    loop = asyncio.get_running_loop()
    with unix_pair() as (ours, theirs):
        theirs.send(b"abcdef")
        assert await loop.sock_recv(ours, 4) == b"abcd"
        assert loop._watches.entries[ours.fileno()].guest.tail is None
        assert await loop.sock_recv(ours, 4) == b"ef"
        assert loop._watches.entries[ours.fileno()].guest.tail is not None
        loop.call_soon(theirs.send, b"gh")
        assert await loop.sock_recv(ours, 4) == b"gh"


async def test_a_drained_socket_that_got_data_meanwhile_is_answered_at_once():
    loop = asyncio.get_running_loop()
    with unix_pair() as (ours, theirs):
        theirs.send(b"one")
        await loop.sock_recv(ours, 100)
        theirs.send(b"two")
        assert await loop.sock_recv(ours, 100) == b"two"


@receives_nothing_at_once
async def test_a_drained_socket_is_not_waited_for_if_nothing_is_asked():
    loop = asyncio.get_running_loop()
    with unix_pair() as (ours, theirs):
        theirs.send(b"one")
        await loop.sock_recv(ours, 100)
        assert await loop.sock_recv(ours, 0) == b""


async def test_a_drained_socket_that_was_read_otherwise_goes_on():
    loop = asyncio.get_running_loop()
    with unix_pair() as (ours, theirs):
        theirs.send(b"one")
        await loop.sock_recv(ours, 100)
        theirs.send(b"two")
        assert ours.recv(100) == b"two"
        loop.call_later(0.001, theirs.send, b"three")
        assert await loop.sock_recv(ours, 100) == b"three"


async def test_both_directions_of_a_socket_work_at_once():
    loop = asyncio.get_running_loop()
    with unix_pair() as (ours, theirs):
        amount = fill(ours)
        sending = asyncio.ensure_future(loop.sock_sendall(ours, b"y" * 100_000))
        receiving = asyncio.ensure_future(loop.sock_recv(ours, 100))
        await asyncio.sleep(0)
        theirs.send(b"x")
        assert await receiving == b"x"
        data = await blocking(read_exactly, theirs, amount + 100_000)
        await sending
        assert data == b"x" * amount + b"y" * 100_000
        tables = loop._watches
        assert not is_written(tables, ours.fileno())
        assert not is_read(tables, ours.fileno())


async def test_a_cancelled_sender_lets_go_of_the_socket():
    loop = asyncio.get_running_loop()
    with unix_pair() as (ours, theirs):
        fill(ours)
        task = asyncio.ensure_future(loop.sock_sendall(ours, b"y"))
        await asyncio.sleep(0)
        assert is_written(loop._watches, ours.fileno())
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not is_written(loop._watches, ours.fileno())
        assert not armed(loop._watches, ours.fileno())


@pytest.mark.parametrize("data", [b"", bytearray(b"x" * 300_000), memoryview(b"y" * 300_000)])
async def test_everything_that_is_bytes_is_sent_whole(data):
    loop = asyncio.get_running_loop()
    with unix_pair() as (ours, theirs):
        reading = asyncio.ensure_future(blocking(read_exactly, theirs, len(data)))
        await loop.sock_sendall(ours, data)
        assert await reading == bytes(data)


async def test_wider_items_are_sent_whole():
    loop = asyncio.get_running_loop()
    numbers = array.array("Q", range(100_000))
    with unix_pair() as (ours, theirs):
        reading = asyncio.ensure_future(blocking(read_exactly, theirs, 800_000))
        await loop.sock_sendall(ours, memoryview(numbers).cast("B"))
        assert await reading == numbers.tobytes()


async def test_a_second_receiver_takes_the_place_of_the_first():
    """As under asyncio: one reader a descriptor, the last one counts."""
    loop = asyncio.get_running_loop()
    with unix_pair() as (ours, theirs):
        first = asyncio.ensure_future(loop.sock_recv(ours, 10))
        await asyncio.sleep(0)
        second = asyncio.ensure_future(loop.sock_recv(ours, 10))
        await asyncio.sleep(0)
        theirs.send(b"x")
        assert await second == b"x"
        assert not first.done()
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first


async def test_a_cancelled_first_receiver_leaves_the_second_its_place():
    loop = asyncio.get_running_loop()
    with unix_pair() as (ours, theirs):
        first = asyncio.ensure_future(loop.sock_recv(ours, 10))
        await asyncio.sleep(0)
        second = asyncio.ensure_future(loop.sock_recv(ours, 10))
        await asyncio.sleep(0)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        theirs.send(b"x")
        assert await second == b"x"


async def test_a_socket_of_a_transport_is_refused():
    loop = asyncio.get_running_loop()
    with unix_pair() as (ours, theirs):
        transport, _ = await loop.connect_accepted_socket(asyncio.Protocol, ours)
        for operation in (loop.sock_recv(ours, 10), loop.sock_accept(ours)):
            with pytest.raises((RuntimeError, OSError), match="is used by transport|Invalid argument"):
                await operation
        transport.abort()
        await asyncio.sleep(0)
        await asyncio.sleep(0)


async def test_the_operation_goes_on_in_its_own_context():
    loop = asyncio.get_running_loop()
    variable = contextvars.ContextVar("variable", default="nobody's")
    with unix_pair() as (ours, theirs):

        async def work():
            variable.set("mine")
            await loop.sock_recv(ours, 10)
            return variable.get()

        task = asyncio.ensure_future(work())
        loop.call_later(0.001, theirs.send, b"x")
        assert await task == "mine"
        assert variable.get() == "nobody's"


async def test_a_tls_socket_is_refused():
    loop = asyncio.get_running_loop()
    with unix_pair() as (ours, theirs):
        with ssl.create_default_context().wrap_socket(
            ours, server_hostname="x", do_handshake_on_connect=False
        ) as secured:
            for operation in (
                loop.sock_recv(secured, 1),
                loop.sock_recv_into(secured, bytearray(1)),
                loop.sock_recvfrom(secured, 1),
                loop.sock_recvfrom_into(secured, bytearray(1)),
                loop.sock_sendall(secured, b"x"),
                loop.sock_sendto(secured, b"x", ("127.0.0.1", 1)),
                loop.sock_accept(secured),
                loop.sock_connect(secured, ("127.0.0.1", 1)),
            ):
                with pytest.raises(TypeError, match="Socket cannot be of type SSLSocket"):
                    await operation


async def test_an_accepted_connection_is_non_blocking():
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        with socket.create_connection(server.getsockname()) as client:
            accepted, address = await loop.sock_accept(server)
            with accepted:
                assert accepted.gettimeout() == 0
                assert address == client.getsockname()


async def test_a_refused_connection_names_the_address():
    loop = asyncio.get_running_loop()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = probe.getsockname()
    with socket.socket() as sock:
        sock.setblocking(False)
        with pytest.raises(
            ConnectionRefusedError, match=rf"Connect call failed \('127.0.0.1', {address[1]}\)"
        ):
            await loop.sock_connect(sock, address)
        assert not is_written(loop._watches, sock.fileno())


async def test_a_unix_listener_whose_queue_is_full_is_tried_again(tmp_path):
    """asyncio believes itself connected: EAGAIN of connect(2) on a Unix socket starts nothing."""
    loop = asyncio.get_running_loop()
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen(0)
        queued = []
        while True:
            sock = socket.socket(socket.AF_UNIX)
            sock.setblocking(False)
            try:
                sock.connect(path)
            except BlockingIOError:
                break
            queued.append(sock)
        task = asyncio.ensure_future(loop.sock_connect(sock, path))
        await asyncio.sleep(0.01)
        assert not task.done()
        accepted = [server.accept()[0] for _ in queued]
        await task
        assert sock.getpeername() == path
        for each in [sock, *queued, *accepted]:
            each.close()
