"""TLS connections on sockets of this loop. HOT: `on_readable` is the frame between poller and protocol.

Some facts about OpenSSL on a non-blocking socket

a) `read` and `write` try the socket, and say "not now" by `SSLWantReadError` or `SSLWantWriteError`.
   Each names the event to wait for, which need not be the method's own: a key update (TLS 1.3) or a
   renegotiation (1.2) writes while we read, or has to read before we can write.
b) One `read` gives one record at most, 16 KiB. OpenSSL takes a record's header and then its body from
   the socket, never a byte more, so that the poller knows of everything else. But a record that was
   read in part, into a small buffer, waits inside OpenSSL while the descriptor stays quiet: only
   `pending()` tells.
c) Raising "not now" takes 3 us, longer than the poll that would have told the same.
d) A `write` takes all or, when it says "not now", has encrypted some of the data already. It must be
   repeated with the same bytes, or more that begin with them; they may have moved.
e) The end of the stream without a close_notify is fatal to OpenSSL: it sends an alert, and writes no
   more. Under asyncio such a peer gets what was written for it, and then the end of our stream.
f) CPython has OpenSSL give its buffers (34 KiB) back whenever they are empty.
g) OpenSSL writes record by record. With TCP_NODELAY each is a packet, and wakes the peer.

What we do. A read is repeated at once only after a full record (b, c), and `RECORDS` times in a turn at
most. What was read in part is read on in the next turn. Unsent data stays in order and is offered from
the same byte again (d). A look at the socket, by MSG_PEEK, comes before every read, so that OpenSSL never
meets the end (e); it costs 0.4 us. Small writes are held as in `transports/stream.py`, and leave as one
record by one `send`; what takes several records leaves a corked socket (g), no later than the call returns.

Life. The handshake, `connection_made`, the awaiting coroutine, the first `data_received`: in this order.
`close()` sends what is buffered, then close_notify, and waits for the peer's; `eof_received` and
`connection_lost(None)` follow. What the peer sends meanwhile is dropped. A close_notify that the peer
sends first, or the end of its stream, leads to the same: there are no half-closed TLS connections.
"""

from __future__ import annotations

import socket
from asyncio.constants import _SendfileMode
from asyncio.log import logger
from itertools import repeat
from select import POLLIN, POLLOUT
from socket import AF_INET, AF_INET6, IPPROTO_TCP, MSG_PEEK
from typing import TYPE_CHECKING, Any

from ..transports.base import LOST_WRITES_BEFORE_WARNING
from ..transports.flow import KIB
from ..transports.stream import Buffer, StreamTransport
from .contexts import open_connection, ssl, true_error

if TYPE_CHECKING:
    import asyncio
    from contextvars import Context

    from ..loop import Loop
    from ..net.serve import Server
    from .contexts import Settings

#: Linux only.
TCP_CORK: int | None = getattr(socket, "TCP_CORK", None)

#: Bytes that one record carries.
RECORD = 16 * KIB

#: How many records one turn reads.
RECORDS = 8

#: Bytes given to OpenSSL at a time. It takes all or none: more would not show that a large write gets on.
CHUNK = 64 * KIB

#: Water marks (asyncio's for TLS, eight times those of a plain connection).
LIMITS = (512 * KIB, 128 * KIB)

UNWATCHABLE = "Fatal error: the poller cannot watch the socket"


class SSLTransport(StreamTransport):
    """A stream transport whose bytes go through OpenSSL."""

    __slots__ = (
        "_clock",  # the timer of the handshake, later of the shutdown
        "_decrypt",  # OpenSSL's read(size) and read(size, buffer)
        "_encrypt",  # OpenSSL's write(data)
        "_face",  # the `ssl.SSLObject` that programs see
        "_has_more",  # in bulk: the last record was a full one
        "_in_bulk",  # several records are being read; the socket is corked
        "_is_cut_off",  # the stream has ended without a close_notify: none is sent in return
        "_is_made",  # connection_made() was called
        "_is_tcp",
        "_read_stalled",  # a read cannot go on before the socket is writable
        "_said_goodbye",  # the peer has: its close_notify or the end of its stream came
        "_settings",
        "_stage",  # during handshake and shutdown: the handle called when the socket is ready
        "_tls",  # the `_ssl._SSLSocket` that works
        "_waiter",  # future of whoever waits for the handshake
        "_write_stalled",  # a write cannot go on before the socket is readable
    )

    _limits = LIMITS
    _sendfile_compatible = _SendfileMode.FALLBACK

    def __init__(
        self,
        loop: Loop,
        sock: socket.socket,
        protocol: asyncio.BaseProtocol,
        settings: Settings,
        context: Context,
        peername: Any,
        waiter: asyncio.Future[None] | None,
        server: Server | None,
    ) -> None:
        self._face, self._tls = open_connection(sock, settings)
        super().__init__(loop, sock, protocol, context, peername, server)
        self._settings = settings
        self._waiter = waiter
        self._decrypt = self._tls.read
        self._encrypt = self._tls.write
        self._is_made = self._is_cut_off = self._said_goodbye = False
        self._read_stalled = self._write_stalled = self._in_bulk = self._has_more = False
        self._is_tcp = sock.family in (AF_INET, AF_INET6)
        self._clock: asyncio.TimerHandle | None = None
        self._stage: asyncio.Handle | None = loop._new_handle(self._shake_hands, (), context)
        self._extra["sslcontext"] = settings.context

    def begin(self) -> None:
        """Shake hands."""
        self._start_handshake_clock()
        if self._settings.server_side:
            self._wait_for(POLLIN)  # the client speaks first
        else:
            self._loop.call_soon(self._shake_hands, context=self._context)

    # -- the handshake ---------------------------------------------------------------------------------------

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

    def _wait_for(self, event: int) -> None:
        """Have the present stage go on when the socket is ready for *event*, POLLIN or POLLOUT."""
        tables, fd, stage = self._loop._watches, self._fd, self._stage
        assert stage is not None
        try:
            if event == POLLIN:
                if tables.writer(fd) is not None:
                    tables.unwatch_write(fd)
                tables.watch_read(fd, stage)
            else:
                tables.unwatch_read(fd)
                tables.watch_write(fd, stage)
        except (OSError, ValueError) as exc:
            self._fatal_error(exc, UNWATCHABLE)

    def _shake_hands(self) -> None:
        if self._lost or self._stage is None:
            return
        try:
            self._tls.do_handshake()
            certificate = self._tls.getpeercert()
        except ssl.SSLWantReadError:
            self._wait_for(POLLIN)
        except ssl.SSLWantWriteError:
            self._wait_for(POLLOUT)
        except (SystemExit, KeyboardInterrupt):
            raise
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
            self._handshake_failed(ConnectionResetError("the peer hung up in the TLS handshake"))
        except BaseException as exc:
            self._handshake_failed(exc)
        else:
            self._on_connected(certificate)

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
        self._stage = None
        tables, connection = self._loop._watches, self._tls
        if tables.writer(self._fd) is not None:
            tables.unwatch_write(self._fd)
        tables.rest_read(self._fd)
        self._extra.update(
            peercert=certificate,
            cipher=connection.cipher(),
            compression=connection.compression(),
            ssl_object=self._face,
        )
        if self._loop._debug:
            logger.debug("%r: SSL handshake is done", self)
        if not self._is_made:
            self._is_made = True
            try:
                self._protocol.connection_made(self)
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as exc:
                self._fatal_error(exc, "Fatal error: protocol.connection_made() call failed.")
                return
        waiter, self._waiter = self._waiter, None
        self._begin(waiter)

    # -- reading ---------------------------------------------------------------------------------------------

    def on_readable(self) -> None:
        """The kernel has a record for OpenSSL, the end of the stream, or an error: tell the protocol."""
        if self._lost:
            return
        if self._write_stalled:
            self._retry_write()
        try:
            try:
                if not self._sock.recv(1, MSG_PEEK) and not self._tls.pending():
                    self._on_end_of_stream()
                    return
            except BlockingIOError:
                if not self._tls.pending():
                    return
            data = self._decrypt(RECORD)
        except ssl.SSLWantReadError:
            return
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            self._on_read_error(exc)
            return
        if not data:
            self._on_close_notify()
            return
        self._gathering = True
        try:
            self._protocol.data_received(data)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            self._fatal_error(exc, "Fatal error on SSL protocol")
        finally:
            self._gathering = False
            held = self._held
            if held is not None:
                # fast: the common case of _send_held without its frame; see performance.md#held-writes
                try:
                    self._encrypt(held)
                    self._held = None
                except OSError:
                    self._send_held()  # meets it again, and deals with it
        # fast: after less than a record no read that finds nothing; see performance.md#short-tls-reads
        if len(data) == RECORD:
            self._read_bulk()

    def on_readable_buffered(self) -> None:
        """The same for a `BufferedProtocol`: the data goes into the buffer that it offers."""
        if self._lost:
            return
        if self._write_stalled:
            self._retry_write()
        try:
            try:
                if not self._sock.recv(1, MSG_PEEK) and not self._tls.pending():
                    self._on_end_of_stream()
                    return
            except BlockingIOError:
                if not self._tls.pending():
                    return
            buffer = self._protocol.get_buffer(RECORD)
            size = len(buffer)
            if not size:
                raise RuntimeError("get_buffer() returned an empty buffer")
            count = self._decrypt(size, buffer)
        except ssl.SSLWantReadError:
            return
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            self._on_read_error(exc)
            return
        if not count:
            self._on_close_notify()
            return
        self._gathering = True
        try:
            self._protocol.buffer_updated(count)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            self._fatal_error(exc, "Fatal error on SSL protocol")
        finally:
            self._gathering = False
            if self._held is not None:
                self._send_held()
        if count in (size, RECORD):
            self._read_bulk()

    def _read_bulk(self) -> None:
        """There was a full record: read on. What the protocol writes meanwhile leaves together."""
        self._has_more = True
        if self._in_bulk:
            return
        self._in_bulk = True
        self._cork(True)
        try:
            for _ in repeat(None, RECORDS - 1):
                if not self._has_more or not self.is_reading():
                    break
                self._has_more = False
                self._callback()  # type: ignore[misc]
        finally:
            self._in_bulk = False
            self._cork(False)
        self._read_on_if_pending()

    def _cork(self, cork: bool) -> None:
        if TCP_CORK is not None and self._is_tcp:
            try:
                self._sock.setsockopt(IPPROTO_TCP, TCP_CORK, cork)
            except OSError:
                pass  # reset: the next read or write finds out

    def _on_read_error(self, exc: BaseException) -> None:
        exc = true_error(exc, self._sock)
        if isinstance(exc, ssl.SSLWantWriteError):
            self._read_stalled = True
            self._loop._watches.rest_read(self._fd)
            self._watch_write()
        elif isinstance(exc, (ssl.SSLEOFError, ssl.SSLZeroReturnError)):  # in the middle of a record
            self._on_end_of_stream()
        else:
            self._fatal_error(exc, "Fatal error on SSL protocol")

    def _on_close_notify(self) -> None:
        self._hear_goodbye()
        self.close()

    def _on_end_of_stream(self) -> None:
        self._is_cut_off = True
        self._hear_goodbye()
        self.close()

    def _hear_goodbye(self) -> None:
        """The peer sends no more."""
        if self._said_goodbye:
            return
        self._said_goodbye = True
        if self._loop._debug:
            logger.debug("%r received EOF", self)
        try:
            keep_open = self._protocol.eof_received()
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            self._fatal_error(exc, "Error calling eof_received()")
            return
        if keep_open:
            logger.warning("returning true from eof_received() has no effect when using ssl")

    def _start_reading(self) -> None:
        super()._start_reading()
        self._read_on_if_pending()

    def _read_on_if_pending(self) -> None:
        """Read in the next turn what is left of a record inside OpenSSL: the poller knows nothing of it."""
        if self._tls.pending() and self.is_reading():
            self._loop.call_soon(self._read_on, context=self._context)

    def _read_on(self) -> None:
        if self.is_reading():
            self._callback()  # type: ignore[misc]

    # -- writing ---------------------------------------------------------------------------------------------

    def _send(self, parts: tuple[bytes | bytearray | memoryview, ...]) -> None:
        data = parts[0] if len(parts) == 1 else b"".join(parts)
        view = memoryview(data).cast("B")
        sent, size = 0, len(view)
        is_bulk = size > RECORD and not self._in_bulk
        if is_bulk:
            self._cork(True)
        while sent < size:
            taken = self._give(view[sent : sent + CHUNK])
            if not taken:
                break
            sent += taken
        if is_bulk:
            self._cork(False)
        if sent < size and not self._lost:
            self._queue(view[sent:] if type(data) is bytes else bytes(view[sent:]))

    def _send_held(self, sent: int = 0) -> None:
        held, self._held = self._held, None
        if held is not None and not self._lost:
            self._send((held,))

    def _give(self, data: Buffer) -> int:
        """Have OpenSSL send *data*, no more than `CHUNK` bytes: it takes all or, for now, nothing."""
        try:
            return self._encrypt(data)  # type: ignore[no-any-return]
        except ssl.SSLWantWriteError:
            pass
        except ssl.SSLWantReadError:
            self._write_stalled = True
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            self._fatal_error(true_error(exc, self._sock), "Fatal write error on SSL protocol")
        return 0

    def _retry_write(self) -> None:
        """What a write waits for is here. It comes after the read, which has the first word."""
        self._write_stalled = False
        self._watch_write()

    def _watch_write(self) -> None:
        try:
            handle = self._loop._new_handle(self.on_writable, (), self._context)
            self._loop._watches.watch_write(self._fd, handle)
        except (OSError, ValueError) as exc:
            self._fatal_error(exc, UNWATCHABLE)

    def on_writable(self) -> None:
        """The kernel takes data again."""
        if self._lost:
            return
        if self._read_stalled:
            self._read_stalled = False
            self._start_reading()
            self._read_on()
        backlog = self._backlog
        for _ in repeat(None, RECORDS):
            if not backlog or self._lost:
                break
            taken = self._give(self._next_chunk())
            if not taken:
                break
            self._backlog_size -= taken
            head = backlog.popleft()
            if taken < len(head):
                backlog.appendleft(memoryview(head)[taken:])
        self._maybe_resume_protocol()  # may write, and so fill the backlog again
        if self._lost:
            return  # type: ignore[unreachable]
        if (not backlog or self._write_stalled) and not self._read_stalled:
            self._loop._watches.unwatch_write(self._fd)
        if not backlog and self._closing and self._stage is None:
            self._part()

    def _next_chunk(self) -> Buffer:
        """What to give to OpenSSL next: the oldest of the backlog, small ones joined."""
        backlog = self._backlog
        assert backlog
        head = backlog[0]
        if len(head) < RECORD and len(backlog) > 1:
            # If the first was tried before, what comes of it begins with the same bytes: see d.
            parts, size = [], 0
            while backlog and size + len(backlog[0]) <= CHUNK:
                part = backlog.popleft()
                parts.append(part)
                size += len(part)
            head = b"".join(parts)
            backlog.appendleft(head)
        return head if len(head) <= CHUNK else memoryview(head)[:CHUNK]

    def can_write_eof(self) -> bool:
        """False: TLS has no half-closed connections."""
        return False

    def write_eof(self) -> None:
        """Raises NotImplementedError."""
        raise NotImplementedError

    def _note_lost_write(self) -> None:
        if self._lost >= LOST_WRITES_BEFORE_WARNING:
            logger.warning("SSL connection is closed")
        if self._lost:
            self._lost += 1

    # -- ending ----------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Stop reading, send what is buffered, exchange close_notify with the peer, then close. Idempotent.

        `connection_lost(None)` follows, or `connection_lost(TimeoutError)` if the peer does not answer in
        time. During the handshake this is `abort()`.
        """
        if self._closing:
            return
        if self._stage is not None:
            self._force_close(None)
            return
        if self._held is not None:
            self._send_held()
            if self._closing:
                return  # type: ignore[unreachable]  # that failed: the end is on its way
        self._closing = self._barred = True
        self._loop._watches.rest_read(self._fd)
        if not self._backlog:
            self._part()
        if not self._lost:
            self._clock = self._loop.call_later(
                self._settings.shutdown_timeout, self._on_shutdown_timeout, context=self._context
            )

    def _on_shutdown_timeout(self) -> None:
        self._force_close(TimeoutError("SSL shutdown timed out"))

    def _part(self) -> None:
        """All is sent: say goodbye."""
        self._stage = self._loop._new_handle(self._say_goodbye, (), self._context)
        if self._said_goodbye:
            self._say_goodbye()
        else:
            self._loop._ready.append(self._stage)  # not now: close() shall not call eof_received()

    def _say_goodbye(self) -> None:
        if self._lost:
            return
        if self._is_cut_off:
            self._lose(None)
            return
        error: BaseException | None = None
        is_over = self._said_goodbye
        try:
            is_over = is_over or self._drop_incoming()
            self._tls.shutdown()
            is_over = True
        except ssl.SSLWantReadError:
            self._wait_for(POLLIN)
            return
        except ssl.SSLWantWriteError:
            self._wait_for(POLLOUT)
            return
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            error = true_error(exc, self._sock)
            is_over = is_over or isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError))
        if is_over:
            self._hear_goodbye()
            error = None  # an answer that cannot be delivered any more is nobody's loss
        elif getattr(error, "reason", None) == "APPLICATION_DATA_AFTER_CLOSE_NOTIFY":
            error = None  # it came since we looked
        if error is not None:
            self._fatal_error(error, "Fatal error on SSL protocol")
        elif not self._lost:
            self._lose(None)

    def _drop_incoming(self) -> bool:
        """Read what the peer sent before it knew that we leave. True if it has said goodbye itself."""
        try:
            for _ in repeat(None, RECORDS):
                if not self._decrypt(RECORD):
                    return True
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
        return False

    def _lose(self, exc: BaseException | None) -> None:
        self._end_waiting(exc)
        super()._lose(exc)

    def _end_waiting(self, exc: BaseException | None) -> None:
        """The connection ends: stop the clock, and tell who waits for the handshake."""
        self._stop_clock()
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_exception(exc or ConnectionAbortedError("closed during the TLS handshake"))

    def _call_connection_lost(self, exc: BaseException | None) -> None:
        if self._is_made:
            super()._call_connection_lost(exc)
        else:
            self._release()  # the protocol has never heard of it

    def _release(self) -> None:
        if self._stage is not None:
            self._stage.cancel()  # it refers to us, as we to it
        super()._release()
