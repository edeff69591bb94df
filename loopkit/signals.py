"""Unix signals as callbacks of the loop.

Facts. CPython's C-level handler may run at any instruction; all it does is to set a flag and, if there is a
*wakeup fd*, to write the signal's number to it (one byte: an eventfd, which takes eight, will not do). The
Python-level handler runs later, in the main thread only. So the bytes that arrive in a socket pair are the
signals, in order, and reading them is an ordinary I/O event: the callback runs in a turn of the loop, where
it may do whatever callbacks may do.

The pair is made when the first handler is added: most loops never need it, and only the main thread may.
"""

from __future__ import annotations

import errno
import signal
import socket
import sys
import warnings
from asyncio.log import logger
from typing import TYPE_CHECKING, TypeVarTuple

from .errors import is_coroutine

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from .loop import Loop

Ts = TypeVarTuple("Ts")


class SignalTable:
    """Which handle is called for which signal, and the socket pair through which signals come."""

    __slots__ = ("handles", "receiver", "sender")

    def __init__(self) -> None:
        self.handles: dict[int, asyncio.Handle] = {}
        self.receiver, self.sender = socket.socketpair()
        self.receiver.setblocking(False)
        self.sender.setblocking(False)

    def close_all(self, loop: Loop) -> None:
        """Remove every handler: the loop is being closed."""
        if sys.is_finalizing():
            warnings.warn(
                f"Closing the loop {loop!r} on interpreter shutdown stage, skipping signal handlers removal",
                ResourceWarning,
                source=loop,
                stacklevel=3,
            )
            self.handles.clear()
            _retire(loop, self)
        for sig in list(self.handles):
            remove_signal_handler(loop, sig)

    def close(self) -> None:
        self.receiver.close()
        self.sender.close()


def add_signal_handler(loop: Loop, sig: int, callback: Callable[[*Ts], object], *args: *Ts) -> None:
    """Call ``callback(*args)`` in the loop whenever the process receives signal *sig*. Main thread only.

    Raises TypeError if *callback* is a coroutine (function) or *sig* no int, ValueError if there is no such
    signal, RuntimeError if it cannot be caught or this is not the main thread.
    """
    if is_coroutine(callback):
        raise TypeError("coroutines cannot be used with add_signal_handler()")
    _check_signal(sig)
    loop._check_closed()
    table = loop._signals
    if table is None:
        table = SignalTable()
        loop._watch(table.receiver.fileno(), _receive, loop, table)
        loop._signals = table
    try:
        # Refuses any other thread than the main one, before anything is changed.
        signal.set_wakeup_fd(table.sender.fileno())
    except (ValueError, OSError) as exc:
        _retire(loop, table)
        raise RuntimeError(str(exc)) from None
    table.handles[sig] = loop._new_handle(callback, args, None)
    try:
        # A Python handler must be there, or the signal would have its default effect; it has nothing to do.
        signal.signal(sig, _noop)
        # SA_RESTART: a system call interrupted by this signal in any thread goes on by itself.
        signal.siginterrupt(sig, False)
    except OSError as exc:
        del table.handles[sig]
        _retire(loop, table)
        if exc.errno == errno.EINVAL:
            raise RuntimeError(f"sig {sig} cannot be caught") from None
        raise


def remove_signal_handler(loop: Loop, sig: int) -> bool:
    """Give signal *sig* its default effect back. Returns False if it had no handler on this loop.

    Raises TypeError if *sig* is no int, ValueError if there is no such signal.
    """
    _check_signal(sig)
    table = loop._signals
    if table is None or table.handles.pop(sig, None) is None:
        return False
    try:
        signal.signal(sig, signal.default_int_handler if sig == signal.SIGINT else signal.SIG_DFL)
    except OSError as exc:
        if exc.errno == errno.EINVAL:
            raise RuntimeError(f"sig {sig} cannot be caught") from None
        raise
    finally:
        _retire(loop, table)
    return True


def _retire(loop: Loop, table: SignalTable) -> None:
    """Give the socket pair back when no handler is left."""
    if table.handles:
        return
    try:
        signal.set_wakeup_fd(-1)
    except (ValueError, OSError) as exc:
        logger.info("set_wakeup_fd(-1) failed: %s", exc)
    loop._watches.forget(table.receiver.fileno())
    table.close()
    loop._signals = None


def _receive(loop: Loop, table: SignalTable) -> None:
    try:
        numbers = table.receiver.recv(4096)
    except (BlockingIOError, InterruptedError):
        return
    for number in numbers:
        handle = table.handles.get(number)
        if handle is not None:  # else: removed after the signal had come
            loop._ready.append(handle)


def _check_signal(sig: object) -> None:
    if not isinstance(sig, int):
        raise TypeError(f"sig must be an int, not {sig!r}")
    if sig not in signal.valid_signals():
        raise ValueError(f"invalid signal number {sig}")


def _noop(signum: int, frame: object) -> None:
    pass
