"""The fd table: who waits for which descriptor, what the poller has been told, and who owns the number.

Facts
- Telling epoll costs a system call (`epoll_ctl`). A protocol that pauses and resumes, or a coroutine that
  awaits `sock_recv` again and again, would pay two for every message.
- A program may close a descriptor that it watches, and the next `socket()` gets the same number. The kernel
  has then forgotten what we believe it knows (see `pollers/epoll.py`, facts b and c).

Consequences
- Two views are kept: *wanted* (who is in `readers` and `writers`) and *armed* (the mask the poller has).
  They are reconciled when it matters: a mask that is too small at once, a mask that is too large when the
  superfluous event comes. So a paused transport or an idle `sock_recv` socket stays armed (`rest_read`), and
  re-arming it costs nothing.
- Only sockets whose closing we would notice may stay armed: transports close their own, and for `sock_*` the
  socket object itself is remembered (`net/guests.py`). Descriptors given to `add_reader` are disarmed as soon
  as they are let go: their owner may close them the next moment.
- A poller's contrary answer is expected: `modify` answered by "unknown" becomes `register`, and the other way
  round.
- An event that nobody wants and that cannot be switched off comes from a closed number whose file lives on in
  a dup or a forked child. A new poller object, told everything anew, is the only cure (`rebuild`).

Rejected: counting generations per number (it misses closings we are not told of), and edge-triggered entries
for `sock_*` (no saving over what is done here, and a second kind of entry to reason about).

`stale` holds the numbers that were let go since the last poll: what that poll reported for them was meant for
the old user of the number, not for one who came during the same turn.
"""

from __future__ import annotations

import weakref
from select import POLLIN, POLLOUT
from typing import TYPE_CHECKING, Any, TypeVarTuple

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from .loop import Loop
    from .net.guests import Guest
    from .pollers import Poller

Ts = TypeVarTuple("Ts")

#: Who is called: a handle, a transport, a guest. The turn looks at `_callback`, `_args` and `_context` alone.
Watcher = Any


class Watches:
    __slots__ = (
        "armed",
        "guests",
        "objects",
        "owners",
        "poll",
        "poller",
        "readers",
        "stale",
        "writers",
    )

    def __init__(self, poller: type[Poller]) -> None:
        #: Who is called when a descriptor is readable, and when it is writable.
        self.readers: dict[int, Watcher] = {}
        self.writers: dict[int, Watcher] = {}
        #: The mask the poller has, per descriptor.
        self.armed: dict[int, int] = {}
        #: What is known of the program's sockets, from which `sock_*` receives.
        self.guests: dict[int, Guest] = {}
        #: Descriptors that belong to a transport or a server of this loop, and to which; or a weak reference
        #: to it (`let_go`).
        self.owners: dict[int, Any] = {}
        #: What `add_reader` was given, where that was no number: after it is closed it can only be told by
        #: identity.
        self.objects: dict[int, object] = {}
        self.stale: set[int] = set()
        self.poller = poller(self.owners)
        #: The poller's own method, at hand for the turn.
        self.poll = self.poller.poll

    # -- wanting ---------------------------------------------------------------------------------------------

    def watch_read(self, fd: int, watcher: Watcher) -> None:
        """Have *watcher* called whenever *fd* is readable.

        Raises what the poller raises (OSError, ValueError past its limit); nothing is then watched.
        """
        self.readers[fd] = watcher
        armed = self.armed.get(fd, 0)
        if armed & POLLIN and fd in self.owners:
            return
        try:
            self._arm(fd, armed | POLLIN)
        except BaseException:
            del self.readers[fd]
            raise

    def watch_write(self, fd: int, watcher: Watcher) -> None:
        """Have *watcher* called whenever *fd* is writable; otherwise as `watch_read`."""
        self.writers[fd] = watcher
        armed = self.armed.get(fd, 0)
        if armed & POLLOUT and fd in self.owners:
            return
        try:
            self._arm(fd, armed | POLLOUT)
        except BaseException:
            del self.writers[fd]
            raise

    def unwatch_read(self, fd: int) -> Watcher | None:
        """Stop calling for *fd* readable, and tell the poller. Returns who was there."""
        watcher = self.readers.pop(fd, None)
        if self.armed.get(fd, 0) & POLLIN:
            self.settle(fd)
        return watcher

    def unwatch_write(self, fd: int) -> Watcher | None:
        """Stop calling for *fd* writable, and tell the poller. Returns who was there."""
        watcher = self.writers.pop(fd, None)
        if self.armed.get(fd, 0) & POLLOUT:
            self.settle(fd)
        return watcher

    def rest_read(self, fd: int) -> None:
        """Stop calling for *fd* readable, but leave it armed: its user is likely to come back."""
        if self.readers.pop(fd, None) is not None and fd not in self.writers:
            self.stale.add(fd)

    def own(self, fd: int, owner: Any) -> None:
        """*fd* belongs to *owner*, which will say `disown` before it closes it."""
        if fd in self.armed and fd not in self.owners:
            # Whoever armed it may have closed it since, and the poller know nothing of this file.
            self._disarm(fd)
        self.owners[fd] = owner

    def let_go(self, fd: int) -> None:
        """The owner of *fd* waits for nothing. If nobody else has it, it shall be collected, and complain."""
        owner = self.owner(fd)
        if owner is not None:  # else: the loop was closed
            self.owners[fd] = weakref.ref(owner)

    def owner(self, fd: int) -> Any:
        """Whose *fd* is; None if it is nobody's."""
        owner = self.owners.get(fd)
        return owner() if type(owner) is weakref.ref else owner

    def disown(self, fd: int, owner: Any) -> None:
        """*owner* is about to close *fd*, for which nobody waits any more."""
        self.forget(fd)
        known = self.owner(fd)
        if known is owner or known is None:
            self.owners.pop(fd, None)

    def forget(self, fd: int) -> None:
        """*fd* is about to be closed by its owner."""
        self.readers.pop(fd, None)
        self.writers.pop(fd, None)
        self.guests.pop(fd, None)
        if fd in self.armed:
            self._disarm(fd)

    # -- arming ----------------------------------------------------------------------------------------------

    def _arm(self, fd: int, mask: int) -> None:
        poller = self.poller
        try:
            if fd in self.armed:
                try:
                    poller.modify(fd, mask)
                except FileNotFoundError:
                    # Closed and reused: whatever was armed for the old file is gone with it.
                    mask = self._wanted(fd)
                    poller.register(fd, mask)
            else:
                mask = self._wanted(fd)
                try:
                    poller.register(fd, mask)
                except FileExistsError:
                    poller.modify(fd, mask)
        except BaseException:
            self.armed.pop(fd, None)
            raise
        self.armed[fd] = mask

    def _wanted(self, fd: int) -> int:
        return (POLLIN if fd in self.readers else 0) | (POLLOUT if fd in self.writers else 0)

    def settle(self, fd: int) -> bool:
        """Tell the poller only what is wanted of *fd*. False if the poller does not know *fd* as we do."""
        wanted = self._wanted(fd)
        if not wanted:
            return self._disarm(fd)
        try:
            self.armed[fd] = wanted
            self.poller.modify(fd, wanted)
        except (OSError, KeyError, ValueError):
            del self.armed[fd]
            return False
        return True

    def _disarm(self, fd: int) -> bool:
        self.stale.add(fd)
        self.armed.pop(fd, None)
        try:
            self.poller.unregister(fd)
        except (OSError, KeyError, ValueError):
            return False  # closed before it was let go: the kernel has dropped the entry by itself
        return True

    def unwanted(self, fd: int) -> None:
        """The poller has reported *fd* for something that nobody wants (any longer)."""
        if not self.settle(fd):
            self.rebuild()

    # -- the poller's life -----------------------------------------------------------------------------------

    def rebuild(self) -> None:
        """Go on with a new poller object that is told everything anew.

        After a fork, where the old one is shared with the parent and must not be touched; and when the old
        one reports a descriptor that cannot be unregistered.
        """
        kind = type(self.poller)
        self.poller.close()
        self.poller = kind(self.owners)
        self.poll = self.poller.poll
        for fd in list(self.armed):
            wanted = self._wanted(fd)
            del self.armed[fd]
            if wanted:
                try:
                    self.poller.register(fd, wanted)
                except (OSError, ValueError):
                    continue  # closed by its user without a word
                self.armed[fd] = wanted

    def close(self) -> None:
        self.readers.clear()
        self.writers.clear()
        self.armed.clear()
        self.guests.clear()
        self.owners.clear()
        self.objects.clear()
        self.poller.close()


# -- the public methods --------------------------------------------------------------------------------------


def add_reader(loop: Loop, fd: Any, callback: Callable[[*Ts], Any], *args: *Ts) -> None:
    """Call ``callback(*args)`` whenever *fd* (number or object with ``fileno()``) is readable or broken.

    Replaces a reader that is already there. Raises ValueError for what is no open descriptor or beyond the
    poller's limit, RuntimeError if a transport of this loop uses it, PermissionError for a regular file under
    epoll.
    """
    number = _free_number(loop, fd)
    loop._check_closed()
    handle = loop._new_handle(callback, args, None)
    old = loop._watches.readers.get(number)
    loop._watches.watch_read(number, handle)
    _remember(loop, number, fd)
    if old is not None:
        old.cancel()


def add_writer(loop: Loop, fd: Any, callback: Callable[[*Ts], Any], *args: *Ts) -> None:
    """Call ``callback(*args)`` whenever *fd* is writable or broken. Otherwise as `add_reader`."""
    number = _free_number(loop, fd)
    loop._check_closed()
    handle = loop._new_handle(callback, args, None)
    old = loop._watches.writers.get(number)
    loop._watches.watch_write(number, handle)
    _remember(loop, number, fd)
    if old is not None:
        old.cancel()


def remove_reader(loop: Loop, fd: Any) -> bool:
    """Stop watching *fd* for reading. Returns False if it was not watched, or the loop is closed.

    Raises ValueError for what is no descriptor, RuntimeError if a transport of this loop uses it.
    """
    number = _watched_number(loop, fd)
    if loop._closed:
        return False
    handle = loop._watches.unwatch_read(number)
    if handle is None:
        return False
    _dismiss(loop, number, handle)
    return True


def remove_writer(loop: Loop, fd: Any) -> bool:
    """Stop watching *fd* for writing. Otherwise as `remove_reader`."""
    number = _watched_number(loop, fd)
    if loop._closed:
        return False
    handle = loop._watches.unwatch_write(number)
    if handle is None:
        return False
    _dismiss(loop, number, handle)
    return True


def ensure_no_transport(loop: Loop, fd: int, shown: object = None) -> None:
    """Raise RuntimeError if *fd* belongs to a transport of this loop that is not closing."""
    owner = loop._watches.owner(fd)
    if owner is not None and not owner.is_closing():
        raise RuntimeError(
            f"File descriptor {fd if shown is None else shown!r} is used by transport {owner!r}"
        )


def _free_number(loop: Loop, fd: Any) -> int:
    number = fileno(fd)
    if number < 0:
        raise ValueError(f"Invalid file descriptor: {number}")
    ensure_no_transport(loop, number, fd)
    return number


def _watched_number(loop: Loop, fd: Any) -> int:
    number = fileno(fd)
    if number < 0:
        for known, thing in loop._watches.objects.items():
            if thing is fd:
                return known
        raise ValueError(f"Invalid file descriptor: {number}")
    ensure_no_transport(loop, number, fd)
    return number


def _remember(loop: Loop, number: int, fd: object) -> None:
    if isinstance(fd, int):
        loop._watches.objects.pop(number, None)
    else:
        loop._watches.objects[number] = fd


def _dismiss(loop: Loop, number: int, handle: asyncio.Handle) -> None:
    handle.cancel()
    if number not in loop._watches.readers and number not in loop._watches.writers:
        loop._watches.objects.pop(number, None)


def fileno(fd: Any) -> int:
    """The number of *fd*. Raises ValueError if it is neither a number nor an object that has one."""
    if isinstance(fd, int):
        return fd
    try:
        return int(fd.fileno())
    except (AttributeError, TypeError, ValueError):
        raise ValueError(f"Invalid file object: {fd!r}") from None
