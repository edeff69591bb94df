"""Outgoing connections: who closes what when it fails, and the race between addresses."""

import asyncio
import socket

import pytest

from loopkit.net import attempts, connect
from tests.support.net import refused_port, unix_pair
from tests.support.protocols import Recorder


class Opened:
    """Notes every socket that connecting makes."""

    def __init__(self, monkeypatch):
        self.sockets = []
        real = socket.socket

        def make(*args, **kwargs):
            sock = real(*args, **kwargs)
            self.sockets.append(sock)
            return sock

        monkeypatch.setattr(connect.socket, "socket", make)

    def all_closed(self):
        return all(sock.fileno() == -1 for sock in self.sockets)


def answers(loop, *addresses):
    """Have every name mean these IPv4 addresses."""

    async def getaddrinfo(host, port, **options):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in addresses]

    loop.getaddrinfo = getaddrinfo


def bad_factory():
    raise LookupError("no protocol")


async def test_a_factory_that_fails_closes_the_socket_we_made(monkeypatch):
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()
        opened = Opened(monkeypatch)
        with pytest.raises(LookupError, match="no protocol"):
            await loop.create_connection(bad_factory, *address)
        assert opened.sockets
        assert opened.all_closed()


@pytest.mark.parametrize("closes", [False, True])
@pytest.mark.parametrize("name", ["create_connection", "create_unix_connection", "connect_accepted_socket"])
async def test_a_factory_that_fails_and_the_callers_socket(monkeypatch, name, closes):
    monkeypatch.setattr(connect, "CLOSES_GIVEN", closes)
    loop = asyncio.get_running_loop()
    with unix_pair() as (ours, theirs):
        number = ours.fileno()
        with pytest.raises(LookupError):
            await getattr(loop, name)(bad_factory, sock=ours)
        assert ours.fileno() == (-1 if closes else number)
        assert loop._watches.owner(number) is None


async def test_every_socket_of_a_failed_attempt_is_closed(monkeypatch):
    loop = asyncio.get_running_loop()
    answers(loop, *(("127.0.0.1", refused_port()) for _ in range(3)))
    opened = Opened(monkeypatch)
    with pytest.raises(OSError, match="Connect call failed"):
        await loop.create_connection(Recorder, "name", 1)
    assert len(opened.sockets) == 3
    assert opened.all_closed()


@pytest.mark.parametrize("delay", [None, 0.01])
async def test_a_cancelled_connect_closes_its_sockets(monkeypatch, delay):
    loop = asyncio.get_running_loop()
    opened = Opened(monkeypatch)
    never = loop.create_future()

    async def sock_connect(sock, address):
        await never

    loop.sock_connect = sock_connect
    answers(loop, ("127.0.0.1", 1), ("127.0.0.1", 2))
    task = asyncio.ensure_future(loop.create_connection(Recorder, "name", 1, happy_eyeballs_delay=delay))
    wanted = 1 if delay is None else 2
    while len(opened.sockets) < wanted:
        await asyncio.sleep(0.001)
    assert len(opened.sockets) == wanted
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert opened.all_closed()


class Race:
    """`sock_connect` under the test's control: each attempt waits until it is told how to end."""

    def __init__(self, loop, count):
        self.attempts = {}
        self.cancelled = set()
        loop.sock_connect = self.sock_connect
        answers(loop, *((f"10.0.0.{number}", 1) for number in range(count)))
        self.loop = loop

    async def sock_connect(self, sock, address):
        name = address[0][-1]
        self.attempts[name] = (sock, self.loop.create_future())
        try:
            await self.attempts[name][1]
        except asyncio.CancelledError:
            self.cancelled.add(name)
            raise

    async def until(self, name):
        while name not in self.attempts:
            await asyncio.sleep(0.001)

    def wins(self, name):
        self.attempts[name][1].set_result(None)

    def loses(self, name):
        self.attempts[name][1].set_exception(OSError(f"attempt {name}"))


def race(loop, delay):
    infos = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"10.0.0.{n}", 1)) for n in range(3)]
    return asyncio.ensure_future(attempts._race(loop, infos, None, [], delay))


async def test_the_next_attempt_starts_after_the_delay_and_the_first_to_succeed_wins():
    loop = asyncio.get_running_loop()
    hands = Race(loop, 3)
    task = race(loop, 0.005)
    await hands.until("1")
    await hands.until("2")
    hands.wins("1")
    winner = await task
    assert winner is hands.attempts["1"][0]
    assert hands.cancelled == {"0", "2"}
    assert hands.attempts["0"][0].fileno() == hands.attempts["2"][0].fileno() == -1
    winner.close()


async def test_the_next_attempt_starts_at_once_when_one_has_failed():
    loop = asyncio.get_running_loop()
    hands = Race(loop, 3)
    task = race(loop, 3600)
    await hands.until("0")
    assert set(hands.attempts) == {"0"}
    hands.loses("0")
    await hands.until("1")
    hands.wins("1")
    winner = await task
    assert set(hands.attempts) == {"0", "1"}
    winner.close()


async def test_two_that_succeed_together_leave_one():
    loop = asyncio.get_running_loop()
    hands = Race(loop, 3)
    task = race(loop, 0.001)
    await hands.until("2")
    hands.wins("0")
    hands.wins("1")
    winner = await task
    open_ones = [sock for sock, _ in hands.attempts.values() if sock.fileno() != -1]
    assert open_ones == [winner]
    winner.close()


async def test_a_race_that_all_lose_has_no_winner():
    loop = asyncio.get_running_loop()
    hands = Race(loop, 3)
    task = race(loop, 3600)
    for name in "012":
        await hands.until(name)
        hands.loses(name)
    assert await task is None


async def test_a_race_cancelled_as_somebody_wins_closes_the_winner():
    loop = asyncio.get_running_loop()
    hands = Race(loop, 3)
    task = race(loop, 3600)
    await hands.until("0")
    hands.wins("0")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert hands.attempts["0"][0].fileno() == -1


async def test_an_error_that_is_not_the_networks_ends_the_race():
    loop = asyncio.get_running_loop()
    hands = Race(loop, 3)
    task = race(loop, 0.001)
    await hands.until("1")
    hands.attempts["0"][1].set_exception(LookupError("a bug"))
    with pytest.raises(LookupError, match="a bug"):
        await task
    assert all(sock.fileno() == -1 for sock, _ in hands.attempts.values())


async def test_attempts_without_an_error_of_their_own_are_a_timeout(monkeypatch):
    loop = asyncio.get_running_loop()

    async def nobody(*args):
        return None

    monkeypatch.setattr(attempts, "_race", nobody)
    with pytest.raises(TimeoutError, match="create_connection failed"):
        await attempts.connect_any(loop, [], None, 1.0, False)


async def test_local_addresses_of_another_family_do_not_fit():
    with socket.socket() as sock:
        errors = []
        with pytest.raises(OSError, match="no matching local address with family=.* found"):
            attempts._bind_any(sock, socket.AF_INET, [(socket.AF_INET6, 1, 6, "", ("::1", 0, 0, 0))], errors)


async def test_the_second_local_address_is_tried():
    with socket.create_server(("127.0.0.1", 0)) as taken, socket.socket() as sock:
        infos = [
            (socket.AF_INET, 1, 6, "", taken.getsockname()),
            (socket.AF_INET, 1, 6, "", ("127.0.0.1", 0)),
        ]
        attempts._bind_any(sock, socket.AF_INET, infos, [])
        assert sock.getsockname()[0] == "127.0.0.1"
        assert sock.getsockname() != taken.getsockname()


async def test_the_callers_socket_becomes_non_blocking_and_owned():
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    with theirs:
        transport, protocol = await loop.create_unix_connection(Recorder, sock=ours)
        assert ours.gettimeout() == 0
        assert loop._watches.owner(ours.fileno()) is transport
        transport.abort()
        await protocol.lost()
        await asyncio.sleep(0)
