"""What programs pass as ``ssl``, and the step from a context to OpenSSL at work.

Some facts

a) OpenSSL can work on a descriptor or between two memory buffers (`ssl.MemoryBIO`). On a descriptor it reads
   a record's header and then its body, two system calls where one would do; it goes on reading until there is
   data for us, so that a peer who sends none (key updates are enough) keeps it for as long as he likes; the
   end of the stream, which it meets itself, is fatal to it; and a write that finds the socket full has begun,
   and must be repeated.
b) Between memory buffers none of this happens. But each connection's two buffers keep the size of the largest
   message that ever passed them.
c) Whatever is in the incoming buffer OpenSSL takes, the beginning of a record too, before it says that it
   needs more; and what it has to say is complete in the outgoing one when a call returns. Between two calls
   both are empty.
d) A context may have a will of its own: a subclass overrides `wrap_bio`, to verify certificates by the
   system's means for instance, or names another `sslobject_class`. asyncio calls `wrap_bio`, and programs
   rely on that.

What we do. All connections of a loop share one pair of buffers (c): an idle connection keeps nothing, and b
does not matter. `wrap_bio` is the context's own (d). Checks of certificates and names are the context's,
always.
"""

from __future__ import annotations

from asyncio import constants
from typing import TYPE_CHECKING, Any

try:
    import ssl as ssl
except ImportError:  # a Python that was built without it can do everything else
    HAS_SSL = False
else:
    HAS_SSL = True

if TYPE_CHECKING:
    from ..loop import Loop


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


class Buffers:
    """What passes between a loop's sockets and OpenSSL, for one connection at a time.

    Rule: both buffers are empty whenever anybody else's code may run. Three things break it. A handshake
    calls the program (by ``sni_callback``, say) from within OpenSSL; `is_shaking` tells that. Ctrl-C may hit
    between two lines, anywhere. And a program that asked for a connection's ``ssl_object`` may write by it.
    So who begins looks first, unless the last one has said that he came to his end (`is_at_rest`), and takes
    what is found for nobody's (`clear`): the connection that was hit ends by an error, where another one
    would end by its bytes.
    """

    __slots__ = ("feed", "fetch", "incoming", "is_at_rest", "is_private", "is_shaking", "outgoing")

    def __init__(self) -> None:
        self.incoming = ssl.MemoryBIO()
        self.outgoing = ssl.MemoryBIO()
        self.feed = self.incoming.write
        self.fetch = self.outgoing.read
        self.is_shaking = False
        self.is_private = True  # no program has an ssl_object
        self.is_at_rest = True  # known to be empty; who works here takes it down, and sets it to `is_private`

    def are_soiled(self) -> bool:
        """Whether somebody has left something here."""
        return not self.is_at_rest and bool(self.outgoing.pending or self.incoming.pending)

    def clear(self) -> None:
        """Forget what an interrupted connection, or a program by its ssl_object, has left here; and begin."""
        self.is_shaking = self.is_at_rest = False
        self.incoming.read()
        self.outgoing.read()

    def lend(self) -> None:
        """From now on a program can write by an ssl_object, at any time."""
        self.is_private = self.is_at_rest = False


def open_connection(loop: Loop, settings: Settings) -> tuple[Buffers, ssl.SSLObject]:
    """The loop's buffers, and OpenSSL's side of a new connection that passes through them."""
    buffers = loop._tls
    if buffers is None:
        loop._tls = buffers = Buffers()
    face = settings.context.wrap_bio(
        buffers.incoming,
        buffers.outgoing,
        server_side=settings.server_side,
        server_hostname=settings.server_hostname,
    )
    return buffers, face


def worker(face: ssl.SSLObject) -> Any:
    """Who reads and writes for *face*: the C object behind it, unless it is of the context's own making."""
    return face._sslobj if type(face) is ssl.SSLObject else face  # type: ignore[attr-defined]
