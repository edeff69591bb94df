"""Datagram transports: how much is read at a time, names without blocking, what becomes of what waits."""

import asyncio
import socket
import sys

import pytest

from loopkit.transports import datagram
from tests.support.protocols import DatagramRecorder

LOCAL = ("127.0.0.1", 0)


@pytest.fixture
async def endpoint():
    """A bound UDP endpoint, and its protocol."""
    transport, protocol = await asyncio.get_running_loop().create_datagram_endpoint(
        DatagramRecorder, local_addr=LOCAL
    )
    yield transport, protocol
    transport.abort()
    await protocol.lost()


@pytest.fixture
def peer():
    """A blocking UDP socket."""
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.bind(LOCAL)
        sock.settimeout(10)
        yield sock


@pytest.fixture
async def full():
    """An endpoint on a Unix socket whose peer does not read: 20 datagrams of 1000 bytes are waiting."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    theirs.setblocking(False)
    transport, protocol = await asyncio.get_running_loop().create_datagram_endpoint(
        DatagramRecorder, sock=ours
    )
    number = 0
    while transport._backlog_size < 20 * (1000 + datagram.HEADER_SIZE):
        transport.sendto(b"%4d" % number * 250)
        number += 1
    yield transport, protocol, theirs, number
    theirs.close()
    if "lost" not in protocol.events:
        transport.abort()
        await protocol.lost()


class Counting:
    """A socket that counts its recvfrom calls."""

    def __init__(self, sock):
        self.sock = sock
        self.calls = 0

    def recvfrom(self, size):
        self.calls += 1
        return self.sock.recvfrom(size)

    def __getattr__(self, name):
        return getattr(self.sock, name)


# -- reading -------------------------------------------------------------------------------------------------


async def test_a_flood_leaves_room_for_others(endpoint, peer):
    transport, protocol = endpoint
    for number in range(3 * datagram.BURST):
        peer.sendto(b"%d" % number, transport.get_extra_info("sockname"))
    seen = []
    received = protocol.datagram_received

    def first(data, address):
        protocol.datagram_received = received
        received(data, address)
        asyncio.get_running_loop().call_soon(lambda: seen.append(len(protocol.packets)))

    protocol.datagram_received = first
    packets = await protocol.received(3 * datagram.BURST)
    assert seen == [datagram.BURST]
    assert [data for data, _ in packets] == [b"%d" % number for number in range(3 * datagram.BURST)]


async def test_a_read_in_vain_is_not_repeated_at_once(endpoint, peer):
    transport, protocol = endpoint
    transport._socket = counting = Counting(transport._socket)
    count = 1 + datagram.SINGLES + 1
    for number in range(count):
        peer.sendto(b"x", transport.get_extra_info("sockname"))
        await protocol.received(number + 1)
    assert counting.calls == count + 2  # after the first, and after as many as were spared
    transport._socket = counting.sock


@pytest.mark.parametrize("how", ["close", "pause_reading"])
async def test_a_protocol_that_has_had_enough_gets_no_more(endpoint, peer, how):
    transport, protocol = endpoint
    for _ in range(3):
        peer.sendto(b"x", transport.get_extra_info("sockname"))
    received = protocol.datagram_received

    def once(data, address):
        received(data, address)
        getattr(transport, how)()

    protocol.datagram_received = once
    await protocol.received(1)
    await asyncio.sleep(0)
    assert len(protocol.packets) == 1


async def test_an_error_in_the_protocol_loses_no_datagram(endpoint, peer, reports):
    transport, protocol = endpoint
    asyncio.get_running_loop().set_exception_handler(reports)
    received = protocol.datagram_received

    def fail(data, address):
        protocol.datagram_received = received
        raise ZeroDivisionError

    protocol.datagram_received = fail
    for word in (b"bad", b"good"):
        peer.sendto(word, transport.get_extra_info("sockname"))
    assert [data for data, _ in await protocol.received(1)] == [b"good"]
    assert [type(exc) for exc in reports.exceptions] == [ZeroDivisionError]


@pytest.mark.parametrize("size", [60_000, 150_000])
async def test_a_large_unix_datagram_is_not_cut(size):
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    transport, protocol = await asyncio.get_running_loop().create_datagram_endpoint(
        DatagramRecorder, sock=ours
    )
    with theirs:
        theirs.send(b"x" * size)
        assert [len(data) for data, _ in await protocol.received(1)] == [size]
    transport.close()
    await protocol.lost()


# -- names ---------------------------------------------------------------------------------------------------


@pytest.fixture
async def resolver(monkeypatch):
    """The loop's getaddrinfo() as a list of (arguments, future of the answer)."""
    calls = []

    async def getaddrinfo(host, port, **kwargs):
        future = asyncio.get_running_loop().create_future()
        calls.append(((host, port), future))
        return await future

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo, raising=False)
    return calls


@pytest.fixture
async def looking_up(endpoint, resolver, peer):
    """(transport, protocol, future of the resolver's answer, peer); two datagrams wait for the answer."""
    transport, protocol = endpoint
    for word in (b"one", b"two"):
        transport.sendto(word, ("some.host", peer.getsockname()[1]))
    await asyncio.sleep(0)
    ((arguments, answer),) = resolver
    assert arguments == ("some.host", peer.getsockname()[1])
    return transport, protocol, answer, peer


def found(peer):
    return [(socket.AF_INET, socket.SOCK_DGRAM, 17, "", peer.getsockname())]


async def test_datagrams_to_a_name_wait_for_one_answer(looking_up):
    transport, protocol, answer, peer = looking_up
    assert transport.get_write_buffer_size() == 6 + 2 * datagram.HEADER_SIZE
    transport.sendto(b"by number", peer.getsockname())
    assert peer.recv(100) == b"by number"
    answer.set_result(found(peer))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert (peer.recv(100), peer.recv(100)) == (b"one", b"two")
    assert transport.get_write_buffer_size() == 0


async def test_close_waits_for_the_answer(looking_up):
    transport, protocol, answer, peer = looking_up
    transport.close()
    await asyncio.sleep(0)
    assert "lost" not in protocol.events
    answer.set_result(found(peer))
    await protocol.lost()
    assert (peer.recv(100), peer.recv(100)) == (b"one", b"two")


async def test_abort_does_not_wait_for_the_answer(looking_up):
    transport, protocol, answer, peer = looking_up
    transport.abort()
    await protocol.lost()
    assert transport.get_write_buffer_size() == 0
    answer.set_result(found(peer))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    peer.setblocking(False)
    with pytest.raises(BlockingIOError):
        peer.recv(100)


async def test_a_name_that_nobody_knows(looking_up):
    transport, protocol, answer, peer = looking_up
    transport.close()
    answer.set_exception(socket.gaierror(socket.EAI_NONAME, "unknown"))
    await protocol.lost()
    assert [type(error) for error in protocol.errors] == [socket.gaierror]


async def test_a_cancelled_lookup_drops_its_datagrams(looking_up):
    transport, protocol, answer, peer = looking_up
    answer.cancel()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert transport.get_write_buffer_size() == 0
    assert protocol.errors == []


async def test_a_resolver_that_breaks_ends_the_endpoint(looking_up, reports):
    transport, protocol, answer, peer = looking_up
    asyncio.get_running_loop().set_exception_handler(reports)
    answer.set_exception(UnicodeError("no name at all"))
    assert isinstance(await protocol.lost(), UnicodeError)
    assert reports.messages == ["Fatal write error on datagram transport"]


@pytest.mark.parametrize("host", ["127.0.0.1", "", "<broadcast>", "::1", "fe80::1%lo", b"127.0.0.1", 5])
async def test_what_is_no_name(endpoint, host):
    assert not endpoint[0]._is_name((host, 80))


@pytest.mark.parametrize("addr", [("host", "http"), ("host",), "host", 5, ["host", 80]])
async def test_what_is_no_address(endpoint, addr):
    assert not endpoint[0]._is_name(addr)


# -- what waits ----------------------------------------------------------------------------------------------


async def test_everything_leaves_in_order(full):
    transport, protocol, theirs, count = full
    assert transport.get_write_buffer_size() == 20 * (1000 + datagram.HEADER_SIZE)
    transport.close()
    received = []
    while len(received) < count:
        try:
            received.append(theirs.recv(2000))
        except BlockingIOError:
            await asyncio.sleep(0)
    await protocol.lost()
    assert received == [b"%4d" % number * 250 for number in range(count)]
    assert transport.get_write_buffer_size() == 0


async def test_pause_and_resume(full):
    transport, protocol, theirs, count = full
    transport.set_write_buffer_limits(high=10_000)
    assert protocol.events == ["made", "pause"]
    while "resume" not in protocol.events:
        try:
            theirs.recv(2000)
        except BlockingIOError:
            await asyncio.sleep(0)
    assert transport.get_write_buffer_size() <= 2500


async def test_an_error_does_not_stop_what_comes_after_it(full):
    transport, protocol, theirs, count = full
    theirs.close()  # each of the 20 is refused now
    await protocol.until(lambda: len(protocol.errors) == 20)
    assert transport.get_write_buffer_size() == 0
    assert not transport.is_closing()


async def test_abort_drops_what_waits(full):
    transport, protocol, theirs, count = full
    transport.abort()
    assert transport.get_write_buffer_size() == 0
    assert await protocol.lost() is None


async def test_a_mutable_buffer_is_copied(full):
    transport, protocol, theirs, count = full
    data = bytearray(b"before")
    transport.sendto(data)
    data[:] = b"after "
    assert transport._backlog[-1][0] == b"before"


@pytest.mark.skipif(sys.version_info < (3, 13), reason="ignored before Python 3.13")
async def test_an_empty_datagram_is_sent(endpoint, peer):
    endpoint[0].sendto(b"", peer.getsockname())
    assert peer.recv(100) == b""


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="sent from Python 3.13 on")
async def test_an_empty_datagram_is_ignored(endpoint, peer):
    endpoint[0].sendto(b"", peer.getsockname())
    endpoint[0].sendto(b"next", peer.getsockname())
    assert peer.recv(100) == b"next"


async def test_sending_after_the_end_is_ignored(endpoint, peer, asyncio_log):
    transport, protocol = endpoint
    transport.close()
    await protocol.lost()
    for _ in range(7):
        transport.sendto(b"x", peer.getsockname())
    assert [record.getMessage() for record in asyncio_log] == ["socket.send() raised exception."] * 3
