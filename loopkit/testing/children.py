"""Processes of a simulation: what `World.process` has said a program does stands in for it.

The loop's own code for children runs as it is (`processes/`), on what it needs of a kernel: a `Popen` with
pipes of the simulated kernel, a number that can be waited for and killed, and a descriptor that tells the end
of the process, which is a pipe whose writer is closed then. Numbers begin where no real process has one.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import os
import shlex
import signal
import subprocess
from functools import wraps
from io import FileIO
from typing import TYPE_CHECKING, Any

from ..processes import transport, watch
from . import descriptors, outside
from .errors import EscapedError
from .escapes import HARMLESS

if TYPE_CHECKING:
    from .world import World

#: The kernel's own end at 2^22.
FIRST_PID = 1 << 30

WAY_OUT = "say what it does: loop.world.process({!r}, ...), or run the test on loopkit.Loop"


class Child:
    """A process, for the coroutine function that stands in for its program."""

    def __init__(self, world: World, args: list[str], streams: list[Any]) -> None:
        #: The command line.
        self.args = args
        self.pid = FIRST_PID + world.number()
        #: An `asyncio.StreamReader`, and two `asyncio.StreamWriter`.
        self.stdin: Any = None
        self.stdout: Any = None
        self.stderr: Any = None
        self.world, self.signal = world, 0
        self.status: int | None = None
        self.task: asyncio.Task[None] | None = None
        #: pidfd, and what keeps that from being readable.
        self.ended, self._living = os.pipe()
        self._sinks: list[int] = []
        #: (the program's, the child's) of stdin, stdout and stderr; None for a stderr that is the stdout.
        self.pipes = [self._pipe(number, stream) for number, stream in enumerate(streams)]
        world.children[self.pid] = self

    def _pipe(self, number: int, stream: Any) -> Any:
        if number == 2 and stream == subprocess.STDOUT:
            return None
        if stream not in (None, subprocess.PIPE, subprocess.DEVNULL):
            raise EscapedError(
                f"{stream!r} for a stream of the simulated process {self.args[0]!r}: PIPE, DEVNULL, STDOUT "
                "and None are simulated"
            )
        reader, writer = os.pipe()
        if stream == subprocess.PIPE:
            return (open(writer, "wb", 0), reader) if number == 0 else (open(reader, "rb", 0), writer)
        if number == 0:
            os.close(writer)
            return None, reader
        descriptors.file_of(reader).is_sink = True
        self._sinks.append(reader)
        return None, writer

    async def live(self, behaviour: Any) -> None:
        """Do what *behaviour* does, and end."""
        status = 1
        try:
            await self._connect()
            status = int(await behaviour(self) or 0)
        except asyncio.CancelledError:
            status = -(self.signal or signal.SIGKILL)
        except Exception as exc:
            context = {
                "message": f"the stand-in of the process {self.args[0]!r} has failed",
                "exception": exc,
            }
            self.world.loop.call_exception_handler(context)
        finally:
            for writer in (self.stdout, self.stderr):
                if writer is not None:
                    writer.close()
                    with contextlib.suppress(OSError, asyncio.CancelledError):
                        await writer.wait_closed()
            if self.stdin is not None:
                self.stdin._transport.close()
            self.status = -signal.SIGKILL if self.signal == signal.SIGKILL else status
            for fd in (*self._sinks, self._living):
                os.close(fd)

    async def _connect(self) -> None:
        loop = self.world.loop
        self.stdin = reader = asyncio.StreamReader(loop=loop)

        def protocol() -> Any:
            return asyncio.StreamReaderProtocol(reader, loop=loop)

        await loop.connect_read_pipe(protocol, open(self.pipes[0][1], "rb", 0))
        for pipe, name in zip(self.pipes[1:], ("stdout", "stderr"), strict=True):
            if pipe is None:
                self.stderr = self.stdout
                continue
            reader = asyncio.StreamReader(loop=loop)  # nothing comes; it is what the protocol wants
            to, writing = await loop.connect_write_pipe(protocol, open(pipe[1], "wb", 0))
            setattr(self, name, asyncio.StreamWriter(to, writing, None, loop))

    def kill(self, sig: int) -> None:
        """It has received signal *sig*: what it does is cancelled, unless the signal ends nobody."""
        if self.status is not None:
            raise ProcessLookupError(f"the process {self.pid} has ended")
        if sig and sig not in HARMLESS and self.task is not None:
            self.signal = sig
            self.task.cancel()


class SimPopen(subprocess.Popen[bytes]):
    """What a `Popen` is when its process is simulated; `subprocess.Popen` itself becomes one."""

    child: Child

    def poll(self) -> int | None:
        if self.returncode is None:
            self.returncode = self.child.status
        return self.returncode

    def send_signal(self, sig: int) -> None:
        if self.poll() is None:
            self.child.kill(sig)

    def wait(self, timeout: float | None = None) -> int:
        if self.poll() is None:
            raise EscapedError(
                "waiting for a simulated process blocks the loop that it runs in; use "
                "asyncio.create_subprocess_exec"
            )
        return self.returncode

    def communicate(self, input: Any = None, timeout: float | None = None) -> Any:
        self.wait()
        return super().communicate(input, timeout)


def program_of(args: Any, is_shell: bool) -> list[str]:
    """The words of a command line."""
    if isinstance(args, (str, bytes, os.PathLike)):
        text = os.fsdecode(args)
        return shlex.split(text) if is_shell else [text]
    return [os.fsdecode(word) for word in args]


@outside.replaces(subprocess.Popen, "__init__")
def _popen(original: Any) -> Any:
    @wraps(original)
    def __init__(self: Any, *given: Any, **options: Any) -> None:
        loop = outside.simulation()
        if loop is None or outside.opted_out:
            original(self, *given, **options)
            return
        asked = inspect.signature(original).bind(self, *given, **options).arguments
        args, streams = asked["args"], [asked.get(name) for name in ("stdin", "stdout", "stderr")]
        self.returncode, self._child_created = -1, False  # for __del__, which comes all the same
        words = program_of(args, asked.get("shell", False))
        behaviour = loop.world.behaviour_of(words[0])
        if behaviour is None:
            raise EscapedError(
                f"the process {args!r} would run in real time, beside the simulation; "
                + WAY_OUT.format(os.path.basename(words[0]))
            )
        self.__class__ = SimPopen
        self.child = child = Child(loop.world, words, streams)
        self.args, self.pid, self.returncode = args, child.pid, None
        self.stdin, self.stdout, self.stderr = (None if pipe is None else pipe[0] for pipe in child.pipes)
        child.task = loop.create_task(child.live(behaviour), name=words[0])

    return __init__


@outside.replaces(watch, "pidfd_open")
def _pidfd_open(original: Any) -> Any:
    def pidfd_open(pid: int) -> Any:
        return outside.here().children[pid].ended if pid >= FIRST_PID else original(pid)

    return pidfd_open


@outside.replaces(watch, "FileIO")
def _file_io(original: Any) -> Any:
    return lambda fd: descriptors.Descriptor(fd, "rb", True) if descriptors.is_simulated(fd) else FileIO(fd)


@outside.replaces(watch, "collect")
def _collect(original: Any) -> Any:
    def collect(pid: int, options: int) -> Any:
        return outside.here().children.pop(pid).status if pid >= FIRST_PID else original(pid, options)

    return collect


def _killing(original: Any) -> Any:
    @wraps(original)
    def kill(pid: int, sig: int, /) -> None:
        if not outside.simulates():
            original(pid, sig)
        elif pid >= FIRST_PID:
            child = outside.here().children.get(pid)
            if child is None:
                raise ProcessLookupError(f"no process {pid}")
            child.kill(sig)
        elif sig and pid == os.getpid():
            raise EscapedError(
                f"signal {sig} of the real process would come in real time; loop.world.signal({sig}) is its "
                "stand-in"
            )
        else:
            original(pid, sig)

    return kill


outside.replaces(os, "kill")(_killing)
outside.replaces(transport, "os_kill")(_killing)
