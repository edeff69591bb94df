"""TLS on simulated sockets in blocking code: `ssl.SSLContext.wrap_socket`.

`ssl.SSLSocket` is Python around an engine of C, and that engine wants a descriptor of the real kernel. Here
it gets two buffers in memory, as in our TLS transports, and what passes between them and the simulated socket
is done here. The methods are the standard library's. (Count and order of records are the same in each run,
their bytes are not: keys are drawn by OpenSSL.)
"""

from __future__ import annotations

import ssl
from typing import Any

from . import outside
from .sockets import SimSocket

#: Bytes asked of one read.
READ_SIZE = 65536


class Engine:
    """What an `SSLSocket` calls its ``_sslobj``: a TLS connection between the program and *sock*."""

    def __init__(self, sock: Any, context: Any, *args: Any, **options: Any) -> None:
        self._sock = sock
        self._raw: Any = sock.world.socket_type  # whose methods are not TLS's
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._engine = context._wrap_bio(self._incoming, self._outgoing, *args, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in ("context", "session", "owner"):
            setattr(self._engine, name, value)
        else:
            super().__setattr__(name, value)

    def _until_done(self, call: Any, *args: Any) -> Any:
        while True:
            try:
                return call(*args)
            except ssl.SSLWantReadError:
                self._send()
                self._receive()
            finally:
                self._send()

    def _send(self) -> None:
        rest = memoryview(self._outgoing.read())
        while rest:
            rest = rest[self._raw.send(self._sock, rest) :]

    def _receive(self) -> None:
        try:
            data = self._raw.recv(self._sock, READ_SIZE)
        except BlockingIOError:
            raise ssl.SSLWantReadError(ssl.SSL_ERROR_WANT_READ, "The operation did not complete") from None
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    def do_handshake(self) -> None:
        self._until_done(self._engine.do_handshake)

    def read(self, *args: Any) -> Any:
        return self._until_done(self._engine.read, *args)

    def write(self, data: Any) -> Any:
        return self._until_done(self._engine.write, data)

    def shutdown(self) -> Any:
        self._until_done(self._engine.shutdown)
        return self._sock


@outside.replaces(ssl.SSLContext, "_wrap_socket")
def _wrap_socket(original: Any) -> Any:
    def wrap(self: Any, sock: Any, *args: Any, **options: Any) -> Any:
        if isinstance(sock, SimSocket):
            return Engine(sock, self, *args, **options)
        return original(self, sock, *args, **options)

    return wrap
