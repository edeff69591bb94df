"""The checks, in the order in which they are made: first whether it works at all, then what makes it fail.

Each is a function of the :class:`Room` it is made in. It returns None if all is well, or a Note if all is
well but something should be said; it raises Trouble if something is wrong, Unavailable if that cannot be
seen from here, and Undecided if the machine has no time for it. Its name is the fault's name. The room closes
every connection afterwards.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from . import endures, manners, works

if TYPE_CHECKING:
    from collections.abc import Callable

    from .room import Note, Room

__all__ = ["CHECKS", "FIRST", "Check"]

#: The check without which nothing that comes after it means anything.
FIRST = "runs"


class Check(NamedTuple):
    """A check: its name, and those which must have passed or there is no point in making it."""

    name: str
    perform: Callable[[Room], Note | None]
    needs: tuple[str, ...] = ("answers",)
    #: How many times the patience of a single wait it may take altogether.
    length: float = 8
    #: Whether the server must be there afterwards. Who leaves with megabytes unread breaks off, which is
    #: another check's question; and one that was interrupted is gone.
    stays: bool = True


CHECKS = (
    Check(FIRST, works.runs, (), 12),
    Check("answers", works.answers, (FIRST,), 8),
    Check("together", works.together, length=12),
    Check("blocking-call", works.blocking_call, ("together",), 12),
    Check("single-thread", works.single_thread, ("together",), 12),
    Check("order", works.in_order),
    Check("split-characters", works.split_characters, ("together",)),
    Check("silent-client", works.silent_client, ("together",)),
    Check("slow-reader", endures.slow_reader, ("together",), 6, stays=False),
    Check("partial-send", endures.partial_send, ("order", "slow-reader"), 8),
    Check("back-pressure", endures.back_pressure, ("partial-send",), 6, stays=False),
    Check("half-close", endures.half_close, length=8),
    Check("reset", endures.abrupt_reset, ("together",)),
    Check("crowd", endures.crowd, ("together", "blocking-call"), 24),
    Check("descriptors", manners.descriptors, ("together", "reset"), 6),
    Check("idle", manners.idle, ("together", "reset")),
    Check("ctrl-c", manners.ctrl_c, stays=False),
    Check("restart", manners.restart, ("ctrl-c",), 6, stays=False),
)
