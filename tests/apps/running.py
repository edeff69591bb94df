"""Real programs in processes of their own: started, listened to, stopped, and never left behind."""

import contextlib
import importlib.util
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PROGRAMS = Path(__file__).parent / "programs"

# Seconds that a program may take in all, on a machine that has other things to do as well.
LIMIT = 40.0

#: `python -m loopkit`: the way in for programs that are not told which loop to use.
ON_LOOPKIT = ["-m", "loopkit"]


def needs(*packages: str) -> pytest.MarkDecorator:
    """A mark that skips a test if one of these packages is missing. `tox -e apps` has them all."""
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    return pytest.mark.skipif(
        bool(missing), reason=f"not installed here: {', '.join(missing)}; tox -e apps has all programs"
    )


class Program:
    """A running program whose output, both kinds in one, is read line by line.

    Attributes:
        pid: of the process, which leads a session of its own.
        output: what has been read so far.
    """

    def __init__(self, command: list[str], **popen: Any) -> None:
        self._process = subprocess.Popen(
            command,
            **popen,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.pid = self._process.pid
        self.output = ""
        self._hung = False
        # Whatever blocks below, here or in the test, ends when the process does.
        self._limit = threading.Timer(LIMIT, self._give_up)
        self._limit.start()

    def wait_for(self, pattern: str) -> "re.Match[str]":
        """Read on to the first line in which *pattern* is found; what was read before does not count."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.output += line
            if found := re.search(pattern, line):
                return found
        raise AssertionError(f"{self._fate()} before it said {pattern!r}; it said:\n{self.output}")

    def assert_it_runs(self) -> None:
        """For whoever waits for something else than what it says: it would be waited for in vain."""
        if self._process.poll() is not None:
            self.finish()
            raise AssertionError(f"{self._fate()}; it said:\n{self.output}")

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process alone, not to its children."""
        self._process.send_signal(number)

    def finish(self) -> int:
        """Read to the end and wait: the exit code, or minus the signal that ended it."""
        assert self._process.stdout is not None
        self.output += self._process.stdout.read()
        code = self._process.wait()
        assert not self._hung, f"{self._fate()}; it said:\n{self.output}"
        return code

    def close(self) -> None:
        """End whatever is left of it, children included."""
        assert self._process.stdout is not None
        self._limit.cancel()
        self._limit.join()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.stdout.close()
        self._process.wait()

    def _give_up(self) -> None:
        self._hung = True
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    def _fate(self) -> str:
        return f"the program was still there after {LIMIT:.0f} s" if self._hung else "the program ended"


@contextlib.contextmanager
def running(*arguments: object, folder: Path | None = None, **environment: str) -> Iterator[Program]:
    """Run Python with these arguments; keywords are added to the environment. A program's bare file name
    (`echo.py`) is looked up among `programs/`, whose modules it can also import.
    """
    command = [sys.executable]
    for argument in map(str, arguments):
        known = PROGRAMS / argument
        command.append(str(known) if argument.endswith(".py") and known.exists() else argument)
    unwanted = ("PYTHONDEVMODE", "PYTHONASYNCIODEBUG")  # they have programs say more
    inherited = {name: value for name, value in os.environ.items() if name not in unwanted}
    path = os.pathsep.join([str(ROOT), str(PROGRAMS)])
    settings = {"PYTHONPATH": path, "PYTHONUNBUFFERED": "1", "NO_COLOR": "1", **environment}
    with contextlib.closing(Program(command, env={**inherited, **settings}, cwd=folder)) as program:
        yield program


def output_of(*arguments: object, folder: Path | None = None, **environment: str) -> list[str]:
    """Run Python as `running` does, to its end, which must be a good one; the lines it wrote."""
    with running(*arguments, folder=folder, **environment) as program:
        code = program.finish()
        assert code == 0, f"exit code {code}; it said:\n{program.output}"
        return program.output.splitlines()


def proof(poller: str | None = None) -> str:
    """The line by which a program shows, with `print("loop:", loop_name())`, that it ran on loopkit."""
    return f"loop: loopkit.loop.{'Loop' if poller is None else poller}"


def wait_until_it_listens(port):
    """Some say that they do before they do; the limit of the program ends this, too."""
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except ConnectionRefusedError:
            time.sleep(0.05)
