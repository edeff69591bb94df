"""Servers: listening sockets, and what happens when somebody knocks.

Facts about accepting
- A listening socket is readable while its queue is not empty. One event may stand for many connections, so
  that they are accepted until none is left (`net/accepting.py`), but no more of them than the queue is long:
  others want their turn.
- Linux hands options of the listening socket down to what it accepts: TCP_NODELAY is set once, on the
  listener.
- Out of descriptors or memory (EMFILE, ENFILE, ENOBUFS, ENOMEM), the connection stays in the queue and the
  listener stays readable: going on would burn the processor and flood the log. It is reported once, and
  accepting rests for a second.

No task, no future and no extra turn stands between `accept` and `connection_made`. Each connection runs in
its own copy of the context the server was created in.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from asyncio.log import logger
from asyncio.trsock import TransportSocket
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from .. import errors
from ..descriptors import ensure_no_transport
from ..transports.stream import StreamTransport
from . import addresses, listen
from .accepting import OUT_OF_RESOURCES, Acceptor
from .connect import check_plain, check_tls_arguments, check_unix_stream
from .newcomers import Newcomers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ..loop import Loop
    from ..transports.base import SocketTransport

#: Seconds that accepting rests when the system is out of descriptors or memory (asyncio's number).
ACCEPT_RETRY_DELAY = 1.0

#: `wait_closed()` of a closed server waits for its connections from 3.12 on; before, it returned at once.
WAITS_FOR_CLIENTS = sys.version_info >= (3, 12)

#: A cancelled `serve_forever()` closes the connections, for whose end it waits, from 3.14.7 on.
CLOSES_CLIENTS = sys.version_info >= (3, 14, 7)

#: From 3.13 a Unix server removes its socket file.
CLEANS_UP = sys.version_info >= (3, 13)


class Server(asyncio.Server):
    """What `create_server` returns: an `asyncio.Server` whose every method is written here."""

    def __init__(
        self,
        loop: Loop,
        sockets: list[socket.socket],
        protocol_factory: Callable[[], asyncio.BaseProtocol],
        ssl_context: Any,
        backlog: int,
        handshake_timeout: float | None = None,
        shutdown_timeout: float | None = None,
    ) -> None:
        self._loop: Loop = loop
        self._sockets: list[socket.socket] | None = sockets
        self._protocol_factory = protocol_factory
        self._ssl_context = ssl_context
        self._backlog = backlog
        self._timeouts = handshake_timeout, shutdown_timeout
        self._context = copy_context()
        #: For those who cancel all tasks while a connection is being accepted.
        self._newcomers = Newcomers(self)
        #: How many connections there are. Which, the fd table knows; a set here would cost every one of them.
        self._active = 0
        #: Futures of those who wait for the end; None once it has come.
        self._waiters: list[asyncio.Future[None]] | None = []
        self._serving = False
        self._serving_forever: asyncio.Future[None] | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} sockets={self.sockets!r}>"

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """The loop it serves on."""
        return self._loop

    def is_serving(self) -> bool:
        """True while connections are accepted."""
        return self._serving

    @property
    def sockets(self) -> tuple[TransportSocket, ...]:  # type: ignore[override]  # typeshed says socket
        """The listening sockets; empty once closed."""
        return tuple(map(TransportSocket, self._sockets or ()))

    # -- serving ---------------------------------------------------------------------------------------------

    def _start_serving(self) -> None:
        if self._serving or self._sockets is None:
            return
        self._serving = True
        for sock in self._sockets:
            sock.listen(self._backlog)
            self._listen(sock)

    def _listen(self, sock: socket.socket) -> None:
        if sock.fileno() != -1:  # else: closed while accepting rested
            self._loop._watches.watch_read(
                sock.fileno(), self._loop._new_handle(self._on_connections, (Acceptor(sock),), self._context)
            )

    async def start_serving(self) -> None:
        """Begin to accept connections. Idempotent."""
        self._start_serving()
        await asyncio.sleep(0)

    async def serve_forever(self) -> None:
        """Accept connections until cancelled or closed, then close; always ends in CancelledError.

        It waits for the connections, as `wait_closed` does; from Python 3.14.7 on it closes them first.
        Raises RuntimeError if the server is closed or somebody awaits this already.
        """
        if self._serving_forever is not None:
            raise RuntimeError(f"server {self!r} is already being awaited on serve_forever()")
        if self._sockets is None:
            raise RuntimeError(f"server {self!r} is closed")
        self._start_serving()
        self._serving_forever = self._loop.create_future()
        try:
            await self._serving_forever
        except asyncio.CancelledError:
            try:
                self.close()
                if CLOSES_CLIENTS:
                    self.close_clients()
                await self.wait_closed()
            finally:
                raise
        finally:
            self._serving_forever = None

    def _on_connections(self, acceptor: Acceptor) -> None:
        for _ in range(max(self._backlog, 1)):
            try:
                sock, address = acceptor.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as exc:
                if exc.errno not in OUT_OF_RESOURCES:
                    raise
                self._rest(acceptor.listener, exc)
                return
            if self._loop._debug:
                logger.debug("%r got a new connection from %r: %r", self, address, sock)
            self._welcome(sock, address)
            if not self._serving or not acceptor.has_more():  # a protocol may have closed us
                return

    def _rest(self, listener: socket.socket, exc: OSError) -> None:
        self._loop.call_exception_handler(
            {
                "message": "socket.accept() out of system resource",
                "exception": exc,
                "socket": TransportSocket(listener),
            }
        )
        if listener.fileno() != -1:
            self._loop._watches.unwatch_read(listener.fileno())
            self._loop.call_later(ACCEPT_RETRY_DELAY, self._listen, listener)

    def _welcome(self, sock: socket.socket, address: Any) -> None:
        """Make protocol and transport for a new connection. An error ends that connection and no other."""
        loop, context, protocol = self._loop, self._context.copy(), None
        try:
            protocol = context.run(self._protocol_factory)
            if self._ssl_context is not None:
                from .. import tls

                handshake_timeout, shutdown_timeout = self._timeouts
                tls.make_transport(
                    loop,
                    sock,
                    protocol,
                    self._ssl_context,
                    context,
                    address,
                    server=self,
                    server_side=True,
                    handshake_timeout=handshake_timeout,
                    shutdown_timeout=shutdown_timeout,
                )
                return
            transport = StreamTransport(loop, sock, protocol, context, address, self)
        except (SystemExit, KeyboardInterrupt):
            loop._watches.free(sock)
            sock.close()
            raise
        except BaseException as exc:
            loop._watches.free(sock)
            sock.close()
            report = {"message": "Error on transport creation for incoming connection", "exception": exc}
            if protocol is not None:
                report["protocol"] = protocol
            loop.call_exception_handler(report)
            return
        ready = loop._ready
        scheduled = len(ready)
        try:
            context.run(protocol.connection_made, transport)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            errors.callback_failed(
                loop, loop._new_handle(protocol.connection_made, (transport,), context), exc
            )
        finally:
            if len(ready) > scheduled:
                if asyncio.Future.done(self._newcomers):
                    self._newcomers = Newcomers(self)
                self._newcomers.add(transport, ready[-1])
            transport._begin(None)

    # -- ending ----------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Stop accepting and close the listening sockets; connections go on. Idempotent."""
        sockets, self._sockets = self._sockets, None
        if sockets is None:
            return
        for sock in sockets:
            listen.stop_listening(self._loop, sock)
        self._serving = False
        if self._serving_forever is not None and not self._serving_forever.done():
            self._serving_forever.cancel()
        self._serving_forever = None
        if not self._active:
            self._wake_waiters()

    def close_clients(self) -> None:
        """Close every connection, after sending what it has buffered (`asyncio.Server`: from 3.13)."""
        for transport in self._connections():
            transport.close()

    def abort_clients(self) -> None:
        """Close every connection at once (`asyncio.Server` has this from 3.13)."""
        for transport in self._connections():
            transport.abort()

    async def wait_closed(self) -> None:
        """Wait until the server is closed and, from Python 3.12 on, its last connection too."""
        if self._waiters is None or (self._sockets is None and not WAITS_FOR_CLIENTS):
            return
        waiter = self._loop.create_future()
        self._waiters.append(waiter)
        await waiter

    def _connections(self) -> list[SocketTransport]:
        owners = self._loop._watches.owners()
        return [owner for owner in owners if getattr(owner, "_server", None) is self]

    def _attach(self, transport: Any) -> None:
        self._active += 1

    def _detach(self, transport: Any) -> None:
        self._active -= 1
        if not self._active and self._sockets is None:
            self._wake_waiters()

    def _wake_waiters(self) -> None:
        waiters, self._waiters = self._waiters, None
        for waiter in waiters or ():
            if not waiter.done():
                waiter.set_result(None)


async def create_server(
    loop: Loop,
    protocol_factory: Callable[[], asyncio.BaseProtocol],
    host: str | Iterable[str] | None = None,
    port: int | str | None = None,
    *,
    family: int = socket.AF_UNSPEC,
    flags: int = socket.AI_PASSIVE,
    sock: socket.socket | None = None,
    backlog: int = 100,
    ssl: Any = None,
    reuse_address: bool | None = None,
    reuse_port: bool | None = None,
    keep_alive: bool | None = None,
    ssl_handshake_timeout: float | None = None,
    ssl_shutdown_timeout: float | None = None,
    start_serving: bool = True,
) -> Server:
    """Listen for TCP on *host* (several: an iterable; all: None or "") and *port*, or on the bound *sock*.

    *keep_alive* works on every Python. Raises ValueError or TypeError for arguments that contradict each
    other, OSError if an address cannot be bound.
    """
    _check_server_tls(ssl, ssl_handshake_timeout, ssl_shutdown_timeout)
    if sock is not None:
        check_plain(sock)
    if host is not None or port is not None:
        if sock is not None:
            raise ValueError("host/port and sock can not be specified at the same time")
        infos = await listen.resolve_hosts(loop, host, port, family, flags)
        sockets = listen.bind(loop, infos, reuse_address in (None, True), reuse_port, keep_alive)
    else:
        if sock is None:
            raise ValueError("Neither host/port nor sock were specified")
        if sock.type != socket.SOCK_STREAM:
            raise ValueError(f"A Stream Socket was expected, got {sock!r}")
        sockets = [sock]
    for listener in sockets:
        listener.setblocking(False)
        addresses.set_no_delay(listener)
    server = Server(
        loop, sockets, protocol_factory, ssl, backlog, ssl_handshake_timeout, ssl_shutdown_timeout
    )
    return await _started(loop, server, start_serving)


async def create_unix_server(
    loop: Loop,
    protocol_factory: Callable[[], asyncio.BaseProtocol],
    path: str | bytes | os.PathLike[str] | None = None,
    *,
    sock: socket.socket | None = None,
    backlog: int = 100,
    ssl: Any = None,
    ssl_handshake_timeout: float | None = None,
    ssl_shutdown_timeout: float | None = None,
    start_serving: bool = True,
    cleanup_socket: bool = CLEANS_UP,
    mode: int | None = None,
) -> Server:
    """Listen for connections to the Unix socket *path*, or on the bound *sock*.

    A stale socket file at *path* is replaced. *cleanup_socket* removes the file on close (default from Python
    3.13), *mode* sets its permission bits (asyncio: 3.16); both work on every Python. Raises ValueError or
    TypeError for arguments that contradict each other, OSError if the path cannot be bound.
    """
    _check_server_tls(ssl, ssl_handshake_timeout, ssl_shutdown_timeout)
    if path is not None:
        if sock is not None:
            raise ValueError("path and sock can not be specified at the same time")
        sock = listen.bind_unix(os.fspath(path), mode)
    else:
        if sock is None:
            raise ValueError("path was not specified, and no sock specified")
        check_unix_stream(sock)
        if mode is not None:
            raise ValueError("mode can only be specified together with path")
    if cleanup_socket and (inode := listen.inode(sock)) is not None:
        loop._unix_server_sockets[sock.fileno()] = inode
    sock.setblocking(False)
    server = Server(loop, [sock], protocol_factory, ssl, backlog, ssl_handshake_timeout, ssl_shutdown_timeout)
    return await _started(loop, server, start_serving)


async def _started(loop: Loop, server: Server, start_serving: bool) -> Server:
    for sock in server._sockets or ():
        ensure_no_transport(loop, sock.fileno(), sock)
        loop._watches.own(sock.fileno(), listen.Listener(sock))
    if start_serving:
        try:
            server._start_serving()
        except BaseException:
            server.close()
            raise
        await asyncio.sleep(0)
    if loop._debug:
        logger.info("%r is serving", server)
    return server


def _check_server_tls(ssl: Any, handshake_timeout: float | None, shutdown_timeout: float | None) -> None:
    if isinstance(ssl, bool):
        raise TypeError("ssl argument must be an SSLContext or None")
    check_tls_arguments(ssl is not None, handshake_timeout, shutdown_timeout)
    if ssl is not None:
        from .. import tls

        tls.check_context(ssl)
