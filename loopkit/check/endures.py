"""The hard ones: clients that do not read, that leave half or broken, and very many of them."""

from __future__ import annotations

import resource
from typing import TYPE_CHECKING

from . import process
from .patience import Trouble
from .room import ANY, HOARD, SLOW, Note, Unavailable
from .works import DYING

if TYPE_CHECKING:
    from .room import Room
    from .talk import Talk

__all__ = [
    "OURS",
    "abrupt_reset",
    "back_pressure",
    "crowd",
    "half_close",
    "partial_send",
    "slow_reader",
]

#: How many descriptors the checker needs besides those of its clients.
OURS = 50

#: Who can watch no descriptor above this number is made of select().
SELECT = 1023

#: So many of a full house leave, to see whether their places are used again.
LEAVING = 20

#: So many come at a time where each answer takes long; the shortest queues at a door hold as many.
BATCH = 5


def slow_reader(room: Room) -> None:
    """One writes without reading until all buffers are full; others must be answered meanwhile."""
    room.flood(room.guest(small=True), room.guest())


def partial_send(room: Room) -> None:
    """The same, and then it reads: not a byte may be missing."""
    room.answered("")
    slow = room.guest(small=True)
    flood = room.flood(slow, room.guest())
    # The flood has ended anywhere in a line.
    rest = f"{'x' * 10} is the rest\n"
    slow.exchange(rest.encode(), flood.owed + room.answered(rest))


def back_pressure(room: Room) -> None:
    """The same once more: what nobody takes must not pile up in the server."""
    room.answered("")
    room.family()
    hoarded = room.flood(room.guest(small=True), room.guest()).hoarded
    if hoarded >= HOARD:
        raise Trouble("hoards", megabytes=hoarded / 1e6)


def half_close(room: Room) -> None:
    """Clients that have said everything and still listen: their last words must be answered.

    Most servers fail only while they still owe something: then the end of the stream comes with the last of
    what they have not read yet. Those that lose bytes anyway are not asked that.
    """
    if room.answer == "greeting":
        raise Unavailable("any-answer")
    for number in range(5):
        text = f"the last words of client {number}\n"
        with room.server.held():
            talk = room.client()
            talk.send(text.encode())
            talk.end()
        room.hear(talk, text)
    if "partial-send" in room.passed:
        slow = room.guest(small=True)
        owed = room.flood(slow, room.guest()).owed
        slow.end()
        slow.receive(owed)


def abrupt_reset(room: Room) -> None:
    """Clients whose connections break off: silent ones, and some whose words nobody has read yet."""
    stays = room.guest()
    for number in range(10):
        talk = room.guest()
        if number % 2:
            with room.server.held():
                talk.send(b"never answered\n")
                talk.reset()
        else:
            talk.reset()
        room.settle()
    room.ask(stays)
    room.guest()


def crowd(room: Room) -> Note | None:
    """So many clients at once. Fewer are enough if there is a limit that is not the server's fault."""
    first = room.guest()
    talks: list[Talk] = []
    ours = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    wanted = room.connections if ours == resource.RLIM_INFINITY else min(room.connections, ours - OURS)
    try:
        while len(talks) + 1 < wanted:
            _more(room, talks, wanted - 1 - len(talks))
        for talk in (first, *talks[::10]):
            room.ask(talk)
    except Trouble as trouble:
        words = room.server.ended(DYING)
        if words is not None:
            raise Trouble("crowd-ended", served=len(talks) + 1, words=words) from None
        if trouble.how == "late":
            seconds = room.patience.altogether
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


def _more(room: Room, talks: list[Talk], most: int) -> None:
    """One more who has been answered; or some at once, if each has to wait for the answer."""
    if room.slowness < SLOW or room.answer in ANY:
        return talks.append(room.guest())
    batch = [room.client() for _ in range(min(most, BATCH))]
    room.ask_all(batch)
    talks += batch


def _let_in(room: Room) -> bool:
    try:
        room.guest()
    except Trouble as trouble:  # turned away, maybe because it has not yet noticed that others have left
        if trouble.how == "late":
            raise
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
