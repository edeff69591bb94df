"""Real threads beside a simulated loop: when time passes, who is woken, what is said when nothing moves."""

import asyncio
import queue
import socket
import threading
import time

import pytest

from loopkit.testing import Deadlock, EscapedError, SimLoop, World, run, threads


async def upper(reader, writer):
    while data := await reader.read(100):
        writer.write(data.upper())
    writer.close()


def test_a_blocking_client_in_a_thread_talks_to_a_simulated_server():
    def talk(port):
        with socket.create_connection(("127.0.0.1", port), timeout=5) as sock:
            sock.sendall(b"hello")
            return sock.recv(5)

    async def main():
        async with await asyncio.start_server(upper, "127.0.0.1", 0) as server:
            return await asyncio.to_thread(talk, server.sockets[0].getsockname()[1])

    assert run(main, threads="real") == b"HELLO"


def test_time_stands_still_while_a_thread_computes():
    def work(done):
        for _ in range(1000):
            sum(range(100))
        done.append(True)

    async def main():
        loop, done = asyncio.get_running_loop(), []
        thread = threading.Thread(target=work, args=(done,))
        thread.start()
        await asyncio.sleep(3600)
        assert done
        thread.join()
        return loop.time()

    assert run(main, threads="real") == 3600


def test_what_a_thread_sleeps_is_time_of_the_simulation():
    def work(loop):
        time.sleep(100)
        return loop.time()

    async def main():
        loop = asyncio.get_running_loop()
        return await asyncio.gather(
            asyncio.to_thread(work, loop), asyncio.sleep(50), asyncio.to_thread(work, loop)
        )

    assert run(main, threads="real") == [100, None, 100]


def test_a_timeout_of_a_socket_in_a_thread_is_time_of_the_simulation():
    def wait(sock, loop):
        sock.settimeout(600)
        with pytest.raises(TimeoutError):
            sock.recv(1)
        return loop.time()

    async def main():
        left, right = socket.socketpair()
        with left, right:
            return await asyncio.to_thread(wait, left, asyncio.get_running_loop())

    assert run(main, threads="real") == 600


def test_time_passes_while_a_thread_waits_for_the_loop():
    async def later():
        await asyncio.sleep(3600)
        return asyncio.get_running_loop().time()

    def ask(loop):
        return asyncio.run_coroutine_threadsafe(later(), loop).result()

    async def main():
        return await asyncio.to_thread(ask, asyncio.get_running_loop())

    assert run(main, threads="real") == 3600


def test_time_passes_while_a_worker_has_nothing_to_do():
    orders = queue.Queue()

    def work():
        while (order := orders.get()) is not None:
            order()

    async def main():
        loop = asyncio.get_running_loop()
        thread = threading.Thread(target=work)
        thread.start()
        await asyncio.sleep(60)
        done = loop.create_future()
        orders.put(lambda: loop.call_soon_threadsafe(done.set_result, loop.time()))
        assert await done == 60
        orders.put(None)
        thread.join()

    run(main, threads="real")


def test_a_timeout_of_an_event_is_time_of_the_simulation():
    def wait(loop):
        assert not threading.Event().wait(600)
        return loop.time()

    async def main():
        waiting = asyncio.create_task(asyncio.to_thread(wait, asyncio.get_running_loop()))
        await asyncio.sleep(100)
        return await waiting

    assert run(main, threads="real") == 600


def test_a_deadlock_is_told_though_there_are_threads():
    async def main():
        await asyncio.to_thread(int)
        await asyncio.Event().wait()

    with pytest.raises(Deadlock, match="waits for Event"):
        run(main, threads="real")


def test_a_thread_that_does_not_move_is_told(monkeypatch):
    monkeypatch.setattr(threads, "PATIENCE", 0.05)
    gate = threading.Lock()

    def stuck():
        with gate:
            pass

    async def main():
        threading.Thread(target=stuck, name="the stuck one").start()
        await asyncio.sleep(1)

    with gate, pytest.raises(Deadlock, match=r"the stuck one: .* stuck"):
        run(main, threads="real")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_waits_when_the_run_is_over_hears_of_it():
    heard = []

    def wait(sock):
        try:
            sock.recv(1)
        except EscapedError as exc:
            heard.append(str(exc))

    async def main():
        left, right = socket.socketpair()
        thread = threading.Thread(target=wait, args=(left,))
        thread.start()
        await asyncio.sleep(1)
        return thread, right

    thread, _ = run(main, threads="real")
    thread.join()
    assert "the simulation is over" in heard[0]


def test_there_are_two_kinds_of_threads():
    with pytest.raises(ValueError, match="not 'green'"):
        World(threads="green")
    loop = SimLoop(World(threads="real"))
    loop.close()
