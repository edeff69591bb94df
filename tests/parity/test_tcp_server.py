"""create_server, connect_accepted_socket and the server objects they give."""

import asyncio
import gc
import socket
import sys

import pytest

from tests.support.net import blocking, connect, free_port, read_all, read_exactly, talk, tcp_pair
from tests.support.protocols import Echo, Recorder

no_close_clients = pytest.mark.uvloop_differs(reason="has neither close_clients nor abort_clients")


class Listening:
    """A server on loopback and the protocols of its connections."""

    def __init__(self, protocol=Recorder, **options):
        self.protocol, self.options, self.protocols = protocol, options, []

    def factory(self):
        self.protocols.append(self.protocol())
        return self.protocols[-1]

    async def __aenter__(self):
        self.server = await asyncio.get_running_loop().create_server(
            self.factory, "127.0.0.1", 0, **self.options
        )
        self.address = self.server.sockets[0].getsockname()
        return self

    async def __aexit__(self, *_):
        self.server.close()
        for protocol in self.protocols:
            if protocol.transport is not None and "lost" not in protocol.events:
                protocol.transport.abort()
                await protocol.lost()
        await self.server.wait_closed()

    async def accepted(self, count):
        while len(self.protocols) < count or any(p.transport is None for p in self.protocols):
            await asyncio.sleep(0.001)
        return self.protocols


async def test_serves():
    async with Listening(Echo) as here:
        assert await blocking(talk, here.address) == b"hello"
        assert await here.protocols[0].lost() is None


async def test_serves_many_at_once():
    async with Listening(Echo) as here:
        answers = await asyncio.gather(*(blocking(talk, here.address, b"%d" % n) for n in range(40)))
        assert answers == [b"%d" % n for n in range(40)]


async def test_takes_all_that_wait_in_one_go():
    async with Listening() as here:
        clients = [connect(here.address) for _ in range(60)]
        try:
            protocols = await here.accepted(60)
            peers = {protocol.transport.get_extra_info("peername") for protocol in protocols}
            assert peers == {client.getsockname() for client in clients}
        finally:
            for client in clients:
                client.close()


async def test_a_small_backlog_still_serves_everybody():
    async with Listening(Echo, backlog=1) as here:
        answers = await asyncio.gather(*(blocking(talk, here.address, b"%d" % n) for n in range(2)))
        assert answers == [b"%d" % n for n in range(2)]


async def test_takes_a_listening_socket():
    loop = asyncio.get_running_loop()
    sock = socket.create_server(("127.0.0.1", 0))
    server = await loop.create_server(Echo, sock=sock)
    assert sock.gettimeout() == 0
    assert await blocking(talk, sock.getsockname()) == b"hello"
    server.close()
    await server.wait_closed()
    assert sock.fileno() == -1


async def test_takes_a_bound_socket():
    loop = asyncio.get_running_loop()
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    server = await loop.create_server(Echo, sock=sock)
    assert await blocking(talk, sock.getsockname()) == b"hello"
    server.close()
    await server.wait_closed()


async def test_without_a_host_it_listens_everywhere():
    loop = asyncio.get_running_loop()
    for host in (None, ""):
        port = free_port()
        server = await loop.create_server(Echo, host, port)
        families = {sock.family for sock in server.sockets}
        assert socket.AF_INET in families
        assert await blocking(talk, ("127.0.0.1", port)) == b"hello"
        if socket.AF_INET6 in families:
            assert await blocking(talk, ("::1", port)) == b"hello"
        server.close()
        await server.wait_closed()


@pytest.mark.uvloop_differs(reason="listens twice on a host named twice", run=False)
async def test_listens_on_several_hosts_once_each():
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Echo, ["127.0.0.1", "127.0.0.2", "127.0.0.1"], 0)
    assert sorted(sock.getsockname()[0] for sock in server.sockets) == ["127.0.0.1", "127.0.0.2"]
    for sock in server.sockets:
        assert await blocking(talk, sock.getsockname()) == b"hello"
    server.close()
    await server.wait_closed()


async def test_ipv6_sockets_take_ipv6_only():
    loop = asyncio.get_running_loop()
    try:
        server = await loop.create_server(Echo, "::1", 0)
    except OSError:
        pytest.skip("no IPv6 here")
    (sock,) = server.sockets
    assert sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) == 1
    assert await blocking(talk, sock.getsockname()) == b"hello"
    server.close()
    await server.wait_closed()


async def test_the_address_is_reused_unless_told_otherwise():
    async with Listening() as here:
        assert here.server.sockets[0].getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR) != 0
    async with Listening(reuse_address=False) as here:
        assert here.server.sockets[0].getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR) == 0


async def test_reuse_port_lets_two_listen():
    loop = asyncio.get_running_loop()
    async with Listening(reuse_port=True) as here:
        assert here.server.sockets[0].getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT) != 0
        second = await loop.create_server(Recorder, *here.address, reuse_port=True)
        second.close()
        await second.wait_closed()


@pytest.mark.uvloop_differs(reason="takes no keep_alive")
@pytest.mark.skipif(sys.version_info < (3, 13), reason="keep_alive is new in Python 3.13")
async def test_keep_alive_is_set_on_the_listener():
    async with Listening(keep_alive=True) as here:
        assert here.server.sockets[0].getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) != 0
    async with Listening() as here:
        assert here.server.sockets[0].getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 0


async def test_connections_have_nagles_algorithm_off():
    async with Listening() as here:
        with connect(here.address):
            (protocol,) = await here.accepted(1)
            sock = protocol.transport.get_extra_info("socket")
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0


async def test_connections_know_their_names():
    async with Listening() as here:
        with connect(here.address) as client:
            (protocol,) = await here.accepted(1)
            assert protocol.transport.get_extra_info("peername") == client.getsockname()
            assert protocol.transport.get_extra_info("sockname") == here.address


async def test_a_port_in_use_is_explained():
    loop = asyncio.get_running_loop()
    async with Listening() as here:
        with pytest.raises(OSError) as caught:
            await loop.create_server(Recorder, *here.address)
        assert caught.value.errno == 98
        assert f"error while attempting to bind on address {here.address!r}: " in str(caught.value)
        assert str(caught.value).endswith("address already in use")


async def test_neither_host_nor_socket_is_an_error():
    loop = asyncio.get_running_loop()
    with pytest.raises(ValueError, match="^Neither host/port nor sock were specified$"):
        await loop.create_server(Recorder)


async def test_host_and_socket_is_an_error():
    loop = asyncio.get_running_loop()
    with socket.socket() as sock:
        with pytest.raises(ValueError, match="^host/port and sock can not be specified at the same time$"):
            await loop.create_server(Recorder, "127.0.0.1", 0, sock=sock)


async def test_a_datagram_socket_is_refused():
    loop = asyncio.get_running_loop()
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        with pytest.raises(ValueError, match="^A Stream Socket was expected, got <socket"):
            await loop.create_server(Recorder, sock=sock)


async def test_ssl_must_be_a_context():
    loop = asyncio.get_running_loop()
    with pytest.raises(TypeError, match="^ssl argument must be an SSLContext or None$"):
        await loop.create_server(Recorder, "127.0.0.1", 0, ssl=True)


@pytest.mark.parametrize("name", ["ssl_handshake_timeout", "ssl_shutdown_timeout"])
async def test_ssl_options_without_ssl_are_refused(name):
    loop = asyncio.get_running_loop()
    with pytest.raises(ValueError, match=f"^{name} is only meaningful with ssl$"):
        await loop.create_server(Recorder, "127.0.0.1", 0, **{name: 1.0})


async def test_unresolvable_hosts_are_gaierrors():
    loop = asyncio.get_running_loop()
    with pytest.raises(socket.gaierror):
        await loop.create_server(Recorder, "256.256.256.256", 0, flags=socket.AI_NUMERICHOST)


# --- the server object


@pytest.mark.uvloop_differs(reason="sockets is a list of pseudo sockets, and a list after close")
async def test_sockets_are_a_tuple_of_transport_sockets():
    async with Listening() as here:
        assert isinstance(here.server, asyncio.AbstractServer)
        assert isinstance(here.server.sockets, tuple)
        (sock,) = here.server.sockets
        assert isinstance(sock, asyncio.trsock.TransportSocket)
        assert sock.getsockname() == here.address
        here.server.close()
        assert here.server.sockets == ()


async def test_a_server_knows_its_state():
    async with Listening() as here:
        assert here.server.get_loop() is asyncio.get_running_loop()
        assert here.server.is_serving()
        here.server.close()
        assert not here.server.is_serving()
        assert not here.server.sockets
        here.server.close()


async def test_a_closed_server_refuses_connections():
    async with Listening() as here:
        here.server.close()
        await here.server.wait_closed()
        with pytest.raises(ConnectionRefusedError):
            await blocking(connect, here.address)


async def test_closing_leaves_connections_alone():
    async with Listening(Echo) as here:
        with connect(here.address) as client:
            await here.accepted(1)
            here.server.close()
            client.sendall(b"still there")
            assert await blocking(read_exactly, client, 11) == b"still there"


@pytest.mark.uvloop_differs(reason="returns at once")
@pytest.mark.skipif(sys.version_info < (3, 12, 1), reason="waits for the clients from Python 3.12.1 on")
async def test_wait_closed_waits_for_the_connections():
    async with Listening() as here:
        with connect(here.address):
            (protocol,) = await here.accepted(1)
            here.server.close()
            waiting = asyncio.ensure_future(here.server.wait_closed())
            await asyncio.sleep(0.005)
            assert not waiting.done()
            protocol.transport.close()
            await waiting
            assert "lost" in protocol.events


@pytest.mark.uvloop_differs(reason="leaves the connections alone")
@pytest.mark.skipif(sys.version_info < (3, 14, 7), reason="closes the connections from Python 3.14.7 on")
async def test_a_cancelled_serve_forever_closes_a_connection_that_is_silent():
    async with Listening() as here:
        serving = asyncio.ensure_future(here.server.serve_forever())
        with connect(here.address) as client:
            (protocol,) = await here.accepted(1)
            serving.cancel()
            with pytest.raises(asyncio.CancelledError):
                await serving
            assert "lost" in protocol.events
            assert await blocking(read_all, client) == b""
        assert not here.server.is_serving()


@pytest.mark.skipif(sys.version_info < (3, 12, 1), reason="waits for the server from Python 3.12.1 on")
async def test_wait_closed_waits_for_close():
    async with Listening() as here:
        waiting = asyncio.ensure_future(here.server.wait_closed())
        await asyncio.sleep(0.002)
        assert not waiting.done()
        here.server.close()
        await waiting


async def test_wait_closed_may_be_called_twice():
    async with Listening() as here:
        here.server.close()
        for _ in range(2):
            assert await here.server.wait_closed() is None


async def test_as_a_context_manager_it_closes():
    loop = asyncio.get_running_loop()
    async with await loop.create_server(Recorder, "127.0.0.1", 0) as server:
        assert server.is_serving()
    assert not server.is_serving()


async def test_it_can_wait_with_serving():
    async with Listening(Echo, start_serving=False) as here:
        assert not here.server.is_serving()
        with pytest.raises(ConnectionRefusedError):
            await blocking(connect, here.address)
        await here.server.start_serving()
        assert here.server.is_serving()
        await here.server.start_serving()
        assert await blocking(talk, here.address) == b"hello"


async def test_serve_forever_serves_until_cancelled():
    async with Listening(Echo, start_serving=False) as here:
        serving = asyncio.ensure_future(here.server.serve_forever())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert here.server.is_serving()
        assert await blocking(talk, here.address) == b"hello"
        await here.protocols[0].lost()
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving
        assert not here.server.is_serving()


@pytest.mark.uvloop_differs(reason="serve_forever() goes on", run=False)
async def test_closing_ends_serve_forever():
    async with Listening() as here:
        serving = asyncio.ensure_future(here.server.serve_forever())
        await asyncio.sleep(0)
        here.server.close()
        with pytest.raises(asyncio.CancelledError):
            await serving


async def test_serve_forever_cannot_be_called_twice():
    async with Listening() as here:
        serving = asyncio.ensure_future(here.server.serve_forever())
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match=r"server <.*> is already being awaited on serve_forever\(\)$"):
            await here.server.serve_forever()
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving


async def test_a_closed_server_does_not_serve():
    async with Listening() as here:
        here.server.close()
        with pytest.raises(RuntimeError, match="server <.*> is closed$"):
            await here.server.serve_forever()


@no_close_clients
@pytest.mark.skipif(sys.version_info < (3, 13), reason="close_clients is new in Python 3.13")
async def test_close_clients_closes_them_when_their_data_is_written():
    async with Listening() as here:
        with connect(here.address) as client:
            (protocol,) = await here.accepted(1)
            data = b"x" * 4_000_000
            protocol.transport.write(data)
            here.server.close()
            here.server.close_clients()
            assert await blocking(read_all, client) == data
            assert await protocol.lost() is None
            await here.server.wait_closed()


@no_close_clients
@pytest.mark.skipif(sys.version_info < (3, 13), reason="abort_clients is new in Python 3.13")
async def test_abort_clients_closes_them_now():
    async with Listening() as here:
        with connect(here.address) as client:
            (protocol,) = await here.accepted(1)
            protocol.transport.write(b"x" * 20_000_000)
            here.server.close()
            here.server.abort_clients()
            await protocol.lost()
            assert len(await blocking(read_all, client)) < 20_000_000
            await here.server.wait_closed()


@no_close_clients
@pytest.mark.skipif(sys.version_info < (3, 13), reason="close_clients is new in Python 3.13")
async def test_close_clients_without_clients_is_nothing():
    async with Listening() as here:
        here.server.close_clients()
        here.server.abort_clients()
        assert here.server.is_serving()


async def test_a_server_that_nobody_keeps_goes_on_serving():
    loop = asyncio.get_running_loop()
    sock = socket.create_server(("127.0.0.1", 0))
    address = sock.getsockname()
    servers = [await loop.create_server(Echo, sock=sock)]
    gc.collect()
    assert await blocking(talk, address) == b"hello"
    servers[0].close()
    await servers[0].wait_closed()


@pytest.mark.uvloop_differs(reason="never closes the accepted socket, nor the loop after that", run=False)
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")  # asyncio leaves it to the collector
async def test_a_factory_that_fails_leaves_the_server_serving():
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda loop, context: None)  # asyncio reports it in debug mode only
    protocols, failures = [], []

    def factory():
        if not failures:
            failures.append(1)
            raise LookupError("no protocol today")
        protocols.append(Echo())
        return protocols[-1]

    async with await loop.create_server(factory, "127.0.0.1", 0) as server:
        address = server.sockets[0].getsockname()
        with connect(address):
            while not failures:
                await asyncio.sleep(0.001)
        gc.collect()
        assert await blocking(talk, address) == b"hello"
        await protocols[0].lost()


async def test_closing_inside_connection_made_is_possible():
    class Once(Recorder):
        def connection_made(self, transport):
            super().connection_made(transport)
            here.server.close()

    async with Listening(Once) as here:
        with connect(here.address):
            (protocol,) = await here.accepted(1)
            assert protocol.events == ["made"]
        assert await protocol.lost() is None


async def test_start_server_serves_streams():
    async def handle(reader, writer):
        while line := await reader.readline():
            writer.write(line.upper())
            await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    address = server.sockets[0].getsockname()

    def client():
        with connect(address) as sock:
            sock.sendall(b"one\ntwo\n")
            sock.shutdown(socket.SHUT_WR)
            return read_all(sock)

    assert await asyncio.gather(*(blocking(client) for _ in range(10))) == [b"ONE\nTWO\n"] * 10
    server.close()
    await server.wait_closed()


# --- connect_accepted_socket


async def test_connect_accepted_socket_makes_a_transport():
    loop = asyncio.get_running_loop()
    with tcp_pair() as (ours, theirs):
        transport, protocol = await loop.connect_accepted_socket(Echo, ours)
        assert protocol.events == ["made"]
        theirs.sendall(b"hello")
        assert await blocking(read_exactly, theirs, 5) == b"hello"
        transport.close()
        await protocol.lost()


async def test_connect_accepted_socket_wants_a_stream_socket():
    loop = asyncio.get_running_loop()
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        with pytest.raises(ValueError, match="^A Stream Socket was expected, got <socket"):
            await loop.connect_accepted_socket(Recorder, sock)


@pytest.mark.parametrize("name", ["ssl_handshake_timeout", "ssl_shutdown_timeout"])
async def test_connect_accepted_socket_refuses_ssl_options_without_ssl(name):
    loop = asyncio.get_running_loop()
    with tcp_pair() as (ours, theirs):
        with pytest.raises(ValueError, match=f"^{name} is only meaningful with ssl$"):
            await loop.connect_accepted_socket(Recorder, ours, **{name: 1.0})
