"""The loop of chapter 9: has it a hundred lines, and does it run real asyncio programs?"""

import ast
import asyncio
import importlib.util
import io
import os
import signal
import socket
import threading
import tokenize
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from tests.support.pythons import needs_eventfd
from tests.tutorial.programs import TUTORIAL

PATH = TUTORIAL / "hundred_lines.py"
spec = importlib.util.spec_from_file_location("hundred_lines", PATH)
assert spec is not None
assert spec.loader is not None
hundred_lines = importlib.util.module_from_spec(spec)
spec.loader.exec_module(hundred_lines)

LOOPS = {"hundred lines": hundred_lines.Loop, "asyncio": asyncio.SelectorEventLoop}


@pytest.fixture(params=[pytest.param("hundred lines", id="hundred_lines", marks=needs_eventfd), "asyncio"])
def run(request: pytest.FixtureRequest) -> Callable[[Coroutine[Any, Any, Any]], Any]:
    """Runs a coroutine on the loop of chapter 9, and again on asyncio's: both must do the same."""

    def run(main: Coroutine[Any, Any, Any]) -> Any:
        with asyncio.Runner(loop_factory=LOOPS[request.param]) as runner:
            return runner.run(main)

    return run


def test_it_has_a_hundred_lines() -> None:
    source = PATH.read_text()
    loop = next(node for node in ast.parse(source).body if isinstance(node, ast.ClassDef))
    uncounted = set()
    for node in ast.walk(loop):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            uncounted.add(node.lineno)
            first = node.body[0]
            if ast.get_docstring(node):
                assert first.end_lineno is not None
                uncounted.update(range(first.lineno, first.end_lineno + 1))
    counted = {
        token.start[0]
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type in (tokenize.NAME, tokenize.OP, tokenize.NUMBER, tokenize.STRING)
        and loop.lineno <= token.start[0] <= (loop.end_lineno or 0)
    }
    assert len(counted - uncounted) <= 100


def test_tasks_sleep_side_by_side(run: Any) -> None:
    order = []

    async def walker(name: str, delay: float) -> str:
        for step in range(2):
            await asyncio.sleep(delay)
            order.append(f"{name}{step}")
        return name

    assert run(gather(walker("a", 0.02), walker("b", 0.03))) == ["a", "b"]
    assert order == ["a0", "b0", "a1", "b1"]


async def gather(*coroutines: Coroutine[Any, Any, Any]) -> list[Any]:
    return list(await asyncio.gather(*coroutines))


def test_timeouts_cancel_and_exceptions_arrive_where_they_are_awaited(run: Any) -> None:
    async def main() -> list[str]:
        said = []
        try:
            async with asyncio.timeout(0.01):
                await asyncio.sleep(60)
        except TimeoutError:
            said.append("timeout")

        async def fails() -> None:
            raise ValueError("on purpose")

        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(asyncio.sleep(60))
                group.create_task(fails())
        except* ValueError:
            said.append("error")
        return said

    assert run(main()) == ["timeout", "error"]


def test_queues_locks_and_events(run: Any) -> None:
    async def main() -> list[int]:
        queue: asyncio.Queue[int | None] = asyncio.Queue(2)

        async def produce() -> None:
            for number in range(10):
                await queue.put(number)
            await queue.put(None)

        async with asyncio.TaskGroup() as group:
            group.create_task(produce())
            got = []
            while (number := await queue.get()) is not None:
                got.append(number)
        return got

    assert run(main()) == list(range(10))


def test_callbacks_run_in_the_order_they_are_due(run: Any) -> None:
    async def main() -> list[str]:
        loop, order = asyncio.get_running_loop(), []
        done = loop.create_future()
        loop.call_later(0.02, done.set_result, None)
        loop.call_later(0.01, order.append, "later")
        loop.call_later(0.01, order.append, "later, second")
        loop.call_later(0.005, order.append, "cancelled").cancel()
        loop.call_soon(order.append, "soon")
        await done
        return order

    assert run(main()) == ["soon", "later", "later, second"]


def test_a_thread_wakes_it(run: Any) -> None:
    async def main() -> int:
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        thread = threading.Thread(target=lambda: loop.call_soon_threadsafe(done.set_result, 42))
        thread.start()
        try:
            return await done + await asyncio.to_thread(lambda: 1)
        finally:
            thread.join()

    assert run(main()) == 43


def test_sockets_connect_accept_send_and_receive(run: Any) -> None:
    async def main() -> bytes:
        loop = asyncio.get_running_loop()
        with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as client:
            listener.setblocking(False)
            client.setblocking(False)
            accepting = asyncio.create_task(loop.sock_accept(listener))
            await loop.sock_connect(client, listener.getsockname())
            server, _ = await accepting
            with server:
                sending = asyncio.create_task(loop.sock_sendall(client, b"x" * 5_000_000))
                got = b""
                while len(got) < 5_000_000:
                    got += await loop.sock_recv(server, 1 << 20)
                await sending
                return got

    assert run(main()) == b"x" * 5_000_000


def test_a_refused_connection_raises(run: Any) -> None:
    async def main() -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            with socket.socket() as client:
                client.setblocking(False)
                await asyncio.get_running_loop().sock_connect(client, unused.getsockname())

    with pytest.raises(ConnectionRefusedError):
        run(main())


def test_a_cancelled_reader_is_not_called_back(run: Any) -> None:
    async def main() -> bytes:
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.setblocking(False)
            reading = asyncio.create_task(loop.sock_recv(ours, 10))
            await asyncio.sleep(0)
            reading.cancel()
            theirs.send(b"late")  # ready in the very turn in which the task is cancelled
            with pytest.raises(asyncio.CancelledError):
                await reading
            return await loop.sock_recv(ours, 10)

    assert run(main()) == b"late"


def test_ctrl_c_cancels_the_main_task(run: Any) -> None:
    said = []

    async def main() -> None:
        asyncio.get_running_loop().call_soon(os.kill, os.getpid(), signal.SIGINT)
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            said.append("cancelled")
            raise

    with pytest.raises(KeyboardInterrupt):
        run(main())
    assert said == ["cancelled"]


@needs_eventfd
def test_an_error_in_a_callback_is_told_and_is_not_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    async def main() -> str:
        asyncio.get_running_loop().call_soon(lambda: 1 / 0)
        await asyncio.sleep(0.01)
        return "still here"

    with asyncio.Runner(loop_factory=hundred_lines.Loop) as runner:
        assert runner.run(main()) == "still here"
    said = capsys.readouterr()
    assert "Exception in callback" in said.out
    assert "ZeroDivisionError" in said.err
