"""TLS connections on sockets of this loop. HOT: `on_readable` is the frame between poller and protocol.

A TLS connection is a stream transport (`transports/stream.py`) with OpenSSL between it and its protocol: what
is received is put into a buffer and read from OpenSSL, what is written is given to OpenSSL and leaves from
another one. The buffers are the loop's (`contexts.py`); the backlog, of what is encrypted, is the stream's.

Some facts

a) One `read` gives one record at most, 16 KiB. That OpenSSL wants more it says by an exception, which takes
   3 us; an empty buffer says the same.
b) Not every record carries data. A key update of 27 bytes costs OpenSSL some 15 us and a peer nothing.
   It may ask for an answer, too.
c) Records are small where messages are. A protocol that is called for each pays more for that than for the
   decryption.
d) What follows the handshake may have come with its last message.

What we do. One event receives once, decrypts it all, and calls the protocol once (c). It receives 16 KiB,
more where most of that is data, less where little is (b): so a peer can occupy the loop for some 10 ms at a
time, once. Answers (b) that a peer does not read are kept up to `MOST_OWED`. What came with the handshake
waits until who awaits the connection has resumed (d). Small writes are held as in `transports/stream.py`, and
leave as one record.

Life. The handshake, `connection_made`, the awaiting coroutine, the first `data_received`: in this order.
`close()` sends what is buffered, then close_notify, and waits for the peer's; `eof_received` and
`connection_lost(None)` follow. What the peer sends meanwhile is dropped. A close_notify that the peer
sends first, or the end of its stream, leads to the same: there are no half-closed TLS connections.
"""

from __future__ import annotations

import asyncio
from asyncio.constants import _SendfileMode
from asyncio.log import logger
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

from ..transports.base import DRAINING, LOST, LOST_WRITES_BEFORE_WARNING, OPEN, PARTING, SHAKING
from ..transports.flow import KIB
from ..transports.stream import BULK_ENDS
from .contexts import open_connection, ssl, worker
from .handshake import CALM_READ_SIZE, RECORD, ShakingTransport

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from contextvars import Context

    from ..loop import Loop
    from ..net.serve import Server
    from .contexts import Settings

#: Bytes asked of one recv after one that brought as much as it could.
BULK_READ_SIZE = 64 * KIB

#: What is asked of one recv after one that brought many records and little data.
WARY_READ_SIZE = 4 * KIB

#: Bytes given to OpenSSL at a time, so that the loop's buffers stay small.
CHUNK = 128 * KIB

#: Bytes of answers to key updates that a peer may leave unread. Nobody needs a thousand of them.
MOST_OWED = 64 * KIB

#: Water marks (asyncio's for TLS, eight times those of a plain connection).
LIMITS = (512 * KIB, 128 * KIB)

#: How the peer has said that it sends no more.
CLOSE_NOTIFY, CUT_OFF = "close_notify", "the end of the stream"

FATAL = "Fatal error on SSL protocol"
FATAL_READ = "Fatal read error on socket transport"


class SSLTransport(ShakingTransport):
    """A stream transport whose bytes go through OpenSSL."""

    __slots__ = (
        "_buffers",  # the loop's
        "_clock",  # the timer of the handshake, later of the shutdown
        "_decrypt",  # OpenSSL's read(size)
        "_encrypt",  # OpenSSL's write(data)
        "_face",  # the `ssl.SSLObject` that programs see
        "_is_made",  # connection_made() was called
        "_settings",
        "_waiter",  # future of whoever waits for the handshake
    )

    _goodbye: str | None = None  # the peer sends no more: CLOSE_NOTIFY or CUT_OFF
    _owed = 0  # bytes of answers that wait in the backlog
    _then: Callable[[], None] | None = None  # what is due when all that was decrypted is delivered
    _undelivered = b""  # decrypted, but a `BufferedProtocol` has paused
    _unread = b""  # received, but not decrypted: what came with the handshake

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
        is_ours: bool,
    ) -> None:
        self._buffers, self._face = open_connection(loop, settings)
        self._is_made = False
        super().__init__(loop, sock, protocol, context, peername, server, is_ours)
        self._settings = settings
        self._waiter = waiter
        openssl = worker(self._face)
        self._decrypt = openssl.read
        self._encrypt = openssl.write
        self._clock: asyncio.TimerHandle | None = None
        self._read_size = CALM_READ_SIZE
        self._state = SHAKING
        self._callback = self._on_handshake
        self._extra["sslcontext"] = settings.context

    @property
    def _sslcontext(self) -> ssl.SSLContext:
        """For programs that look where asyncio has it."""
        return self._settings.context  # type: ignore[no-any-return]

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Beside what other streams tell: ``sslcontext``, and ``ssl_object``, ``peercert``, ``cipher`` and
        ``compression`` once hands are shaken; or *default*.
        """
        if name == "ssl_object":
            self._buffers.lend()
        return super().get_extra_info(name, default)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Have *protocol* receive from now on; an `asyncio.BufferedProtocol` gets data in its own buffer."""
        callback = self._callback if self._state != OPEN else None
        super().set_protocol(protocol)
        if callback is not None:
            self._callback = callback  # of the handshake, or of the farewell

    # -- reading ---------------------------------------------------------------------------------------------

    def on_readable(self) -> None:
        """The kernel has data for OpenSSL, the end of the stream, or an error: tell the protocol."""
        try:
            data = self._socket.recv(size := self._read_size)
        except (BlockingIOError, InterruptedError):
            return
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            self._fatal_error(exc, FATAL_READ)
            return
        buffers = self._buffers
        if not 0 < len(data) < size == CALM_READ_SIZE or (not buffers.is_at_rest and buffers.are_soiled()):
            self._take(data, size)
            return
        # fast: a single record in one frame; see performance.md#single-records
        try:
            buffers.is_at_rest = False
            buffers.feed(data)
            data = self._decrypt(RECORD)  # not what came: the record's beginning may have come before
        except BaseException as exc:
            self._take_rest([], exc)
            return
        if not data or buffers.incoming.pending or buffers.outgoing.pending:
            self._take_rest([data])
            return
        buffers.is_at_rest = buffers.is_private
        loop = self._loop
        loop._gathering = self
        try:
            self._protocol.data_received(data)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            self._fatal_error(exc, FATAL)
        finally:
            held = self._held
            if held is not None and not buffers.is_at_rest:
                self._send_held()
            elif held is not None:
                # fast: the common case of _send_held without its frames; see performance.md#held-writes
                self._held, secret = None, b""
                try:
                    self._encrypt(held)
                    secret = buffers.fetch()
                    sent = self._socket.send(secret)
                except BaseException as exc:
                    self._not_sent(secret, exc)
                else:
                    if sent < len(secret):
                        self._queue(memoryview(secret)[sent:])
            loop._gathering = None

    def on_readable_buffered(self) -> None:
        """The same for a `BufferedProtocol`: the data goes into the buffer that it offers."""
        size = self._read_size
        try:
            data = self._socket.recv(size)
        except (BlockingIOError, InterruptedError):
            return
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            self._fatal_error(exc, FATAL_READ)
            return
        self._take(data, size)

    def _take(self, data: bytes, size: int = 0) -> None:
        """*data* was received, where *size* bytes were asked for: decrypt it, and tell the protocol."""
        buffers = self._buffers
        if not data:
            self._on_end_of_stream()
            return
        if buffers.are_soiled():
            buffers.clear()
        try:
            buffers.is_at_rest = False
            buffers.feed(data)
        except BaseException as exc:
            taken = self._take_rest([], exc)
        else:
            taken = self._take_rest([])
        if len(data) == size and 2 * taken < size:
            self._read_size = WARY_READ_SIZE
        elif len(data) < BULK_ENDS:
            self._read_size = CALM_READ_SIZE
        elif len(data) == size:
            self._read_size = BULK_READ_SIZE

    def _take_rest(self, parts: list[bytes], exc: BaseException | None = None) -> int:
        """Decrypt what is in the buffer. *parts* came out of it before, or *exc*. Returns how much it was."""
        buffers, incoming = self._buffers, self._buffers.incoming
        try:
            if exc is not None:
                raise exc
            while not parts or (parts[-1] and incoming.pending):
                parts.append(self._decrypt(RECORD))
        except ssl.SSLWantReadError:
            pass
        except (SystemExit, KeyboardInterrupt):
            self._unread, self._undelivered = incoming.read(), b"".join(parts)
            self._go_on()
            raise
        except BaseException as error:
            self._then = partial(self._fatal_error, error, FATAL)
        else:
            if not parts[-1]:
                self._then = self._on_close_notify
        finally:
            exc = None  # whose traceback refers to us
            if incoming.pending:
                incoming.read()  # behind an end or an error
        if buffers.outgoing.pending:
            self._answer()
        buffers.is_at_rest = buffers.is_private
        data = parts[0] if len(parts) == 1 else b"".join(parts)
        if data and self._state == OPEN:
            try:
                self._deliver(data)
            except (SystemExit, KeyboardInterrupt):
                self._loop.call_soon(self._go_on, context=self._context)
                raise
        self._go_on()
        return len(data)

    def _answer(self) -> None:
        """OpenSSL has something to say by itself."""
        answer = self._buffers.fetch()
        if self._backlog:
            self._owed = owed = self._owed + len(answer)
            if owed > MOST_OWED:
                self._force_close(ConnectionAbortedError("the peer asks on and on, and reads no answer"))
                return
        super()._send(answer)

    def _deliver(self, data: bytes) -> None:
        loop = self._loop
        loop._gathering = self
        try:
            if isinstance(self._protocol, asyncio.BufferedProtocol):
                self._fill_buffers(data)
            else:
                self._protocol.data_received(data)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            self._fatal_error(exc, FATAL)
        finally:
            self._send_held()
            loop._gathering = None

    def _fill_buffers(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            if not self.is_reading() or not isinstance(self._protocol, asyncio.BufferedProtocol):
                self._undelivered = bytes(rest)
                return
            buffer = memoryview(self._protocol.get_buffer(len(rest))).cast("B")
            if not buffer:
                raise RuntimeError("get_buffer() returned an empty buffer")
            count = min(len(buffer), len(rest))
            buffer[:count] = rest[:count]
            buffer.release()  # its owner may want to resize it
            rest = rest[count:]
            self._protocol.buffer_updated(count)

    def _go_on(self) -> None:
        """The protocol has what it takes for now."""
        if self._undelivered or self._unread:
            if self.is_reading():
                self._loop._watches.rest_read(self._fd)
                self._start_reading()
        elif self._then is not None:
            then, self._then = self._then, None
            then()

    def _start_reading(self) -> None:
        if self._unread or self._undelivered:
            self._loop.call_soon(self._read_on, context=self._context)
        elif self._state == OPEN:
            super()._start_reading()

    def _read_on(self) -> None:
        """Read what is here already: the poller knows nothing of it."""
        if self._state != OPEN or self._paused:
            return
        try:
            if self._undelivered:
                data, self._undelivered = self._undelivered, b""
                self._deliver(data)
                self._go_on()
            elif self._unread:
                data, self._unread = self._unread, b""
                self._take(data)
        finally:  # nobody else would, if the protocol lets Ctrl-C out
            try:
                self._await_more()
            finally:
                self._await_more()  # once more: it may have come in the middle

    def _await_more(self) -> None:
        if self._state == OPEN and not self._undelivered:
            self._start_reading()

    def pause_reading(self) -> None:
        """Call the protocol's receiving methods no more until `resume_reading`. Idempotent."""
        if self._state == SHAKING:
            self._paused = True  # the handshake goes on
        else:
            super().pause_reading()

    def _on_close_notify(self) -> None:
        self._hear_goodbye(CLOSE_NOTIFY)
        self.close()

    def _on_end_of_stream(self) -> None:
        self._hear_goodbye(CUT_OFF)
        self.close()

    def _hear_goodbye(self, kind: str) -> None:
        """The peer sends no more."""
        if self._goodbye is not None:
            return
        self._goodbye = kind
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

    # -- writing ---------------------------------------------------------------------------------------------

    def _send(self, *parts: bytes | bytearray | memoryview) -> None:
        """Encrypt *parts* and send them; nothing is held before them."""
        buffers, secrets = self._buffers, []
        # The SNI callback of another connection may write: what its handshake has to say must not leave here.
        begun = buffers.fetch() if buffers.outgoing.pending else b""
        error: BaseException | None = None
        was_at_rest, buffers.is_at_rest = buffers.is_at_rest, False
        try:
            for part in parts:
                view = memoryview(part).cast("B")
                for start in range(0, len(view), CHUNK):
                    self._encrypt(view[start : start + CHUNK])
                    secrets.append(buffers.fetch())
        except (SystemExit, KeyboardInterrupt):
            secrets.append(buffers.fetch())
            raise
        except BaseException as exc:
            error = exc
        finally:
            if begun and buffers.is_shaking:
                buffers.outgoing.write(begun)
            buffers.is_at_rest = was_at_rest
            if secrets:
                super()._send(*secrets)
        if error is not None:
            self._fatal_error(error, FATAL)
            error = None  # whose traceback refers to us

    def _send_held(self) -> None:
        held, self._held = self._held, None
        if held is not None:
            self._send(held)

    def _not_sent(self, secret: bytes, exc: BaseException) -> None:
        """*exc* came when *secret* was to be sent; if that is empty, when it was to be encrypted."""
        if isinstance(exc, (SystemExit, KeyboardInterrupt)):
            self._buffers.is_at_rest = False  # should a second one come before the next line
            secret = b"" if secret else self._buffers.fetch()  # what was given to the socket has left
            if secret:
                self._queue(secret)
            raise exc
        if secret:
            self._on_send_failed(secret, exc)
        else:
            self._fatal_error(exc, FATAL)

    def _refuse(self, data: object) -> NoReturn:
        raise TypeError(f"data: expecting a bytes-like instance, got {type(data).__name__}")

    def _takes_writes(self) -> bool:
        return self._state == OPEN

    def can_write_eof(self) -> bool:
        """False: TLS has no half-closed connections."""
        return False

    def write_eof(self) -> None:
        """Raises NotImplementedError."""
        raise NotImplementedError

    def _note_lost_write(self) -> None:
        self._ignored = ignored = self._ignored + 1
        if ignored >= LOST_WRITES_BEFORE_WARNING:
            logger.warning("SSL connection is closed")

    def _on_drained(self) -> None:
        self._owed = 0
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
        if self._state == DRAINING:
            self._part()
        elif self._state == PARTING and self._goodbye is not None:
            self._lose(None)

    # -- ending ----------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Stop reading, send what is buffered, exchange close_notify with the peer, then close. Idempotent.

        `connection_lost(None)` follows, or `connection_lost(TimeoutError)` if the peer does not answer in
        time. During the handshake this is `abort()`.
        """
        if self._state == SHAKING:
            self._force_close(None)
            return
        self._send_held()
        if self._state >= DRAINING:
            return
        self._state = DRAINING
        self._settle_holding()
        self._loop._watches.rest_read(self._fd)
        if not self._backlog:
            self._part()
        if self._state != LOST:
            self._clock = self._loop.call_later(
                self._settings.shutdown_timeout, self._on_shutdown_timeout, context=self._context
            )

    def _on_shutdown_timeout(self) -> None:
        self._force_close(TimeoutError("SSL shutdown timed out"))

    def _part(self) -> None:
        """All is sent: say goodbye."""
        self._state = PARTING
        self._callback = self._on_farewell
        if self._goodbye is not None and not self._buffers.is_shaking:
            self._say_goodbye(b"")
        else:
            # Not now: close() shall not call eof_received(), nor break into another connection's handshake.
            self._loop.call_soon(self._say_goodbye, b"", context=self._context)

    def _on_farewell(self) -> None:
        try:
            data = self._socket.recv(BULK_READ_SIZE)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as exc:
            self._fatal_error(exc, FATAL_READ)
            return
        if data:
            self._say_goodbye(data)
            return
        self._hear_goodbye(CUT_OFF)
        if self._state != LOST:
            self._lose(None)

    def _say_goodbye(self, data: bytes) -> None:
        """Drop *data*, which the peer has sent; say goodbye, and see whether the peer has."""
        if self._state == LOST:
            return
        if self._goodbye == CUT_OFF:
            self._lose(None)
            return
        buffers = self._buffers
        error: BaseException | None = None
        is_over = self._goodbye is not None
        buffers.clear()
        try:
            buffers.feed(data)
            is_over = is_over or self._drop_incoming()
            self._face.unwrap()
            is_over = True
        except ssl.SSLWantReadError:
            pass
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            error = exc
            is_over = is_over or isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError))
        finally:
            buffers.incoming.read()
            farewell = buffers.fetch()
            buffers.is_at_rest = buffers.is_private
            if farewell:
                super()._send(farewell)
        if is_over:
            self._hear_goodbye(CLOSE_NOTIFY)
            error = None  # an answer that cannot be delivered any more is nobody's loss
        if self._state == LOST:
            return
        if error is not None:
            self._fatal_error(error, FATAL)
        elif not is_over:
            self._watch()
        elif not self._backlog:
            self._lose(None)

    def _drop_incoming(self) -> bool:
        """Read what the peer sent before it knew that we leave. True if it has said goodbye itself."""
        try:
            while self._decrypt(RECORD):
                pass
        except ssl.SSLWantReadError:
            return False
        return True

    def _lose(self, exc: BaseException | None) -> None:
        self._stop_clock()
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_exception(exc or ConnectionAbortedError("closed during the TLS handshake"))
        super()._lose(exc)

    def _call_connection_lost(self, exc: BaseException | None) -> None:
        if self._is_made:
            super()._call_connection_lost(exc)
        else:
            self._release()  # the protocol has never heard of it

    def _release(self) -> None:
        super()._release()
        if self._then is not None:
            self._then = None  # it refers to us, as we to it

    def _is_in_bulk(self) -> bool:
        return self._read_size != CALM_READ_SIZE or not self._is_made  # what is no TLS may be long
