"""The checks, in the order in which they are made: first whether it works at all, then what makes it fail.

Each is a function of the :class:`Room` it is made in. It returns None if all is well, or a Note if all is
well but something should be said; it raises Trouble if something is wrong, and Unavailable if that cannot be
seen from here. Its name is the fault's name. The room closes every connection afterwards.

Messages end with a newline, so that a server which reads lines passes too. Only the halves of characters do
not; such a server answers them when the line is whole.
"""

from __future__ import annotations

import itertools
import resource
import time
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from . import process
from .talk import Patience, Talk, Trouble

if TYPE_CHECKING:
    from collections.abc import Callable, Container
    from contextlib import ExitStack

    from .server import Program, Server

__all__ = ["ANSWERS", "CHECKS", "Check", "Note", "Room", "Unavailable"]

#: What a server may answer; the homework asks for upper case, the simplest servers send back what they get.
ANSWERS: dict[str, Callable[[str], bytes]] = {
    "upper": lambda text: text.upper().encode(),
    "upper-ascii": lambda text: text.encode().upper(),
    "echo": str.encode,
}

#: A first word that each of them answers differently.
GREETING = "loopkit asks: grüß dich, 世界?\n"

#: How many clients are there at once, where a few are enough to see.
CLIENTS = 30

#: At most so many threads are a single thread: a helper may look up names.
THREADS = 2

#: Seconds to wait until something has been read: who looks without reading, for MSG_PEEK, is not waited for.
PEEKING = 0.5

#: How much is poured into a server by a client that does not read; more than the kernel's buffers hold.
FLOOD = 8_000_000

#: Seconds without progress, three times with another client answered in between: now it is stuck for good.
STUCK = 0.03

#: How long an idle server is watched, in seconds, and for which share of that it may want a processor.
WATCHED = 0.5
IDLE = 0.25

#: So many of a full house leave, to see whether their places are used again.
LEAVING = 20

#: Who breaks connections off may be ending: give it so many seconds.
DYING = 1.0

#: How many descriptors the checker needs besides those of its clients.
OURS = 50

#: Who can watch no descriptor above this number is made of select().
SELECT = 1023


class Unavailable(Exception):
    """This cannot be seen from here; the text is the name of a text in `words.py`."""


class Note(NamedTuple):
    """All is well, but this should be said."""

    how: str
    values: dict[str, Any]
    limited: bool = False


class Room:
    """What a check can do. Closing `stack` takes every client out of the room."""

    def __init__(
        self,
        server: Server,
        patience: Patience,
        stack: ExitStack,
        *,
        answer: str,
        connections: int = 1,
        passed: Container[str] = (),
    ) -> None:
        self.server = server
        self.patience = patience
        self.answer = answer
        self.connections = connections
        self.passed = passed
        self._stack = stack
        self._words = itertools.count(1)

    def client(self, *, small: bool = False) -> Talk:
        """One more client. Raises Trouble if it is not let in."""
        return self._stack.enter_context(Talk(self.server.address, self.patience, small=small))

    def guest(self, *, small: bool = False) -> Talk:
        """One more client, who has been answered once: certainly accepted."""
        talk = self.client(small=small)
        self.ask(talk)
        return talk

    def ask(self, talk: Talk, text: str = "") -> None:
        """Ask this, or something new each time. Raises Trouble if the answer is not the right one."""
        text = text or f"question {next(self._words)}, ünïcödé\n"
        talk.ask(text.encode(), self.answered(text))

    def answered(self, text: str) -> bytes:
        """What the server must answer to this."""
        return ANSWERS[self.answer](text)

    def family(self) -> list[int]:
        """The processes of the server. Raises Unavailable if they cannot be seen."""
        if self.server.pid is None:
            raise Unavailable("unseen")
        return process.family(self.server.pid)

    def wait_until_read(self, talk: Talk) -> None:
        """Return when the server has read all that this client sent: at once if that cannot be seen."""
        port = self.server.address[1]
        self.patience.until(lambda: not process.unread(port, talk.port), PEEKING)

    def flood(self, slow: Talk, other: Talk) -> bytes:
        """Let *slow* write and not read until it is stuck, while *other* must be answered; all it is owed."""
        text = _numbers(FLOOD // 20)
        data = memoryview(text)
        sent = stuck = 0
        while stuck < 3 and sent < len(data):
            more = slow.pour(data[sent:], STUCK)
            self.ask(other)
            sent += more
            stuck = 0 if more else stuck + 1
        return self.answered(text[:sent].decode())


@cache
def _numbers(count: int) -> bytes:
    """A long text in which no two places look alike."""
    return b"".join(b"%07d is a number\n" % number for number in range(count))


# -- Whether it works at all.


def answers(room: Room) -> None:
    """Find out what it answers; room.answer says so afterwards."""
    talk = room.client()
    talk.send(GREETING.encode())
    got = talk.line()
    if not got:
        raise Trouble("silent", seconds=room.patience.each, got=0, wanted=len(GREETING.encode()))
    fitting = [name for name, answer in ANSWERS.items() if answer(GREETING) == got]
    if room.answer:
        fitting = [name for name in fitting if name.startswith(room.answer)]
    if not fitting:
        wanted = ANSWERS[room.answer or "echo"](GREETING)
        raise Trouble("other", wanted=wanted, got=got[:200])
    room.answer = fitting[0]
    room.ask(talk)


def together(room: Room) -> None:
    """Many clients at once, each of whom asks again and again, in another order each time."""
    talks = []
    for _ in range(CLIENTS):
        talks.append(room.guest())
        if len(talks) == 2:
            room.ask(talks[0])
    for _ in range(2):
        talks.reverse()
        for number, talk in enumerate(talks):
            room.ask(talk, f"client {number} of {CLIENTS}\n")


def single_thread(room: Room) -> None:
    """How many threads and processes there are while many clients are."""
    room.family()
    for _ in range(CLIENTS):
        room.guest()
    pids = room.family()
    count = process.threads(pids)
    if count > THREADS:
        raise Trouble("threads", count=count, processes=len(pids), clients=CLIENTS)


def in_order(room: Room) -> None:
    """A long text, sent as fast as it is taken. Nothing but ASCII: cut characters are another question."""
    text = _numbers(10_000)
    room.client().exchange(text, room.answered(text.decode()))


def split_characters(room: Room) -> None:
    """Every character of two, three or four bytes, cut at every place."""
    talk, other = room.guest(), room.guest()
    for character in "é世😀":
        encoded = character.encode()
        for cut in range(1, len(encoded)):
            talk.send(b"a" + encoded[:cut])
            # That it answers the other client is no sign that it has read the half: it may have been told of
            # both at once. Of a server elsewhere there is no better one.
            room.ask(other)
            room.wait_until_read(talk)
            talk.send(encoded[cut:] + b"z\n")
            talk.receive(room.answered(f"a{character}z\n"))


def silent_client(room: Room) -> None:
    """One comes and says nothing; the next one must be answered at once, and both may leave."""
    silent = room.client()
    room.guest()
    another = room.client()
    room.guest().close()
    room.ask(silent)
    another.close()
    room.guest()


# -- What makes it fail.


def slow_reader(room: Room) -> None:
    """One writes without reading until all buffers are full; others must be answered meanwhile."""
    room.flood(room.guest(small=True), room.guest())


def partial_send(room: Room) -> None:
    """The same, and then it reads: not a byte may be missing."""
    slow = room.guest(small=True)
    owed = room.flood(slow, room.guest())
    # The flood has ended anywhere in a line.
    rest = f"{'x' * 10} is the rest\n"
    slow.exchange(rest.encode(), owed + room.answered(rest))


def half_close(room: Room) -> None:
    """Clients that have said everything and still listen: their last words must be answered.

    Most servers fail only while they still owe something: then the end of the stream comes with the last of
    what they have not read yet. Those that lose bytes anyway are not asked that.
    """
    for number in range(5):
        text = f"the last words of client {number}\n"
        talk = room.client()
        talk.send(text.encode())
        talk.end()
        talk.receive(room.answered(text))
    if "partial-send" in room.passed:
        slow = room.guest(small=True)
        owed = room.flood(slow, room.guest())
        slow.end()
        slow.receive(owed)


def abrupt_reset(room: Room) -> None:
    """Clients whose connections break off: silent ones, and some whose words nobody has read yet."""
    stays = room.guest()
    for number in range(10):
        talk = room.guest()
        if number % 2:
            talk.send(b"never answered\n")
        talk.reset()
    room.ask(stays)
    room.guest()


def crowd(room: Room) -> Note | None:
    """So many clients at once. Fewer are enough if there is a limit that is not the server's fault."""
    first = room.guest()
    talks: list[Talk] = []
    began = time.monotonic()
    ours = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    wanted = room.connections if ours == resource.RLIM_INFINITY else min(room.connections, ours - OURS)
    try:
        while len(talks) + 1 < wanted:
            talks.append(room.guest())
        for talk in (first, *talks[::10]):
            room.ask(talk)
    except Trouble as trouble:
        words = room.server.ended(DYING)
        if words is not None:
            raise Trouble("crowd-ended", served=len(talks) + 1, words=words) from None
        if trouble.how == "late":
            seconds = time.monotonic() - began
            raise Trouble("crowd-late", served=len(talks) + 1, seconds=seconds) from None
        if (note := _limit(room, len(talks) + 1)) is None:
            raise Trouble("crowd-unserved", served=len(talks) + 1, cause=trouble) from None
        # It has found its limit: those who are in must not suffer, and a place that gets free must be used.
        room.ask(first)
        for talk in talks[:LEAVING]:
            talk.close()
        if not room.patience.until(lambda: _let_in(room)):
            raise Trouble("crowd-full", served=len(talks) + 1, left=LEAVING) from None
        return note
    return Note("limit-ours", {"served": wanted, "limit": ours}, True) if wanted < room.connections else None


def _let_in(room: Room) -> bool:
    try:
        room.guest()
    except Trouble:  # turned away, maybe because it has not yet noticed that others have left
        return False
    return True


def _limit(room: Room, served: int) -> Note | None:
    """What explains that there are no more clients."""
    if room.server.pid is None:
        return None
    highest = process.highest_descriptor(room.family())
    allowed = process.descriptor_limit(room.server.pid)
    if allowed is not None and highest >= allowed - 2:
        return Note("limit-descriptors", {"served": served, "limit": allowed}, limited=True)
    if SELECT - 2 <= highest <= SELECT + 2:
        return Note("limit-select", {"served": served, "limit": SELECT}, limited=True)
    return None


def descriptors(room: Room) -> None:
    """Clients come and go, politely and not: afterwards as much is open as before."""
    room.family()
    stays = room.guest()
    before = process.descriptors(room.family())
    for number in range(CLIENTS):
        talk = room.guest()
        talk.reset() if number % 3 == 0 else talk.close()
    room.ask(stays)
    if not room.patience.until(lambda: process.descriptors(room.family()) <= before):
        after = process.descriptors(room.family())
        raise Trouble("leak", before=before, after=after, clients=CLIENTS)


def idle(room: Room) -> None:
    """Clients are there, some have gone, and nobody says anything: it must sleep."""
    room.family()
    for _ in range(5):
        room.guest()
    room.guest().reset()
    room.guest().close()
    shares = []
    for _ in range(3):  # the first time it may still be clearing away
        before = process.wanted_seconds(room.family())
        time.sleep(WATCHED)
        shares.append((process.wanted_seconds(room.family()) - before) / WATCHED)
        if shares[-1] <= IDLE:
            return
    raise Trouble("busy", percent=min(100, round(100 * min(shares))))


def ctrl_c(room: Room) -> Note | None:
    """Ctrl-C while a client is there: it ends, and the client is told so."""
    if not room.server.startable:
        raise Unavailable("not-ours")
    program: Program = room.server  # type: ignore[assignment]
    room.guest()
    if not program.interrupt(room.patience.left()):
        raise Trouble("unstoppable", seconds=room.patience.each)
    program.ended()
    return Note("traceback", {}) if program.complaint() else None


class Check(NamedTuple):
    """A check: its name, and those which must have passed or there is no point in making it."""

    name: str
    perform: Callable[[Room], Note | None]
    needs: tuple[str, ...] = ("answers",)
    #: How many times the patience of a single wait it may take altogether.
    length: float = 4


CHECKS = (
    Check("answers", answers, ()),
    Check("together", together),
    Check("single-thread", single_thread, ("together",)),
    Check("order", in_order),
    Check("split-characters", split_characters, ("together",)),
    Check("silent-client", silent_client, ("together",)),
    Check("slow-reader", slow_reader, ("together",)),
    Check("partial-send", partial_send, ("order", "slow-reader"), 6),
    Check("half-close", half_close, ("answers",), 6),
    Check("reset", abrupt_reset, ("together",)),
    Check("crowd", crowd, ("together",), 8),
    Check("descriptors", descriptors, ("together", "reset")),
    Check("idle", idle, ("together", "reset")),
    Check("ctrl-c", ctrl_c),
)
