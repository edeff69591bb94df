"""create_connection: where it connects, what it says when it cannot."""

import asyncio
import gc
import socket
import ssl
import sys

import pytest

from tests.support.net import black_hole, blocking, echo, free_port, reset, serving, tcp_pair, unix_pair
from tests.support.protocols import Recorder


@pytest.fixture
def server():
    with serving(echo) as address:
        yield address


def resolve_to(loop, monkeypatch, *addresses):
    """Let the loop's getaddrinfo() answer with these addresses."""

    async def getaddrinfo(host, port, *, family=0, type=0, proto=0, flags=0):
        return [
            (
                socket.AF_INET6 if ":" in address[0] else socket.AF_INET,
                socket.SOCK_STREAM,
                socket.IPPROTO_TCP,
                "",
                address,
            )
            for address in addresses
        ]

    monkeypatch.setattr(loop, "getaddrinfo", getaddrinfo)


async def finish(transport, protocol):
    transport.abort()
    await protocol.lost()


fixed_getaddrinfo = pytest.mark.uvloop_differs(reason="resolves names below Python", run=False)
no_happy_eyeballs = pytest.mark.uvloop_differs(
    reason="takes neither happy_eyeballs_delay nor interleave nor all_errors", run=False
)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_connects_and_talks(server, host):
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_connection(Recorder, host, server[1])
    assert protocol.transport is transport
    transport.write(b"hello")
    assert await protocol.received(5) == b"hello"
    transport.close()
    assert await protocol.lost() is None


async def test_the_port_may_be_text(server):
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_connection(Recorder, "127.0.0.1", str(server[1]))
    assert transport.get_extra_info("peername")[1] == server[1]
    await finish(transport, protocol)


async def test_connects_over_ipv6():
    try:
        manager = serving(echo, family=socket.AF_INET6)
        address = manager.__enter__()
    except OSError:
        pytest.skip("no IPv6 here")
    loop = asyncio.get_running_loop()
    try:
        transport, protocol = await loop.create_connection(Recorder, "::1", address[1])
        transport.write(b"hello")
        assert await protocol.received(5) == b"hello"
        assert transport.get_extra_info("peername") == address
        await finish(transport, protocol)
    finally:
        manager.__exit__(None, None, None)


@pytest.mark.parametrize("pair", [tcp_pair, unix_pair])
async def test_takes_a_connected_socket(pair):
    loop = asyncio.get_running_loop()
    with pair() as (ours, theirs):
        transport, protocol = await loop.create_connection(Recorder, sock=ours)
        transport.write(b"hello")
        assert await blocking(theirs.recv, 10) == b"hello"
        await finish(transport, protocol)
        assert ours.fileno() == -1


async def test_sets_the_given_socket_non_blocking():
    loop = asyncio.get_running_loop()
    with tcp_pair() as (ours, theirs):
        ours.setblocking(True)
        transport, protocol = await loop.create_connection(Recorder, sock=ours)
        assert ours.gettimeout() == 0
        await finish(transport, protocol)


async def test_turns_nagles_algorithm_off(server):
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_connection(Recorder, *server)
    sock = transport.get_extra_info("socket")
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
    await finish(transport, protocol)


async def test_binds_to_the_local_address(server):
    loop = asyncio.get_running_loop()
    port = free_port()
    transport, protocol = await loop.create_connection(Recorder, *server, local_addr=("127.0.0.1", port))
    assert transport.get_extra_info("sockname") == ("127.0.0.1", port)
    await finish(transport, protocol)


async def test_minds_family_proto_and_flags(server):
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_connection(
        Recorder, *server, family=socket.AF_INET, proto=socket.IPPROTO_TCP, flags=socket.AI_NUMERICHOST
    )
    await finish(transport, protocol)
    with pytest.raises(socket.gaierror):
        await loop.create_connection(Recorder, "localhost", server[1], flags=socket.AI_NUMERICHOST)
    with pytest.raises(OSError):
        await loop.create_connection(Recorder, "127.0.0.1", server[1], family=socket.AF_INET6)


@pytest.mark.uvloop_differs(reason="another text, and the factory is called before connecting")
async def test_a_refused_connection_never_calls_the_factory():
    loop = asyncio.get_running_loop()
    port = free_port()
    with pytest.raises(ConnectionRefusedError) as caught:
        await loop.create_connection(lambda: pytest.fail("called"), "127.0.0.1", port)
    assert str(caught.value) == f"[Errno 111] Connect call failed ('127.0.0.1', {port})"


async def test_what_cannot_be_resolved_is_a_gaierror():
    loop = asyncio.get_running_loop()
    with pytest.raises(socket.gaierror):
        await loop.create_connection(asyncio.Protocol, "256.256.256.256", 80, flags=socket.AI_NUMERICHOST)


@fixed_getaddrinfo
async def test_the_next_address_is_tried(server, monkeypatch):
    loop = asyncio.get_running_loop()
    resolve_to(loop, monkeypatch, ("127.0.0.1", free_port()), server)
    transport, protocol = await loop.create_connection(Recorder, "example", 80)
    assert transport.get_extra_info("peername") == server
    await finish(transport, protocol)


@fixed_getaddrinfo
async def test_no_address_at_all_says_so(monkeypatch):
    loop = asyncio.get_running_loop()
    resolve_to(loop, monkeypatch)
    with pytest.raises(OSError, match=r"^getaddrinfo\(\) returned empty list$"):
        await loop.create_connection(asyncio.Protocol, "example", 80)


@fixed_getaddrinfo
async def test_several_errors_are_told_together(monkeypatch):
    loop = asyncio.get_running_loop()
    ports = [free_port(), free_port()]
    resolve_to(loop, monkeypatch, *(("127.0.0.1", port) for port in ports))
    with pytest.raises(OSError) as caught:
        await loop.create_connection(asyncio.Protocol, "example", 80)
    assert str(caught.value) == "Multiple exceptions: " + ", ".join(
        f"[Errno 111] Connect call failed ('127.0.0.1', {port})" for port in ports
    )


@fixed_getaddrinfo
async def test_equal_errors_are_told_once(monkeypatch):
    loop = asyncio.get_running_loop()
    address = ("127.0.0.1", free_port())
    resolve_to(loop, monkeypatch, address, address)
    with pytest.raises(ConnectionRefusedError) as caught:
        await loop.create_connection(asyncio.Protocol, "example", 80)
    assert str(caught.value) == f"[Errno 111] Connect call failed {address}"


@pytest.mark.uvloop_differs(reason="leaves it open")
@pytest.mark.skipif(sys.version_info < (3, 14, 8), reason="left open before Python 3.14.8")
@pytest.mark.parametrize("name", ["create_connection", "create_unix_connection", "connect_accepted_socket"])
async def test_a_socket_is_closed_for_which_the_factory_makes_no_protocol(name):
    def factory():
        raise LookupError("no protocol")

    with unix_pair() as (ours, theirs):
        with pytest.raises(LookupError):
            await getattr(asyncio.get_running_loop(), name)(factory, sock=ours)
        assert ours.fileno() == -1
        assert theirs.recv(1) == b""


@no_happy_eyeballs
@pytest.mark.skipif(sys.version_info < (3, 12), reason="all_errors is new in Python 3.12")
async def test_all_errors_are_given_as_a_group(monkeypatch):
    loop = asyncio.get_running_loop()
    addresses = [("127.0.0.1", free_port()), ("127.0.0.1", free_port())]
    resolve_to(loop, monkeypatch, *addresses)
    with pytest.raises(ExceptionGroup, match="^create_connection failed") as caught:
        await loop.create_connection(asyncio.Protocol, "example", 80, all_errors=True)
    assert [str(error) for error in caught.value.exceptions] == [
        f"[Errno 111] Connect call failed {address}" for address in addresses
    ]
    resolve_to(loop, monkeypatch, addresses[0])
    with pytest.raises(ExceptionGroup):
        await loop.create_connection(asyncio.Protocol, "example", 80, all_errors=True)


@no_happy_eyeballs
async def test_happy_eyeballs_does_not_wait_for_an_address_that_hangs(server, monkeypatch):
    loop = asyncio.get_running_loop()
    with black_hole() as hangs:
        resolve_to(loop, monkeypatch, hangs, server)
        transport, protocol = await loop.create_connection(Recorder, "example", 80, happy_eyeballs_delay=0.01)
        assert transport.get_extra_info("peername") == server
        await finish(transport, protocol)


@no_happy_eyeballs
async def test_happy_eyeballs_goes_on_at_once_after_a_refusal(server, monkeypatch):
    loop = asyncio.get_running_loop()
    resolve_to(loop, monkeypatch, ("127.0.0.1", free_port()), server)
    transport, protocol = await loop.create_connection(Recorder, "example", 80, happy_eyeballs_delay=3600)
    assert transport.get_extra_info("peername") == server
    await finish(transport, protocol)


@no_happy_eyeballs
async def test_happy_eyeballs_prefers_the_first_that_answers(server, monkeypatch):
    loop = asyncio.get_running_loop()
    with serving(echo) as second:
        resolve_to(loop, monkeypatch, server, second)
        transport, protocol = await loop.create_connection(Recorder, "example", 80, happy_eyeballs_delay=3600)
        assert transport.get_extra_info("peername") == server
        await finish(transport, protocol)


@no_happy_eyeballs
async def test_happy_eyeballs_tells_all_errors(monkeypatch):
    loop = asyncio.get_running_loop()
    ports = [free_port(), free_port()]
    resolve_to(loop, monkeypatch, *(("127.0.0.1", port) for port in ports))
    with pytest.raises(OSError) as caught:
        await loop.create_connection(asyncio.Protocol, "example", 80, happy_eyeballs_delay=0.5)
    assert all(f"Connect call failed ('127.0.0.1', {port})" in str(caught.value) for port in ports)


@no_happy_eyeballs
async def test_happy_eyeballs_can_be_cancelled(monkeypatch):
    loop = asyncio.get_running_loop()
    with black_hole() as hangs:
        resolve_to(loop, monkeypatch, hangs, hangs)
        task = asyncio.ensure_future(
            loop.create_connection(asyncio.Protocol, "example", 80, happy_eyeballs_delay=0.001)
        )
        await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


@no_happy_eyeballs
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [0, 1, 2, 3]),
        ({"interleave": 1}, [0, 2, 1, 3]),
        ({"interleave": 2}, [0, 1, 2, 3]),
        ({"interleave": 0, "happy_eyeballs_delay": 5}, [0, 1, 2, 3]),
        ({"happy_eyeballs_delay": 5}, [0, 2, 1, 3]),
    ],
)
async def test_addresses_are_interleaved_by_family(monkeypatch, options, expected):
    loop = asyncio.get_running_loop()
    ports = [free_port() for _ in range(4)]
    # Two of one family, then two of the other; all refuse. The order of the errors is that of the attempts.
    addresses = [
        ("127.0.0.1", ports[0]),
        ("127.0.0.1", ports[1]),
        ("::1", ports[2], 0, 0),
        ("::1", ports[3], 0, 0),
    ]
    resolve_to(loop, monkeypatch, *addresses)
    with pytest.raises(OSError) as caught:
        await loop.create_connection(asyncio.Protocol, "example", 80, **options)
    text = str(caught.value)
    places = [text.index(str(port)) for port in ports]
    assert sorted(range(4), key=lambda n: places[n]) == expected


async def test_a_connect_that_hangs_can_be_cancelled():
    loop = asyncio.get_running_loop()
    with black_hole() as hangs:
        task = asyncio.ensure_future(loop.create_connection(asyncio.Protocol, *hangs))
        await asyncio.sleep(0.01)
        assert not task.done()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_a_local_address_that_cannot_be_bound_is_named(server):
    loop = asyncio.get_running_loop()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(OSError, match="(?i)address already in use") as caught:
            await loop.create_connection(asyncio.Protocol, *server, local_addr=taken.getsockname())
        assert caught.value.errno == 98


@pytest.mark.uvloop_differs(reason="other texts")
async def test_a_local_address_that_cannot_be_bound_is_explained(server):
    loop = asyncio.get_running_loop()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(OSError) as caught:
            await loop.create_connection(asyncio.Protocol, *server, local_addr=taken.getsockname())
        assert f"error while attempting to bind on address {taken.getsockname()!r}: " in str(caught.value)
        number = "[errno 98] " if sys.version_info >= (3, 13) else ""
        assert str(caught.value).endswith(f": {number}address already in use")
    with pytest.raises(OSError) as caught:
        await loop.create_connection(asyncio.Protocol, *server, local_addr=("::1", 0))
    assert "no matching local address with family=" in str(caught.value)


async def test_neither_host_nor_socket_is_an_error():
    loop = asyncio.get_running_loop()
    with pytest.raises(ValueError, match="host and port was not specified and no sock specified"):
        await loop.create_connection(asyncio.Protocol)


async def test_host_and_socket_is_an_error():
    loop = asyncio.get_running_loop()
    with socket.socket() as sock:
        with pytest.raises(ValueError, match="host/port and sock can not be specified at the same time"):
            await loop.create_connection(asyncio.Protocol, "127.0.0.1", 80, sock=sock)


async def test_a_datagram_socket_is_refused():
    loop = asyncio.get_running_loop()
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        with pytest.raises(ValueError, match="^A Stream Socket was expected, got <socket"):
            await loop.create_connection(asyncio.Protocol, sock=sock)


@pytest.mark.uvloop_differs(reason="takes it", run=False)
async def test_an_ssl_socket_is_refused():
    loop = asyncio.get_running_loop()
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with socket.socket() as plain, context.wrap_socket(plain, do_handshake_on_connect=False) as sock:
        with pytest.raises(TypeError, match="^Socket cannot be of type SSLSocket$"):
            await loop.create_connection(asyncio.Protocol, sock=sock)


@pytest.mark.parametrize(
    ("name", "value"),
    [("server_hostname", "x"), ("ssl_handshake_timeout", 1.0), ("ssl_shutdown_timeout", 1.0)],
)
async def test_ssl_options_without_ssl_are_refused(server, name, value):
    loop = asyncio.get_running_loop()
    with pytest.raises(ValueError, match=f"^{name} is only meaningful with ssl$"):
        await loop.create_connection(asyncio.Protocol, *server, **{name: value})


@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")  # asyncio leaves it to the collector
async def test_an_exception_of_the_factory_comes_back(server):
    loop = asyncio.get_running_loop()

    def factory():
        raise LookupError("no protocol today")

    with pytest.raises(LookupError, match="no protocol today"):
        await loop.create_connection(factory, *server)
    gc.collect()


async def test_a_peer_that_closes_at_once_still_gives_a_connection():
    loop = asyncio.get_running_loop()
    with serving(lambda sock: None) as address:
        _, protocol = await loop.create_connection(Recorder, *address)
        assert await protocol.lost() is None
        assert protocol.events == ["made", "eof", "lost"]


async def test_a_peer_that_resets_is_an_error_of_the_connection():
    loop = asyncio.get_running_loop()

    def reset_when_asked(sock):
        sock.recv(1)
        reset(sock)

    with serving(reset_when_asked) as address:
        transport, protocol = await loop.create_connection(Recorder, *address)
        transport.write(b"x")
        assert isinstance(await protocol.lost(), ConnectionResetError)


async def test_many_connections_at_once(server):
    loop = asyncio.get_running_loop()

    async def one(number):
        transport, protocol = await loop.create_connection(Recorder, *server)
        message = b"message %d" % number
        transport.write(message)
        assert await protocol.received(len(message)) == message
        transport.close()
        await protocol.lost()

    await asyncio.gather(*(one(number) for number in range(50)))


async def test_streams_on_top(server):
    reader, writer = await asyncio.open_connection(*server)
    writer.writelines([b"one\n", b"two\n"])
    writer.write_eof()
    await writer.drain()
    assert await reader.readline() == b"one\n"
    assert await reader.readexactly(4) == b"two\n"
    assert await reader.read() == b""
    assert reader.at_eof()
    writer.close()
    await writer.wait_closed()
