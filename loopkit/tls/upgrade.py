"""`start_tls`: TLS on a connection that has been in use.

Three things must not get lost. What the program wrote before is sent first, in the clear. What the peer has
sent since is the beginning of its handshake, even if a `StreamReader` was quick enough to read it. And
whoever holds the old transport acts on the connection by it: the new one takes over the socket, the backlog
and the server's count; the old one is a shell from then on, which passes everything on.
"""

from __future__ import annotations

import asyncio
import weakref
from asyncio.constants import _SendfileMode
from typing import TYPE_CHECKING, Any

from ..transports.base import LOST, REPLACED, SHAKING
from ..transports.held import WatchedSocket
from ..transports.stream import BYTES, StreamTransport
from .contexts import HAS_SSL, Settings, ssl
from .memory import over_transport
from .transport import SSLTransport

if TYPE_CHECKING:
    from ..loop import Loop


async def start_tls(
    loop: Loop,
    transport: asyncio.WriteTransport,
    protocol: asyncio.BaseProtocol,
    sslcontext: Any,
    *,
    server_side: bool = False,
    server_hostname: str | None = None,
    ssl_handshake_timeout: float | None = None,
    ssl_shutdown_timeout: float | None = None,
) -> asyncio.Transport | None:
    """Begin TLS on *transport*, which *protocol* has been using; from now on it uses the returned one.

    Returns None, after `connection_lost`, if *transport* is closing.

    Raises TypeError if *sslcontext* is no SSLContext or *transport* cannot do it, ValueError for a
    timeout (seconds) that is not positive, ConnectionAbortedError if *transport* is closed already or the
    handshake takes too long, and what the handshake raises (ssl.SSLError, OSError). The connection is
    closed then, and the protocol's `connection_lost` called.

    For a server, bytes that a `StreamReader` has read already belong to the handshake (asyncio: from
    3.14 on).
    """
    if not HAS_SSL:
        raise RuntimeError("Python ssl module is not available")
    if not isinstance(sslcontext, ssl.SSLContext):
        raise TypeError(f"sslcontext is expected to be an instance of ssl.SSLContext, got {sslcontext!r}")
    if not getattr(transport, "_start_tls_compatible", False):
        raise TypeError(f"transport {transport!r} is not supported by start_tls()")
    settings = Settings(sslcontext, server_side, server_hostname, ssl_handshake_timeout, ssl_shutdown_timeout)
    if isinstance(transport, StreamTransport) and transport._protocol is None:
        raise ConnectionAbortedError(f"start_tls() needs an open connection: {transport!r} is closed")
    already_read = _already_read(protocol) if server_side else None
    if type(transport) is not StreamTransport or transport._loop is not loop:
        return await over_transport(loop, transport, protocol, settings, already_read)  # type: ignore[arg-type]
    waiter = loop.create_future()
    if transport.is_closing():
        transport.set_protocol(LeavingProtocol(protocol, waiter))
        await waiter
        return None
    upgraded = _take_over(transport, protocol, settings, waiter)
    if already_read:
        upgraded._unread = bytes(already_read)
        already_read.clear()
    upgraded.begin()
    try:
        await waiter
    except BaseException:
        upgraded.close()
        del waiter  # its exception refers to this frame
        raise
    return upgraded


def _already_read(protocol: asyncio.BaseProtocol) -> bytearray | None:
    if not isinstance(protocol, asyncio.StreamReaderProtocol):
        return None
    # None once the program has dropped its reader.
    return getattr(getattr(protocol, "_stream_reader", None), "_buffer", None)


def _take_over(
    old: StreamTransport, protocol: asyncio.BaseProtocol, settings: Settings, waiter: asyncio.Future[None]
) -> UpgradedSSLTransport:
    """The transport that goes on with the socket of *old*, which becomes a shell of it."""
    loop, sock = old._loop, old._socket
    upgraded = UpgradedSSLTransport(
        loop, sock, protocol, settings, old._context, None, waiter, None, not old._is_shared
    )
    old._send_held()
    shown = old._extra.get("socket")
    if isinstance(shown, WatchedSocket):
        shown._watch(upgraded)
    upgraded._extra.update(old._extra, sslcontext=settings.context)
    upgraded._server, old._server = old._server, None
    # Out of the poller: what it reports in a turn must not be read before who awaits us has resumed.
    loop._watches.unwatch_read(old._fd)
    upgraded._backlog, upgraded._protocol_paused = old._backlog, old._protocol_paused
    if upgraded._backlog:
        loop._watches.watch_write(old._fd, loop._new_handle(upgraded.on_writable, (), old._context))
    upgraded._replaced = weakref.ref(old)
    old.__class__ = ReplacedTransport
    old._backlog = old._callback = old._socket = None  # type: ignore[assignment]
    old._protocol = upgraded
    old._state = REPLACED
    old._settle_holding()
    return upgraded


class LeavingProtocol(asyncio.Protocol):
    """Waits for the end of a connection that is closing, on behalf of *protocol*."""

    def __init__(self, protocol: asyncio.BaseProtocol, waiter: asyncio.Future[None]) -> None:
        self._protocol, self._waiter = protocol, waiter

    def pause_writing(self) -> None:
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        self._protocol.resume_writing()

    def connection_lost(self, exc: BaseException | None) -> None:
        waiter = self._waiter
        if not waiter.done():
            if exc is None:
                waiter.set_result(None)
            else:
                waiter.set_exception(exc)
        self._protocol.connection_lost(exc)  # type: ignore[arg-type]


class UpgradedSSLTransport(SSLTransport):
    """TLS on a connection that was in use."""

    __slots__ = ("_replaced",)

    _replaced: weakref.ref[StreamTransport]  # the transport that had it before

    def begin(self) -> None:
        """Shake hands as soon as the clear text is sent."""
        self._is_made = True  # connection_made() came when the connection was in the clear
        self._start_handshake_clock()
        self._maybe_resume_protocol()
        if not self._backlog:
            self._loop.call_soon(self._go_secret, context=self._context)

    def _on_drained(self) -> None:
        super()._on_drained()
        if self._state == SHAKING:
            self._go_secret()

    def _go_secret(self) -> None:
        data, self._unread = self._unread, b""
        self._shake_hands(data)

    def _release(self) -> None:
        super()._release()
        replaced = self._replaced()
        if replaced is not None:  # it has ended as any other does
            replaced.__class__ = StreamTransport
            replaced._state = LOST
            replaced._protocol = replaced._loop = None  # type: ignore[assignment]
            for name in ("sockname", "socket"):  # and nothing of TLS
                replaced._extra[name] = self._extra[name]


class ReplacedTransport(StreamTransport):
    """What is left of a transport when TLS has taken its connection over, for those who hold it still.

    What is written to it leaves in the clear, as under asyncio: the last words before the handshake. Methods
    that somebody has bound before are `StreamTransport`'s; they come here by the state.
    """

    __slots__ = ()

    _start_tls_compatible = False
    _sendfile_compatible = _SendfileMode.UNSUPPORTED

    _protocol: SSLTransport

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._protocol!r}>"

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._protocol.get_extra_info(name, default)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol.set_protocol(protocol)

    def is_reading(self) -> bool:
        return self._protocol.is_reading()

    def pause_reading(self) -> None:
        self._protocol.pause_reading()

    def resume_reading(self) -> None:
        self._protocol.resume_reading()

    def _write(self, data: bytes | bytearray | memoryview) -> None:
        if not isinstance(data, BYTES):
            self._refuse(data)
        if not data:
            return
        if self._protocol.is_closing():
            self._note_lost_write()
        else:
            self._protocol._send_held()
            StreamTransport._send(self._protocol, data)

    def write_eof(self) -> None:
        self._protocol.write_eof()

    def can_write_eof(self) -> bool:
        return self._protocol.can_write_eof()

    def get_write_buffer_size(self) -> int:
        return self._protocol.get_write_buffer_size()

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return self._protocol.get_write_buffer_limits()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._protocol.set_write_buffer_limits(high, low)

    def is_closing(self) -> bool:
        return self._protocol.is_closing()

    def close(self) -> None:
        self._protocol.close()

    def abort(self) -> None:
        self._protocol.abort()

    def _force_close(self, exc: BaseException | None) -> None:
        self._protocol._force_close(exc)
