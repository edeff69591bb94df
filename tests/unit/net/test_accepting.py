"""Accepting by integers: the socket is the same, and nobody is accepted in vain."""

import asyncio
import socket

import pytest

from loopkit.net.accepting import Acceptor
from tests.support.net import connect
from tests.support.protocols import Recorder


@pytest.fixture(params=["IPv4", "IPv6", "Unix"])
def listener(request, tmp_path):
    if request.param == "Unix":
        sock = socket.socket(socket.AF_UNIX)
        sock.bind(str(tmp_path / "sock"))
    else:
        family, host = (socket.AF_INET, "127.0.0.1") if request.param == "IPv4" else (socket.AF_INET6, "::1")
        sock = socket.socket(family)
        sock.bind((host, 0))
    with sock:
        sock.listen(5)
        sock.setblocking(False)
        yield sock


def dial(listener):
    client = socket.socket(listener.family)
    client.connect(listener.getsockname())
    return client


def test_the_socket_is_what_accept_would_return(listener):
    with dial(listener), dial(listener):
        theirs, their_address = listener.accept()
        ours, our_address = Acceptor(listener).accept()
        with theirs, ours:
            assert type(ours) is socket.socket
            assert (ours.family, ours.type, ours.proto) == (theirs.family, theirs.type, theirs.proto)
            assert ours.getsockname() == theirs.getsockname()
            assert type(our_address) is type(their_address)
            assert our_address == ours.getpeername()
            assert ours.gettimeout() == 0
            assert ours.get_inheritable() is False


def test_it_knows_whether_there_is_more(listener):
    acceptor = Acceptor(listener)
    assert not acceptor.has_more()
    with dial(listener), dial(listener):
        for _ in range(2):
            assert acceptor.has_more()
            acceptor.accept()[0].close()
        assert not acceptor.has_more()
        with pytest.raises(BlockingIOError):
            acceptor.accept()


class Counting(socket.socket):
    """A listener with an `accept` of its own."""

    accepted = 0

    def accept(self):
        self.accepted += 1
        return super().accept()


def test_a_listeners_own_accept_is_called():
    with Counting() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        with connect(listener.getsockname()), Acceptor(listener).accept()[0] as ours:
            assert listener.accepted == 1
            assert ours.gettimeout() == 0


async def test_nobody_is_accepted_in_vain():
    loop = asyncio.get_running_loop()
    listener = Counting()
    listener.bind(("127.0.0.1", 0))
    made = []

    def factory():
        made.append(Recorder())
        return made[-1]

    server = await loop.create_server(factory, sock=listener)
    for count in (1, 3):
        clients = [connect(listener.getsockname()) for _ in range(count)]
        while len(made) < count:
            await asyncio.sleep(0.001)
        if loop.poller_name != "busy":  # which tries: that is its way
            assert listener.accepted == count
        for client, protocol in zip(clients, made, strict=True):
            client.close()
            await protocol.lost()
        made.clear()
        listener.accepted = 0
    server.close()
    await server.wait_closed()
