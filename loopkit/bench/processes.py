"""Child processes of the harness: started, listened to with a deadline, and always ended."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Self

# Settings of the user's shell that would make one loop slower than another, or another loop than the one
# named.
UNWANTED = (
    "LOOPKIT_",
    "PYTHONASYNCIODEBUG",
    "PYTHONDEVMODE",
    "PYTHONTRACEMALLOC",
    "PYTHONWARNINGS",
    "PYTHONSTARTUP",
)


class Failure(Exception):
    """A loop could not do what a scenario asks. The text says how, in one line."""


def environment(first: str = "") -> dict[str, str]:
    """This process's environment, without what would distort, and with loopkit importable.

    Args:
        first: a folder in which the child looks for modules before any other.
    """
    kept = {key: value for key, value in os.environ.items() if not key.startswith(UNWANTED)}
    root = str(Path(__file__).parents[2])
    paths = [path for path in kept.get("PYTHONPATH", "").split(os.pathsep) if path]
    found = dict.fromkeys([*filter(None, [first]), *paths, root])
    return kept | {"PYTHONPATH": os.pathsep.join(found), "PYTHONUNBUFFERED": "1"}


class Child:
    """A process, usually of Python, and the lines it prints. Leaving the `with` block ends it.

    Args:
        name: what failures call it.
        arguments: what follows the program on its command line.
        pipe_in: whether `send` is wanted; otherwise the child reads nothing.
        extra: environment variables it gets besides ours.
        folder: where it looks for modules first.
        program: what it runs.
        user: who it runs as; None: who we are.
    """

    def __init__(
        self,
        name: str,
        arguments: list[str],
        *,
        pipe_in: bool = False,
        extra: dict[str, str] | None = None,
        folder: str = "",
        program: str = sys.executable,
        user: str | None = None,
    ) -> None:
        self._name = name
        self._stderr = tempfile.TemporaryFile()
        self._text = b""
        # A session of its own: Ctrl-C is for the harness, which then ends its children itself.
        self._process = subprocess.Popen(
            [program, *arguments],
            stdin=subprocess.PIPE if pipe_in else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            env=environment(folder) | (extra or {}),
            start_new_session=True,
            user=user,
        )
        self.pid = self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Kill the child with everything it started, and wait for it."""
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._process.wait()
        for file in (self._process.stdin, self._process.stdout, self._stderr):
            if file is not None:
                file.close()

    def send(self, line: str) -> None:
        """Give the child a line. Raises Failure if it is gone."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line.encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise Failure(self.describe_end()) from None

    def read_line(self, timeout: float) -> str:
        """The next line the child prints.

        Raises:
            Failure: it ended, or printed none in `timeout` seconds.
        """
        assert self._process.stdout is not None
        fd = self._process.stdout.fileno()
        deadline = time.monotonic() + timeout
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        while b"\n" not in self._text:
            if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
                raise Failure(f"the {self._name} said nothing for {timeout:g} s")
            data = os.read(fd, 65536)
            if not data:
                raise Failure(self.describe_end())
            self._text += data
        line, _, self._text = self._text.partition(b"\n")
        return line.decode(errors="replace")

    def read_json(self, timeout: float) -> dict[str, Any]:
        """The next line, a JSON object. Raises Failure as `read_line` does, or if it is anything else."""
        line = self.read_line(timeout)
        try:
            message: dict[str, Any] = json.loads(line)
        except ValueError:
            raise Failure(f"the {self._name} said what nobody expects: {line[:100]}") from None
        return message

    def describe_end(self) -> str:
        """How the child ended, in one line: its last words on stderr, or its exit code or signal."""
        try:
            code = self._process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            return "closed its output and goes on running"
        words = self.last_words()
        if code < 0:
            name = signal.Signals(-code).name
            return f"killed by {name}" + (f" ({words})" if words else "")
        return words or f"ended with exit code {code}"

    def has_ended(self, seconds: float = 0) -> bool:
        """Whether the process is gone, or goes within so many seconds: its sockets are closed earlier."""
        try:
            self._process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def last_words(self) -> str:
        """The last exception on stderr, or whatever its last line says."""
        # The child writes through the same open file: a seek would move where it writes, so read at an
        # offset.
        fd = self._stderr.fileno()
        tail = os.pread(fd, 65536, max(0, os.fstat(fd).st_size - 65536))
        lines = tail.decode(errors="replace").splitlines()
        # Leave out what only frames or underlines: an exception group ends with a rule.
        told = [line.strip(" |+-^~") for line in lines if line.strip(" |+-^~")]
        # A warning about what the exception left behind may follow it.
        exceptions = [line for line in told if re.match(r"[\w.]+(Error|Exception)\b", line)]
        return (exceptions or told)[-1][:200] if told else ""
