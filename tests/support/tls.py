"""Certificates made on the spot, contexts that trust them, and blocking TLS peers."""

import contextlib
import datetime
import functools
import socket
import ssl
from collections.abc import Callable, Iterator
from typing import Any

import trustme

from tests.support.net import connect, serving

NAME = "server.test"


@functools.cache
def authority(name: str) -> trustme.CA:
    """A certificate authority. Clients of this module trust the one called "ours"."""
    return trustme.CA(organization_name=name)


@functools.cache
def certificate(name: str = NAME, by: str = "ours", expired: bool = False) -> trustme.LeafCert:
    """A certificate for a host name, or for a person (a name with an "@")."""
    long_ago = datetime.datetime(2001, 1, 1, tzinfo=datetime.UTC)
    return authority(by).issue_cert(name, not_before=long_ago, not_after=long_ago if expired else None)


def server_context(**which: Any) -> ssl.SSLContext:
    """A new context that shows `certificate(**which)`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate(**which).configure_cert(context)
    return context


def client_context(version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
    """A new context that trusts our authority; of one TLS version only, if that is given."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority("ours").configure_trust(context)
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
