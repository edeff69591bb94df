"""Ctrl-C and SIGTERM during an examination, which must leave no program behind.

A signal's handler runs between any two lines, and so between the start of a program and the line that
remembers it. What must be whole is therefore `uninterrupted`: a signal that comes meanwhile is told when that
is over. And the handler may run inside of a destructor or of a weak reference's callback, where Python prints
its exception and goes on: whoever waits long asks again (`heed`).
"""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Terminated", "heed", "stoppable", "uninterrupted"]


class Terminated(BaseException):
    """SIGTERM has come."""


class _Signals:
    """What has come. A process has one of these, as it has its signals, and its main thread alone is told."""

    def __init__(self) -> None:
        self.held = 0
        self.came: type[BaseException] | None = None
        self.told = False

    def come(self, number: int, _: Any) -> None:
        self.came, self.told = Terminated if number == signal.SIGTERM else KeyboardInterrupt, False
        self.tell()

    def tell(self) -> None:
        if self.came is not None and not self.held and not self.told:
            self.told = True
            raise self.came


_signals = _Signals()


@contextmanager
def stoppable() -> Iterator[None]:
    """Ctrl-C raises KeyboardInterrupt, and SIGTERM raises Terminated.

    Whatever was set before: a shell starts what runs in the background with Ctrl-C ignored, which a child
    would inherit, and be blamed for.
    """
    _signals.came = None
    before = {number: signal.signal(number, _signals.come) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, how in before.items():
            signal.signal(number, how)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """For what takes a moment and must be whole."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _signals.held += 1
    try:
        yield
    finally:
        _signals.held -= 1
        _signals.tell()


def heed() -> None:
    """Raise again what has been raised: whoever still comes here has not been stopped by it."""
    if _signals.came is not None:
        raise _signals.came
