"""The last checks: what a server leaves behind, and what it wants while nobody wants anything of it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from . import process
from .patience import Trouble, Undecided
from .room import Note, Unavailable

if TYPE_CHECKING:
    from .patience import Patience
    from .room import Room
    from .server import ServerProgram

__all__ = ["IDLE", "ctrl_c", "descriptors", "idle", "restart", "share"]

#: An idle server is watched until it could have run for so many seconds; and the share of them that it may.
WATCHED = 0.5
IDLE = 0.25


def descriptors(room: Room) -> None:
    """Clients come and go, politely and then not: afterwards as much is open as before."""
    room.family()
    stays = room.guest()
    for how, leave in (("leak", "close"), ("leak-reset", "reset")):
        before = process.descriptors(room.family())
        for _ in range(room.clients):
            getattr(room.guest(), leave)()
        room.ask(stays)
        room.settle()
        if not room.patience.until(lambda most=before: process.descriptors(room.family()) <= most):  # type: ignore[misc]
            after = process.descriptors(room.family())
            raise Trouble(how, before=before, after=after, clients=room.clients)


def idle(room: Room) -> None:
    """Clients are there, some have gone, and nobody says anything: it must sleep.

    A server that keeps those whose connection broke off is not asked for more than to bear the polite ones.
    """
    room.family()
    for _ in range(5):
        room.guest()
    if "descriptors" in room.passed:
        room.guest().reset()
        room.guest().close()
    shares = []
    for _ in range(3):  # the first time it may still be clearing away
        room.settle()
        shares.append(share(room.patience, room.server.pid))
        if shares[-1] <= IDLE:
            return
    raise Trouble("busy", percent=min(100, round(100 * min(shares))))


def share(patience: Patience, pid: int | None) -> float:
    """Which part of the time in which a process could have run it has run, with its family."""
    clock = patience.clock
    pids = process.family(pid) if pid is not None else []
    ran, began = process.ran_seconds(pids), clock.now()
    end = time.monotonic() + 30 * patience.each
    while (could := clock.now() - began) < WATCHED:
        if time.monotonic() > end:
            raise Undecided("crowded")
        time.sleep(WATCHED - could)
    return (process.ran_seconds(pids) - ran) / could


def ctrl_c(room: Room) -> Note | None:
    """Ctrl-C while a client is there: it ends, and the client is told so."""
    program = _program(room)
    room.guest()
    if not program.interrupt(room.patience.left()):
        raise Trouble("unstoppable", seconds=room.patience.each)
    program.ended()
    return Note("traceback", {}) if program.complains else None


def restart(room: Room) -> None:
    """Ctrl-C while a client is there, and started again at once: at the same port.

    The client stays, so that the kernel holds its connection at the server's port as it would in TIME_WAIT;
    when it breaks off, later, nothing stays.
    """
    program = _program(room)
    port = program.address[1]
    room.guest()
    program.interrupt(room.patience.left())
    program.close()
    try:
        program.restart()
    except Trouble as trouble:
        if trouble.how in ("port-owned", "port-lingers"):
            raise Trouble("restart-in-use", port=port) from None
        raise Trouble("restart-fails", why=trouble) from None


def _program(room: Room) -> ServerProgram:
    if not room.server.startable:
        raise Unavailable("not-ours")
    return room.server  # type: ignore[return-value]
