"""Which contexts OpenSSL may be driven with directly, and what that leaves of the socket."""

import socket
import ssl

import pytest

from loopkit.tls.contexts import Settings, check_context, is_drivable, open_connection, true_error
from tests.support.net import reset, tcp_pair
from tests.support.tls import NAME, client_context


class Overriding(ssl.SSLContext):
    def wrap_bio(self, *args, **kwargs):
        return super().wrap_bio(*args, **kwargs)


class Renamed(ssl.SSLContext):
    """A subclass that leaves connections alone, as libraries have it that add options."""


def settings(**options):
    defaults = {
        "context": client_context(),
        "server_side": False,
        "server_hostname": NAME,
        "handshake_timeout": None,
        "shutdown_timeout": None,
    }
    return Settings(**{**defaults, **options})


@pytest.mark.parametrize("kind", [ssl.SSLContext, Renamed])
def test_a_context_that_leaves_connections_to_ssl_is_driven(kind):
    assert is_drivable(kind(ssl.PROTOCOL_TLS_CLIENT))


def test_a_context_that_makes_its_own_connections_is_asked():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    assert not is_drivable(Overriding(ssl.PROTOCOL_TLS_CLIENT))
    context.sslobject_class = type("Verifying", (ssl.SSLObject,), {})
    assert not is_drivable(context)


def test_a_method_replaced_on_one_context_counts():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    stock = context.wrap_bio
    context.wrap_bio = lambda *args, **kwargs: stock(*args, **kwargs)
    assert not is_drivable(context)


def test_a_replaced_class_of_contexts_is_told_from_the_stock_one(monkeypatch):
    """As truststore does: `ssl.SSLContext` is then the class that overrides."""
    monkeypatch.setattr(ssl, "SSLContext", Overriding)
    assert not is_drivable(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))


def test_the_socket_stays_what_it_was():
    with tcp_pair() as (ours, theirs):
        number = ours.fileno()
        face, connection = open_connection(ours, settings())
        assert ours.fileno() == number
        assert isinstance(face, ssl.SSLObject)
        assert face.server_hostname == connection.server_hostname == NAME
        with pytest.raises(ssl.SSLWantReadError):
            connection.do_handshake()
        assert theirs.recv(1) == b"\x16"  # a handshake record


def test_an_international_name_is_encoded():
    with tcp_pair() as (ours, _):
        _, connection = open_connection(ours, settings(server_hostname="bücher.test"))
        assert connection.server_hostname == "xn--bcher-kva.test"


def test_a_server_has_no_name_to_check():
    assert settings(server_side=True, server_hostname=NAME).server_hostname is None
    assert settings(server_hostname="").server_hostname is None


def test_timeouts_are_asyncios_by_default():
    assert settings().handshake_timeout == 60.0
    assert settings().shutdown_timeout == 30.0
    assert settings(handshake_timeout=0.5, shutdown_timeout=0.25).handshake_timeout == 0.5


def test_the_default_context_verifies():
    context = settings(context=None).context
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert not settings(context=None, server_hostname="").context.check_hostname


@pytest.mark.parametrize("thing", ["yes", 1, object()])
def test_what_is_no_context_is_refused(thing):
    with pytest.raises(TypeError, match="ssl argument must be an SSLContext or None, got"):
        check_context(thing)


def test_a_reset_is_told_from_the_end_of_the_stream():
    """Python 3.11 and 3.12 raise the same for both."""
    error = ssl.SSLEOFError(8, "EOF occurred in violation of protocol")
    error.reason = None
    with tcp_pair() as (ours, theirs):
        theirs.shutdown(socket.SHUT_WR)
        assert ours.recv(1) == b""
        assert true_error(error, ours) is error
        reset(theirs)
        with pytest.raises(ConnectionError):
            ours.send(b"x")
        assert isinstance(true_error(error, ours), ConnectionResetError)
