"""Starting a child: what debug mode logs of it, and who leaves before it is done."""

import asyncio
import logging
import signal
import subprocess

import pytest

from loopkit.processes import spawn


@pytest.fixture
async def logged(caplog):
    asyncio.get_running_loop().set_debug(True)
    caplog.set_level(logging.DEBUG, "asyncio")
    return caplog


async def test_an_execution_is_logged_without_its_arguments(logged):
    process = await asyncio.create_subprocess_exec(
        "echo", "secret", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    await process.communicate()
    text = "\n".join(logged.messages)
    assert "execute program 'echo' stdin=-3 stdout=stderr=<pipe>" in text
    assert f"process 'echo' created: pid {process.pid}" in text
    assert "execute program 'echo': <SubprocessTransport" in text
    assert "exited with return code 0" in text
    assert "secret" not in text


async def test_a_shell_command_is_logged(logged):
    process = await asyncio.create_subprocess_shell("exit 3", stderr=subprocess.PIPE)
    await process.communicate()
    assert "run shell command 'exit 3' stderr=<pipe>" in logged.messages
    assert process.returncode == 3


async def test_killing_a_running_child_is_logged(logged):
    loop = asyncio.get_running_loop()
    transport, _ = await loop.subprocess_exec(asyncio.SubprocessProtocol, "cat", stdout=None, stderr=None)
    transport.close()
    await transport._wait()
    assert any(message.startswith("Close running child process: kill <") for message in logged.messages)


async def test_a_creation_that_is_dropped_half_way_leaves_no_child(monkeypatch):
    """As the task of a loop that was closed is: its coroutine cannot await any more."""
    made = []

    class Known(spawn.SubprocessTransport):
        def __init__(self, *args):
            super().__init__(*args)
            made.append(self)

    monkeypatch.setattr(spawn, "SubprocessTransport", Known)
    creation = asyncio.get_running_loop().subprocess_exec(asyncio.SubprocessProtocol, "cat")
    creation.send(None)
    creation.close()
    assert await made[0]._wait() == -signal.SIGKILL
