"""When the poller and the fd table disagree: how it is noticed, and the one cure. Methods of `Watches`.

Facts. An entry of epoll lives as long as the file, not as long as the number (`pollers/epoll.py`, fact b).
One whose number is closed here, while a dup or a child has the file, cannot be removed any more, and reports
the number again and again: which nobody uses, or by now somebody else. In a forked child the whole object is
the parent's as well.

Consequences. A report that nobody wants, and that cannot be switched off, is proof. A report that somebody
wants is none: so from time to time the poller is asked whether the number still means the file, and
`poll(2)`, which knows nothing but the number, whether that is really ready. The cure is a new poller object
that is told everything anew. It is made first and taken last: if there is no descriptor for it, or no room in
the kernel, the old one goes on. It costs a call for each entry, and happens at most once in as many polls:
constant work a poll.

Rejected: asking `poll(2)` when a read finds nothing (callbacks of `add_reader` read by themselves), and a
rebuild whenever a number was closed without a word (a server that hands over each of its sockets would pay
for all the others each time).
"""

from __future__ import annotations

import errno
import select
from typing import TYPE_CHECKING

from .pollers.masks import POLLIN, POLLNVAL, POLLOUT

if TYPE_CHECKING:
    from .pollers import Poller
    from .watches import Entry, Watches

#: After so many polls, at least, an answer of the poller is held against poll(2).
AUDIT = 256

#: What a poller says of a number that is no descriptor any more, or of a file that cannot be watched.
GONE = (errno.EBADF, errno.ENOENT, errno.EPERM)


def audit(tables: Watches, events: list[tuple[int, int]]) -> None:
    """Is what the poller has just said true of the numbers?

    Both are asked again before it is doubted: somebody else may have taken what was there.
    """
    tables.audit_at = tables.polls + max(AUDIT, len(tables.entries))
    for fd, _ in events:
        entry = tables.entries.get(fd)
        if entry is not None and entry.armed and not tables.confirms(fd, entry):
            tables.end(fd, entry)
    if not getattr(tables.poller, "knows_files", False):
        return  # it can only report what the numbers are ready for
    doubtful = [event for event in events if not is_true(*event)]
    if doubtful:
        again = tables.poller.poll(0)
        if any(event in again and not is_true(*event) for event in doubtful):
            heal(tables)


def is_true(fd: int, mask: int) -> bool:
    """Whether poll(2), which asks the number and not a file it remembers, says of *fd* what *mask* says."""
    number = select.poll()
    number.register(fd, mask & (POLLIN | POLLOUT))
    return any(said & mask & ~POLLNVAL for _, said in number.poll(0))


def heal(tables: Watches) -> None:
    """The poller is out of step: rebuild it, unless that was done a moment ago."""
    if tables.polls >= tables.rebuild_at:
        rebuild(tables)


def rebuild(tables: Watches) -> None:
    """Go on with a new poller object that is told everything anew.

    If that cannot be had the old one stays. A forked child has no old one, and lets the OSError out.
    """
    tables.rebuild_at = tables.polls + max(AUDIT, len(tables.entries))
    old = tables.poller
    is_child = isinstance(old, Inherited)
    try:
        new = tables.kind(tables)
    except OSError:
        if is_child:
            raise
        return
    try:
        for fd, entry in list(tables.entries.items()):
            if not entry.armed:
                continue
            if entry.owner is not None or is_child or tables.confirms(fd, entry):
                _hand_over(tables, fd, entry, new)
            else:
                tables.end(fd, entry)
    except BaseException as exc:
        new.close()
        if isinstance(exc, OSError) and not is_child:
            return  # the kernel has no room for so many
        raise
    tables.take(new)
    old.close()


def _hand_over(tables: Watches, fd: int, entry: Entry, new: Poller) -> None:
    try:
        new.register(fd, entry.armed)
    except (OSError, ValueError) as exc:
        if isinstance(exc, OSError) and exc.errno not in GONE:
            raise
        entry.armed = 0  # closed by its user without a word
        tables.end(fd, entry)


def inherit(tables: Watches) -> None:
    """In a forked child: share nothing with the parent, and do nothing for it until it is needed."""
    old = tables.poller
    tables.take(Inherited(tables))
    old.close()


class Inherited:
    """Where a forked child's poller will be. Most children only exec: they shall not pay for each descriptor.

    Whatever is asked of it, the real one is made first.
    """

    __slots__ = ("_tables",)

    name = "inherited"
    limit: int | None = None

    def __init__(self, tables: Watches) -> None:
        self._tables = tables

    def poll(self, timeout: float | None, /) -> list[tuple[int, int]]:
        return self._real().poll(timeout)

    def register(self, fd: int, mask: int, /) -> None:
        self._real().register(fd, mask)

    def modify(self, fd: int, mask: int, /) -> None:
        self._real().modify(fd, mask)

    def unregister(self, fd: int, /) -> None:
        self._real().unregister(fd)

    def close(self) -> None:
        """Nothing to give back."""

    def _real(self) -> Poller:
        tables = self._tables
        if tables.poller is self:
            tables.rebuild()
        return tables.poller
