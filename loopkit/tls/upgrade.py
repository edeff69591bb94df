"""`start_tls`: TLS on a connection that has been in use.

Three things must not get lost. What the program wrote before is sent first, in the clear. What the
peer has sent since is the beginning of its handshake, even if a `StreamReader` was quick enough to
read it. And whoever holds the old transport can close the connection by it: it goes on owning the
descriptor, and the new transport lives on top of it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from ..transports.stream import StreamTransport
from .contexts import HAS_SSL, Settings, is_drivable, ssl
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
) -> asyncio.Transport:
    """Begin TLS on *transport*, which *protocol* has been using; from now on it uses the returned one.

    Raises TypeError if *sslcontext* is no SSLContext or *transport* cannot do it, ValueError for a
    timeout (seconds) that is not positive, ConnectionAbortedError if *transport* is closing or the
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
    if transport.is_closing():
        raise ConnectionAbortedError(f"start_tls() needs an open connection: {transport!r} is closing")
    already_read = _already_read(protocol) if server_side else None
    is_plain = type(transport) is StreamTransport and transport._loop is loop
    if not is_plain or already_read or not is_drivable(sslcontext):
        return await over_transport(loop, transport, protocol, settings, already_read)  # type: ignore[arg-type]
    waiter = loop.create_future()
    upgraded = UpgradedSSLTransport(transport, protocol, settings, waiter)  # type: ignore[arg-type]
    upgraded.begin()
    try:
        await waiter
    except BaseException:
        upgraded.close()
        raise
    return upgraded


def _already_read(protocol: asyncio.BaseProtocol) -> bytearray | None:
    if not isinstance(protocol, asyncio.StreamReaderProtocol):
        return None
    # None once the program has dropped its reader.
    return getattr(getattr(protocol, "_stream_reader", None), "_buffer", None)


class UpgradedSSLTransport(SSLTransport):
    """TLS on a connection that was in use.

    To the transport beneath it is the protocol: it hears when the clear text is sent, and of the end.
    """

    __slots__ = ("_beneath",)

    def __init__(
        self,
        beneath: StreamTransport,
        protocol: asyncio.BaseProtocol,
        settings: Settings,
        waiter: asyncio.Future[None],
    ) -> None:
        super().__init__(
            beneath._loop, beneath._sock, protocol, settings, beneath._context, None, waiter, None
        )
        self._extra.update(beneath._extra)
        self._beneath = beneath
        self._is_made = True  # connection_made() came when the connection was in the clear
        self._loop._watches.own(self._fd, beneath)

    def begin(self) -> None:
        """Shake hands as soon as the clear text is sent."""
        beneath = self._beneath
        # Out of the poller: what it reports in a turn must not be read before who awaits us has resumed.
        self._loop._watches.unwatch_read(self._fd)
        beneath._paused = False
        # Pausing and resuming the old transport still means this connection.
        beneath._reader = self
        beneath._protocol = self
        self._protocol_paused = beneath._protocol_paused
        self._start_handshake_clock()
        if beneath._held is not None:
            beneath._send_held()
        # With water marks of 0 it calls pause_writing() if something is left, and resume_writing() when
        # nothing is.
        beneath.set_write_buffer_limits(0)
        if not beneath._protocol_paused:
            self.resume_writing()

    def pause_writing(self) -> None:
        """Clear text is left to be sent."""

    def resume_writing(self) -> None:
        """The clear text is sent."""
        self._maybe_resume_protocol()
        # Not now: the transport beneath is about to take its writer from the fd table.
        self._loop.call_soon(self._shake_hands, context=self._context)

    def _lose(self, exc: BaseException | None) -> None:
        self._end_waiting(exc)
        self._barred = True
        self._lost = 1
        self._beneath._force_close(exc)

    def connection_lost(self, exc: BaseException | None) -> None:
        """The transport beneath is at its end, and closes the socket after this."""
        if not self._lost:  # it was closed by somebody who holds it
            self._end_waiting(exc)
            self._drop_unsent()
            self._closing = self._barred = True
            self._lost = 1
        self._call_connection_lost(exc)

    def _give_back(self) -> None:
        del self._beneath
