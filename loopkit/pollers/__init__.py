"""Pollers: the one place where the loop asks the kernel "who is ready?".

Owns the contract, the registry and the choice of the default. Knows nothing of loops, handles or transports.

The contract, in words. A poller is a class with one argument and seven members, in this order in every file:

``Poller(owned)``
    *owned* is a container of descriptors whose callbacks never block (loopkit's own transports keep it up to
    date). Only the busy poller looks at it.
``name``, ``limit``
    What ``--poller`` and ``LOOPKIT_POLLER`` call it; the highest descriptor it can watch, or None.
    ``knows_files`` is True if it keeps files and not numbers, and may so report a number that is closed.
``poll(timeout)``
    Wait up to *timeout* seconds (None: for ever, 0: not at all) and return a list of ``(fd, mask)`` pairs.
``register(fd, mask)``, ``modify(fd, mask)``, ``unregister(fd)``
    As on ``select.epoll`` objects. ``mask`` is an OR of ``POLLIN`` and ``POLLOUT``. ``modify`` raises
    FileNotFoundError if the number means another file than the one that was registered.
``close()``
    Give the kernel object back. Idempotent.

Masks are those of ``select.poll``; on Linux each ``EPOLL*`` bit is equal to its ``POLL*`` twin, so that no
poller translates anything. An error or a hang-up (``POLLERR``, ``POLLHUP``, ``POLLNVAL``) is reported
whatever the mask says, and wakes both the reader and the writer of a descriptor.
"""

from __future__ import annotations

import errno
import os
import select as kernel  # our own submodule will take the plain name
from functools import cache
from typing import TYPE_CHECKING

from .busy import BusyPoller
from .poll import PollPoller
from .select import SelectPoller

__all__ = ["POLLERS", "BusyPoller", "PollPoller", "SelectPoller", "best", "named"]

if TYPE_CHECKING:  # a Protocol takes longer to make than all the pollers to load
    from collections.abc import Container
    from typing import Protocol

    class Poller(Protocol):
        """What the loop needs of a poller; the module's docstring says what each member does."""

        name: str
        limit: int | None

        def __init__(self, owned: Container[int]) -> None: ...
        def poll(self, timeout: float | None, /) -> list[tuple[int, int]]: ...
        def register(self, fd: int, mask: int, /) -> None: ...
        def modify(self, fd: int, mask: int, /) -> None: ...
        def unregister(self, fd: int, /) -> None: ...
        def close(self) -> None: ...


#: Every poller this platform has, best first.
POLLERS: dict[str, type[Poller]] = {}

if hasattr(kernel, "epoll"):
    from .epoll import EpollPoller

    __all__ += ["EpollPoller"]
    POLLERS["epoll"] = EpollPoller
if hasattr(kernel, "poll"):
    POLLERS["poll"] = PollPoller
POLLERS["select"] = SelectPoller
if hasattr(kernel, "poll"):
    POLLERS["busy"] = BusyPoller


@cache
def best() -> str:
    """The name of the poller that ``loopkit.Loop`` takes when nobody asked for one.

    The first that the kernel does not refuse: a Python that was built with epoll may run where there is none
    (another kernel that plays Linux, a sandbox).
    """
    return next(name for name, poller in POLLERS.items() if not _is_refused(poller))


def _is_refused(poller: type[Poller]) -> bool:
    try:
        poller(()).close()
    except OSError as error:
        return error.errno in (errno.ENOSYS, errno.EPERM)
    return False


def named(name: str | None) -> type[Poller]:
    """The poller class called *name*; without a name the one of ``LOOPKIT_POLLER``, else the best.

    Raises ValueError, with the names that would do, if there is no such poller here.
    """
    wanted = name if name is not None else os.environ.get("LOOPKIT_POLLER") or best()
    try:
        return POLLERS[wanted]
    except KeyError:
        source = "poller" if name is not None else "LOOPKIT_POLLER"
        raise ValueError(
            f"{source}: no poller is called {wanted!r}; choose one of {', '.join(POLLERS)}"
        ) from None
