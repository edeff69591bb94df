"""What programs pass as ssl, and the buffers through which a loop's connections talk to OpenSSL."""

import ssl

import pytest

from loopkit.tls.contexts import Settings, check_context, open_connection, worker
from tests.support.tls import NAME, client_context


def settings(**options):
    defaults = {
        "context": client_context(),
        "server_side": False,
        "server_hostname": NAME,
        "handshake_timeout": None,
        "shutdown_timeout": None,
    }
    return Settings(**{**defaults, **options})


class Loop:
    _tls = None


def test_all_connections_of_a_loop_share_one_pair_of_buffers():
    loop, other = Loop(), Loop()
    first, face = open_connection(loop, settings())
    second, _ = open_connection(loop, settings())
    third, _ = open_connection(other, settings())
    assert first is second is loop._tls
    assert third is other._tls is not first
    assert isinstance(face, ssl.SSLObject)
    assert face.server_hostname == NAME
    with pytest.raises(ssl.SSLWantReadError):
        face.do_handshake()
    assert first.fetch().startswith(b"\x16")  # a handshake record


def test_a_context_that_makes_its_own_connections_is_asked():
    class Verifying(ssl.SSLObject):
        pass

    context = client_context()
    _, face = open_connection(Loop(), settings(context=context))
    assert worker(face) is face._sslobj
    context.sslobject_class = Verifying
    _, face = open_connection(Loop(), settings(context=context))
    assert worker(face) is face
    stock, asked = context.wrap_bio, []
    context.wrap_bio = lambda *args, **kwargs: asked.append(kwargs) or stock(*args, **kwargs)
    open_connection(Loop(), settings(context=context))
    assert asked == [{"server_side": False, "server_hostname": NAME}]


def test_an_international_name_is_encoded():
    _, face = open_connection(Loop(), settings(server_hostname="bücher.test"))
    assert face.server_hostname == "xn--bcher-kva.test"


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
