"""What host and port mean, and in which order addresses are tried."""

import socket
from socket import AF_INET, AF_INET6, IPPROTO_TCP, IPPROTO_UDP, SOCK_DGRAM, SOCK_RAW, SOCK_STREAM

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopkit.net import addresses
from loopkit.net.addresses import interleave, numeric


@pytest.mark.parametrize(
    ("host", "port", "address"),
    [
        ("127.0.0.1", 80, ("127.0.0.1", 80)),
        ("127.0.0.1", "80", ("127.0.0.1", 80)),
        ("127.0.0.1", b"80", ("127.0.0.1", 80)),
        ("127.0.0.1", None, ("127.0.0.1", 0)),
        ("127.0.0.1", "", ("127.0.0.1", 0)),
        ("127.0.0.1", b"", ("127.0.0.1", 0)),
        (b"127.0.0.1", 80, ("127.0.0.1", 80)),
        ("::1", 80, ("::1", 80, 0, 0)),
    ],
)
def test_a_numeric_address_means_itself(host, port, address):
    family = AF_INET6 if ":" in str(host) else AF_INET
    assert numeric(host, port, 0, SOCK_STREAM, 0) == (family, SOCK_STREAM, IPPROTO_TCP, "", address)
    # and is what the resolver would have said
    if isinstance(host, str):
        assert socket.getaddrinfo(host, port, type=SOCK_STREAM)[0] == numeric(host, port, 0, SOCK_STREAM, 0)


@pytest.mark.parametrize(
    ("host", "port"),
    [
        ("localhost", 80),
        (None, 80),
        ("127.0.0.1", "http"),
        ("127.1", 80),
        ("fe80::1%lo", 80),
        ("", 80),
        (b"\xff", 80),
        (5, 80),
    ],
)
def test_what_needs_a_resolver_is_left_to_it(host, port):
    assert numeric(host, port, 0, SOCK_STREAM, 0) is None


def test_the_family_asked_for_must_fit():
    assert numeric("127.0.0.1", 80, AF_INET6, SOCK_STREAM, 0) is None
    assert numeric("::1", 80, AF_INET, SOCK_STREAM, 0) is None
    assert numeric("127.0.0.1", 80, AF_INET, SOCK_STREAM, 0)[0] == AF_INET


def test_the_kind_decides_the_protocol():
    assert numeric("127.0.0.1", 80, 0, SOCK_DGRAM, 0)[2] == IPPROTO_UDP
    assert numeric("127.0.0.1", 80, 0, SOCK_DGRAM, IPPROTO_UDP)[2] == IPPROTO_UDP
    assert numeric("127.0.0.1", 80, 0, SOCK_RAW, 0) is None
    assert numeric("127.0.0.1", 80, 0, SOCK_STREAM, 132) is None


def test_flow_and_scope_are_kept():
    assert numeric("::1", 80, 0, SOCK_STREAM, 0, 5, 6)[4] == ("::1", 80, 5, 6)


def info(family, number):
    return family, SOCK_STREAM, IPPROTO_TCP, "", (str(number), 80)


A, B, C = (info(AF_INET6, number) for number in range(3))
X, Y, Z = (info(AF_INET, number) for number in range(3))


@pytest.mark.parametrize(
    ("infos", "first", "order"),
    [
        ([A, B, X, Y], 1, [A, X, B, Y]),
        ([A, B, C, X, Y], 2, [A, B, X, C, Y]),
        ([A, B, C, X], 3, [A, B, C, X]),
        ([X, A], 1, [X, A]),
        ([A, B], 1, [A, B]),
        ([X, Y, Z, A], 9, [X, Y, Z, A]),
    ],
)
def test_families_take_turns(infos, first, order):
    assert interleave(infos, first) == order


@given(st.lists(st.sampled_from([A, B, C, X, Y, Z])), st.integers(1, 5))
def test_interleaving_loses_nothing_and_keeps_each_familys_order(infos, first):
    if not infos:
        return
    ordered = interleave(infos, first)
    for family in (AF_INET, AF_INET6):
        assert [i for i in ordered if i[0] == family] == [i for i in infos if i[0] == family]
    assert ordered[0] == infos[0]


def test_nagle_is_switched_off_for_tcp_only():
    with socket.socket() as tcp:
        addresses.set_no_delay(tcp)
        assert tcp.getsockopt(IPPROTO_TCP, socket.TCP_NODELAY)
    for kind in ((AF_INET, SOCK_DGRAM), (socket.AF_UNIX, SOCK_STREAM)):
        with socket.socket(*kind) as other:
            addresses.set_no_delay(other)


def test_a_system_without_reuse_port_says_so(monkeypatch):
    with socket.socket() as sock:
        addresses.set_reuse_port(sock)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT)
        monkeypatch.setattr(socket, "SO_REUSEPORT", 9999)
        with pytest.raises(ValueError, match="SO_REUSEPORT defined but not implemented"):
            addresses.set_reuse_port(sock)
        monkeypatch.delattr(socket, "SO_REUSEPORT")
        with pytest.raises(ValueError, match="reuse_port not supported by socket module"):
            addresses.set_reuse_port(sock)
