"""What programs pass as ``ssl``, and the step from a context and a socket to OpenSSL at work on it.

Some facts

a) `SSLContext.wrap_socket` detaches the socket it is given. That object is dead from then on, and
   the program may hold it: as the `sock` it passed, in a `TransportSocket`, in the transport that
   `start_tls` upgrades. `os.dup` before it would save the object, for one more descriptor each.
b) One step below, `SSLContext._wrap_socket` sets OpenSSL to work on a socket and leaves the object
   alone. `ssl.SSLSocket` is built on it, with one signature since Python 3.7. `ssl.SSLObject`, the
   face that asyncio shows as ``ssl_object``, fits what it returns.
c) A context may have a will of its own: a subclass overrides `wrap_bio`, to verify certificates by
   the system's means for instance, or names another `sslobject_class`. asyncio calls `wrap_bio`,
   and programs rely on that.

What we do. If `wrap_bio` is the `ssl` module's own, the context is driven directly (b): not one
descriptor more, and every socket object stays what it was. Any other context, and every context
of a Python without `_wrap_socket`, gets the calls it would get from asyncio (`memory.py`). Checks
of certificates and names are the context's, always.
"""

from __future__ import annotations

import errno
import os
from asyncio import constants
from typing import TYPE_CHECKING, Any

try:
    import ssl as ssl
except ImportError:  # a Python that was built without it can do everything else
    HAS_SSL = False
else:
    HAS_SSL = True

if TYPE_CHECKING:
    import socket


def check_context(context: Any) -> None:
    """Raise TypeError unless *context* can make TLS connections, RuntimeError if this Python cannot."""
    if not HAS_SSL:
        raise RuntimeError("Python ssl module is not available")
    if not hasattr(context, "wrap_bio"):
        raise TypeError(f"ssl argument must be an SSLContext or None, got {context!r}")


def check_timeouts(handshake: float | None, shutdown: float | None) -> None:
    """Raise ValueError for a number of seconds that is not positive."""
    for name, seconds in ("handshake", handshake), ("shutdown", shutdown):
        if seconds is not None and seconds <= 0:
            raise ValueError(f"ssl_{name}_timeout should be a positive number, got {seconds}")


def default_context(server_side: bool, server_hostname: str | None) -> Any:
    """The context meant by ``ssl=True``: trust in the system's authorities. Clients only."""
    if not HAS_SSL:
        raise RuntimeError("Python ssl module is not available")
    if server_side:
        raise ValueError("Server side SSL needs a valid SSLContext")
    context = ssl.create_default_context()
    if not server_hostname:
        context.check_hostname = False  # the caller has said so, with an empty name
    return context


class Settings:
    """How one connection does TLS. None stands for the default context, and for asyncio's timeouts.

    Raises ValueError as `check_timeouts`, or for a server without a context; TypeError as
    `check_context`.
    """

    __slots__ = ("context", "handshake_timeout", "server_hostname", "server_side", "shutdown_timeout")

    def __init__(
        self,
        context: Any,
        server_side: bool,
        server_hostname: str | None,
        handshake_timeout: float | None,
        shutdown_timeout: float | None,
    ) -> None:
        check_timeouts(handshake_timeout, shutdown_timeout)
        if context is None:
            context = default_context(server_side, server_hostname)
        check_context(context)
        self.context = context
        self.server_side = server_side
        self.server_hostname = None if server_side else server_hostname or None
        self.handshake_timeout: float = handshake_timeout or constants.SSL_HANDSHAKE_TIMEOUT
        self.shutdown_timeout: float = shutdown_timeout or constants.SSL_SHUTDOWN_TIMEOUT


def is_drivable(context: Any) -> bool:
    """Whether *context* leaves it to the `ssl` module how connections are made."""
    wrap_bio = getattr(context.wrap_bio, "__func__", None)
    # Told by where the code lives: libraries replace `ssl.SSLContext` as a whole.
    return (
        getattr(wrap_bio, "__globals__", None) is vars(ssl)
        and context.sslobject_class is ssl.SSLObject
        and hasattr(context, "_wrap_socket")
    )


def open_connection(sock: socket.socket, settings: Settings) -> tuple[ssl.SSLObject, Any]:
    """OpenSSL on the non-blocking *sock*: the face that programs see, and the object that works.

    Both must be kept, and *sock* too: OpenSSL refers to them weakly.
    """
    face = ssl.SSLObject.__new__(ssl.SSLObject)
    context, hostname = settings.context, settings.server_hostname
    if hostname is not None:
        hostname = context._encode_hostname(hostname)
    connection = context._wrap_socket(sock, settings.server_side, hostname, owner=face)
    face._sslobj = connection  # type: ignore[attr-defined]
    return face, connection


def true_error(exc: BaseException, sock: socket.socket) -> BaseException:
    """*exc*, raised by a read or a write, or the ConnectionResetError that it stands for.

    Python 3.11 and 3.12 turn every error of the socket into the end of the stream, though one without
    OpenSSL's reason; with OpenSSL 1.1 the real end has none either. A reset socket has no peer any more.
    """
    if isinstance(exc, ssl.SSLEOFError) and not exc.reason:
        try:
            sock.getpeername()
        except OSError:
            return ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))
    return exc
