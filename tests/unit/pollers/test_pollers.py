"""The contract that all pollers keep, on real descriptors; and what is particular to each."""

import contextlib
import os
import resource
import select
import signal
import socket
import threading
import time
from select import POLLERR, POLLHUP, POLLIN, POLLNVAL, POLLOUT

import pytest

from loopkit.pollers import POLLERS, BusyPoller, EpollPoller, PollPoller, SelectPoller, best, named, poll
from tests.support.net import fill, read_exactly, reset, tcp_pair, unix_pair

# The busy poller twice: with foreign descriptors, which it asks for, and with its loop's own, which it tries.
KINDS = ["epoll", "poll", "select", "busy", "busy, own"]

# More than enough for a kernel that has something to report; only a failing test waits so long.
SOON = 5.0


class Everything:
    def __contains__(self, fd):
        return True


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def poller(kind):
    name, _, own = kind.partition(", ")
    poller = POLLERS[name](Everything() if own else ())
    with contextlib.closing(poller):
        yield poller


def ready(poller, fd, timeout=0.0):
    """The mask reported for fd; 0 if none is."""
    return dict(poller.poll(timeout)).get(fd, 0)


def until(poller, fd, mask):
    """Poll until fd is reported with one of the bits of mask; what was reported."""
    for _ in range(100_000):
        if (got := ready(poller, fd, SOON)) & mask:
            return got
    raise AssertionError(f"{fd} is never reported with {mask}")


def not_own(kind):
    if kind == "busy, own":
        pytest.skip("it does not ask the kernel about these, by contract")


# -- readiness -----------------------------------------------------------------------------------------------


def test_a_descriptor_is_reported_when_it_is_readable(poller, kind):
    with unix_pair() as (ours, theirs):
        poller.register(ours.fileno(), POLLIN)
        if kind != "busy, own":
            assert poller.poll(0) == []
        theirs.send(b"x")
        assert until(poller, ours.fileno(), POLLIN) == POLLIN
        poller.unregister(ours.fileno())


def test_it_is_reported_again_as_long_as_it_is(poller):
    """Level-triggered: an event that was not dealt with is not lost."""
    with unix_pair() as (ours, theirs):
        theirs.send(b"x")
        poller.register(ours.fileno(), POLLIN)
        assert [ready(poller, ours.fileno(), SOON) for _ in range(3)] == [POLLIN] * 3
        poller.unregister(ours.fileno())


def test_only_what_was_asked_for_is_reported(poller):
    with unix_pair() as (ours, theirs):
        theirs.send(b"x")
        fd = ours.fileno()
        poller.register(fd, POLLOUT)
        assert ready(poller, fd, SOON) == POLLOUT
        poller.modify(fd, POLLIN)
        assert ready(poller, fd, SOON) == POLLIN
        poller.modify(fd, POLLIN | POLLOUT)
        assert ready(poller, fd, SOON) == POLLIN | POLLOUT
        poller.unregister(fd)
        assert ready(poller, fd) == 0


def test_a_full_socket_is_not_writable(poller, kind):
    not_own(kind)
    with unix_pair() as (ours, theirs):
        amount = fill(ours)
        poller.register(ours.fileno(), POLLOUT)
        assert poller.poll(0) == []
        assert len(read_exactly(theirs, amount)) == amount
        assert until(poller, ours.fileno(), POLLOUT) == POLLOUT
        poller.unregister(ours.fileno())


def test_several_are_reported_at_once(poller):
    with contextlib.ExitStack() as stack:
        pairs = [stack.enter_context(unix_pair()) for _ in range(10)]
        for ours, theirs in pairs:
            theirs.send(b"x")
            poller.register(ours.fileno(), POLLIN)
        assert dict(poller.poll(SOON)) == {ours.fileno(): POLLIN for ours, _ in pairs}
        for ours, _ in pairs:
            poller.unregister(ours.fileno())


def test_the_end_of_the_stream_makes_it_readable(poller):
    with unix_pair() as (ours, theirs):
        poller.register(ours.fileno(), POLLIN)
        theirs.shutdown(socket.SHUT_WR)
        assert until(poller, ours.fileno(), POLLIN) & POLLIN
        poller.unregister(ours.fileno())


@pytest.mark.parametrize("mask", [POLLIN, POLLOUT])
def test_a_reset_wakes_whoever_waits(poller, mask):
    """Error and hang-up are reported whatever the mask says; select has no bits for them and says ready."""
    with tcp_pair() as (ours, theirs):
        if mask == POLLOUT:
            fill(ours)
        poller.register(ours.fileno(), mask)
        reset(theirs)
        assert until(poller, ours.fileno(), mask | POLLERR | POLLHUP)
        poller.unregister(ours.fileno())


def test_the_writing_end_of_a_broken_pipe_is_reported(poller):
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    try:
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(writing, b"x" * 65536)
        poller.register(writing, POLLOUT)
        os.close(reading)
        assert until(poller, writing, POLLOUT | POLLERR)
        poller.unregister(writing)
    finally:
        os.close(writing)


# -- time ----------------------------------------------------------------------------------------------------


def test_a_timeout_of_zero_does_not_wait(poller, kind):
    not_own(kind)
    with unix_pair() as (ours, theirs):
        poller.register(ours.fileno(), POLLIN)
        assert poller.poll(0) == []
        assert poller.poll(0.0) == []
        poller.unregister(ours.fileno())


@pytest.mark.parametrize("timeout", [0.0004, 0.0015, 0.003])
@pytest.mark.parametrize("name", ["epoll", "poll", "select"])
def test_a_poll_never_ends_early(name, timeout):
    """Rounded up: a timer must not fire early, nor the last fraction of a millisecond be spent spinning."""
    with contextlib.closing(POLLERS[name]()) as poller:
        for _ in range(5):
            start = time.monotonic()
            assert poller.poll(timeout) == []
            assert time.monotonic() - start >= timeout


@pytest.mark.parametrize(("whole", "asked"), [(True, 2), (False, 1.5)])
def test_poll_is_asked_for_fractions_of_a_millisecond_where_it_takes_them(monkeypatch, whole, asked):
    monkeypatch.setattr(poll, "WHOLE_MILLISECONDS", whole)
    poller, got = PollPoller(), []
    poller._poll = got.append
    poller.poll(0.0015)
    assert got == [asked]


def test_the_busy_poller_never_waits():
    """Its loop looks at the clock all the time; a poll that waited would make its timers late."""
    with contextlib.closing(BusyPoller()) as poller:
        assert poller.poll(None) == poller.poll(3600.0) == []


@pytest.mark.parametrize("name", ["epoll", "poll", "select"])
def test_without_a_timeout_it_waits_until_something_comes(name):
    with contextlib.closing(POLLERS[name]()) as poller, unix_pair() as (ours, theirs):
        poller.register(ours.fileno(), POLLIN)
        thread = threading.Thread(target=theirs.send, args=(b"x",))
        thread.start()
        assert poller.poll(None) == [(ours.fileno(), POLLIN)]
        thread.join()
        poller.unregister(ours.fileno())


@pytest.mark.parametrize("name", ["epoll", "poll", "select"])
def test_a_signal_does_not_end_a_poll(name):
    """PEP 475: the call is made again with what is left of the timeout, unless the handler raises."""
    came = []
    previous = signal.signal(signal.SIGUSR1, lambda *_: (came.append(1), theirs.send(b"x")))
    try:
        with contextlib.closing(POLLERS[name]()) as poller, unix_pair() as (ours, theirs):
            poller.register(ours.fileno(), POLLIN)
            main = threading.main_thread().ident
            thread = threading.Thread(target=lambda: signal.pthread_kill(main, signal.SIGUSR1))
            thread.start()
            assert poller.poll(SOON) == [(ours.fileno(), POLLIN)]
            thread.join()
            poller.unregister(ours.fileno())
    finally:
        signal.signal(signal.SIGUSR1, previous)
    assert came == [1]


# -- closed and reused numbers -------------------------------------------------------------------------------


def test_a_closed_descriptor_is_refused(poller):
    reading, writing = os.pipe()
    os.close(reading)
    os.close(writing)
    with pytest.raises(OSError, match="Bad file descriptor"):
        poller.register(reading, POLLIN)


def test_a_number_that_means_another_file_cannot_be_modified(poller):
    """That is how the fd table asks whether it does."""
    with unix_pair() as (ours, theirs), unix_pair() as (other, peer):
        fd = ours.fileno()
        poller.register(fd, POLLIN)
        poller.modify(fd, POLLIN)
        os.dup2(other.fileno(), fd)
        with pytest.raises(FileNotFoundError):
            poller.modify(fd, POLLIN)
        with contextlib.suppress(OSError, KeyError):
            poller.unregister(fd)


def test_a_descriptor_closed_while_watched_stops_nobody(poller, kind):
    not_own(kind)
    with unix_pair() as (ours, theirs), unix_pair() as (other, peer):
        fd = ours.fileno()
        poller.register(fd, POLLIN)
        poller.register(other.fileno(), POLLIN)
        ours.close()
        peer.send(b"x")
        seen = {}
        for _ in range(2):
            for number, mask in poller.poll(SOON):
                seen[number] = mask
                if number == fd:
                    assert mask == POLLNVAL
                    poller.unregister(fd)
        assert seen[other.fileno()] == POLLIN
        poller.unregister(other.fileno())


def test_a_reused_number_can_be_watched(poller, kind):
    not_own(kind)
    with unix_pair() as (ours, theirs):
        fd = ours.fileno()
        poller.register(fd, POLLIN)
        with contextlib.suppress(OSError, KeyError):
            poller.unregister(fd)
        ours.close()
        again, peer = socket.socketpair()
        with again, peer:
            assert again.fileno() == fd
            poller.register(fd, POLLIN)
            assert ready(poller, fd) == 0
            peer.send(b"x")
            assert ready(poller, fd, SOON) == POLLIN
            poller.unregister(fd)


def test_a_dup_is_a_descriptor_of_its_own(poller):
    with unix_pair() as (ours, theirs):
        theirs.send(b"x")
        twin = os.dup(ours.fileno())
        try:
            poller.register(ours.fileno(), POLLIN)
            poller.register(twin, POLLIN)
            assert dict(poller.poll(SOON)) == {ours.fileno(): POLLIN, twin: POLLIN}
            poller.unregister(ours.fileno())
            assert dict(poller.poll(SOON)) == {twin: POLLIN}
            poller.unregister(twin)
        finally:
            os.close(twin)


@pytest.mark.parametrize("name", ["epoll", "poll", "busy"])
def test_an_unknown_number_is_refused(name):
    """`watches.py` takes these answers as: closed and reused behind my back."""
    with contextlib.closing(POLLERS[name]()) as poller, unix_pair() as (ours, theirs):
        with pytest.raises((KeyError, FileNotFoundError)):
            poller.unregister(ours.fileno())
        if name == "epoll":
            with pytest.raises(FileNotFoundError):
                poller.modify(ours.fileno(), POLLIN)
            poller.register(ours.fileno(), POLLIN)
            with pytest.raises(FileExistsError):
                poller.register(ours.fileno(), POLLIN)


# -- limits and refusals -------------------------------------------------------------------------------------


@pytest.fixture
def above_1023():
    """A descriptor that select cannot express."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 1100:
        pytest.skip(f"no more than {hard} descriptors are allowed here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 1100), hard))
    ours, theirs = socket.socketpair()
    high = 1024
    os.dup2(ours.fileno(), high)
    theirs.send(b"x")
    try:
        yield high
    finally:
        os.close(high)
        ours.close()
        theirs.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_select_refuses_what_it_cannot_express_and_goes_on(above_1023):
    with contextlib.closing(SelectPoller()) as poller, unix_pair() as (ours, theirs):
        poller.register(ours.fileno(), POLLIN)
        with pytest.raises(ValueError) as caught:
            poller.register(above_1023, POLLIN)
        assert str(caught.value) == (
            "select() cannot watch fd 1024 (its limit is 1023); use the poll or epoll poller"
        )
        theirs.send(b"x")
        assert poller.poll(SOON) == [(ours.fileno(), POLLIN)]


@pytest.mark.parametrize("name", ["epoll", "poll", "busy"])
def test_the_others_have_no_limit(name, above_1023):
    with contextlib.closing(POLLERS[name]()) as poller:
        assert poller.limit is None
        poller.register(above_1023, POLLIN)
        assert until(poller, above_1023, POLLIN) == POLLIN


def test_the_limit_of_select_is_what_it_says():
    assert SelectPoller.limit == 1023


@pytest.mark.parametrize("name", ["poll", "select", "busy"])
def test_a_regular_file_is_always_ready(name, tmp_path):
    with contextlib.closing(POLLERS[name]()) as poller, (tmp_path / "file").open("w+b") as file:
        poller.register(file.fileno(), POLLIN)
        assert until(poller, file.fileno(), POLLIN) == POLLIN


def test_epoll_refuses_regular_files(tmp_path):
    with contextlib.closing(EpollPoller()) as poller, (tmp_path / "file").open("w+b") as file:
        with pytest.raises(PermissionError):
            poller.register(file.fileno(), POLLIN)


def test_closing_twice_is_harmless(poller):
    poller.close()
    poller.close()


def test_epoll_gives_its_descriptor_back_and_does_not_hand_it_to_children():
    poller = EpollPoller()
    fd = poller._epoll.fileno()
    assert not os.get_inheritable(fd)
    poller.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)


def test_epoll_costs_no_frame():
    with contextlib.closing(EpollPoller()) as poller:
        for method in (poller.poll, poller.register, poller.modify, poller.unregister):
            assert type(method) is type([].append)


# -- the busy poller's contract ------------------------------------------------------------------------------


def test_the_busy_poller_reports_its_own_without_asking():
    with contextlib.closing(BusyPoller(Everything())) as poller, unix_pair() as (ours, theirs):
        poller.register(ours.fileno(), POLLIN)
        assert poller.poll(0) == [(ours.fileno(), POLLIN)]
        poller.modify(ours.fileno(), POLLIN | POLLOUT)
        assert poller.poll(0) == [(ours.fileno(), POLLIN | POLLOUT)]
        poller.unregister(ours.fileno())
        assert poller.poll(0) == []


def test_the_busy_poller_asks_for_what_is_not_its_own():
    owned = set()
    with contextlib.closing(BusyPoller(owned)) as poller, unix_pair() as (ours, theirs):
        poller.register(ours.fileno(), POLLIN)
        assert poller.poll(0) == []
        theirs.send(b"x")
        assert poller.poll(0) == [(ours.fileno(), POLLIN)]
        poller.unregister(ours.fileno())


# -- names ---------------------------------------------------------------------------------------------------


def test_every_poller_knows_its_name():
    assert {name: cls.name for name, cls in POLLERS.items()} == {name: name for name in POLLERS}


def test_the_best_poller_is_epoll_where_there_is_one():
    assert best() == ("epoll" if hasattr(select, "epoll") else "poll")


def test_the_environment_names_the_default(monkeypatch):
    monkeypatch.setenv("LOOPKIT_POLLER", "select")
    assert named(None) is SelectPoller
    assert named("poll") is PollPoller
    monkeypatch.setenv("LOOPKIT_POLLER", "")
    assert named(None) is POLLERS[best()]


def test_a_wrong_name_is_answered_with_the_right_ones(monkeypatch):
    with pytest.raises(ValueError) as caught:
        named("kqueue")
    assert str(caught.value) == (
        "poller: no poller is called 'kqueue'; choose one of epoll, poll, select, busy"
    )
    monkeypatch.setenv("LOOPKIT_POLLER", "iocp")
    with pytest.raises(ValueError) as caught:
        named(None)
    assert str(caught.value) == (
        "LOOPKIT_POLLER: no poller is called 'iocp'; choose one of epoll, poll, select, busy"
    )
