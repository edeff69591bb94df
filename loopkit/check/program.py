"""A program that is started here, watched, and ended whatever it does."""

from __future__ import annotations

import os
import re
import resource
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from . import process
from .patience import Clock, Trouble
from .stopping import uninterrupted

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Limits", "Program"]

#: How much of what it writes to stderr is kept: the end, in bytes.
KEPT = 65536

#: It is quiet if it was found asleep so many times, with so many seconds between.
LOOKS = 3
PAUSE = 0.001

#: Who never sleeps has had its turn after so many seconds of processor time.
TURN = 0.05

#: Seconds for a signal to take effect, or for a killed program's last words.
PROMPTLY = 1.0

#: So often Ctrl-C is pressed: a signal that comes between a program's last look at its signals and its sleep
#: in the kernel is not noticed before the next event, and one that comes inside of a `try` may be swallowed.
PRESSES = 20

#: How Python frames the traceback of an exception group: bars before the lines of each part, rules between.
_BAR = re.compile(r"^ *\| ?")
_RULE = re.compile(r"^ *\+[-+]")

#: A frame of a traceback, or where a syntax error is.
_FRAME = re.compile(r'^ +File "(.+)", line (\d+)')


@dataclass(frozen=True)
class Limits:
    """What a program may use at most: bytes of memory, with all that it starts; 0 is no limit.

    It is the memory that is in use (RSS). The kernel limits address space only (RLIMIT_AS), of which each
    thread takes megabytes that it never uses: that is set sixteen times as high, for what takes all at once.
    """

    memory: int = 0


class Program:
    """A program, not yet started.

    Args:
        words: its file and its arguments.
        limits: what it may use.
    """

    stdin = stdout = subprocess.DEVNULL

    def __init__(self, words: list[str], limits: Limits | None = None) -> None:
        self._words = words
        self._limits = limits or Limits()
        #: What all that descends from the program inherits, whatever group or parent it has by then.
        self._mark = f"LOOPKIT_CHECK={os.getpid()}.{id(self)}"
        self._process: subprocess.Popen[bytes] | None = None
        self._listener: threading.Thread | None = None
        self._errors = bytearray()
        self.pid: int | None = None

    @property
    def name(self) -> str:
        """What its file is called."""
        return Path(self._words[0]).name

    @property
    def path(self) -> Path:
        """Where its file is."""
        return Path(self._words[0])

    @property
    def is_python(self) -> bool:
        """Whether it is run by this Python, and not by the system."""
        path = self._words[0]
        return path.endswith(".py") or not os.access(path, os.X_OK)

    def command(self) -> list[str]:
        """How it is started, without its arguments."""
        # As for a script, the current directory counts, not PATH.
        path = self._words[0]
        return [sys.executable, path] if self.is_python else [str(Path(path).absolute())]

    @uninterrupted()
    def launch(self, command: list[str]) -> subprocess.Popen[bytes]:
        """Start it. Raises Trouble if the system refuses."""
        self._errors.clear()
        name, _, value = self._mark.partition("=")
        # Python then says where it is when it is told to abort.
        more = {name: value, "PYTHONFAULTHANDLER": "1"}
        try:
            # A group of its own: it and its children are interrupted as a terminal does it.
            child = subprocess.Popen(
                command,
                stdin=self.stdin,
                stdout=self.stdout,
                stderr=subprocess.PIPE,
                env={**os.environ, **more, **self.environment()},
                start_new_session=True,
            )
        except OSError as error:
            raise Trouble("ended", words=f"{command[0]}: {error.strerror}") from None
        self._process, self.pid = child, child.pid
        self._limit(child.pid)
        # A pipe that nobody empties stops whoever writes to it, and a file would grow without end.
        self._listener = threading.Thread(target=self._listen, args=(child,), daemon=True)
        self._listener.start()
        return child

    def environment(self) -> dict[str, str]:
        """What is added to its environment."""
        return {}

    def _limit(self, pid: int) -> None:
        limits = {resource.RLIMIT_CORE: 0}
        if self._limits.memory:
            limits[resource.RLIMIT_AS] = 16 * self._limits.memory
            threading.Thread(target=self._watch_memory, args=(pid,), daemon=True).start()
        try:
            for kind, limit in limits.items():
                resource.prlimit(pid, kind, (limit, limit))
        except ProcessLookupError:
            pass
        except PermissionError:  # it has other rights than we, by a set-user-ID bit
            pass

    def _watch_memory(self, pid: int) -> None:
        most = self._limits.memory
        while pids := process.family(pid):
            if process.exceeds(pids, most):
                self._errors += b"\nMemoryError: it used more than %d MB\n" % (most >> 20)
                return _signal(-pid, signal.SIGKILL)
            time.sleep(0.05)

    def _listen(self, child: subprocess.Popen[bytes]) -> None:
        assert child.stderr is not None
        while data := os.read(child.stderr.fileno(), KEPT):
            self._errors += data
            del self._errors[:-KEPT]

    # -- While it runs.

    @property
    def errors(self) -> str:
        """The end of what it has written to stderr."""
        return self._errors.decode(errors="replace")

    @property
    def complains(self) -> bool:
        """Whether it has written a traceback."""
        return b"Traceback (most recent call last)" in self._errors

    def settle(self) -> None:
        """Return when it has nothing left to do: it sleeps, or has had a turn, or has ended."""
        if self.pid is None:
            return
        pids = process.family(self.pid)
        began = process.ran_seconds(pids)
        looks = 0
        while looks < LOOKS and process.ran_seconds(pids) - began < TURN:
            looks = looks + 1 if process.asleep(pids) else 0
            time.sleep(PAUSE)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Stop it meanwhile, so that all that is done to it here comes to it at once, whoever is faster.

        Not for programs that are not Python's: the end of a stop may interrupt their system calls
        (signal(7)), which not all of them expect.
        """
        if self._process is None or not self.is_python or self._process.poll() is not None:
            yield
            return
        group = self._process.pid
        _signal(-group, signal.SIGSTOP)
        try:
            end = time.monotonic() + PROMPTLY
            while not process.stopped([group]) and time.monotonic() < end:
                time.sleep(PAUSE)
            yield
        finally:
            _signal(-group, signal.SIGCONT)

    def where(self) -> str:
        """The line at which it is, if it is Python's and says so. It is ended by the question."""
        if self._process is None or not self.is_python or self._process.poll() is not None:
            return ""
        _signal(self._process.pid, signal.SIGABRT)
        try:
            self._process.wait(PROMPTLY)
        except subprocess.TimeoutExpired:
            return ""
        self._finish_listening()
        _, _, dump = self.errors.rpartition("Fatal Python error: Aborted")
        if "approximate line numbers" in dump:  # PyPy's: they are those at which the functions begin
            return ""
        for line in dump.splitlines():  # the latest call comes first
            frame = _FRAME.match(line)
            if frame and Path(frame[1]).name == self.name:
                return f"{self.name}:{frame[2]}"
        return ""

    # -- Its end.

    def interrupt(self, seconds: float) -> bool:
        """Ctrl-C, as a terminal sends it and a person presses it; whether it ends within so many seconds."""
        assert self._process is not None
        for _ in range(PRESSES):
            try:
                os.killpg(self._process.pid, signal.SIGINT)
            except ProcessLookupError:
                return True
            if self._ends(self._process, seconds / PRESSES):
                return True
        return False

    def ended(self, within: float = 0.0) -> str | int | None:
        """Its last words, or its exit code, if it has ended or does so in *within* seconds of its own."""
        if self._process is None:
            return None
        if not self._ends(self._process, within):
            return None
        self._finish_listening()
        if words := last_words(self.errors, self.name):
            return words
        code = self._process.returncode
        return signal.Signals(-code).name if code < 0 else code

    @property
    def code(self) -> int | None:
        """Its exit code, if it has ended."""
        return None if self._process is None else self._process.poll()

    def _ends(self, child: subprocess.Popen[bytes], within: float) -> bool:
        clock = Clock(child.pid)
        end = clock.now() + within
        while True:
            try:
                child.wait(max(0.0, end - clock.now()))
                return True
            except subprocess.TimeoutExpired:
                if clock.now(anew=True) >= end:
                    return child.poll() is not None

    def _finish_listening(self) -> None:
        if self._listener is not None:
            self._listener.join(PROMPTLY)  # a grandchild may hold the pipe open

    @uninterrupted()
    def close(self) -> None:
        """Kill it with all that descends from it, and wait."""
        child, self._process = self._process, None
        if child is None:
            return
        _signal(-child.pid, signal.SIGKILL)
        child.wait()
        for pid in process.bearing(self._mark):  # whoever has left the group
            _signal(pid, signal.SIGKILL)
        self._finish_listening()
        assert self._listener is not None
        for file in (child.stdin, child.stdout):
            if file is not None:
                file.close()
        if not self._listener.is_alive():
            assert child.stderr is not None
            child.stderr.close()


def last_words(errors: str, program: str) -> str:
    """The last line; if that is an exception, with the place in the *program* where it came from."""
    lines = [_BAR.sub("", line) for line in errors.splitlines() if not _RULE.match(line)]
    lines = [line for line in lines if line.strip()]
    if not lines:
        return ""
    last = lines.pop().strip()[:200]
    while lines and lines[-1].startswith(" "):
        frame = _FRAME.match(lines.pop())
        if frame and Path(frame[1]).name == program:
            return f"{last} ({program}, line {frame[2]})"
    return last


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        pass
