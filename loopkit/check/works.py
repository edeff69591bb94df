"""The first checks: does it run, answer, and serve many at once in a single thread?

Messages end with a newline, so that a server which reads lines passes too. Only the halves of characters do
not; such a server answers them when the line is whole.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from . import process
from .causes import cause
from .patience import Trouble
from .room import ANSWERS, ANY, SLOW, numbered

if TYPE_CHECKING:
    from .room import Room
    from .talk import Talk

__all__ = [
    "DYING",
    "answers",
    "blocking_call",
    "in_order",
    "runs",
    "silent_client",
    "single_thread",
    "split_characters",
    "together",
]

#: A first word that each kind of server answers differently.
GREETING = "loopkit asks: grüß dich, 世界?\n"

#: So many of each kind of client come and go before a server is believed to go on running.
ROUNDS = 5

#: At most so many threads are a single thread: a helper may look up names.
THREADS = 2

#: Who breaks connections off may be ending: give it so many seconds of its own.
DYING = 2.0

#: So many ask at once, of whom a server that blocks serves each after the other.
AT_ONCE = 10

#: Seconds that are too many for chance.
PLAINLY = 0.5

#: Much of a long text is under way at once, but less than a buffer holds: partial sends are another question.
PORTION = 40_000


def runs(room: Room) -> None:
    """Clients come, talk and leave, in each way that is polite, until whoever dies of it has had its chance.

    What it answers, and whether it does, is not the question.
    """
    try:
        heard = _come_and_go(room)
    except Trouble as trouble:
        gone = trouble.how == "refused" and not room.server.startable
        if gone or room.server.ended(DYING) is not None:
            raise
    else:
        if room.server.ended(0 if heard else DYING) is not None:
            raise Trouble("ended")


def _come_and_go(room: Room) -> bool:
    """Whether all of them were answered something. Raises Trouble if one was not let in, or broken off.

    Some servers die of a client that leaves at the same time as an answer can be sent to it: they are held,
    so that both happen in one turn.
    """
    heard = True
    for _ in range(ROUNDS):
        with room.client():
            pass
        with room.client() as talk:
            talk.send(b"somebody comes\n")
            heard = heard and talk.hears_or_ends()
            _leave(room, talk)
        with room.server.held():
            leaving, staying = room.client(), room.client()
            for talk in (leaving, staying):
                talk.send(b"somebody asks\n")
            leaving.end()
        for talk in (leaving, staying):
            heard = heard and talk.hears_or_ends()
            _leave(room, talk)
    with room.client() as talk:
        for _ in range(2):
            talk.send(b"is somebody there?\n")
            heard = heard and talk.hears_or_ends()
            talk.clear()
        _leave(room, talk)
    return heard


def _leave(room: Room, talk: Talk) -> None:
    """Take what has come, so that nothing is broken off, and go."""
    room.settle(talk)
    talk.clear()
    talk.close()


def answers(room: Room) -> None:
    """Find out what it answers, for room.answer, and how long it sleeps before that, for room.slowness."""
    if room.answer in ANY:
        return _answers_anything(room)
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
    room.slowness = min(_sleeps(room, [talk]) for _ in range(3))


def _answers_anything(room: Room) -> None:
    """Whether it says something to each message, or only once, as a greeting."""
    talk = room.client()
    talk.send(GREETING.encode())
    talk.anything()
    room.answer = "any"
    try:
        for _ in range(2):  # what answers the first may be the greeting
            room.ask(talk)
    except Trouble as trouble:
        if trouble.how != "mute":
            raise
        room.answer = "greeting"
    else:
        room.slowness = min(_sleeps(room, [talk]) for _ in range(3))


def together(room: Room) -> None:
    """Many clients at once, each of whom asks again and again: in one order, in the other, and together."""
    talks = []
    for _ in range(room.clients):
        talks.append(room.guest())
        if len(talks) == 2:
            room.ask(talks[0])
    for _ in range(2):
        talks.reverse()
        for number, talk in enumerate(talks):
            room.ask(talk, f"client {number} of {len(talks)}\n")
    for _ in range(2):
        room.ask_all(talks)


def blocking_call(room: Room) -> None:
    """So many at once must not take so many times one, unless it is work that takes it.

    What counts is how long it sleeps: a call that blocks sleeps for each of them, one after the other. When
    it has answered and we are late to hear that, it sleeps, too; but not so many times longer.
    """
    talks = [room.guest() for _ in range(AT_ONCE)]
    one = room.slowness
    for _ in range(3):
        one = min(one, _sleeps(room, talks[:1]))
        if one < SLOW:
            return
        many = _sleeps(room, talks)
        if many < one * AT_ONCE / 2:
            return
        if many > one + PLAINLY:
            break
    with room.server.held():
        for talk in talks:
            room.question(talk, "who is first?\n")
    trouble = Trouble("one-by-one", clients=AT_ONCE, one=round(1000 * one), many=round(1000 * many))
    trouble.cause = _seen_blocked(room)
    raise trouble


def _seen_blocked(room: Room) -> str:
    """In what it sleeps while it owes answers: looked at again and again, as it also works in between."""
    for _ in range(100):
        if name := cause(room.server):
            return name
        time.sleep(0.002)
    return ""


def _sleeps(room: Room, talks: list[Talk]) -> float:
    """How long it sleeps before it has answered all these, in seconds."""
    if room.server.pid is None:
        return 0.0
    pids = room.family()
    with room.server.held():
        for talk in talks:
            room.question(talk, "what time is it?\n")
        awake, began = process.awake_seconds(pids), time.monotonic()
    for talk in talks:
        room.hear(talk, "what time is it?\n")
    return time.monotonic() - began - (process.awake_seconds(pids) - awake)


def single_thread(room: Room) -> None:
    """How many threads and processes there are while many clients are."""
    room.family()
    for _ in range(room.clients):
        room.guest()
    pids = room.family()
    count = process.threads(pids)
    if count > THREADS:
        raise Trouble("threads", count=count, processes=len(pids), clients=room.clients)


def in_order(room: Room) -> None:
    """A long text in portions, each of which comes to it at once. Nothing but ASCII: see split_characters."""
    text = numbered(10_000)
    room.answered("")
    talk = room.guest()
    for at in range(0, len(text), PORTION):
        portion = text[at : at + PORTION]
        with room.server.held():
            talk.send(portion)
        talk.receive(room.answered(portion.decode()))


def split_characters(room: Room) -> None:
    """Every character of two, three or four bytes, cut at every place."""
    talk, other = room.guest(), room.guest()
    for character in "é世😀":
        encoded = character.encode()
        for cut in range(1, len(encoded)):
            if room.answer in ANY:
                talk.clear()
            talk.send(b"a" + encoded[:cut])
            # That it answers the other client is no sign that it has read the half: it may have been told of
            # both at once. Of a server elsewhere there is no better one.
            room.ask(other)
            room.settle(talk)
            talk.send(encoded[cut:] + b"z\n")
            room.hear(talk, f"a{character}z\n")


def silent_client(room: Room) -> None:
    """One comes and says nothing; the next one must be answered at once, and both may leave."""
    silent = room.client()
    room.guest()
    another = room.client()
    room.guest().close()
    room.ask(silent)
    another.close()
    room.guest()
