"""create_datagram_endpoint: UDP on IPv4 and IPv6, Unix datagrams."""

import asyncio
import socket
import sys

import pytest

from tests.support.net import free_port
from tests.support.protocols import DatagramRecorder

no_unix = pytest.mark.uvloop_differs(reason="no addresses of AF_UNIX", run=False)


@pytest.fixture
async def endpoint():
    """Make endpoints; what the test leaves open is aborted. Gives (transport, protocol)."""
    opened = []

    async def endpoint(factory=DatagramRecorder, **options):
        opened.append(await asyncio.get_running_loop().create_datagram_endpoint(factory, **options))
        return opened[-1]

    yield endpoint
    for transport, protocol in opened:
        if "lost" not in protocol.events:
            transport.abort()
            await protocol.lost()


def name(transport):
    return transport.get_extra_info("sockname")


@pytest.fixture(params=["127.0.0.1", "::1"])
def host(request):
    if request.param == "::1":
        try:
            with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
                sock.bind(("::1", 0))
        except OSError:
            pytest.skip("no IPv6 here")
    return request.param


async def test_datagrams_go_there_and_back(endpoint, host):
    server, server_protocol = await endpoint(local_addr=(host, 0))
    client, client_protocol = await endpoint(local_addr=(host, 0))
    client.sendto(b"ping", name(server))
    assert await server_protocol.received(1) == [(b"ping", name(client))]
    server.sendto(b"pong", name(client))
    assert await client_protocol.received(1) == [(b"pong", name(server))]


async def test_a_connected_endpoint_needs_no_address(endpoint, host):
    server, server_protocol = await endpoint(local_addr=(host, 0))
    client, client_protocol = await endpoint(remote_addr=name(server)[:2])
    assert client.get_extra_info("peername") == name(server)
    client.sendto(b"ping")
    await server_protocol.received(1)
    assert server_protocol.packets[0][0] == b"ping"
    server.sendto(b"pong", server_protocol.packets[0][1])
    assert (await client_protocol.received(1))[0][0] == b"pong"


async def test_a_connected_endpoint_takes_its_own_address_and_no_other(endpoint):
    server, server_protocol = await endpoint(local_addr=("127.0.0.1", 0))
    client, _ = await endpoint(remote_addr=name(server))
    client.sendto(b"x", name(server))
    await server_protocol.received(1)
    other = ("127.0.0.1", free_port(socket.SOCK_DGRAM))
    with pytest.raises(ValueError, match="^Invalid address: must be None or "):
        client.sendto(b"x", other)


async def test_local_and_remote_address_together(endpoint):
    server, server_protocol = await endpoint(local_addr=("127.0.0.1", 0))
    client, _ = await endpoint(local_addr=("127.0.0.1", 0), remote_addr=name(server))
    client.sendto(b"x")
    assert await server_protocol.received(1) == [(b"x", name(client))]


async def test_datagrams_keep_their_borders_and_their_order(endpoint):
    server, server_protocol = await endpoint(local_addr=("127.0.0.1", 0))
    client, _ = await endpoint(remote_addr=name(server))
    messages = [b"%d" % number * (number % 50 + 1) for number in range(200)]
    for start in range(0, 200, 20):  # fewer at a time than a socket's queue holds
        for message in messages[start : start + 20]:
            client.sendto(message)
        await server_protocol.received(start + 20)
    assert [data for data, _ in server_protocol.packets] == messages


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
async def test_every_kind_of_bytes_can_be_sent(endpoint, kind):
    server, server_protocol = await endpoint(local_addr=("127.0.0.1", 0))
    client, _ = await endpoint(remote_addr=name(server))
    client.sendto(kind(b"hello"))
    assert (await server_protocol.received(1))[0][0] == b"hello"


@pytest.mark.parametrize("data", ["text", 5])
async def test_what_is_no_bytes_is_refused(endpoint, data):
    client, _ = await endpoint(remote_addr=("127.0.0.1", free_port(socket.SOCK_DGRAM)))
    with pytest.raises(TypeError):
        client.sendto(data)


async def test_received_data_is_bytes(endpoint):
    server, server_protocol = await endpoint(local_addr=("127.0.0.1", 0))
    client, _ = await endpoint(remote_addr=name(server))
    client.sendto(bytearray(b"hello"))
    await server_protocol.received(1)
    assert type(server_protocol.packets[0][0]) is bytes


async def test_a_large_datagram_arrives_whole(endpoint):
    server, server_protocol = await endpoint(local_addr=("127.0.0.1", 0))
    client, _ = await endpoint(remote_addr=name(server))
    data = bytes(range(256)) * 255
    client.sendto(data)
    assert (await server_protocol.received(1))[0][0] == data


async def test_an_empty_datagram_is_received(endpoint):
    server, server_protocol = await endpoint(local_addr=("127.0.0.1", 0))
    with socket.socket(type=socket.SOCK_DGRAM) as client:
        client.bind(("127.0.0.1", 0))
        client.sendto(b"", name(server))
        assert await server_protocol.received(1) == [(b"", client.getsockname())]


@pytest.mark.uvloop_differs(reason="drops it", run=False)
async def test_an_empty_datagram_is_sent(endpoint):
    if sys.version_info < (3, 13):
        pytest.skip("dropped before Python 3.13")
    server, server_protocol = await endpoint(local_addr=("127.0.0.1", 0))
    client, _ = await endpoint(remote_addr=name(server))
    client.sendto(b"")
    assert (await server_protocol.received(1))[0][0] == b""


async def test_a_refusal_is_told_to_error_received_and_the_endpoint_lives(endpoint):
    port = free_port(socket.SOCK_DGRAM)
    client, protocol = await endpoint(remote_addr=("127.0.0.1", port))
    client.sendto(b"x")
    await protocol.until_event("error")
    assert isinstance(protocol.errors[0], ConnectionRefusedError)
    assert not client.is_closing()
    with socket.socket(type=socket.SOCK_DGRAM) as server:
        server.settimeout(10)
        server.bind(("127.0.0.1", port))
        client.sendto(b"now")
        while server.recv(100) != b"now":
            pass


@pytest.mark.uvloop_differs(reason="prints it", run=False)
async def test_an_error_of_sending_is_told_to_error_received(endpoint):
    client, protocol = await endpoint(local_addr=("127.0.0.1", 0))
    client.sendto(b"x" * 70_000, ("127.0.0.1", free_port(socket.SOCK_DGRAM)))
    await protocol.until_event("error")
    assert isinstance(protocol.errors[0], OSError)
    assert protocol.errors[0].errno == 90
    assert not client.is_closing()


async def test_an_exception_of_the_protocol_is_reported(endpoint, reports):
    class Failing(DatagramRecorder):
        def datagram_received(self, data, addr):
            self.note("failed")
            raise LookupError("in datagram_received")

    asyncio.get_running_loop().set_exception_handler(reports)
    server, protocol = await endpoint(Failing, local_addr=("127.0.0.1", 0))
    client, _ = await endpoint(remote_addr=name(server))
    client.sendto(b"x")
    await protocol.until_event("failed")
    await asyncio.sleep(0.002)
    assert isinstance(reports.exceptions[0], LookupError)


async def test_takes_a_socket(endpoint):
    sock = socket.socket(type=socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    server, protocol = await endpoint(sock=sock)
    client, _ = await endpoint(remote_addr=name(server))
    client.sendto(b"x")
    await protocol.received(1)
    assert sock.gettimeout() == 0


async def test_options_reach_the_socket(endpoint):
    transport, _ = await endpoint(local_addr=("127.0.0.1", 0), reuse_port=True, allow_broadcast=True)
    sock = transport.get_extra_info("socket")
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT) != 0
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST) != 0
    assert sock.family == socket.AF_INET
    assert sock.type == socket.SOCK_DGRAM
    again, _ = await endpoint(local_addr=name(transport), reuse_port=True)
    assert name(again) == name(transport)


async def test_a_family_alone_is_enough(endpoint):
    transport, protocol = await endpoint(family=socket.AF_INET)
    other, other_protocol = await endpoint(local_addr=("127.0.0.1", 0))
    transport.sendto(b"x", name(other))
    await other_protocol.received(1)
    assert [data for data, _ in other_protocol.packets] == [b"x"]


async def test_a_name_is_resolved(endpoint):
    server, protocol = await endpoint(local_addr=("127.0.0.1", 0))
    client, _ = await endpoint(remote_addr=("localhost", name(server)[1]), family=socket.AF_INET)
    client.sendto(b"x")
    await protocol.received(1)
    assert protocol.packets == [(b"x", name(client))]


async def test_close_sends_what_is_left_and_tells_the_protocol(endpoint):
    server, server_protocol = await endpoint(local_addr=("127.0.0.1", 0))
    client, protocol = await endpoint(remote_addr=name(server))
    assert not client.is_closing()
    client.sendto(b"last")
    client.close()
    client.close()
    assert client.is_closing()
    assert protocol.events == ["made"]
    assert await protocol.lost() is None
    await server_protocol.received(1)


@pytest.mark.uvloop_differs(reason="raises or drops it")
async def test_an_endpoint_closed_by_error_received_tells_of_later_errors_too(endpoint):
    class Closing(DatagramRecorder):
        def error_received(self, exc):
            super().error_received(exc)
            self.transport.close()

    transport, protocol = await endpoint(Closing, local_addr=("127.0.0.1", 0))
    for _ in range(2):
        transport.sendto(bytes(70000), name(transport))
    await protocol.lost()
    assert [type(error) for error in protocol.errors] == [OSError] * 2


async def test_abort_tells_the_protocol(endpoint):
    client, protocol = await endpoint(local_addr=("127.0.0.1", 0))
    client.abort()
    assert client.is_closing()
    assert await protocol.lost() is None


@pytest.mark.uvloop_differs(reason="takes it, or leaks a socket", run=False)
async def test_an_address_in_use_is_an_error(endpoint):
    server, _ = await endpoint(local_addr=("127.0.0.1", 0))
    with pytest.raises(OSError) as caught:
        await endpoint(local_addr=name(server))
    assert caught.value.errno == 98


async def test_arguments_that_make_no_sense_are_refused():
    loop = asyncio.get_running_loop()
    with pytest.raises(ValueError, match="^unexpected address family$"):
        await loop.create_datagram_endpoint(DatagramRecorder)
    with pytest.raises(ValueError, match="^unexpected address family$"):
        await loop.create_datagram_endpoint(DatagramRecorder, local_addr=None, remote_addr=None)
    with socket.socket() as stream:
        with pytest.raises(ValueError, match="^A (datagram|UDP) [Ss]ocket was expected, got <socket"):
            await loop.create_datagram_endpoint(DatagramRecorder, sock=stream)


@pytest.mark.uvloop_differs(reason="other texts", run=False)
async def test_arguments_that_make_no_sense_are_explained():
    loop = asyncio.get_running_loop()
    for address in ("127.0.0.1", ("127.0.0.1",), [1, 2, 3]):
        with pytest.raises(TypeError, match="^2-tuple is expected$"):
            await loop.create_datagram_endpoint(DatagramRecorder, local_addr=address)
    with pytest.raises(TypeError, match="^string is expected$"):
        await loop.create_datagram_endpoint(DatagramRecorder, local_addr=("x", 1), family=socket.AF_UNIX)
    with pytest.raises(ValueError, match="^can not get address information$"):
        await loop.create_datagram_endpoint(
            DatagramRecorder, local_addr=("127.0.0.1", 0), remote_addr=("::1", 9)
        )
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        with pytest.raises(ValueError, match="^socket modifier keyword arguments can not be used"):
            await loop.create_datagram_endpoint(DatagramRecorder, sock=sock, local_addr=("127.0.0.1", 0))


async def test_repr_works(endpoint):
    transport, protocol = await endpoint(local_addr=("127.0.0.1", 0))
    assert repr(transport).startswith("<")
    transport.close()
    assert repr(transport)
    await protocol.lost()
    assert repr(transport)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="from Python 3.12 on")
@pytest.mark.uvloop_differs(reason="classes of its own")
async def test_it_is_an_asyncio_transport(endpoint):
    transport, _ = await endpoint(local_addr=("127.0.0.1", 0))
    assert isinstance(transport, asyncio.DatagramTransport)


async def test_flow_control_has_marks(endpoint):
    transport, _ = await endpoint(local_addr=("127.0.0.1", 0))
    assert transport.get_write_buffer_size() == 0
    transport.set_write_buffer_limits(high=1000, low=100)
    assert transport.get_write_buffer_limits() == (100, 1000)


# --- Unix


@no_unix
async def test_unix_datagrams_go_there_and_back(endpoint, tmp_path):
    paths = [str(tmp_path / side) for side in ("server", "client")]
    server, server_protocol = await endpoint(local_addr=paths[0], family=socket.AF_UNIX)
    client, client_protocol = await endpoint(local_addr=paths[1], remote_addr=paths[0], family=socket.AF_UNIX)
    client.sendto(b"ping")
    assert await server_protocol.received(1) == [(b"ping", paths[1])]
    server.sendto(b"pong", paths[1])
    assert await client_protocol.received(1) == [(b"pong", paths[0])]


@no_unix
async def test_a_unix_endpoint_pauses_when_the_peer_is_slow(endpoint, tmp_path):
    path = str(tmp_path / "slow")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as slow:
        slow.settimeout(10)
        slow.bind(path)
        client, protocol = await endpoint(remote_addr=path, family=socket.AF_UNIX)
        client.set_write_buffer_limits(high=3000, low=1000)
        sent = 0
        while "pause" not in protocol.events:
            client.sendto(b"x" * 1000)
            sent += 1
        for _ in range(sent):
            assert len(slow.recv(2000)) == 1000
            await asyncio.sleep(0.001)
        await protocol.until_event("resume")


@no_unix
async def test_a_stale_unix_socket_is_removed(endpoint, tmp_path):
    path = str(tmp_path / "stale")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(path)
    transport, _ = await endpoint(local_addr=path, family=socket.AF_UNIX)
    assert name(transport) == path


async def test_a_unix_socket_pair_is_taken(endpoint):
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    ours.setblocking(False)
    with theirs:
        transport, protocol = await endpoint(sock=ours)
        theirs.send(b"hello")
        await protocol.received(1)
        assert protocol.packets[0][0] == b"hello"
