"""Noticing the end of a child: by pidfd, by thread, when somebody else reaped it or the loop is gone."""

import asyncio
import logging
import os
import subprocess
import threading

import pytest

import loopkit
from loopkit.processes import watch
from loopkit.processes.watch import ExitWatch, collect
from tests.support.fdtable import armed
from tests.support.leaks import open_descriptors
from tests.support.net import PATIENCE
from tests.support.processes import wait_until_gone
from tests.support.pythons import needs_pidfd


@pytest.fixture
def child():
    """A child that ends, with code 3, when its stdin is closed."""
    process = subprocess.Popen(["sh", "-c", "read word; exit 3"], stdin=subprocess.PIPE)
    yield process
    process.stdin.close()
    process.wait()


def no_pidfd(pid):
    raise OSError("no pidfd for you")


@pytest.fixture(params=["pidfd", "missing", "refused"])
def way(request, monkeypatch):
    if request.param == "missing":
        monkeypatch.setattr(watch, "pidfd_open", None)
    elif request.param == "refused":
        monkeypatch.setattr(watch, "pidfd_open", no_pidfd)
    return request.param


async def watched(child):
    """(the watch, a future of what its callback is told)."""
    future = asyncio.get_running_loop().create_future()
    return ExitWatch(asyncio.get_running_loop(), child.pid, future.set_result), future


async def test_the_end_of_a_child(child, way):
    exit_watch, future = await watched(child)
    child.stdin.close()
    assert await future == 3
    child.returncode = 3  # reaped


@needs_pidfd
async def test_the_descriptor_is_given_back(child):
    before = open_descriptors()
    exit_watch, future = await watched(child)
    (pidfd,) = set(open_descriptors()) - set(before)
    assert not os.get_inheritable(pidfd)
    child.stdin.close()
    child.returncode = await future
    assert pidfd not in open_descriptors()
    assert not armed(asyncio.get_running_loop()._watches, pidfd)


@needs_pidfd
async def test_no_thread_where_there_is_a_pidfd(child):
    before = threading.active_count()
    exit_watch, future = await watched(child)
    assert threading.active_count() == before
    child.stdin.close()
    child.returncode = await future


async def test_a_child_killed_by_a_signal(child, way):
    exit_watch, future = await watched(child)
    child.kill()
    child.returncode = await future
    assert child.returncode == -9


async def test_a_child_that_had_ended_before(child, way):
    child.stdin.close()
    assert not wait_until_gone([child.pid], PATIENCE)
    exit_watch, future = await watched(child)
    child.returncode = await future
    assert child.returncode == 3


async def test_a_child_that_somebody_has_reaped_before(child, way):
    child.stdin.close()
    child.wait()
    exit_watch, future = await watched(child)
    assert await future is None


@needs_pidfd
async def test_a_child_that_somebody_reaps_meanwhile(child):
    exit_watch, future = await watched(child)
    child.stdin.close()
    child.wait()
    assert await future is None


async def test_a_number_that_is_another_childs_by_now(child):
    # The pidfd says "ended", and yet the child of that number is running.
    assert collect(child.pid, os.WNOHANG) is None


def test_a_loop_closed_before_the_child_ends_leaks_nothing(child):
    before = open_descriptors()
    loop = loopkit.Loop()

    async def main():
        await watched(child)

    loop.run_until_complete(main())
    loop.close()
    assert open_descriptors() == before


def test_a_thread_that_is_late_says_so_and_reaps(child, monkeypatch, caplog):
    monkeypatch.setattr(watch, "pidfd_open", None)
    before = set(threading.enumerate())
    loop = loopkit.Loop()

    async def main():
        await watched(child)

    loop.run_until_complete(main())
    loop.close()
    (thread,) = set(threading.enumerate()) - before
    assert thread.daemon
    with caplog.at_level(logging.WARNING, "asyncio"):
        child.stdin.close()
        thread.join()
    child.returncode = 3
    assert caplog.messages == [f"Loop {loop!r} that handles pid {child.pid!r} is closed"]


@needs_pidfd
@pytest.mark.loops("select")
async def test_a_pidfd_beyond_the_limit_of_select(child, monkeypatch):
    real = watch.pidfd_open

    def high(pid):
        fd = real(pid)
        try:
            os.dup2(fd, 1060, inheritable=False)
        finally:
            os.close(fd)
        return 1060

    monkeypatch.setattr(watch, "pidfd_open", high)
    exit_watch, future = await watched(child)
    assert 1060 not in open_descriptors()
    child.stdin.close()
    child.returncode = await future
    assert child.returncode == 3
