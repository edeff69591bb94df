"""Processes that are simulated: what the program sees of them is what it sees of real ones."""

import asyncio
import signal
import subprocess

import pytest

from loopkit.testing import EscapedError, explore, run

PIPE, STDOUT, DEVNULL = subprocess.PIPE, subprocess.STDOUT, subprocess.DEVNULL


async def upper(child):
    """As `tr a-z A-Z`, with its arguments on stderr."""
    child.stderr.write(" ".join(child.args).encode())
    while line := await child.stdin.readline():
        child.stdout.write(line.upper())
        await child.stdout.drain()
    return 3


async def sleep(child):
    await asyncio.sleep(float(child.args[1]))


def world(**programs):
    found = asyncio.get_running_loop().world
    for name, behaviour in programs.items():
        found.process(name, behaviour)
    return found


def test_it_reads_writes_and_ends():
    async def main():
        world(tr=upper)
        process = await asyncio.create_subprocess_exec(
            "/usr/bin/tr", "a-z", "A-Z", stdin=PIPE, stdout=PIPE, stderr=PIPE
        )
        assert await process.communicate(b"one\ntwo\n") == (b"ONE\nTWO\n", b"/usr/bin/tr a-z A-Z")
        assert process.returncode == 3

    run(main)
    explore(main, seeds=30)


def test_the_shell_is_the_program_that_it_would_start():
    async def main():
        world(tr=upper)
        process = await asyncio.create_subprocess_shell(
            "tr 'a z' x", stdin=DEVNULL, stdout=PIPE, stderr=STDOUT
        )
        assert await process.communicate() == (b"tr a z x", None)

    run(main)


def test_what_nobody_reads_is_forgotten():
    async def flood(child):
        child.stdout.write(bytes(1_000_000))
        child.stderr.write(bytes(1_000_000))
        await child.stdout.drain()

    async def main():
        world(yes=flood)
        process = await asyncio.create_subprocess_exec("yes", stdout=DEVNULL)
        assert await process.wait() == 0

    run(main)


def test_it_takes_the_time_that_it_takes_and_can_be_killed():
    async def main():
        loop = asyncio.get_running_loop()
        world(sleep=sleep)
        process = await asyncio.create_subprocess_exec("sleep", "3600")
        assert await process.wait() == 0
        assert loop.time() == 3600
        process = await asyncio.create_subprocess_exec("sleep", "3600")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(process.wait(), 10)
        process.terminate()
        assert await process.wait() == -signal.SIGTERM
        assert loop.time() == 3610
        with pytest.raises(ProcessLookupError):
            process.kill()

    run(main)


def test_it_may_end_otherwise_when_it_is_asked_to_but_not_when_it_is_killed():
    async def careful(child):
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            return 7

    async def main():
        world(server=careful)
        for send, code in (("terminate", 7), ("kill", -signal.SIGKILL)):
            process = await asyncio.create_subprocess_exec("server")
            await asyncio.sleep(1)
            getattr(process, send)()
            assert await process.wait() == code

    run(main)


def test_a_stand_in_that_fails_is_reported_and_ends_with_1():
    async def broken(child):
        raise ValueError("no such branch")

    async def main():
        told = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context))
        world(git=broken)
        process = await asyncio.create_subprocess_exec("git", stdout=PIPE)
        assert await process.communicate() == (b"", None)
        assert process.returncode == 1
        assert told[0]["message"] == "the stand-in of the process 'git' has failed"

    run(main)


def test_other_programs_are_refused_and_blocking_calls_too():
    async def main():
        world(tr=upper)
        with pytest.raises(EscapedError, match=r"world\.process\('git'"):
            await asyncio.create_subprocess_exec("/usr/bin/git")
        with pytest.raises(EscapedError, match="create_subprocess_exec"):
            subprocess.run(["tr"], check=False)

    run(main)
