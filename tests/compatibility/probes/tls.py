"""TLS wherever a method takes it."""

import contextlib
import ssl

import pytest

from tests.support import net, tls
from tests.support.protocols import Echo, Recorder

from ..registry import probe, same
from .connections import unix_path

TIMES = {"ssl_handshake_timeout": 10.0, "ssl_shutdown_timeout": 10.0}


def echo(sock):
    """A blocking peer: echo until close_notify, then answer it."""
    with contextlib.suppress(ssl.SSLError, OSError):
        net.echo(sock)
        sock.unwrap()


async def _echoes(transport, protocol):
    same(transport.get_extra_info("ssl_object").version(), "TLSv1.3")
    transport.write(b"hello" * 20_000)
    same(await protocol.received(100_000) == b"hello" * 20_000, True)
    transport.close()
    same(await protocol.lost(), None)


def _ask(address):
    """A blocking TLS client of an echo server: what comes back."""
    with tls.tls_connect(address) as sock:
        sock.sendall(b"hello")
        answer = net.read_exactly(sock, 5)
        with sock.unwrap():
            return answer


class _Served(Echo):
    """An echo that the server's probe can find."""

    last: "_Served"

    def connection_made(self, transport):
        super().connection_made(transport)
        type(self).last = self


async def _serves(server, address):
    same(await net.blocking(_ask, address), b"hello")
    await _Served.last.lost()
    server.close()
    await server.wait_closed()


@probe("create_connection", "ssl= server_hostname=")
async def create_connection_ssl(loop):
    with tls.tls_serving(echo) as address:
        secure = {"ssl": tls.client_context(), "server_hostname": tls.NAME}
        await _echoes(*await loop.create_connection(Recorder, *address, **secure))


@probe("create_connection", "ssl_handshake_timeout= ssl_shutdown_timeout=")
async def create_connection_ssl_timeouts(loop):
    with tls.tls_serving(echo) as address:
        secure = {"ssl": tls.client_context(), "server_hostname": tls.NAME}
        await _echoes(*await loop.create_connection(Recorder, *address, **secure, **TIMES))


@contextlib.contextmanager
def _disappointed(loop, handler):
    """The address of a server whose client gives up, and a future for the end of its handler.

    Await it inside the block: leaving that stops the loop's thread until the handler has ended.
    """
    gone = loop.create_future()

    def handle(sock):
        with contextlib.suppress(OSError):
            handler(sock)
        loop.call_soon_threadsafe(gone.set_result, None)

    with net.serving(handle) as address:
        yield address, gone


@probe("create_connection", "a certificate that does not fit")
async def create_connection_ssl_mismatch(loop):
    def shake_hands(sock):
        with tls.server_context().wrap_socket(sock, server_side=True) as secure:
            net.read_all(secure)

    with _disappointed(loop, shake_hands) as (address, gone):
        secure = {"ssl": tls.client_context(), "server_hostname": "other.test"}
        with pytest.raises(ssl.SSLCertVerificationError):
            await loop.create_connection(Recorder, *address, **secure)
        await gone


@probe("create_connection", "a handshake that takes too long")
async def create_connection_ssl_stalled(loop):
    with _disappointed(loop, net.read_all) as (address, gone):
        secure = {"ssl": tls.client_context(), "server_hostname": tls.NAME}
        with pytest.raises(ConnectionAbortedError):
            await loop.create_connection(Recorder, *address, **secure, ssl_handshake_timeout=0.01)
        await gone


@probe("create_server", "ssl= ssl_handshake_timeout= ssl_shutdown_timeout=")
async def create_server_ssl(loop):
    server = await loop.create_server(_Served, "127.0.0.1", 0, ssl=tls.server_context(), **TIMES)
    await _serves(server, server.sockets[0].getsockname())


@probe("create_unix_connection", "ssl= server_hostname= ssl_handshake_timeout= ssl_shutdown_timeout=")
async def create_unix_connection_ssl(loop):
    with unix_path() as path, tls.tls_serving(echo, path=path):
        secure = {"ssl": tls.client_context(), "server_hostname": tls.NAME}
        await _echoes(*await loop.create_unix_connection(Recorder, path, **secure, **TIMES))


@probe("create_unix_server", "ssl= ssl_handshake_timeout= ssl_shutdown_timeout=")
async def create_unix_server_ssl(loop):
    with unix_path() as path:
        server = await loop.create_unix_server(_Served, path, ssl=tls.server_context(), **TIMES)
        await _serves(server, path)


@probe("connect_accepted_socket", "ssl= ssl_handshake_timeout= ssl_shutdown_timeout=")
async def connect_accepted_socket_ssl(loop):
    with net.listener() as listener:
        listener.setblocking(True)
        address = listener.getsockname()

        async def accept():
            sock, _ = await net.blocking(listener.accept)
            sock.setblocking(False)
            return await loop.connect_accepted_socket(_Served, sock, ssl=tls.server_context(), **TIMES)

        accepting = loop.create_task(accept())
        same(await net.blocking(_ask, address), b"hello")
        transport, protocol = await accepting
        same(type(protocol), _Served)
        await protocol.lost()


@probe("start_tls", "the client's side, server_hostname=")
async def start_tls(loop):
    with tls.tls_serving(echo) as address:
        plain, protocol = await loop.create_connection(Recorder, *address)
        context = tls.client_context()
        secure = await loop.start_tls(plain, protocol, context, server_hostname=tls.NAME)
        await _echoes(secure, protocol)


@probe("start_tls", "ssl_handshake_timeout= ssl_shutdown_timeout=")
async def start_tls_timeouts(loop):
    with tls.tls_serving(echo) as address:
        plain, protocol = await loop.create_connection(Recorder, *address)
        how = {"server_hostname": tls.NAME, **TIMES}
        await _echoes(await loop.start_tls(plain, protocol, tls.client_context(), **how), protocol)


@probe("start_tls", "server_side=True, after plain text")
async def start_tls_server_side(loop):
    def ask(sock):
        sock.sendall(b"STARTTLS")
        same(net.read_exactly(sock, 2), b"ok")
        with tls.client_context().wrap_socket(sock, server_hostname=tls.NAME) as secure:
            secure.sendall(b"hello")
            answer = net.read_exactly(secure, 5)
            with secure.unwrap():
                return answer

    with net.tcp_pair() as (ours, theirs):
        plain, protocol = await loop.connect_accepted_socket(Recorder, ours)
        asking = loop.create_task(net.blocking(ask, theirs))
        await protocol.received(8)
        # Reading stops before the client may begin its handshake, which start_tls() is to find unread.
        plain.pause_reading()
        plain.write(b"ok")
        secure = await loop.start_tls(plain, protocol, tls.server_context(), server_side=True)
        secure.resume_reading()
        same(await protocol.received(13), b"STARTTLShello")
        secure.write(b"world")
        same(await asking, b"world")
        same(await protocol.lost(), None)


@probe("start_tls", "TypeError for what is no context")
async def start_tls_wrong(loop):
    with net.tcp_pair() as (ours, theirs):
        plain, protocol = await loop.connect_accepted_socket(Recorder, ours)
        with pytest.raises(TypeError):
            await loop.start_tls(plain, protocol, None)
        plain.close()
        await protocol.lost()
