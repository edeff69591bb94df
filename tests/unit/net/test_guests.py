"""What is remembered of a socket between two `sock_recv`: that it is armed, was empty, and whose it is."""

import _socket
import asyncio
import socket
import weakref
from select import POLLIN

import pytest

import loopkit
from loopkit.net.guests import VISITS, Guest
from tests.support.fdtable import armed, is_read
from tests.support.net import unix_pair
from tests.support.pythons import drop, receives_nothing_at_once


@pytest.fixture
def loop():
    loop = loopkit.EpollLoop()
    yield loop
    loop.close()


@pytest.fixture
def told(loop):
    """What the poller is told: (method, descriptor, mask)."""
    news = []

    def recording(name, real):
        def call(*args):
            news.append((name, *args))
            return real(*args)

        return call

    poller = loop._watches.poller
    for name in ("register", "modify", "unregister"):
        setattr(poller, name, recording(name, getattr(poller, name)))
    return news


async def receive(loop, sock, peer):
    """Wait for a byte that comes when we wait."""
    loop.call_soon(peer.send, b"x")
    return await loop.sock_recv(sock, 10)


def visit(loop, sock, peer):
    """Leave *sock* armed, and found empty."""
    assert loop.run_until_complete(receive(loop, sock, peer)) == b"x"
    return loop._watches.entries[sock.fileno()].guest


def move_in(loop, sock, peer):
    """Come and go as often as it takes to be believed to come back."""
    for _ in range(VISITS):
        visit(loop, sock, peer)
    assert armed(loop._watches, sock.fileno()) == 0
    guest = visit(loop, sock, peer)
    assert armed(loop._watches, sock.fileno()) == POLLIN
    return guest


def nonblocking_pair():
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    return ours, theirs


def test_receiving_again_and_again_tells_the_poller_once(loop, told):
    with unix_pair() as (ours, theirs):
        move_in(loop, ours, theirs)
        told.clear()
        for _ in range(5):
            visit(loop, ours, theirs)
        assert told == []


def test_a_socket_that_is_handed_over_after_a_request_leaves_nothing_armed(loop, told):
    """A dup or a child may keep its file: what is left in epoll then could not be removed any more."""
    with unix_pair() as (ours, theirs):
        visit(loop, ours, theirs)
        assert told == [("register", ours.fileno(), POLLIN), ("unregister", ours.fileno())]


def test_a_socket_object_has_one_guest(loop):
    with unix_pair() as (ours, theirs):
        guest = visit(loop, ours, theirs)
        assert visit(loop, ours, theirs) is guest
        loop.set_debug(True)
        assert visit(loop, ours, theirs) is guest


def test_a_number_that_was_closed_and_reused_is_armed_anew(loop, told):
    ours, theirs = nonblocking_pair()
    fd = ours.fileno()
    move_in(loop, ours, theirs)
    ours.close()
    again, peer = nonblocking_pair()
    with theirs, again, peer:
        assert again.fileno() == fd
        told.clear()
        visit(loop, again, peer)
        assert told[0] == ("modify", fd, POLLIN)  # refused
        assert ("register", fd, POLLIN) in told


def test_the_same_number_of_another_socket_object_is_asked_about(loop, told):
    """detach() hands the descriptor to a new object: it is armed, but we cannot know."""
    with unix_pair() as (ours, theirs):
        fd = ours.fileno()
        move_in(loop, ours, theirs)
        with socket.socket(fileno=ours.detach()) as renamed:
            renamed.setblocking(False)
            told.clear()
            visit(loop, renamed, theirs)
            assert told[0] == ("modify", fd, POLLIN)
            assert ("register", fd, POLLIN) not in told


def test_the_next_of_a_number_is_not_believed_to_be_empty(loop):
    ours, theirs = nonblocking_pair()
    assert visit(loop, ours, theirs).tail is not None
    ours.close()
    again, peer = nonblocking_pair()
    with theirs, again, peer:
        peer.send(b"y")
        receiving = loop.sock_recv(again, 10)
        with pytest.raises(StopIteration) as returned:
            receiving.send(None)  # without waiting
        assert returned.value.value == b"y"


@receives_nothing_at_once
def test_a_drained_socket_gives_nothing_at_once_if_nothing_is_asked(loop):
    with unix_pair() as (ours, theirs):
        visit(loop, ours, theirs)
        assert loop.run_until_complete(loop.sock_recv(ours, 0)) == b""
        assert loop.run_until_complete(loop.sock_recv_into(ours, bytearray())) == 0


def test_the_socket_is_not_kept_alive(loop):
    ours, theirs = nonblocking_pair()
    with theirs:
        guest = visit(loop, ours, theirs)
        assert guest.sock() is ours
        ours.close()
        del ours
        drop()
        assert guest.sock() is None


def test_a_cancelled_receiver_leaves_the_socket_armed_and_the_next_one_gets_the_data(loop, told):
    with unix_pair() as (ours, theirs):
        move_in(loop, ours, theirs)
        told.clear()

        async def main():
            task = loop.create_task(loop.sock_recv(ours, 10))
            await asyncio.sleep(0)
            task.cancel()
            theirs.send(b"x")
            await asyncio.wait([task])
            assert not is_read(loop._watches, ours.fileno())
            return await loop.sock_recv(ours, 10)

        assert loop.run_until_complete(main()) == b"x"
        assert told == []


def test_a_cancelled_receiver_leaves_the_one_who_came_after_it(loop):
    """The second one takes the first one's place: the end of the first must not end its waiting."""
    with unix_pair() as (ours, theirs):

        async def main():
            first = loop.create_task(loop.sock_recv(ours, 10))
            await asyncio.sleep(0)
            second = loop.create_task(loop.sock_recv(ours, 10))
            await asyncio.sleep(0)
            first.cancel()
            await asyncio.wait([first])
            theirs.send(b"x")
            return await second

        assert loop.run_until_complete(main()) == b"x"


def test_a_reader_of_the_program_takes_the_place_and_keeps_it(loop):
    with unix_pair() as (ours, theirs):
        got = []

        async def main():
            waiting = loop.create_task(loop.sock_recv(ours, 10))
            await asyncio.sleep(0)
            loop.add_reader(ours, lambda: got.append(ours.recv(10)))
            theirs.send(b"x")
            while not got:
                await asyncio.sleep(0)
            assert not waiting.done()
            waiting.cancel()
            await asyncio.wait([waiting])
            theirs.send(b"y")
            while len(got) < 2:
                await asyncio.sleep(0)
            assert loop.remove_reader(ours) is True

        loop.run_until_complete(main())
        assert got == [b"x", b"y"]


def test_a_reader_of_the_program_can_be_removed_while_somebody_waits(loop):
    with unix_pair() as (ours, theirs):

        async def main():
            waiting = loop.create_task(loop.sock_recv(ours, 10))
            await asyncio.sleep(0)
            assert loop.remove_reader(ours) is True
            waiting.cancel()
            await asyncio.wait([waiting])

        loop.run_until_complete(main())


def test_a_socket_that_takes_no_weak_reference_is_a_stranger_each_time(loop, told):
    ours, theirs = nonblocking_pair()
    plain = _socket.socket(fileno=ours.detach())
    plain.setblocking(False)
    with theirs:
        for _ in range(2):
            assert loop.run_until_complete(receive(loop, plain, theirs)) == b"x"
        assert [name for name, *_ in told] == ["register", "unregister"] * 2
    plain.close()


def test_who_waits_is_woken_once(loop):
    with unix_pair() as (ours, theirs):
        guest = Guest(loop._watches, ours)
        future = guest.expect(loop)
        guest._callback()
        assert future.done()
        guest._callback()
        guest.part(future)
        guest._callback()
        assert not is_read(loop._watches, ours.fileno())


async def test_what_is_remembered_of_the_queue_keeps_nothing_alive():
    """A handle that has run refers to what it called: a task, and all that this holds."""
    loop = asyncio.get_running_loop()

    class Thing:
        def call(self):
            pass

    with unix_pair() as (ours, theirs):
        theirs.send(b"x")
        thing = Thing()
        gone = weakref.ref(thing)
        loop.call_soon(thing.call)
        assert await loop.sock_recv(ours, 10) == b"x"  # and less than it asked for, with a call in the queue
        assert loop._watches.entries[ours.fileno()].guest.tail() is not None
        del thing
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        drop()
        assert gone() is None
        theirs.send(b"y")
        assert await loop.sock_recv(ours, 10) == b"y"
