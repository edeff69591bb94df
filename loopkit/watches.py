"""The fd table: who waits for which descriptor, what the poller has been told, and whose the number is.

Facts
- A number is not a file. A program may close a descriptor that is watched, and the next `socket()` gets the
  same number; `dup2` puts another file under a number that stays open; a `dup` or a forked child keeps a file
  alive that is closed here. The kernel tells nobody.
- epoll keys its entries by file *and* number (`pollers/epoll.py`, facts b and c). To modify one is therefore
  also a question, whether the number still means the file that was registered; the other pollers remember
  what `fstat` said, and answer in the same way: FileNotFoundError means that it does not.
- Telling epoll costs a system call. A protocol that pauses and resumes, or a coroutine that awaits
  `sock_recv` again and again, would pay two for every message.

The table is one dictionary, number -> `Entry`, and an entry stands for one file and who uses it. These hold
after every turn (`tests/support/invariants.py` looks):

1. The waiters of an entry wait for one file. A new user of a number asks the poller whether the file is still
   the same; if it is not, the old entry is ended whole: whoever waits there hears an error, and the new user
   begins with an entry of its own.
2. `armed` is the mask that the poller has for this file under this number; 0: none.
3. An entry that has an owner ends with it, and nothing closed is called.

Consequences
- What is *wanted* is who waits (`reader`, `writer`); it is compared with `armed` when it matters: a mask that
  is too small at once, a mask that is too large when the superfluous event comes. So a paused transport or an
  idle `sock_recv` socket may stay armed (`rest_read`), and to come back costs nothing. Only files whose
  closing we would notice rest: transports close their own, and of a guest the socket object is known
  (`net/guests.py`). What `add_reader` was given is disarmed as soon as it is let go.
- An event is for those who waited when the kernel was asked. `polls` counts the polls, and whoever comes
  (or leaves) is stamped with it: what has the number of the present poll is not called for its answer.
- An event that nobody wants, in either direction, is switched off. If that is impossible, or if the poller
  reports what a read does not find, the poller is out of step with the numbers: see `rebuilding.py`.

Rejected: counting generations per number (misses closings that we are not told of), a set of stale numbers
(a second table, which has to be emptied at the right moment), edge-triggered or one-shot entries for `sock_*`
(a short read does not prove that nothing is left; one more system call a message).
"""

from __future__ import annotations

import errno
import weakref
from contextvars import Context
from typing import TYPE_CHECKING, Any

from . import rebuilding
from .pollers.masks import POLLIN, POLLNVAL, POLLOUT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .net.guests import Guest
    from .pollers import Poller

    Poll = Callable[[float | None], list[tuple[int, int]]]

#: Who is called: a handle, a transport, a guest. The turn looks at `_callback`, `_args` and `_context` alone.
Watcher = Any


class Entry:
    """One open file under its number, and who uses it: a transport or a server of ours, from the start."""

    __slots__ = ("armed", "owner", "read_since", "reader", "write_since", "writer")

    guest: Guest | None = None
    thing: object = None

    def __init__(self) -> None:
        #: Who is called when the file is readable, and when it is writable.
        self.reader: Watcher | None = None
        self.writer: Watcher | None = None
        #: The poll before which they came, or left.
        self.read_since = self.write_since = 0
        #: The mask the poller has.
        self.armed = 0
        #: The transport or server of this loop that closes the file; or a weak reference to it (`let_go`).
        self.owner: Any = None

    def wanted(self) -> int:
        """The mask that somebody waits for."""
        return (POLLIN if self.reader is not None else 0) | (POLLOUT if self.writer is not None else 0)


class ProgramEntry(Entry):
    """The entry of a file that the program has in its own hands. An idle connection has no room for this."""

    __slots__ = ("guest", "thing")

    def __init__(self, before: Entry | None = None) -> None:
        super().__init__()
        #: What is known of the program's socket, from which `sock_*` receives.
        self.guest = None
        #: What `add_reader` was given, if no number: once it is closed only its identity tells.
        self.thing = None
        for name in Entry.__slots__ if before is not None else ():
            setattr(self, name, getattr(before, name))


class Watches:
    """The fd table, and in it the poller."""

    __slots__ = (
        "audit_at",
        "context",
        "ended",
        "entries",
        "kind",
        "newest",
        "poll",
        "poller",
        "polls",
        "rebuild_at",
        "wrap",
    )

    def __init__(self, kind: type[Poller]) -> None:
        self.entries: dict[int, Entry] = {}
        #: How often the turn has asked the poller.
        self.polls = 1
        #: The poll before which somebody has begun to wait, last: there is something to ask the kernel.
        self.newest = 0
        #: The poll before which something was taken from the poller, last: what that reported for a number
        #: that is gone may have been meant for it.
        self.ended = 0
        #: The poll from which on another rebuild is allowed, and the poll that is audited next.
        self.rebuild_at = 0
        self.audit_at = 0
        #: Who waits in an operation of ours is woken in this one: that calls nobody's code.
        self.context = Context()
        self.kind = kind
        self.wrap: Callable[[Poll], Poll] | None = None
        self.poller: Poller
        self.poll: Poll
        self.take(kind(self))

    def __contains__(self, fd: object) -> bool:
        """Whether *fd* belongs to a transport or a server: what the busy poller asks."""
        entry = self.entries.get(fd)  # type: ignore[call-overload]
        return entry is not None and entry.owner is not None

    def reader(self, fd: int) -> Watcher | None:
        """Who is called when *fd* is readable."""
        entry = self.entries.get(fd)
        return None if entry is None else entry.reader

    def writer(self, fd: int) -> Watcher | None:
        """Who is called when *fd* is writable."""
        entry = self.entries.get(fd)
        return None if entry is None else entry.writer

    # -- waiting ---------------------------------------------------------------------------------------------

    def watch_read(self, fd: int, watcher: Watcher) -> None:
        """Have *watcher* called whenever *fd* is readable.

        Raises what the poller raises (OSError, ValueError past its limit); nothing is then watched.
        """
        entry = self.entries.get(fd)
        if entry is None or entry.owner is None or not entry.armed & POLLIN:
            entry = self._arm(fd, POLLIN)
        entry.reader = watcher
        entry.read_since = self.newest = self.polls

    def watch_write(self, fd: int, watcher: Watcher) -> None:
        """Have *watcher* called whenever *fd* is writable; otherwise as `watch_read`."""
        entry = self.entries.get(fd)
        if entry is None or entry.owner is None or not entry.armed & POLLOUT:
            entry = self._arm(fd, POLLOUT)
        entry.writer = watcher
        entry.write_since = self.newest = self.polls

    def unwatch_read(self, fd: int) -> Watcher | None:
        """Stop calling for *fd* readable, and tell the poller. Returns who was there."""
        entry = self.entries.get(fd)
        if entry is None:
            return None
        watcher, entry.reader = entry.reader, None
        entry.read_since = self.polls
        if entry.armed & POLLIN:
            self._settle(fd, entry)
        self._drop_if_unused(fd, entry)
        return watcher

    def unwatch_write(self, fd: int) -> Watcher | None:
        """Stop calling for *fd* writable, and tell the poller. Returns who was there."""
        entry = self.entries.get(fd)
        if entry is None:
            return None
        watcher, entry.writer = entry.writer, None
        entry.write_since = self.polls
        if entry.armed & POLLOUT:
            self._settle(fd, entry)
        self._drop_if_unused(fd, entry)
        return watcher

    def rest_read(self, fd: int) -> None:
        """Stop calling for *fd* readable, but leave it armed: its user is likely to come back."""
        entry = self.entries.get(fd)
        if entry is not None and entry.reader is not None:
            entry.reader = None
            entry.read_since = self.polls

    # -- owning ----------------------------------------------------------------------------------------------

    def own(self, fd: int, owner: Any) -> None:
        """*fd* belongs to *owner*, which will say `disown` before it closes it."""
        entry = self.entries.get(fd)
        if entry is not None and not self._is_heir(fd, entry, owner):
            self.end(fd, entry)
            entry = None
        if entry is None:
            entry = self.entries[fd] = Entry()
        entry.owner = owner

    def _is_heir(self, fd: int, entry: Entry, owner: Any) -> bool:
        """Whether what *owner* has under the number *fd* is the file of *entry*."""
        known = self.owner(fd)
        if known is not None and getattr(known, "_socket", None) is getattr(owner, "_socket", owner):
            return True  # TLS on a transport's own socket
        return self.confirms(fd, entry)

    def let_go(self, fd: int) -> None:
        """The owner of *fd* waits for nothing. If nobody else has it, it shall be collected, and complain."""
        owner = self.owner(fd)
        if owner is not None:  # else: the loop was closed
            self.entries[fd].owner = weakref.ref(owner)

    def owner(self, fd: int) -> Any:
        """Whose *fd* is; None if it is nobody's."""
        entry = self.entries.get(fd)
        return None if entry is None else deref(entry.owner)

    def owners(self) -> Iterator[Any]:
        """All transports and servers."""
        for entry in list(self.entries.values()):
            owner = deref(entry.owner)
            if owner is not None:
                yield owner

    def forget(self, fd: int, owner: Any = None) -> None:
        """*fd* is about to be closed by its user; by *owner*, if that still has it: it waits no more."""
        entry = self.entries.get(fd)
        if entry is None or (
            owner is not None and entry.owner is not owner and deref(entry.owner) is not owner
        ):
            return
        entry.reader = entry.writer = None
        if isinstance(entry, ProgramEntry):
            entry.guest = entry.thing = None
        entry.read_since = entry.write_since = self.polls
        if entry.armed:
            self._disarm(fd, entry)
        if entry.owner is None:
            self._drop_if_unused(fd, entry)

    def disown(self, fd: int, owner: Any) -> None:
        """*owner* is about to close *fd*, for which nobody waits any more."""
        entry = self.entries.get(fd)
        known = None if entry is None else entry.owner  # None: of who waits by now, nothing is known
        if entry is None or known is None or (known is not owner and deref(known) not in (owner, None)):
            return
        entry.owner = None
        if entry.armed or entry.reader is not None or entry.writer is not None or entry.guest is not None:
            self.forget(fd)
        else:  # as a transport leaves it: `forget` was called when it lost its connection
            self._drop_if_unused(fd, entry)

    def free(self, sock: Any) -> None:
        """*sock* is about to be closed: whatever was being made to own it will not be there."""
        fd = sock.fileno()
        owner = self.owner(fd)
        if getattr(owner, "_socket", None) is sock:
            self.disown(fd, owner)

    def _drop_if_unused(self, fd: int, entry: Entry) -> None:
        is_awaited = entry.reader is not None or entry.writer is not None
        if is_awaited or entry.armed or entry.owner is not None or entry.guest is not None:
            return
        if self.entries.get(fd) is entry:
            self.ended = self.polls
            del self.entries[fd]

    # -- one entry, one file ---------------------------------------------------------------------------------

    def entry_of(self, fd: int) -> ProgramEntry:
        """The entry of the file that *fd* means now: the one that is there, if it is of that file."""
        entry = self.entries.get(fd)
        if entry is not None and not self.confirms(fd, entry):
            self.end(fd, entry)
        return self.program_entry(fd)

    def program_entry(self, fd: int) -> ProgramEntry:
        """The entry that is there, or a new one, with room for what is known of the program's object."""
        entry = self.entries.get(fd)
        if not isinstance(entry, ProgramEntry):
            entry = self.entries[fd] = ProgramEntry(entry)
        return entry

    def confirms(self, fd: int, entry: Entry) -> bool:
        """Whether the number still means the file of *entry*. If nobody uses that, it may be any."""
        if not entry.armed:
            return not entry.wanted() and entry.owner is None
        try:
            self.poller.modify(fd, entry.armed)
        except (OSError, KeyError, ValueError):
            return False
        return True

    def end(self, fd: int, entry: Entry) -> None:
        """The file of *entry* is gone from under its number. Who waits for it, or owns it, hears so."""
        if self.entries.get(fd) is entry:
            del self.entries[fd]
        self.ended = self.polls
        if entry.armed:
            self._disarm(fd, entry)
        waiters: tuple[Any, ...] = (entry.reader, entry.writer)
        entry.reader = entry.writer = None
        entry.read_since = entry.write_since = self.polls
        exc = OSError(errno.EBADF, f"file descriptor {fd} was closed by somebody else while it was in use")
        for waiter in waiters:
            if hasattr(waiter, "abandon"):
                waiter.abandon(exc)
            elif hasattr(waiter, "cancel"):
                waiter.cancel()  # a handle of add_reader's: the program closed what it watched
        owner = deref(entry.owner)
        if hasattr(owner, "_lose_number"):
            owner._lose_number(exc)

    # -- arming ----------------------------------------------------------------------------------------------

    # An interruption may come between any two lines. `armed` then claims less than the poller has, and never
    # more: it is lowered before the poller is told, and raised after. What the poller knows beyond that shows
    # itself by an event that nobody wants.

    def _arm(self, fd: int, more: int) -> Entry:
        """Tell the poller of *fd*, wanted for *more* than before. The entry may be another one then."""
        entry, poller = self.entries.get(fd), self.poller
        mask = more
        if entry is not None:
            if entry.reader is not None or entry.writer is not None:
                mask |= entry.wanted()
            if entry.armed:
                try:
                    poller.modify(fd, mask)
                except (FileNotFoundError, KeyError):  # closed, and used again
                    self.end(fd, entry)
                    entry, mask = None, more
                else:
                    entry.armed = mask
                    return entry
            elif mask != more:  # found dead when it was last touched
                self.end(fd, entry)
                entry, mask = None, more
        fresh = entry or ProgramEntry()
        self.entries[fd] = fresh
        try:
            try:
                poller.register(fd, mask)
            except FileExistsError:  # this very file, armed by somebody of whom we know nothing
                poller.modify(fd, mask)
        except BaseException:
            self._drop_if_unused(fd, fresh)
            raise
        fresh.armed = mask
        return fresh

    def _settle(self, fd: int, entry: Entry) -> bool:
        """Tell the poller only what is wanted of *fd*. False if the poller does not know it as we do: the
        entry is dead then, and ends when the number is used again, or is let go."""
        wanted = entry.wanted()
        if not wanted:
            return self._disarm(fd, entry)
        entry.armed = wanted
        try:
            self.poller.modify(fd, wanted)
        except (OSError, KeyError, ValueError):
            entry.armed = 0
            return False
        return True

    def _disarm(self, fd: int, entry: Entry) -> bool:
        entry.armed = 0
        self.ended = self.polls
        try:
            self.poller.unregister(fd)
        except (OSError, KeyError, ValueError):
            return False  # closed before it was let go: the kernel has dropped the entry by itself
        return True

    # -- what the poller says against the table --------------------------------------------------------------

    def unwanted(self, fd: int, mask: int) -> None:
        """The poller has reported *fd* for something that nobody wants (any longer)."""
        entry = self.entries.get(fd)
        if entry is not None:
            if mask & POLLNVAL:
                self.end(fd, entry)
                return
            wanted = entry.wanted()
            if wanted and not mask & (POLLIN | POLLOUT) & ~wanted:
                return  # an error or a hang-up, of which who waits in the other direction hears
            if self.polls in (entry.read_since, entry.write_since):
                return
        if self.ended == self.polls:
            return  # since the kernel was asked, who wanted it has left: if not, it will come again
        if entry is not None and entry.armed & ~wanted:
            agreed = self._settle(fd, entry)
            self._drop_if_unused(fd, entry)
            if agreed:
                return
        self.heal()

    # -- the poller's life -----------------------------------------------------------------------------------

    def wrap_poll(self, wrap: Callable[[Poll], Poll]) -> None:
        """Have the turn call what *wrap* makes of the poller's `poll`, and of that of each poller to come."""
        self.wrap, self.poll = wrap, wrap(self.poll)

    audit = rebuilding.audit
    heal = rebuilding.heal
    rebuild = rebuilding.rebuild
    inherit = rebuilding.inherit

    def take(self, poller: Poller) -> None:
        """Go on with *poller*, which has been told everything."""
        self.poller, self.poll = poller, poller.poll if self.wrap is None else self.wrap(poller.poll)
        self.audit_at = self.polls + rebuilding.AUDIT

    def close(self) -> None:
        self.entries.clear()
        self.poller.close()


def deref(owner: Any) -> Any:
    """The owner, which `let_go` may have made a weak reference."""
    return owner() if type(owner) is weakref.ref else owner
