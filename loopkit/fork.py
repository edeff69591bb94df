"""fork(2): what a child shares with its parent's loops, and how it is parted from them.

Facts. The child has a copy of memory and the same open files: the parent's epoll object, the descriptor that
wakes it, the pair its signals come through, and what its transports hold back and have not sent. Most
children only exec; they shall not pay for each connection of a server.

Hence: before a fork, what the forking thread's loop holds is sent, once. In the child each loop gets a
wake-up of its own and a poller that is made when it is first needed (`rebuilding.Inherited`); the parent's
descriptors are closed, not used. What the loops of other threads hold is theirs to send, and dropped in the
child.
"""

from __future__ import annotations

import asyncio
import os
import weakref
from typing import TYPE_CHECKING, Any

from .wakeup import Wakeup

if TYPE_CHECKING:
    from collections.abc import Callable

    from .loop import Loop

loops: weakref.WeakSet[Loop] = weakref.WeakSet()


def before() -> None:
    """Send what is held by the loop of this thread."""
    # Asked, not gone through: other threads make loops meanwhile, and a set that grows ends an iteration.
    loop: Any = asyncio._get_running_loop()
    if loop in loops:
        loop._send_all_held()


def after_in_child() -> None:
    """Part every loop from its parent's descriptors."""
    asyncio._set_running_loop(None)  # as asyncio has it in a child; on PyPy `stream.py` relies on it
    inherited = [loop for loop in loops if not loop.is_closed()]
    for loop in inherited:
        part(loop)
    for loop in inherited:
        if loop._signals is not None:
            loop._signals.after_fork(loop)


def part(loop: Loop) -> None:
    """Share neither epoll object nor wake-up with the parent, who goes on using them."""
    for transport in (loop._gathering, *loop._unsent):
        if transport is not None:
            transport._held = None
    tables, old = loop._watches, loop._wakeup
    tables.inherit()
    entry = tables.entries.pop(old.fileno())
    old.close()
    loop._wakeup = Wakeup()
    reader: Any = entry.reader
    reader._callback = loop._wakeup.clear
    tables.entries[loop._wakeup.fileno()] = entry


def at_fork(**hooks: Callable[[], object]) -> None:
    """`os.register_at_fork`, where there is a fork."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(**hooks)


at_fork(before=before, after_in_child=after_in_child)
