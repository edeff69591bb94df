"""What goes wrong by a script beside the program: `faults=` of `run`, `explore`, `replay` and the marker."""

import asyncio
import contextlib

import pytest

from loopkit.testing import Deadlock, Found, explore, replay, run


async def serve():
    async def handle(reader, writer):
        with contextlib.suppress(ConnectionError):
            while line := await reader.readline():
                writer.write(line.upper())
        writer.close()

    await asyncio.start_server(handle, "db", 5432)


async def main():
    """Ask once a second, ten times; what came back, and when the connection was lost."""
    world = asyncio.get_running_loop().world
    db, app = world.host("db"), world.host("app")
    db.run(serve)

    async def ask():
        await asyncio.sleep(0.1)
        reader, writer = await asyncio.open_connection("db", 5432)
        answers = 0
        for _ in range(10):
            await asyncio.sleep(1)
            writer.write(b"hello\n")
            answers += await reader.readline() == b"HELLO\n"
        writer.close()
        return answers

    return await app.run(ask)


def test_what_it_lets_fail_fails_in_the_program():
    async def trouble(world):
        await asyncio.sleep(5)
        world.reset("db", "app")

    assert run(main) == 10
    with pytest.raises(ConnectionResetError):
        run(main, faults=trouble)


def test_it_outlives_the_machines_it_lets_fail_and_ends_with_the_program():
    seen = []

    async def trouble(world):
        try:
            await asyncio.sleep(3)
            world.stall("app", 20)
            world.stall("db", 20)
            await asyncio.sleep(10)
            seen.append("in the middle")
            await asyncio.sleep(1e9)
        finally:
            seen.append("at the end")

    assert run(main, faults=trouble) == 10
    assert seen == ["in the middle", "at the end"]


def test_what_it_raises_is_raised():
    async def trouble(world):
        await asyncio.sleep(5)
        world.reset("db", "nobody")

    with pytest.raises(ValueError, match="nobody"):
        run(main, faults=trouble)


def test_an_exploration_and_its_replay_have_it_too():
    async def trouble(world):
        await asyncio.sleep(5)
        world.reset("db", "app")

    with pytest.raises(Found) as found:
        explore(main, seeds=1, faults=trouble)
    assert isinstance(found.value.__cause__, ConnectionResetError)
    assert ", faults=trouble)" in found.value.report.python_line
    with pytest.raises(ConnectionResetError):
        replay(main, found.value.report.token, faults=trouble)
    replay(main, found.value.report.token)


def test_the_machine_that_main_is_on_may_fail_and_the_run_ends_all_the_same():
    async def trouble(world):
        await asyncio.sleep(5)
        world.crash(world.here)

    with pytest.raises(Deadlock):  # the answers come, and nobody is left to hear of them
        run(main, faults=trouble)
