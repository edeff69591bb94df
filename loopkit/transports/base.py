"""What every transport on a socket has: an entry in the fd table, a way to end, something to say of itself.

Rule: a transport owns its descriptor from its creation to `_call_connection_lost`; nobody else closes it, and
it is out of the poller before it is closed.

Life. `connection_made` comes first and `connection_lost` last, each exactly once, both as calls of their own
through the ready queue. `close()` sends what is buffered first, `abort()` does not; after either the protocol
hears nothing but `connection_lost`. Everything a protocol hears is called in one context, a copy of the one
the connection was made in.

Where a transport is in its life is one number, which only grows:

    SHAKING    TLS: the handshake is not over
    OPEN       reading and writing
    DRAINING   close() was called: what is buffered leaves, nothing more is read
    PARTING    TLS: goodbye is said, the peer's is awaited
    LOST       connection_lost() is on its way, or was called
    REPLACED   start_tls() has handed the connection on: another transport acts for this one

`_lose` is the only way into the last; the backlog, when it is empty, moves on a transport that is draining.

A transport is its own entry among the fd table's readers: it has what the turn looks at in a handle, and an
idle connection needs no second object to be called by.
"""

from __future__ import annotations

import asyncio
import warnings
from asyncio.log import logger
from asyncio.trsock import TransportSocket
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from contextvars import Context

    from ..loop import Loop
    from ..net.serve import Server

SHAKING, OPEN, DRAINING, PARTING, LOST, REPLACED = range(6)

#: Writes to a lost connection are ignored; from this many on, a warning says so each time (asyncio's number).
LOST_WRITES_BEFORE_WARNING = 5


class SocketTransport(asyncio.BaseTransport):
    """The part that streams, datagram endpoints and TLS share."""

    __slots__ = (
        "__dict__",  # programs hang things on transports, and replace methods of theirs
        "__weakref__",
        "_args",  # with _callback and _context what the turn looks at: none (slow, if it were the class's)
        "_callback",  # what the turn calls when the socket is readable
        "_context",  # what the protocol's methods run in
        "_fd",
        "_known",  # the peer's name; once anybody has asked for extra information, all of it, as a dict
        "_loop",
        "_paused",  # pause_reading() was called
        "_protocol",
        "_protocol_paused",  # pause_writing() was called on it
        "_server",
        "_socket",
        "_state",  # SHAKING to REPLACED
    )

    _loop: Loop
    _socket: socket.socket
    _protocol: Any
    _context: Context
    _callback: Callable[[], None] | None

    _args: tuple[()]
    #: How often was written since the connection was lost.
    _ignored = 0

    def __init__(
        self, loop: Loop, sock: socket.socket, context: Context, peername: Any, server: Server | None
    ) -> None:
        self._loop = loop
        self._socket = sock
        self._fd = fd = sock.fileno()
        self._context = context
        self._args = ()
        self._known = peername
        self._server = server
        self._paused = self._protocol_paused = False
        self._state = OPEN
        loop._watches.own(fd, self)
        if server is not None:
            server._attach(self)

    # -- what it says about itself ---------------------------------------------------------------------------

    @property
    def _extra(self) -> dict[str, Any]:
        # Made when first asked for, like what it holds: most connections are never asked.
        if type(self._known) is not dict:
            self._known = {"peername": self._known}
        return self._known

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """``socket`` (an `asyncio.trsock.TransportSocket`), ``sockname``, ``peername``, or *default*."""
        extra = self._extra
        if name not in extra and self._socket is not None:
            if name == "sockname":
                extra[name] = name_of(self._socket.getsockname)
            elif name == "socket":
                extra[name] = self._shown_socket()
        return extra.get(name, default)

    def _shown_socket(self) -> TransportSocket:
        return TransportSocket(self._socket)

    def __repr__(self) -> str:
        info = [type(self).__name__]
        if self._socket is None:
            info.append("closed")  # type: ignore[unreachable]  # given back: see _release
        elif self.is_closing():
            info.append("closing")
        info.append(f"fd={self._fd}")
        loop = self._loop
        if loop is not None and not loop.is_closed():  # type: ignore[redundant-expr]
            tables = loop._watches
            is_read = tables.reader(self._fd) is self
            info.append("read=polling" if is_read else "read=idle")
            state = "polling" if tables.writer(self._fd) is not None else "idle"
            info.append(f"write=<{state}, bufsize={self.get_write_buffer_size()}>")
        return f"<{' '.join(info)}>"

    def get_write_buffer_size(self) -> int:
        raise NotImplementedError

    def get_protocol(self) -> asyncio.BaseProtocol:
        """The protocol in use."""
        return self._protocol  # type: ignore[no-any-return]

    # -- reading ---------------------------------------------------------------------------------------------

    def is_reading(self) -> bool:
        """True unless closing or paused."""
        return self._state < DRAINING and not self._paused

    def pause_reading(self) -> None:
        """Call the protocol's receiving methods no more until `resume_reading`. Idempotent."""
        if self._state == REPLACED:
            self.pause_reading()  # a bound method from before
            return
        if not self.is_reading():
            return
        self._paused = True
        # Stays armed in the poller: see watches.py.
        self._loop._watches.rest_read(self._fd)
        self._loop._watches.let_go(self._fd)
        if self._loop._debug:
            logger.debug("%r pauses reading", self)

    def resume_reading(self) -> None:
        """Undo `pause_reading`. Idempotent."""
        if self._state == REPLACED:
            self.resume_reading()  # a bound method from before
            return
        if self._state >= DRAINING or not self._paused:
            return
        self._paused = False
        self._start_reading()
        if self._loop._debug:
            logger.debug("%r resumes reading", self)

    def _start_reading(self) -> None:
        if self._state < DRAINING and not self._paused:
            self._loop._watches.watch_read(self._fd, self)

    def _begin(self, waiter: asyncio.Future[None] | None) -> None:
        """connection_made() has been called: read from now on, and resume who waits for the connection."""
        try:
            self._start_reading()
        except (OSError, ValueError) as exc:  # the poller cannot watch it
            if waiter is not None and not waiter.done():
                waiter.set_exception(exc)
                self._force_close(exc)
            else:
                self._fatal_error(exc, "Fatal error: the poller cannot watch the socket")
            return
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    # -- ending ----------------------------------------------------------------------------------------------

    def is_closing(self) -> bool:
        """True once `close()` or `abort()` was called, or the connection was lost."""
        return self._state >= DRAINING

    def abort(self) -> None:
        """Close at once: unsent data is lost. The protocol's `connection_lost(None)` follows."""
        self._force_close(None)

    def _fatal_error(self, exc: BaseException, message: str = "Fatal error on transport") -> None:
        """Report *exc*, unless it is the network's (OSError), and close at once."""
        if isinstance(exc, OSError):
            if self._loop._debug:
                logger.debug("%r: %s", self, message, exc_info=True)
        else:
            self._loop.call_exception_handler(
                {"message": message, "exception": exc, "transport": self, "protocol": self._protocol}
            )
        self._force_close(exc)

    def _force_close(self, exc: BaseException | None) -> None:
        if self._state == LOST:
            return
        self._drop_unsent()
        self._lose(exc)

    def _drop_unsent(self) -> None:
        raise NotImplementedError

    def _lose(self, exc: BaseException | None) -> None:
        """No more events; `connection_lost(exc)` is on its way."""
        self._state = LOST
        self._loop._watches.forget(self._fd, self)
        self._loop.call_soon(self._call_connection_lost, exc, context=self._context)

    def _call_connection_lost(self, exc: BaseException | None) -> None:
        try:
            self._protocol.connection_lost(exc)
        finally:
            self._release()

    def _release(self) -> None:
        """The end. The names stay known, and the socket, closed: programs ask when a connection is gone."""
        extra = self._extra
        if "sockname" not in extra:
            extra["sockname"] = name_of(self._socket.getsockname)
        if "socket" not in extra:
            extra["socket"] = TransportSocket(self._socket)
        self._give_back()
        self._callback = None  # it refers to us, as we to it
        self._socket = self._protocol = self._loop = None  # type: ignore[assignment]
        server, self._server = self._server, None
        if server is not None:
            server._detach(self)

    def _lose_number(self, exc: OSError) -> None:
        """Somebody has closed our descriptor, and the number means another file now: see watches.py."""
        self._socket.detach()  # to close it, or to write what is held, would hit that file
        if not hasattr(self, "_protocol"):  # Ctrl-C has torn our making
            self._state = LOST
            return
        self._fatal_error(exc)

    def _give_back(self) -> None:
        """Close the descriptor, that nobody waits for any more."""
        self._loop._watches.disown(self._fd, self)
        self._socket.close()

    def _note_lost_write(self) -> None:
        self._ignored = ignored = self._ignored + 1
        if ignored >= LOST_WRITES_BEFORE_WARNING:
            logger.warning("socket.send() raised exception.")

    def __del__(self, _warn: Callable[..., None] = warnings.warn) -> None:
        # Nobody refers to it: it waits for nothing, or its loop was closed. The program forgot to close it.
        # What Ctrl-C has torn in its making has no callback: whoever made it closes the socket.
        if getattr(self, "_callback", None) is not None:  # the socket may be closed: cycles end in any order
            _warn(f"unclosed transport {self!r}", ResourceWarning, source=self)
            self._give_back()
            if self._server is not None:
                self._server._detach(self)


def name_of(ask: Callable[[], Any]) -> Any:
    """What ``getsockname`` or ``getpeername`` says; None if there is no name, or no connection any more."""
    try:
        return ask()
    except OSError:
        return None
