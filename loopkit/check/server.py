"""The server under examination: a program that is started here, or one that runs already."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Protocol

from . import process
from .ports import held_port
from .talk import Trouble

__all__ = ["Program", "Running", "Server"]

#: What is given to a program when nobody says what it takes, in this order. A program that does not
#: understand the first ends at once; one with a port of its own ignores it.
ARGUMENTS: tuple[list[str], ...] = (["{port}"], ["server", "{port}"], ["--port", "{port}"], [])

#: Seconds a program has to begin to listen.
STARTUP = 10.0

#: How much of what it writes to stderr is kept: the end, in bytes.
KEPT = 65536

#: How Python frames the traceback of an exception group: bars before the lines of each part, rules between.
_BAR = re.compile(r"^ *\| ?")
_RULE = re.compile(r"^ *\+[-+]")

#: A frame of a traceback, or where a syntax error is.
_FRAME = re.compile(r'^ +File "(.+)", line (\d+)')


class Server(Protocol):
    """What the checks may ask of either kind."""

    address: tuple[str, int]
    pid: int | None

    @property
    def startable(self) -> bool:
        """Whether it can be interrupted, killed and started again."""

    def ended(self, within: float = 0.0) -> str | int | None:
        """Its last words, or its exit code, if it ends in so many seconds; else None."""

    def close(self) -> None:
        """Leave nothing behind."""


class Running:
    """A server that somebody else has started, here or elsewhere.

    Args:
        host, port: where it listens.

    A host may have several addresses, as localhost has; the first one at which somebody listens counts.

    Raises:
        OSError: the host is unknown.
    """

    startable = False

    def __init__(self, host: str, port: int) -> None:
        found = socket.getaddrinfo(host or "127.0.0.1", port, type=socket.SOCK_STREAM)
        addresses: list[tuple[str, int]] = [entry[4][:2] for entry in found]  # type: ignore[misc]
        self.address = next((address for address in addresses[:-1] if not _refusal(address)), addresses[-1])
        self.pid = process.owner(*self.address)

    def refusal(self, within: float) -> str:
        """Why it takes no connection within so many seconds; empty if it does."""
        return _refusal(self.address, within)

    def ended(self, within: float = 0.0) -> None:
        """Nobody knows."""

    def close(self) -> None:
        """It goes on running."""


class Program:
    """A program that is started with a port, and ended whatever it does.

    Args:
        words: the program and its arguments, in which ``{port}`` stands for the port.
        port: the port to give it; 0: a free one, another one for each start.
    """

    startable = True

    def __init__(self, words: list[str], port: int = 0) -> None:
        self._words = words
        #: What all that descends from the program inherits, whatever group or parent it has by then.
        self._mark = f"LOOPKIT_CHECK={os.getpid()}.{id(self)}"
        self._port = port
        self._forms = self._guess()
        self._process: subprocess.Popen[bytes] | None = None
        self._listener: threading.Thread | None = None
        self._errors = bytearray()
        self.address = ("", 0)
        self.pid: int | None = None

    def _guess(self) -> list[list[str]]:
        path, *arguments = self._words
        program = [path] if os.access(path, os.X_OK) and not path.endswith(".py") else [sys.executable, path]
        if program == [path]:
            program = [str(Path(path).absolute())]  # as for a script, the current directory counts
        if any("{port}" in word for word in arguments):
            return [program + arguments]
        if arguments:
            return [[*program, *arguments, "{port}"], program + arguments]
        return [program + form for form in ARGUMENTS]

    def start(self) -> None:
        """Start it, in the first way in which it listens. Raises Trouble if it does not.

        If each way ends it, what it said to each is told: to all but one it may have complained of the
        arguments, and only the one that it understands shows what is wrong with it.
        """
        with nullcontext(self._port) if self._port else held_port() as port:
            self._start(port)

    def _start(self, port: int) -> None:
        ends: dict[str | int, str] = {}
        for form in self._forms:
            self._launch([word.replace("{port}", str(port)) for word in form])
            if self._wait_until_it_listens(port):
                self._forms = [form]
                return
            words = self.ended()
            if words is None:
                self.close()
                raise Trouble("deaf", seconds=STARTUP)
            command = [Path(form[0]).name, *form[1:]]
            ends.setdefault(words, " ".join(command).replace("{port}", "PORT"))
            self.close()
        told = [Trouble("in-answer-to", command=shown, words=said) for said, shown in ends.items()]
        raise Trouble("ended", words=told if len(told) > 1 else words)

    def _launch(self, command: list[str]) -> None:
        self._errors.clear()
        name, _, value = self._mark.partition("=")
        try:
            # A group of its own: it and its children are interrupted as a terminal does it.
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env={**os.environ, name: value},
                start_new_session=True,
            )
        except OSError as error:
            raise Trouble("ended", words=f"{command[0]}: {error.strerror}") from None
        self.pid = self._process.pid
        self.command = command
        # A pipe that nobody empties stops whoever writes to it, and a file would grow without end.
        self._listener = threading.Thread(target=self._listen, args=(self._process,), daemon=True)
        self._listener.start()

    def _listen(self, child: subprocess.Popen[bytes]) -> None:
        assert child.stderr is not None
        while data := os.read(child.stderr.fileno(), KEPT):
            self._errors += data
            del self._errors[:-KEPT]

    def _wait_until_it_listens(self, port: int) -> bool:
        assert self._process is not None
        end = time.monotonic() + STARTUP
        while self._process.poll() is None and time.monotonic() < end:
            if found := process.listening(process.family(self._process.pid)):
                self.address = next((address for address in found if address[1] == port), found[0])
                return True
            time.sleep(0.01)
        return False

    def ended(self, within: float = 0.0) -> str | int | None:
        """Its last words, or its exit code, if it has ended or does so in *within* seconds."""
        if self._process is None:
            return None
        try:
            self._process.wait(within)
        except subprocess.TimeoutExpired:
            return None
        if self._listener is not None:
            self._listener.join(0.5)  # a grandchild may hold the pipe open
        if words := _last_words(self._errors.decode(errors="replace"), Path(self._words[0]).name):
            return words
        code = self._process.returncode
        return signal.Signals(-code).name if code < 0 else code

    def interrupt(self, seconds: float) -> bool:
        """Ctrl-C, as a terminal sends it; whether it ends within so many seconds.

        Up to three times, as a person would: a signal that comes between a program's last look at its signals
        and its sleep in the kernel is not noticed before the next event.
        """
        assert self._process is not None
        for _ in range(3):
            try:
                os.killpg(self._process.pid, signal.SIGINT)
                self._process.wait(seconds / 3)
                return True
            except ProcessLookupError:
                return True
            except subprocess.TimeoutExpired:
                pass
        return False

    def complaint(self) -> bool:
        """Whether it has written a traceback."""
        return b"Traceback (most recent call last)" in self._errors

    def close(self) -> None:
        """Kill it with all that descends from it, and wait."""
        child, self._process = self._process, None
        if child is None:
            return
        _kill(-child.pid)
        child.wait()
        for pid in process.bearing(self._mark):  # whoever has left the group
            _kill(pid)
        assert self._listener is not None
        assert child.stderr is not None
        self._listener.join(1.0)
        if not self._listener.is_alive():
            child.stderr.close()


def _last_words(errors: str, program: str) -> str:
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


def _refusal(address: tuple[str, int], within: float = 1.0) -> str:
    try:
        socket.create_connection(address, timeout=within).close()
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass
