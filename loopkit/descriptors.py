"""`add_reader` and its kin: what a program watches by itself. On top of the fd table (`watches.py`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVarTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from .loop import Loop

Ts = TypeVarTuple("Ts")


def add_reader(loop: Loop, fd: Any, callback: Callable[[*Ts], Any], *args: *Ts) -> None:
    """Call ``callback(*args)`` whenever *fd* (number or object with ``fileno()``) is readable or broken.

    Replaces a reader that is already there. Raises ValueError for what is no descriptor or beyond the
    poller's limit, OSError for one that is closed, RuntimeError if a transport of this loop uses it,
    PermissionError for a regular file under epoll.
    """
    number = _free_number(loop, fd)
    loop._check_closed()
    tables = loop._watches
    handle = loop._new_handle(callback, args, None)
    old = tables.reader(number)
    tables.watch_read(number, handle)
    tables.program_entry(number).thing = None if isinstance(fd, int) else fd
    if old is not None:
        old.cancel()


def add_writer(loop: Loop, fd: Any, callback: Callable[[*Ts], Any], *args: *Ts) -> None:
    """Call ``callback(*args)`` whenever *fd* is writable or broken. Otherwise as `add_reader`."""
    number = _free_number(loop, fd)
    loop._check_closed()
    tables = loop._watches
    handle = loop._new_handle(callback, args, None)
    old = tables.writer(number)
    tables.watch_write(number, handle)
    tables.program_entry(number).thing = None if isinstance(fd, int) else fd
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
    handle.cancel()
    return True


def remove_writer(loop: Loop, fd: Any) -> bool:
    """Stop watching *fd* for writing. Otherwise as `remove_reader`."""
    number = _watched_number(loop, fd)
    if loop._closed:
        return False
    handle = loop._watches.unwatch_write(number)
    if handle is None:
        return False
    handle.cancel()
    return True


def ensure_no_transport(loop: Loop, fd: int, shown: object = None) -> None:
    """Raise RuntimeError if *fd* belongs to a transport of this loop that is not closing."""
    tables = loop._watches
    owner = tables.owner(fd)
    if owner is not None and not owner.is_closing():
        entry = tables.entries[fd]
        sock = getattr(owner, "_socket", None)
        if (sock is not None and sock.fileno() != fd) or (entry.armed and not tables.confirms(fd, entry)):
            # Somebody has closed it behind the transport's back: it is lost.
            tables.end(fd, entry)
            return
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
        for known, entry in loop._watches.entries.items():
            if entry.thing is fd:
                return known
        raise ValueError(f"Invalid file descriptor: {number}")
    ensure_no_transport(loop, number, fd)
    return number


def fileno(fd: Any) -> int:
    """The number of *fd*. Raises ValueError if it is neither a number nor an object that has one."""
    if isinstance(fd, int):
        return fd
    try:
        return int(fd.fileno())
    except (AttributeError, TypeError, ValueError):
        raise ValueError(f"Invalid file object: {fd!r}") from None
