"""The other half of the homework: a client, given a server, a keyboard and a screen.

The server is ours and says what a check wants it to say. The keyboard and the screen are pipes; Python is
told not to keep back what it prints, as it does not on a terminal.
"""

from __future__ import annotations

import os
import select
import socket
import subprocess
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from .patience import Clock, Patience, Trouble
from .ports import held_port
from .program import Program
from .server import STARTUP, ports_in
from .talk import Talk

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

    from .program import Limits

__all__ = ["ClientProgram", "Stage"]

#: What is given to a program when nobody says what it takes, in this order.
ARGUMENTS: tuple[list[str], ...] = (
    ["client", "{host}", "{port}"],
    ["{host}", "{port}"],
    ["{port}"],
    ["--port", "{port}"],
    [],
)

HOST = "127.0.0.1"

#: How much of what it shows is quoted.
QUOTED = 200


class ClientProgram(Program):
    """A client, and the ports at which it is waited for.

    Args:
        words: the program and its arguments, in which ``{host}`` and ``{port}`` say where the server is.
        port: that server's port; 0: a free one, and whatever number in the program's text looks like one.
        limits: what it may use.
    """

    stdin = stdout = subprocess.PIPE

    def __init__(self, words: list[str], port: int = 0, limits: Limits | None = None) -> None:
        super().__init__(words, limits)
        self._port = port
        self._forms = self._guess()

    def _guess(self) -> list[list[str]]:
        program, arguments = self.command(), self._words[1:]
        if any("{port}" in word or "{host}" in word for word in arguments):
            return [program + arguments]
        forms = [program + arguments + form for form in ARGUMENTS]
        return forms if not arguments else [program + arguments, *forms[:-1]]

    def environment(self) -> dict[str, str]:
        """Python then shows what it prints at once, and in UTF-8."""
        return {"PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1"}

    @contextmanager
    def stage(self, each: float, altogether: float, *, open_door: bool = True) -> Iterator[Stage]:
        """Start it, in the first way in which it connects. Raises Trouble if it does not.

        Args:
            each, altogether: how long to wait: see Patience.
            open_door: whether anybody listens where it looks for a server.
        """
        with ExitStack() as stack:
            port = self._port or stack.enter_context(held_port())
            ports = [port] if self._port else [port, *ports_in(self.path)]
            doors = [door for number in ports if (door := _door(number)) is not None]
            for door in doors:
                stack.enter_context(door)
                if not open_door:
                    door.close()
            stack.callback(self.close)
            yield self._start(port, doors, Patience(each, altogether), stack, open_door)

    def _start(
        self, port: int, doors: list[socket.socket], patience: Patience, stack: ExitStack, connects: bool
    ) -> Stage:
        ends: dict[str | int, str] = {}
        for form in self._forms:
            given = {"{host}": HOST, "{port}": str(port)}
            child = self.launch([_filled(word, given) for word in form])
            patience = Patience(patience.each, patience.altogether, child.pid)
            stage = Stage(self, child, patience)
            if not connects:
                return stage
            if (sock := self._connection(child, doors)) is not None:
                stage.talk = stack.enter_context(Talk(sock, patience))
                self._forms = [form]
                return stage
            words = self.ended()
            if words is None:
                raise Trouble("never-connects", seconds=STARTUP)
            command = " ".join([os.path.basename(form[0]), *form[1:]])
            ends.setdefault(words, _filled(command, {"{host}": HOST, "{port}": "PORT"}))
            self.close()
        told = [Trouble("in-answer-to", command=shown, words=words) for words, shown in ends.items()]
        raise Trouble("ended", words=told if len(told) > 1 else words)

    def _connection(self, child: subprocess.Popen[bytes], doors: list[socket.socket]) -> socket.socket | None:
        """The connection that it makes, before it ends or STARTUP seconds of its own are over."""
        clock = Clock(child.pid)
        end = clock.now() + STARTUP
        while True:
            ready, _, _ = select.select(doors, [], [], 0.02)
            if ready:
                return ready[0].accept()[0]
            if child.poll() is not None or clock.now(anew=True) > end:
                return None


class Stage:
    """A client that has been started, seen from its keyboard, its screen and its server."""

    talk: Talk
    faults: Container[str] = ()

    def __init__(self, program: ClientProgram, child: subprocess.Popen[bytes], patience: Patience) -> None:
        self.program = program
        self.patience = patience
        assert child.stdin is not None
        assert child.stdout is not None
        self._child = child
        self._keyboard = child.stdin
        self._screen = child.stdout.fileno()
        os.set_blocking(self._screen, False)
        os.set_blocking(self._keyboard.fileno(), False)
        self.shown = ""
        self._bytes = b""

    def type(self, text: str) -> None:
        """Type it, as one who presses Enter. Raises Trouble if nobody reads it."""
        data = text.encode() + b"\n"

        def takes(_: float) -> bool:
            nonlocal data
            try:
                data = data[os.write(self._keyboard.fileno(), data) :]
            except BlockingIOError:
                time.sleep(0.005)
            return not data

        try:
            if not self.patience.wait(takes):
                raise Trouble("not-read", seconds=self.patience.each)
        except BrokenPipeError:
            raise Trouble("not-read", seconds=0.0) from None

    def end_input(self) -> None:
        """Ctrl-D."""
        self._keyboard.close()

    def read_screen(self) -> None:
        """Take what it has shown so far."""
        try:
            while data := os.read(self._screen, 65536):
                self._bytes += data
        except BlockingIOError:
            pass
        self.shown = self._bytes.decode("utf-8", "backslashreplace")

    def expect(self, *texts: str, at: int = 0) -> None:
        """Return when it has shown these, one after the other. Raises Trouble if it does not.

        Args:
            at: where on the screen to begin.
        """

        def appears() -> bool:
            self.read_screen()
            place = at
            for text in texts:
                place = self.shown.find(text, place)
                if place < 0:
                    return False
                place += len(text)
            return True

        if not self.patience.until(appears):
            raise Trouble("not-shown", wanted=" ".join(texts), got=self.shown[at:][-QUOTED:])

    def hear(self, text: str) -> None:
        """Return when the client has sent this. Raises Trouble if it does not."""
        got = b""
        wanted = text.encode()
        while wanted not in got:
            try:
                got += self.talk.anything()
            except Trouble as trouble:
                if trouble.how not in ("mute", "closed"):
                    raise
                raise Trouble("not-sent", wanted=wanted, got=got[-QUOTED:]) from None

    def say(self, text: bytes) -> None:
        """Say it to the client, and wait until it has done what there is to do."""
        self.talk.send(text)
        self.settle()

    def settle(self) -> None:
        """Return when what was said has arrived, and the client has nothing left to do."""
        self.patience.until(lambda: self.talk.delivered, self.patience.each / 2)
        self.program.settle()

    def ends(self) -> bool:
        """Whether it ends of itself."""
        ended = self.program.ended(self.patience.left()) is not None
        self.read_screen()
        return ended


def _door(port: int) -> socket.socket | None:
    """Somebody who listens there; None if the port is taken."""
    door = socket.socket()
    try:
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        door.bind((HOST, port))
        door.listen()
    except OSError:
        door.close()
        return None
    return door


def _filled(text: str, values: dict[str, str]) -> str:
    for place, value in values.items():
        text = text.replace(place, value)
    return text
