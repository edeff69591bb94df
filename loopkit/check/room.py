"""The room in which a check is made: a server, clients as many as one likes, and what its answers must be."""

from __future__ import annotations

import itertools
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from . import process, sockets
from .patience import Trouble
from .talk import call

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable
    from contextlib import ExitStack

    from .patience import Patience
    from .server import Server
    from .talk import Talk

__all__ = ["ANSWERS", "CLIENTS", "Note", "Room", "Unavailable", "numbered"]

#: What a server may answer; the homework asks for upper case, the simplest servers send back what they get.
ANSWERS: dict[str, Callable[[str], bytes]] = {
    "upper": lambda text: text.upper().encode(),
    "upper-ascii": lambda text: text.encode().upper(),
    "echo": str.encode,
}

#: And where any answer will do: something to each message, or something to each client, once.
ANY = ("any", "greeting")

#: How many clients are there at once, where a few are enough to see; and where each answer takes long.
CLIENTS = 30
FEW = 5

#: Seconds that a server sleeps, rather than works, before it answers, and is a slow one.
SLOW = 0.02

#: How much is poured at most into a server by a client that does not read. The kernel's buffers hold less.
FLOOD = 16_000_000

#: So much of what a client has not taken yet a server may keep itself; whoever keeps more, keeps all.
HOARD = 2_000_000

#: So many times in a row nothing more was taken, though the server had nothing else to do: it is full.
FULL = 3


class Unavailable(Exception):
    """This cannot be seen from here; the text is the name of a text in `words`."""


class Note(NamedTuple):
    """All is well, but this should be said."""

    how: str
    values: dict[str, Any]
    limited: bool = False


class Flood(NamedTuple):
    """What a flood came to: what is owed for it, and how many bytes of that the server itself keeps."""

    owed: bytes
    hoarded: int


class Room:
    """What a check can do. Closing `stack` takes every client out of the room.

    Args:
        server: whom it is about.
        patience: how long to wait.
        stack: is closed when the check is over.
        answer: what it answers, as far as that is known: a name of ANSWERS or ANY.
        connections: how many clients the crowd is made of.
        passed: the names of the checks that it has passed.
        slowness: seconds that it sleeps before an answer.
    """

    def __init__(
        self,
        server: Server,
        patience: Patience,
        stack: ExitStack,
        *,
        answer: str,
        connections: int = 1,
        passed: Container[str] = (),
        slowness: float = 0.0,
    ) -> None:
        self.server = server
        self.patience = patience
        self.answer = answer
        self.connections = connections
        self.passed = passed
        self.slowness = slowness
        self._stack = stack
        self._words = itertools.count(1)

    @property
    def clients(self) -> int:
        """How many are enough."""
        return CLIENTS if self.slowness < SLOW else FEW

    def client(self, *, small: bool = False) -> Talk:
        """One more client. Raises Trouble if it is not let in."""
        return self._stack.enter_context(call(self.server.address, self.patience, small=small))

    def guest(self, *, small: bool = False) -> Talk:
        """One more client, who has been answered once: certainly accepted."""
        talk = self.client(small=small)
        if self.answer == "greeting":
            talk.anything()
        else:
            self.ask(talk)
        return talk

    def ask(self, talk: Talk, text: str = "") -> None:
        """Ask this, or something new each time. Raises Trouble if the answer is not the right one."""
        self.question(talk, text := text or f"question {next(self._words)}, ünïcödé\n")
        self.hear(talk, text)

    def ask_all(self, talks: Iterable[Talk]) -> None:
        """Ask them all at once, something else each, and hear what each of them is answered."""
        asked = [(talk, f"client {number} asks\n") for number, talk in enumerate(talks)]
        with self.server.held():
            for talk, text in asked:
                self.question(talk, text)
        for talk, text in asked:
            self.hear(talk, text)

    def question(self, talk: Talk, text: str) -> None:
        """Send it."""
        if self.answer in ANY:
            talk.clear()
        talk.send(text.encode())

    def hear(self, talk: Talk, text: str) -> None:
        """Receive the answer to it."""
        if self.answer == "greeting":  # it has had its answer; that others get theirs is what can be seen
            newcomer = self.client()
            newcomer.anything()
            newcomer.close()
        elif self.answer == "any":
            talk.anything()
        else:
            talk.receive(self.answered(text))

    def answered(self, text: str) -> bytes:
        """What the server must answer to this. Raises Unavailable if it may answer anything."""
        if self.answer in ANY:
            raise Unavailable("any-answer")
        return ANSWERS[self.answer](text)

    def family(self) -> list[int]:
        """The processes of the server. Raises Unavailable if they cannot be seen."""
        if self.server.pid is None:
            raise Unavailable("unseen")
        return process.family(self.server.pid)

    def settle(self, *talks: Talk) -> None:
        """Return when these clients' words have arrived, and the server has done what there was to do."""
        for talk in talks:
            self.patience.until(lambda talk=talk: talk.delivered, self.patience.each / 2)  # type: ignore[misc]
        self.server.settle()

    def flood(self, slow: Talk, other: Talk) -> Flood:
        """Let *slow* write and not read until it is stuck, while *other* must be answered."""
        text = numbered(FLOOD // 20)
        data = memoryview(text)
        sent = stuck = hoarded = 0
        while stuck < FULL and sent < len(data) and hoarded < HOARD:
            more = slow.pour(data[sent : sent + FLOOD // 40])
            self.server.settle()
            try:
                self.ask(other)
            except Trouble as trouble:
                if trouble.how == "wrong":
                    trouble.cause = "mixed-up"
                raise
            sent += more
            stuck = 0 if more else stuck + 1
            hoarded = self._hoarded(slow, sent)
        owed = b"" if self.answer in ANY else self.answered(text[:sent].decode())
        return Flood(owed, hoarded)

    def _hoarded(self, talk: Talk, sent: int) -> int:
        """Of what this client has sent since its last answer: what is in no buffer of the kernel's.

        The server has read what neither kernel has any more, and has not answered what is on no way back.
        """
        theirs = sockets.queues(self.server.address, talk.sock.getsockname()[:2])
        if theirs is None:
            return 0
        return sent - talk.unsent - theirs.unread - theirs.sent - talk.waiting


@cache
def numbered(count: int) -> bytes:
    """A long text in which no two places look alike."""
    return b"".join(b"%07d is a number\n" % number for number in range(count))
