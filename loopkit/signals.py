"""Unix signals as callbacks of the loop.

Facts
- CPython's C-level handler may run at any instruction, in any thread; it sets a flag and, if there is a
  *wakeup fd*, writes the signal's number to it: one byte (an eventfd, which takes eight, will not do). The
  Python-level handler runs later, in the main thread, between two bytecodes: once for all signals of its
  number that have come since.
- A process has one wakeup fd, and one Python-level handler for a signal; of loops it may have several.
- A full pair of sockets takes no more bytes: a flood of one signal would swallow the number of another.
- A forked child inherits the descriptors: what is written there, its parent reads.

Consequences. The bytes that arrive in a socket pair are the signals, each and in order, and reading them is
an ordinary I/O event: the callback runs in a turn of the loop, where it may do whatever callbacks may do. The
Python-level handler, which asyncio leaves empty, is the second witness. It notes the number: what was noted
and did not arrive, because the pair was full, is called too. And where the interpreter writes to another
loop's pair, it writes to its own. The wakeup fd that was there before a pair, somebody else's or another
loop's, is put back when the pair goes. A child gets pairs of its own before any of its code runs.

The bytes are looked at first, and taken when their handles are in the queue: Ctrl-C between the two may have
a handler called twice, and loses none.

The pair is made when the first handler is added: most loops never need it, and only the main thread may.
"""

from __future__ import annotations

import errno
import signal
import socket
import sys
import warnings
from asyncio.log import logger

# Bound at import: tools that replace functions of ``os`` to catch blocking calls shall not see our own.
from os import fstat
from typing import TYPE_CHECKING, TypeVarTuple

from .errors import is_coroutine

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterable

    from .loop import Loop

Ts = TypeVarTuple("Ts")

#: More than a byte costs of a Unix socket's send buffer (Linux counts some 800 for its bookkeeping): a pair
#: that holds fewer bytes than its buffer has of these has not been full.
BYTE_COST = 2048


class Pair:
    """The socket pair of a loop, and the witness of its signals: all that the `signal` module refers to.

    It knows neither the loop nor its callbacks, so that a loop which nobody closes is collected, and warns.
    """

    __slots__ = ("noted", "numbers", "receiver", "replaced", "sender")

    def __init__(self) -> None:
        #: The signals that the loop has handlers for.
        self.numbers: set[int] = set()
        #: What the Python-level handler has seen since the pair was emptied.
        self.noted: set[int] = set()
        #: Somebody else's wakeup fd that ours took the place of, and which file that was.
        self.replaced: tuple[int, object] | None = None
        self.open()

    def open(self) -> None:
        self.receiver, self.sender = socket.socketpair()
        self.receiver.setblocking(False)
        self.sender.setblocking(False)

    def close(self) -> None:
        self.receiver.close()
        self.sender.close()

    def note(self, number: int, frame: object) -> None:
        """The Python-level handler."""
        self.noted.add(number)
        if not _pairs or _pairs[-1] is not self:  # else the interpreter has written it
            try:
                self.sender.send(bytes((number,)))
            except OSError:
                pass  # full: it has been noted

    def is_full_with(self, count: int) -> bool:
        """Whether the pair may have been full when it held *count* bytes."""
        return count >= self.sender.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) // BYTE_COST

    # -- the wakeup fd ---------------------------------------------------------------------------------------

    def take(self) -> None:
        """Have the interpreter write to us. Raises ValueError outside the main thread."""
        before = signal.set_wakeup_fd(self.sender.fileno(), warn_on_full_buffer=False)
        if before == self.sender.fileno():
            return
        self._leave()
        is_ours = before in [pair.sender.fileno() for pair in _pairs]
        self.replaced = None if before == -1 or is_ours else (before, _identity(before))
        _pairs.append(self)

    def give_up(self) -> None:
        """Have the interpreter write to whom it wrote before us."""
        replaced = self.replaced
        self._leave()
        try:
            current = signal.set_wakeup_fd(-1)
            if current not in (-1, self.sender.fileno()):  # somebody has taken our place
                signal.set_wakeup_fd(current, warn_on_full_buffer=False)
            elif replaced is not None and _identity(replaced[0]) == replaced[1]:
                signal.set_wakeup_fd(replaced[0])
            elif _pairs:
                signal.set_wakeup_fd(_pairs[-1].sender.fileno(), warn_on_full_buffer=False)
        except (ValueError, OSError) as exc:
            logger.info("set_wakeup_fd(-1) failed: %s", exc)

    def _leave(self) -> None:
        if self not in _pairs:
            return
        place = _pairs.index(self)
        del _pairs[place]
        if place < len(_pairs) and _pairs[place].replaced is None:
            _pairs[place].replaced = self.replaced  # whoever took our place puts it back
        self.replaced = None


#: The pairs in the order in which they became the wakeup fd; the last one is. As this is the process's, and
#: the main thread's.
_pairs: list[Pair] = []


class SignalTable:
    """Which handle is called for which signal of a loop, and the pair through which signals come."""

    __slots__ = ("handles", "pair")

    def __init__(self, loop: Loop) -> None:
        self.handles: dict[int, asyncio.Handle] = {}
        self.pair = Pair()
        loop._watch(self.pair.receiver.fileno(), _receive, loop, self)

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

    def after_fork(self, loop: Loop) -> None:
        """In the child: signals come through a pair of its own. The loop has its own poller already."""
        signal.set_wakeup_fd(-1)
        loop._watches.forget(self.pair.receiver.fileno())
        self.pair.close()
        self.pair.noted.clear()
        self.pair.replaced = None
        self.pair.open()
        loop._watch(self.pair.receiver.fileno(), _receive, loop, self)
        # Of several loops the last one that is made ready here need not be the one that had it.
        signal.set_wakeup_fd(_pairs[-1].sender.fileno(), warn_on_full_buffer=False)


def add_signal_handler(loop: Loop, sig: int, callback: Callable[[*Ts], object], *args: *Ts) -> None:
    """Call ``callback(*args)`` in the loop whenever the process receives signal *sig*. Main thread only.

    Raises TypeError if *callback* is a coroutine (function) or *sig* no int, ValueError if there is no such
    signal, RuntimeError if it cannot be caught or this is not the main thread, NotImplementedError where the
    `signal` module has not got what it takes, as asyncio on Windows.
    """
    if is_coroutine(callback):
        raise TypeError("coroutines cannot be used with add_signal_handler()")
    _check_signal(sig)
    for name in ("set_wakeup_fd", "siginterrupt"):
        if not hasattr(signal, name):
            raise NotImplementedError(f"this platform has no signal.{name}; use signal.signal()")
    loop._check_closed()
    table = loop._signals
    if table is None:
        loop._signals = table = SignalTable(loop)
    try:
        # Refuses any other thread than the main one, before anything is changed.
        table.pair.take()
    except (ValueError, OSError) as exc:
        _retire(loop, table)
        raise RuntimeError(str(exc)) from None
    table.handles[sig] = loop._new_handle(callback, args, None)
    try:
        # A Python handler must be there, or the signal would have its default effect.
        signal.signal(sig, table.pair.note)
        # SA_RESTART: a system call interrupted by this signal in any thread goes on by itself.
        signal.siginterrupt(sig, False)
    except OSError as exc:
        del table.handles[sig]
        _retire(loop, table)
        if exc.errno == errno.EINVAL:
            raise RuntimeError(f"sig {sig} cannot be caught") from None
        raise
    table.pair.numbers.add(sig)


def remove_signal_handler(loop: Loop, sig: int) -> bool:
    """Give signal *sig* its default effect back, or to another loop that has a handler for it.

    Returns False if it had no handler on this loop. Raises TypeError if *sig* is no int, ValueError if there
    is no such signal.
    """
    _check_signal(sig)
    table = loop._signals
    if table is None or table.handles.pop(sig, None) is None:
        return False
    table.pair.numbers.discard(sig)
    default = signal.default_int_handler if sig == signal.SIGINT else signal.SIG_DFL
    others = [pair.note for pair in _pairs if sig in pair.numbers]
    try:
        signal.signal(sig, others[-1] if others else default)
    except OSError as exc:
        if exc.errno == errno.EINVAL:
            raise RuntimeError(f"sig {sig} cannot be caught") from None
        raise
    finally:
        _retire(loop, table)
    return True


def _retire(loop: Loop, table: SignalTable) -> None:
    """Give the pair back when no handler is left."""
    if table.handles:
        return
    table.pair.give_up()
    loop._watches.forget(table.pair.receiver.fileno())
    table.pair.close()
    loop._signals = None


def _receive(loop: Loop, table: SignalTable) -> None:
    """Put the handles of the signals that have come into the queue."""
    pair = table.pair
    try:
        numbers = pair.receiver.recv(4096, socket.MSG_PEEK)
    except (BlockingIOError, InterruptedError):
        return
    _schedule(loop, table, numbers)
    pair.receiver.recv(len(numbers))
    if pair.is_full_with(len(numbers)):
        _schedule(loop, table, pair.noted.difference(numbers))
    pair.noted.clear()


def _schedule(loop: Loop, table: SignalTable, numbers: Iterable[int]) -> None:
    for number in numbers:
        handle = table.handles.get(number)
        if handle is not None:  # else: another loop's; or removed after the signal had come
            loop._ready.append(handle)


def _check_signal(sig: object) -> None:
    if not isinstance(sig, int):
        raise TypeError(f"sig must be an int, not {sig!r}")
    if sig not in signal.valid_signals():
        raise ValueError(f"invalid signal number {sig}")


def _identity(fd: int) -> object:
    """Which file descriptor *fd* is of; None if it is closed."""
    try:
        found = fstat(fd)
    except OSError:
        return None
    return found.st_dev, found.st_ino
