"""Waking a poll: how many system calls it costs, and from where it works."""

import contextlib
import os
import select
import socket
import threading

import pytest

from loopkit.wakeup import Wakeup


@pytest.fixture(params=["eventfd", "socketpair"])
def wakeup(request, monkeypatch):
    if request.param == "socketpair":
        monkeypatch.delattr(os, "eventfd", raising=False)
    elif not hasattr(os, "eventfd"):
        pytest.skip("no eventfd here")
    wakeup = Wakeup()
    assert isinstance(wakeup._sender, socket.socket) == (request.param == "socketpair")
    with contextlib.closing(wakeup):
        yield wakeup


def is_readable(wakeup, timeout=0.0):
    return bool(select.select([wakeup.fileno()], [], [], timeout)[0])


def test_waking_makes_it_readable_until_it_is_cleared(wakeup):
    assert not is_readable(wakeup)
    wakeup.wake()
    assert is_readable(wakeup)
    wakeup.clear()
    assert not is_readable(wakeup)


def test_many_wakeups_are_one(wakeup):
    """10,000 calls from a thread cost one system call: the flag swallows the others."""
    sent = []
    real = wakeup._sender

    class Counting(socket.socket):
        def send(self, data):
            sent.append(data)
            return real.send(data)

    class CountingFile:
        def write(self, data):
            sent.append(data)
            return real.write(data)

        def close(self):
            real.close()

    wakeup._sender = Counting() if isinstance(real, socket.socket) else CountingFile()
    for _ in range(10_000):
        wakeup.wake()
    assert len(sent) == 1
    wakeup.clear()
    wakeup.wake()
    assert len(sent) == 2
    if isinstance(real, socket.socket):
        real.close()


def test_clearing_what_was_not_woken_is_harmless(wakeup):
    wakeup.clear()
    wakeup.clear()
    wakeup.wake()
    assert is_readable(wakeup)


def test_a_wakeup_after_the_flag_went_down_is_not_lost(wakeup):
    """Clear lowers the flag first and reads second: what comes in between is read, and its work is there."""
    wakeup.wake()
    wakeup.pending = False  # the loop has just lowered it ...
    wakeup.wake()  # ... when a thread comes
    wakeup.clear()
    assert wakeup.pending is False
    wakeup.wake()
    assert is_readable(wakeup)


class Interrupted:
    """An end of it whose system call Ctrl-C hits, before or after the kernel has done it."""

    def __init__(self, real, done):
        self.real, self.done = real, done

    def write(self, data):
        if self.done:
            (self.real.send if isinstance(self.real, socket.socket) else self.real.write)(data)
        raise KeyboardInterrupt

    def read(self, size):
        if self.done:
            (self.real.recv if isinstance(self.real, socket.socket) else self.real.read)(size)
        raise KeyboardInterrupt

    send, recv = write, read


@pytest.mark.parametrize("done", [False, True], ids=["before", "after"])
def test_ctrl_c_while_it_wakes_swallows_no_later_wakeup(wakeup, done):
    sender, wakeup._sender = wakeup._sender, Interrupted(wakeup._sender, done)
    with pytest.raises(KeyboardInterrupt):
        wakeup.wake()
    wakeup._sender = sender
    wakeup.wake()
    assert is_readable(wakeup)


@pytest.mark.parametrize("done", [False, True], ids=["before", "after"])
def test_ctrl_c_while_it_is_cleared_swallows_no_later_wakeup(wakeup, done):
    wakeup.wake()
    receiver, wakeup._receiver = wakeup._receiver, Interrupted(wakeup._receiver, done)
    with pytest.raises(KeyboardInterrupt):
        wakeup.clear()
    wakeup._receiver = receiver
    wakeup.wake()
    assert is_readable(wakeup)


def test_it_wakes_from_another_thread(wakeup):
    thread = threading.Thread(target=wakeup.wake)
    thread.start()
    assert is_readable(wakeup, 5.0)
    thread.join()


def test_waking_after_close_is_harmless_and_touches_nobody_elses_descriptor(wakeup):
    number = wakeup.fileno()
    wakeup.close()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert number in (ours.fileno(), theirs.fileno())
        wakeup.wake()
        ours.setblocking(False)
        theirs.setblocking(False)
        for sock in (ours, theirs):
            with pytest.raises(BlockingIOError):
                sock.recv(1)


def test_a_full_counter_stops_nobody(wakeup):
    if isinstance(wakeup._sender, socket.socket):
        with contextlib.suppress(BlockingIOError):
            while True:
                wakeup._sender.send(b"x" * 4096)
    else:
        wakeup._sender.write((2**64 - 2).to_bytes(8, "little"))
    wakeup.wake()
    assert is_readable(wakeup)


def test_its_descriptor_is_not_inherited(wakeup):
    assert not os.get_inheritable(wakeup.fileno())
