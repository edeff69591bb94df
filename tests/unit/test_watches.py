"""The fd table on a real epoll: what is armed, what is believed, what a program may do behind its back."""

import asyncio
import contextlib
import os
import socket
from select import POLLIN, POLLOUT

import pytest

import loopkit
from loopkit.pollers import EpollPoller, SelectPoller
from loopkit.watches import Watches
from tests.support.fdtable import armed, is_read
from tests.support.net import unix_pair


@pytest.fixture
def loop():
    loop = loopkit.EpollLoop()
    yield loop
    loop.close()


class Recording(EpollPoller):
    """The real thing, which also writes down what it is told."""

    __slots__ = ("told",)

    def __init__(self, owned=()):
        super().__init__(owned)
        self.told = []
        for name in ("register", "modify", "unregister"):
            setattr(self, name, self._recording(name, getattr(self, name)))

    def _recording(self, name, real):
        def call(*args):
            self.told.append((name, *args))
            return real(*args)

        return call


@pytest.fixture
def tables():
    tables = Watches(Recording)
    yield tables
    tables.close()


@pytest.fixture
def handle(loop):
    return loop._new_handle(print, (), None)


def told(tables):
    """What the poller was told since the last question."""
    news, tables.poller.told = tables.poller.told, []
    return news


def poll(tables):
    """As the turn does it."""
    tables.polls += 1
    return tables.poll(5)


# -- wanting and arming --------------------------------------------------------------------------------------


def test_each_direction_is_armed_when_it_is_wanted(tables, handle):
    with unix_pair() as (ours, theirs):
        fd = ours.fileno()
        tables.watch_read(fd, handle)
        tables.watch_write(fd, handle)
        assert told(tables) == [("register", fd, POLLIN), ("modify", fd, POLLIN | POLLOUT)]
        tables.unwatch_write(fd)
        tables.unwatch_read(fd)
        assert told(tables) == [("modify", fd, POLLIN), ("unregister", fd)]
        assert tables.entries == {}


def test_unwatching_returns_who_was_there(tables, handle):
    with unix_pair() as (ours, theirs):
        assert tables.unwatch_read(ours.fileno()) is None
        tables.watch_read(ours.fileno(), handle)
        assert tables.unwatch_read(ours.fileno()) is handle
        assert tables.unwatch_write(ours.fileno()) is None


def test_a_transports_reader_rests_and_comes_back_for_nothing(tables, handle):
    with unix_pair() as (ours, theirs):
        fd = ours.fileno()
        tables.own(fd, socket.SocketType)
        tables.watch_read(fd, handle)
        told(tables)
        for _ in range(3):
            tables.rest_read(fd)
            assert not is_read(tables, fd)
            tables.watch_read(fd, handle)
        assert told(tables) == []


def test_a_strangers_rest_is_not_trusted(tables, handle):
    """add_reader's descriptors: their owner may close them without a word."""
    with unix_pair() as (ours, theirs):
        fd = ours.fileno()
        tables.watch_read(fd, handle)
        tables.rest_read(fd)
        told(tables)
        tables.watch_read(fd, handle)
        assert told(tables) == [("modify", fd, POLLIN)]


def test_an_event_that_nobody_wants_disarms(tables, handle):
    with unix_pair() as (ours, theirs):
        fd = ours.fileno()
        tables.watch_read(fd, handle)
        tables.rest_read(fd)
        theirs.send(b"x")
        assert poll(tables) == [(fd, POLLIN)]
        told(tables)
        tables.unwanted(fd, POLLIN)
        assert told(tables) == [("unregister", fd)]
        assert tables.poll(0) == []


def test_an_unwanted_reader_leaves_the_writer(tables, handle):
    with unix_pair() as (ours, theirs):
        fd = ours.fileno()
        tables.watch_read(fd, handle)
        tables.watch_write(fd, handle)
        tables.rest_read(fd)
        theirs.send(b"x")
        told(tables)
        tables.polls += 1
        tables.unwanted(fd, POLLIN)
        assert told(tables) == [("modify", fd, POLLOUT)]
        assert tables.poll(5) == [(fd, POLLOUT)]


def test_what_the_poller_refuses_is_not_watched(handle):
    tables = Watches(SelectPoller)
    with pytest.raises(ValueError, match="cannot watch fd 5000"):
        tables.watch_read(5000, handle)
    with pytest.raises(ValueError, match="cannot watch fd 5000"):
        tables.watch_write(5000, handle)
    assert tables.entries == {}
    tables.close()


# -- closed and reused ---------------------------------------------------------------------------------------


def test_a_number_left_armed_by_a_stranger_is_armed_anew_for_its_owner(tables, handle):
    ours, theirs = socket.socketpair()
    fd = ours.fileno()
    tables.watch_read(fd, handle)
    tables.rest_read(fd)
    ours.close()
    again, peer = socket.socketpair()
    with theirs, again, peer:
        assert again.fileno() == fd
        tables.own(fd, again)
        tables.watch_read(fd, handle)
        peer.send(b"x")
        assert tables.poll(5) == [(fd, POLLIN)]


def test_an_owner_leaves_the_writer_of_a_program_where_it_is(tables, handle):
    with unix_pair() as (ours, theirs):
        fd = ours.fileno()
        tables.watch_write(fd, handle)
        tables.own(fd, ours)
        tables.watch_read(fd, handle)
        assert tables.poll(5) == [(fd, POLLOUT)]


def test_closing_before_letting_go_is_forgiven(tables, handle):
    ours, theirs = socket.socketpair()
    fd = ours.fileno()
    tables.watch_read(fd, handle)
    ours.close()
    theirs.close()
    assert tables.unwatch_read(fd) is handle
    assert tables.entries == {}


def test_who_waits_for_a_number_is_left_alone_by_its_former_owner(tables, handle):
    """A connection that ends late: its number is another socket's by then, which is connecting."""
    with unix_pair() as (ours, _):
        tables.watch_write(ours.fileno(), handle)
        tables.disown(ours.fileno(), object())
        assert tables.writer(ours.fileno()) is handle
        assert armed(tables, ours.fileno()) == POLLOUT


def test_a_number_the_poller_knows_already_is_modified(tables, handle):
    with unix_pair() as (ours, theirs):
        fd = ours.fileno()
        tables.poller.register(fd, POLLOUT)
        told(tables)
        tables.watch_read(fd, handle)
        assert told(tables) == [("register", fd, POLLIN), ("modify", fd, POLLIN)]


def test_forgetting_takes_everything(tables, handle):
    with unix_pair() as (ours, theirs):
        fd = ours.fileno()
        tables.watch_read(fd, handle)
        tables.watch_write(fd, handle)
        tables.rest_read(fd)
        tables.forget(fd)
        assert tables.entries == {}
        tables.forget(fd)


# -- what lives on in a dup ----------------------------------------------------------------------------------


def test_a_closed_number_whose_file_lives_on_does_not_spin(loop):
    """The kernel reports a number that cannot be unregistered: a new epoll object is the only cure."""
    before = loop._watches.poller
    ours, theirs = socket.socketpair()
    twin = os.dup(ours.fileno())
    calls = []
    with unix_pair() as (other, peer), theirs:
        loop.add_reader(other, lambda: calls.append(other.recv(1)))
        loop.add_reader(ours, calls.append, "of a closed socket")
        number = ours.fileno()
        ours.close()
        loop.remove_reader(number)
        theirs.send(b"x")
        peer.send(b"y")
        loop.run_until_complete(asyncio.sleep(0.01))
        assert calls == [b"y"]
        assert loop._watches.poller is not before
        peer.send(b"z")
        loop.run_until_complete(asyncio.sleep(0.01))
        assert calls == [b"y", b"z"]
        loop.remove_reader(other)
    os.close(twin)


def test_a_rebuild_keeps_what_is_wanted_and_drops_what_is_dead(tables, handle):
    with unix_pair() as (ours, theirs), unix_pair() as (resting, peer):
        dead, other = socket.socketpair()
        tables.watch_read(ours.fileno(), handle)
        tables.watch_write(ours.fileno(), handle)
        tables.watch_read(resting.fileno(), handle)
        tables.rest_read(resting.fileno())
        tables.watch_read(dead.fileno(), handle)
        dead_number = dead.fileno()
        dead.close()
        other.close()
        old = tables.poller
        tables.rebuild()
        assert tables.poller is not old
        assert armed(tables, ours.fileno()) == POLLIN | POLLOUT
        assert dead_number not in tables.entries
        assert tables.poll(5) == [(ours.fileno(), POLLOUT)]


# -- in the turn ---------------------------------------------------------------------------------------------


@pytest.fixture
def two_readable():
    with unix_pair() as (one, its_peer), unix_pair() as (two, other_peer):
        its_peer.send(b"1")
        other_peer.send(b"2")
        yield one, two


def test_a_reader_removed_by_another_of_the_same_turn_does_not_run(loop, two_readable):
    ran = []

    def first_come(mine, other):
        ran.append(mine)
        loop.remove_reader(mine)
        loop.remove_reader(other)
        loop.stop()

    one, two = two_readable
    loop.add_reader(one, first_come, one, two)
    loop.add_reader(two, first_come, two, one)
    loop.run_forever()
    assert len(ran) == 1


def test_an_event_meant_for_a_closed_socket_does_not_reach_the_next_with_its_number(loop, two_readable):
    ran = []
    one, two = two_readable
    reborn = []

    def first_come(mine, other):
        ran.append("old")
        number = other.fileno()
        loop.remove_reader(mine)
        loop.remove_reader(other)
        other.close()
        again, peer = socket.socketpair()
        reborn.extend((again, peer))
        assert again.fileno() == number
        loop.add_reader(again, ran.append, "stale")
        loop.call_soon(loop.stop)

    loop.add_reader(one, first_come, one, two)
    loop.add_reader(two, first_come, two, one)
    loop.run_forever()
    assert ran == ["old"]
    peer = reborn[1]
    peer.send(b"x")
    loop.remove_reader(reborn[0])
    loop.add_reader(reborn[0], lambda: (ran.append("new"), loop.stop()))
    loop.run_forever()
    assert ran == ["old", "new"]
    loop.remove_reader(reborn[0])
    for sock in reborn:
        sock.close()


def test_a_writer_removed_by_the_reader_of_the_same_descriptor_does_not_run(loop):
    with unix_pair() as (ours, theirs):
        theirs.send(b"x")
        ran = []

        def on_readable():
            ran.append("read")
            loop.remove_writer(ours)
            loop.remove_reader(ours)
            loop.stop()

        loop.add_reader(ours, on_readable)
        loop.add_writer(ours, ran.append, "write")
        loop.run_forever()
        assert ran == ["read"]


# -- numbers and objects -------------------------------------------------------------------------------------


def test_what_was_closed_can_still_be_named_by_its_object(loop):
    ours, theirs = socket.socketpair()
    loop.add_reader(ours, print)
    loop.add_writer(ours, print)
    ours.close()
    theirs.close()
    assert loop.remove_reader(ours) is True
    assert loop.remove_writer(ours) is True
    with pytest.raises(ValueError, match="Invalid file descriptor: -1"):
        loop.remove_reader(ours)
    assert all(entry.thing is not ours for entry in loop._watches.entries.values())


@pytest.mark.parametrize("method", ["add_reader", "add_writer"])
def test_nonsense_is_refused_with_its_value(loop, method):
    add = getattr(loop, method)
    with pytest.raises(ValueError, match="Invalid file object: 'x'"):
        add("x", print)
    with pytest.raises(ValueError, match="Invalid file descriptor: -1"):
        add(-1, print)


def test_a_descriptor_in_use_by_a_transport_is_named(loop):
    with unix_pair() as (ours, theirs):

        async def main():
            transport, _ = await loop.connect_accepted_socket(asyncio.Protocol, ours)
            for method in (loop.add_reader, loop.add_writer):
                with pytest.raises(
                    RuntimeError, match=rf"File descriptor {ours.fileno()} is used by transport <"
                ):
                    method(ours.fileno(), print)
            for method in (loop.remove_reader, loop.remove_writer):
                with pytest.raises(RuntimeError, match="is used by transport"):
                    method(ours.fileno())
            transport.abort()
            await asyncio.sleep(0)

        loop.run_until_complete(main())


# -- fork ----------------------------------------------------------------------------------------------------


def test_a_forked_child_has_a_poller_of_its_own(loop):
    """The child unregisters, wakes and closes without the parent noticing."""
    with unix_pair() as (ours, theirs):
        got = []
        loop.add_reader(ours, lambda: (got.append(ours.recv(1)), loop.stop()))
        before = loop._watches.poller
        pid = os.fork()
        if pid == 0:
            code = 1
            with contextlib.suppress(BaseException):
                assert loop._watches.poller is not before
                loop.remove_reader(ours)
                loop.call_soon_threadsafe(loop.stop)
                loop.run_forever()
                loop.close()
                code = 0
            os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert loop._watches.poller is before
        assert not loop._wakeup.pending
        theirs.send(b"x")
        loop.run_forever()
        assert got == [b"x"]
        loop.remove_reader(ours)
