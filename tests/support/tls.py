"""Certificates made on the spot, contexts that trust them, and blocking TLS peers."""

import contextlib
import datetime
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from typing import Any

try:
    import trustme
except ImportError:
    from tests.support import certificates as trustme

from tests.support.net import connect, serving

NAME = "server.test"

LONG_AGO = datetime.datetime(2001, 1, 1, tzinfo=datetime.UTC)


_authorities: dict[str, trustme.CA] = {}
_certificates: dict[tuple[str, str, bool], trustme.LeafCert] = {}
_making = threading.RLock()  # blocking peers ask in threads of their own


def authority(name: str = "ours") -> trustme.CA:
    """A certificate authority. Clients of this module trust the one called "ours"."""
    with _making:
        if name not in _authorities:
            _authorities[name] = trustme.CA(organization_name=name)
        return _authorities[name]


def certificate(name: str = NAME, by: str = "ours", expired: bool = False) -> trustme.LeafCert:
    """A certificate for a host name, or for a person (a name with an "@")."""
    with _making:
        key = name, by, expired
        if key not in _certificates:
            end = LONG_AGO if expired else None
            _certificates[key] = authority(by).issue_cert(name, not_before=LONG_AGO, not_after=end)
        return _certificates[key]


def server_context(**which: Any) -> ssl.SSLContext:
    """A new context that shows `certificate(**which)`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate(**which).configure_cert(context)
    return context


def client_context(version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
    """A new context that trusts our authority; of one TLS version only, if that is given."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority().configure_trust(context)
    if version is not None:
        context.minimum_version = context.maximum_version = version
    return context


def tls_connect(address: Any, context: ssl.SSLContext | None = None, **options: Any) -> ssl.SSLSocket:
    """A blocking TLS client that has shaken hands. A missing close_notify is an error to it."""
    sock = connect(address)
    try:
        return (context or client_context()).wrap_socket(
            sock, server_hostname=NAME, suppress_ragged_eofs=False, **options
        )
    except BaseException:
        sock.close()
        raise


@contextlib.contextmanager
def tls_serving(
    handler: Callable[[ssl.SSLSocket], None], context: ssl.SSLContext | None = None, **options: Any
) -> Iterator[Any]:
    """As `serving`, with TLS: the handler gets a socket that has shaken hands."""
    context = context or server_context()

    def secure(sock: socket.socket) -> None:
        with context.wrap_socket(sock, server_side=True, suppress_ragged_eofs=False) as wrapped:
            handler(wrapped)

    with serving(secure, **options) as address:
        yield address


def say_goodbye(sock: ssl.SSLSocket) -> None:
    """Exchange close_notify, then close."""
    sock.unwrap().close()
