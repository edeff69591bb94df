"""What a program reaches for that no simulation has: refused by name, with the way out, or stood in for."""

import asyncio
import concurrent.futures
import logging
import multiprocessing
import os
import secrets
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid

import pytest

from loopkit.processes import watch as exits
from loopkit.testing import EscapedError, outside, real_sockets, run

REAL_TIME = "in real time"


async def in_a_process_pool():
    with concurrent.futures.ProcessPoolExecutor(1) as pool:
        await asyncio.get_running_loop().run_in_executor(pool, int)


async def in_a_pool_of_its_own():
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        pool.submit(int)


async def register_with_a_selector():
    left, right = socket.socketpair()
    with left, right, selectors.DefaultSelector() as selector:
        selector.register(left, selectors.EVENT_READ)


async def watch(name):
    with open(name) as file:
        asyncio.get_running_loop().add_reader(file, print)


ESCAPES = {
    "a thread": (lambda: threading.Thread(target=print, name="worker").start(), "'worker'.*to_thread"),
    "a thread of a pool": (in_a_pool_of_its_own, "to_thread"),
    "a process pool": (in_a_process_pool, "ProcessPoolExecutor.*ThreadPoolExecutor"),
    "a child": (lambda: subprocess.Popen([sys.executable]), REAL_TIME),
    "a child of the loop": (
        lambda: asyncio.create_subprocess_exec("true"),
        r"'true'.*loop\.world\.process\('true'",
    ),
    "a child of the shell": (lambda: os.system("true"), r"system\(\).*replace it"),
    "a child of multiprocessing": (
        lambda: multiprocessing.get_context("spawn").Process(target=int).start(),
        r"fork_exec\(\).*replace it",
    ),
    "a pipe of multiprocessing": (multiprocessing.Pipe, r"multiprocessing\.Pipe\(\) would need a process"),
    "fork": (lambda: os.fork(), r"fork\(\).*replace it"),
    "a signal": (lambda: signal.raise_signal(signal.SIGCHLD), r"loop\.world\.signal"),
    "a signal by kill": (
        lambda: os.kill(os.getpid(), signal.SIGCHLD),
        r"signal 17.*loop\.world\.signal\(17\)",
    ),
    "a file": (lambda: watch("/dev/null"), r"descriptor \d+ is a real one.*loopkit\.Loop"),
    "a selector": (register_with_a_selector, r"EpollSelector.*select\.select"),
}


@pytest.mark.parametrize(("escape", "words"), ESCAPES.values(), ids=ESCAPES)
def test_it_is_refused_by_name_with_the_way_out(escape, words):
    async def main():
        with pytest.raises(EscapedError, match=words):
            result = escape()
            if asyncio.iscoroutine(result):
                await result

    run(main)


def test_what_is_no_thread_pool_is_refused_as_an_executor():
    class Elsewhere(concurrent.futures.Executor):
        """As a process pool that was made before."""

    async def main():
        with pytest.raises(EscapedError, match="Elsewhere would run in real time.*ThreadPoolExecutor"):
            await asyncio.get_running_loop().run_in_executor(Elsewhere(), int)

    run(main)


def test_what_asks_for_real_sockets_gets_a_real_child():
    async def main():
        with real_sockets():
            return subprocess.run(
                [sys.executable, "-c", "print(1)"], stdout=subprocess.PIPE, check=True
            ).stdout

    assert run(main) == b"1\n"


# -- signals -------------------------------------------------------------------------------------------------


def test_a_signal_of_the_world_calls_the_loops_handler():
    async def main():
        loop, heard = asyncio.get_running_loop(), []
        loop.add_signal_handler(signal.SIGTERM, heard.append, "TERM")
        loop.world.signal(signal.SIGTERM)
        assert heard == []
        await asyncio.sleep(0)
        assert loop.remove_signal_handler(signal.SIGTERM)
        assert not loop.remove_signal_handler(signal.SIGTERM)
        return heard

    assert run(main) == ["TERM"]


def test_the_handler_of_the_signal_module_is_called_too():
    heard = []
    before = signal.signal(signal.SIGUSR1, lambda number, frame: heard.append(number))
    try:

        async def main():
            asyncio.get_running_loop().world.signal(signal.SIGUSR1)
            await asyncio.sleep(0)

        run(main)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert heard == [signal.SIGUSR1]


def test_a_signal_that_would_end_the_program_says_so():
    async def main():
        world = asyncio.get_running_loop().world
        world.signal(signal.SIGCHLD)
        with pytest.raises(EscapedError, match="would end the process"):
            world.signal(signal.SIGUSR2)

    run(main)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [((signal.SIGKILL, print), RuntimeError), ((0, print), ValueError), (("TERM", print), TypeError)],
)
def test_wrong_handlers_are_refused_as_by_asyncio(arguments, error):
    async def main():
        with pytest.raises(error):
            asyncio.get_running_loop().add_signal_handler(*arguments)

    run(main)


# -- clocks and entropy --------------------------------------------------------------------------------------


def test_the_clocks_of_the_time_module_are_the_simulations_on_request():
    async def main():
        before = time.monotonic(), time.perf_counter(), time.time(), time.time_ns()
        await asyncio.sleep(1000)
        after = time.monotonic(), time.perf_counter(), time.time(), time.time_ns()
        return [b - a for a, b in zip(before, after, strict=True)]

    assert run(main, patch_time=True) == [1000, 1000, 1000, 1000 * 10**9]
    with pytest.warns(RuntimeWarning, match="real clock"):
        assert max(run(main)[:3]) < 1000


def test_entropy_is_drawn_from_the_seed_on_request():
    async def main():
        return os.urandom(8), uuid.uuid4(), secrets.token_hex()

    assert run(main, seed=1, entropy=True) == run(main, seed=1, entropy=True)
    assert run(main, seed=1, entropy=True) != run(main, seed=2, entropy=True)
    assert run(main, seed=1) != run(main, seed=1)


def test_a_task_that_asks_a_real_clock_is_warned_once():
    async def main():
        begin = time.monotonic()
        await asyncio.sleep(10)
        assert time.monotonic() - begin < 10 == asyncio.get_running_loop().time()

    with pytest.warns(RuntimeWarning, match=r"time\.monotonic\(\) is the real clock.*patch_time") as told:
        run(main)
    assert [os.path.basename(warning.filename) for warning in told] == ["test_escapes.py"]


def test_the_clock_of_a_library_is_nobodys_business():
    async def main():
        uuid.uuid1()
        logging.getLogger(__name__).warning("it has the time of day")

    run(main)


def test_a_name_that_a_platform_lacks_is_none_again(monkeypatch):
    monkeypatch.setattr(exits, "pidfd_open", None)
    for _ in range(2):
        with outside.replaced():
            assert exits.pidfd_open is not None
        assert exits.pidfd_open is None
