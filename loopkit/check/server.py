"""The server under examination: a program that is started here, or one that runs already."""

from __future__ import annotations

import os
import re
import socket
import sys
import time
from contextlib import nullcontext
from typing import TYPE_CHECKING, Protocol

from . import process, sockets
from .patience import Clock, Trouble
from .ports import held_port
from .program import Program, last_words

if TYPE_CHECKING:
    import subprocess
    from contextlib import AbstractContextManager

    from .program import Limits

__all__ = ["Running", "Server", "ServerProgram", "ports_in", "shadow"]

#: What is given to a program when nobody says what it takes, in this order. A program that does not
#: understand the first ends at once; one with a port of its own ignores it.
ARGUMENTS: tuple[list[str], ...] = (["{port}"], ["server", "{port}"], ["--port", "{port}"], [])

#: Seconds of its own a program has to begin to listen.
STARTUP = 10.0

#: What EADDRINUSE looks like, in Python and elsewhere.
_IN_USE = re.compile(r"address already in use|EADDRINUSE|\[Errno 98\]", re.IGNORECASE)

#: What may be a port that is written down in a program.
_PORT = re.compile(r"(?<![\w.])\d{4,5}(?![\w.])")


class Server(Protocol):
    """What the checks may ask of either kind."""

    address: tuple[str, int]
    pid: int | None

    @property
    def startable(self) -> bool:
        """Whether it can be interrupted, killed and started again."""

    @property
    def errors(self) -> str:
        """What it has written to stderr, if that can be known."""

    def ended(self, within: float = 0.0) -> str | int | None:
        """Its last words, or its exit code, if it ends in so many seconds; else None."""

    def held(self) -> AbstractContextManager[None]:
        """What is done meanwhile comes to it at once, if it can be stopped."""

    def settle(self) -> None:
        """Return when it has nothing left to do, as far as can be seen."""

    def where(self) -> str:
        """The line at which it is, if it can be asked; that ends it."""

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
    errors = ""

    def __init__(self, host: str, port: int) -> None:
        found = socket.getaddrinfo(host or "127.0.0.1", port, type=socket.SOCK_STREAM)
        addresses: list[tuple[str, int]] = [entry[4][:2] for entry in found]  # type: ignore[misc]
        self.address = next((address for address in addresses[:-1] if not _refusal(address)), addresses[-1])
        self.pid = sockets.owner(*self.address)

    def refusal(self, within: float) -> str:
        """Why it takes no connection within so many seconds; empty if it does."""
        return _refusal(self.address, within)

    def ended(self, within: float = 0.0) -> None:
        """Nobody knows."""

    def held(self) -> AbstractContextManager[None]:
        """It is not ours to stop."""
        return nullcontext()

    def settle(self) -> None:
        """Nobody knows whether it has; it has a moment."""
        time.sleep(0.05)

    def where(self) -> str:
        """It is not ours to end."""
        return ""

    def close(self) -> None:
        """It goes on running."""


class ServerProgram(Program):
    """A program that is started with a port, and ended whatever it does.

    Args:
        words: the program and its arguments, in which ``{port}`` stands for the port.
        port: the port to give it; 0: a free one, another one for each start.
        limits: what it may use.
    """

    startable = True

    def __init__(self, words: list[str], port: int = 0, limits: Limits | None = None) -> None:
        super().__init__(words, limits)
        self._port = port
        self._forms = self._guess()
        self._again: list[str] = []
        self.address = ("", 0)

    def _guess(self) -> list[list[str]]:
        program, arguments = self.command(), self._words[1:]
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

    def restart(self) -> None:
        """Start it once more, at the same port. Raises Trouble if it does not listen."""
        words = self._run(self._again, self.address[1])
        if words is not None:
            raise self._explained(self.errors, words)

    def _start(self, port: int) -> None:
        ends: dict[str | int, str] = {}
        said = ""
        for form in self._forms:
            words = self._run([word.replace("{port}", str(port)) for word in form], port)
            if words is None:
                self._forms = [form]
                return
            said += self.errors
            command = [os.path.basename(form[0]), *form[1:]]
            ends.setdefault(words, " ".join(command).replace("{port}", "PORT"))
            self.close()
        told = [Trouble("in-answer-to", command=shown, words=words) for words, shown in ends.items()]
        raise self._explained(said, told if len(told) > 1 else words)

    def _run(self, command: list[str], port: int) -> str | int | None:
        """None if it listens, else its last words. Raises Trouble if it does neither."""
        child = self.launch(command)
        self._again = command
        if self._wait_until_it_listens(child, port):
            return None
        words = self.ended()
        if words is None:
            self.close()
            raise Trouble("deaf", seconds=STARTUP)
        return words

    def _explained(self, said: str, words: object) -> Trouble:
        """Why it did not start, if one of the usual reasons can be seen in what it said."""
        if name := shadow(said, self):
            return Trouble("shadow", file=name, words=words)
        if _IN_USE.search(said):
            return self._in_use(words)
        return Trouble("unstarted", words=words)

    def _in_use(self, words: object) -> Trouble:
        """That its port is taken, and by whom, as far as that can be seen."""
        ports = [self._port or self.address[1]] if self._port or self.address[1] else ports_in(self.path)
        for port in ports:
            if (pid := sockets.owner("", port)) is not None:
                return Trouble("port-owned", port=port, pid=pid, words=words)
        return Trouble("port-lingers", words=words)

    def _wait_until_it_listens(self, child: subprocess.Popen[bytes], port: int) -> bool:
        clock = Clock(child.pid)
        end = clock.now() + STARTUP
        while child.poll() is None and clock.now() < end:
            if found := sockets.listening(process.family(child.pid)):
                self.address = next((address for address in found if address[1] == port), found[0])
                return True
            time.sleep(0.01)
        return False


def shadow(said: str, program: Program) -> str:
    """A file beside the program that hides a module of Python's and is spoken of in what it *said*.

    ``import queue`` finds ``queue.py`` in the program's folder first, be it the program itself. It looks for
    nothing there that is built into the interpreter: `select` in Debian's, not in others.
    """
    hideable = sys.stdlib_module_names.difference(sys.builtin_module_names)
    last = last_words(said, program.name)
    folder = program.path.absolute().parent
    try:
        found = sorted(os.listdir(folder))
    except OSError:
        return ""
    for entry in found:
        name = entry.removesuffix(".py")
        if name in hideable and (name != entry or (folder / name).is_dir()):
            itself = any(str(at / entry) in said for at in (folder, folder.resolve()))
            if f"'{name}'" in last or (itself and entry != program.name):
                return entry
            if entry == program.name and re.search(
                rf"^\s*(import|from)\s+{name}\b", _text(program.path), re.M
            ):
                return entry
    return ""


def ports_in(path: os.PathLike[str]) -> list[int]:
    """The numbers in a program's text that may be its port, in their order."""
    found = dict.fromkeys(int(number) for number in _PORT.findall(_text(path)))
    return [number for number in found if 1024 <= number < 65536]


def _text(path: os.PathLike[str]) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(1_000_000)
    except OSError:
        return ""


def _refusal(address: tuple[str, int], within: float = 1.0) -> str:
    try:
        socket.create_connection(address, timeout=within).close()
    except OSError as error:
        return error.strerror or str(error)
    return ""
