"""Child processes."""

import asyncio
import os
import signal
import subprocess
import tempfile

import pytest

from tests.support.protocols import Recorder

from ..registry import probe, same

PIPE, DEVNULL, STDOUT = subprocess.PIPE, subprocess.DEVNULL, subprocess.STDOUT


class _Child(Recorder, asyncio.SubprocessProtocol):
    """What a child wrote, by descriptor, and that it ended."""

    def __init__(self):
        super().__init__()
        self.output = {1: b"", 2: b""}

    def pipe_data_received(self, fd, data):
        self.output[fd] += data
        self.note("data")

    def pipe_connection_lost(self, fd, exc):
        self.note("pipe lost")

    def process_exited(self):
        self.note("exited")


async def _run(starting):
    """Await the start of a child and its end; return code and outputs."""
    transport, child = await starting
    await child.lost()
    same("exited" in child.events, True)
    code = transport.get_returncode()
    transport.close()
    return code, child.output[1], child.output[2]


@probe("subprocess_exec", "stdin= stdout= as pipes")
async def subprocess_exec(loop):
    transport, child = await loop.subprocess_exec(_Child, "cat", stdin=PIPE, stdout=PIPE)
    stdin = transport.get_pipe_transport(0)
    stdin.write(b"hello")
    await child.until(lambda: child.output[1] == b"hello")
    stdin.close()
    await child.lost()
    same(transport.get_returncode(), 0)
    transport.close()


@probe("subprocess_exec", "stderr=STDOUT stdin=DEVNULL")
async def subprocess_exec_stderr(loop):
    args = "sh", "-c", "cat; echo out; echo err >&2; exit 3"
    same(
        await _run(loop.subprocess_exec(_Child, *args, stdin=DEVNULL, stdout=PIPE, stderr=STDOUT)),
        (3, b"out\nerr\n", b""),
    )


@probe("subprocess_exec", "files as stdin= stdout=")
async def subprocess_exec_files(loop):
    with tempfile.TemporaryFile() as source, tempfile.TemporaryFile() as target:
        source.write(b"hello")
        source.seek(0)
        await _run(loop.subprocess_exec(_Child, "cat", stdin=source, stdout=target, stderr=PIPE))
        target.seek(0)
        same(target.read(), b"hello")


@probe("subprocess_exec", "cwd= env=")
async def subprocess_exec_cwd(loop):
    how = {"cwd": "/", "env": {**os.environ, "GREETING": "hello"}}
    args = "sh", "-c", "pwd; echo $GREETING"
    same(await _run(loop.subprocess_exec(_Child, *args, **how)), (0, b"/\nhello\n", b""))


@probe("subprocess_exec", "pass_fds=")
async def subprocess_exec_pass_fds(loop):
    with tempfile.TemporaryFile() as file:
        fd = file.fileno()
        args = "sh", "-c", f"echo hello >/dev/fd/{fd}"
        same(await _run(loop.subprocess_exec(_Child, *args, pass_fds=[fd])), (0, b"", b""))
        file.seek(0)
        same(file.read(), b"hello\n")


@probe("subprocess_exec", "start_new_session= process_group=")
async def subprocess_exec_session(loop):
    for how in {"start_new_session": True}, {"process_group": 0}:
        transport, child = await loop.subprocess_exec(_Child, "cat", **how)
        same(os.getpgid(transport.get_pid()), transport.get_pid())
        transport.get_pipe_transport(0).close()
        await child.lost()
        transport.close()


@probe("subprocess_exec", "executable=")
async def subprocess_exec_executable(loop):
    args = "called", "-c", "echo $0"
    same(await _run(loop.subprocess_exec(_Child, *args, executable="/bin/sh")), (0, b"called\n", b""))


@probe("subprocess_exec", "umask=")
async def subprocess_exec_umask(loop):
    same(await _run(loop.subprocess_exec(_Child, "sh", "-c", "umask", umask=0o27)), (0, b"0027\n", b""))


@probe("subprocess_exec", "send_signal(), terminate(), kill()")
async def subprocess_exec_signals(loop):
    for method, number in [
        (lambda transport: transport.send_signal(signal.SIGUSR1), signal.SIGUSR1),
        (lambda transport: transport.terminate(), signal.SIGTERM),
        (lambda transport: transport.kill(), signal.SIGKILL),
    ]:
        transport, child = await loop.subprocess_exec(_Child, "cat")
        method(transport)
        await child.lost()
        same(transport.get_returncode(), -number)
        transport.close()


@probe("subprocess_exec", "FileNotFoundError")
async def subprocess_exec_missing(loop):
    with pytest.raises(FileNotFoundError):
        await loop.subprocess_exec(_Child, "/no/such/program")


@probe("subprocess_shell", "a pipeline")
async def subprocess_shell(loop):
    starting = loop.subprocess_shell(_Child, "echo hello | tr a-z A-Z", stdin=DEVNULL, stdout=PIPE)
    same(await _run(starting), (0, b"HELLO\n", b""))


@probe("subprocess_shell", "stdin= stdout= stderr=, an exit code")
async def subprocess_shell_stderr(loop):
    how = {"stdin": DEVNULL, "stdout": DEVNULL, "stderr": PIPE}
    starting = loop.subprocess_shell(_Child, "cat; echo out; echo err >&2; exit 7", **how)
    same(await _run(starting), (7, b"", b"err\n"))


@probe("subprocess_shell", "a command as bytes, env=")
async def subprocess_shell_stdin(loop):
    how = {"stdin": PIPE, "env": {**os.environ, "GREETING": "hello"}}
    transport, child = await loop.subprocess_shell(_Child, b'read name; echo "$GREETING $name"', **how)
    transport.get_pipe_transport(0).write(b"carol\n")
    await child.lost()
    same(child.output[1], b"hello carol\n")
    transport.close()


@probe("subprocess_shell", "ValueError for a list")
async def subprocess_shell_wrong(loop):
    with pytest.raises(ValueError):
        await loop.subprocess_shell(_Child, ["echo", "hello"])
