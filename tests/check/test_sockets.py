"""Does the checker see what waits in the kernel, and does the quick way say what the table says?"""

import errno
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from loopkit.check import sockets
from loopkit.check.sockets import Queues, queues


@pytest.fixture(params=["IPv4", "IPv6", "IPv4 at an IPv6 socket"])
def pair(request: pytest.FixtureRequest) -> Iterator[tuple[socket.socket, socket.socket]]:
    """Our end of a connection, and the server's."""
    six = request.param != "IPv4"
    host = "::1" if request.param == "IPv6" else "127.0.0.1"
    family = socket.AF_INET6 if six else socket.AF_INET
    with socket.create_server(("", 0), family=family, dualstack_ipv6=six) as listening:
        with (
            socket.create_connection((host, listening.getsockname()[1])) as ours,
            listening.accept()[0] as theirs,
        ):
            yield ours, theirs


def refused(*_: Any) -> Queues:
    raise OSError(errno.EACCES, "no such questions")


@pytest.mark.parametrize("quick", [True, False], ids=["asked", "from the table"])
def test_what_the_server_has_not_read_is_seen(
    pair: tuple[socket.socket, socket.socket], quick: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = pair
    where = ours.getpeername()[:2], ours.getsockname()[:2]
    if not quick:
        monkeypatch.setattr(sockets, "_asked", refused)
    assert queues(*where) == Queues(0, 0)
    ours.sendall(b"x" * 777)
    assert queues(*where) == Queues(0, 777)
    theirs.recv(700)
    assert queues(*where) == Queues(0, 77)
    theirs.setblocking(False)
    sent = 0
    try:
        while True:
            sent += theirs.send(bytes(65536))
    except BlockingIOError:
        pass
    found = queues(*where)
    assert found is not None
    assert 0 < found.sent < sent
    assert found.unread == 77


def test_a_connection_that_is_not_there_has_nothing() -> None:
    with pytest.raises(OSError, match="No such file"):
        sockets._asked(("127.0.0.1", 1), ("127.0.0.1", 2))
    assert queues(("127.0.0.1", 1), ("127.0.0.1", 2)) is None
