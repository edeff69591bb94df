"""The first part of a TLS connection's life: the handshake, up to `connection_made` and who awaits that.

A server waits for its client's first words; a client says its own in the next turn. Each message that comes
is given to OpenSSL, and what that answers is sent at once. Nobody is told of the connection before the
handshake is done, and nobody of its failure but who waits for it: anybody may knock with anything.
"""

from __future__ import annotations

from asyncio.log import logger
from typing import TYPE_CHECKING, Any

from ..transports.base import OPEN, SHAKING
from ..transports.flow import KIB
from ..transports.stream import StreamTransport
from .contexts import ssl

if TYPE_CHECKING:
    import asyncio

    from .contexts import Buffers, Settings

#: Bytes that one record carries.
RECORD = 16 * KIB

#: Bytes asked of one recv, unless the connection sends in bulk: a full record with what is around it.
CALM_READ_SIZE = RECORD + 512

UNWATCHABLE = "Fatal error: the poller cannot watch the socket"


class ShakingTransport(StreamTransport):
    """A stream transport that can shake hands. `SSLTransport` is what it becomes."""

    __slots__ = ()

    _buffers: Buffers
    _clock: asyncio.TimerHandle | None
    _face: ssl.SSLObject
    _is_made: bool
    _settings: Settings
    _unread: bytes
    _waiter: asyncio.Future[None] | None

    def begin(self) -> None:
        """Shake hands."""
        self._start_handshake_clock()
        if self._settings.server_side:
            self._watch()  # the client speaks first
        else:
            self._loop.call_soon(self._shake_hands, b"", context=self._context)

    def _start_handshake_clock(self) -> None:
        if self._loop._debug:
            logger.debug("%r starts SSL handshake", self)
        self._clock = self._loop.call_later(
            self._settings.handshake_timeout, self._on_handshake_timeout, context=self._context
        )

    def _on_handshake_timeout(self) -> None:
        seconds = self._settings.handshake_timeout
        message = f"SSL handshake is taking longer than {seconds} seconds: aborting the connection"
        self._handshake_failed(ConnectionAbortedError(message))

    def _stop_clock(self) -> None:
        clock, self._clock = self._clock, None
        if clock is not None:
            clock.cancel()

    def _watch(self) -> None:
        """Have the next step made when the socket is readable, though the protocol may have paused."""
        try:
            self._loop._watches.watch_read(self._fd, self)
        except (OSError, ValueError) as exc:
            self._fatal_error(exc, UNWATCHABLE)

    def _on_handshake(self) -> None:
        # Again after our answer: a peer who is near has answered that while it was on its way.
        while self._state == SHAKING:
            try:
                data = self._socket.recv(CALM_READ_SIZE)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as exc:
                self._handshake_failed(exc)
                return
            if not data:
                self._handshake_failed(ConnectionResetError("the peer hung up in the TLS handshake"))
            elif not self._shake_hands(data):
                return

    def _shake_hands(self, data: bytes) -> bool:
        """Go on with *data*, which the peer has sent. True if it was answered: it is the peer's turn."""
        if self._state != SHAKING:
            return False
        buffers = self._buffers
        error: BaseException | None = None
        is_done, certificate = False, None
        buffers.clear()
        try:
            buffers.is_shaking = True
            buffers.feed(data)
            self._face.do_handshake()
            certificate = self._face.getpeercert()
            is_done = True
        except ssl.SSLWantReadError:
            pass
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            error = exc
        finally:
            buffers.is_shaking = False
            self._unread = buffers.incoming.read()
            answer = buffers.fetch()
            buffers.is_at_rest = buffers.is_private
            if answer:
                super()._send(answer)
        if self._state != SHAKING:
            return False  # the answer found no peer
        if error is not None:
            self._handshake_failed(error)
            error = None  # its traceback refers to this frame
        elif is_done:
            self._on_connected(certificate)
        else:
            self._watch()
            return bool(answer)
        return False

    def _handshake_failed(self, exc: BaseException) -> None:
        if self._loop._debug and self._waiter is None and not self._is_made:
            # Anybody may knock on a server with anything: only who is looking for it wants to be told.
            self._loop.call_exception_handler(
                {
                    "message": "Error on transport creation for incoming connection",
                    "exception": exc,
                    "protocol": self._protocol,
                    "transport": self,
                }
            )
        detail = " on verifying the certificate" if isinstance(exc, ssl.CertificateError) else ""
        self._fatal_error(exc, f"SSL handshake failed{detail}")

    def _on_connected(self, certificate: Any) -> None:
        self._stop_clock()
        self._state = OPEN
        self.set_protocol(self._protocol)
        face, waiter = self._face, self._waiter
        self._extra.update(
            peercert=certificate, cipher=face.cipher(), compression=face.compression(), ssl_object=face
        )
        if self._loop._debug:
            logger.debug("%r: SSL handshake is done", self)
        if not self._is_made:
            self._is_made = True
            self._waiter = None  # who aborts in connection_made() has had a connection
            try:
                self._protocol.connection_made(self)
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as exc:
                self._waiter = waiter
                self._fatal_error(exc, "Fatal error: protocol.connection_made() call failed.")
                return
        self._waiter = None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
        if self._state == OPEN:
            if self._unread:
                self._loop._watches.rest_read(self._fd)
            self._start_reading()
