"""The end of a process, for those who have something to write down before it.

An exception that nobody caught passes `sys.excepthook`. A signal that kills leaves no time for Python,
unless it has a handler: SIGTERM gets one while it has none, which calls who asked and then lets the signal
kill as it would have. A program that sets a handler of its own takes ours away, and ends as it wants to.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any

from .instruments import sharing

if TYPE_CHECKING:
    from collections.abc import Callable

#: Called with the reason when the process ends by an exception or a signal.
_listeners: list[Callable[[str], None]] = []
_owner = 0  # the process that they belong to: a forked child has nothing to write
_hooked = False  # `sys.excepthook` is ours, or calls ours


def before_the_end(listener: Callable[[str], None]) -> None:
    """Call *listener* with a word when this process ends by an exception or by SIGTERM."""
    global _owner
    with sharing:
        if _owner != os.getpid():
            _listeners.clear()
            _owner = os.getpid()
        _hook_exceptions()
        _hook_signal()
        _listeners.append(listener)


def no_more(listener: Callable[[str], None]) -> None:
    """Forget *listener*. Idempotent."""
    with sharing:
        if listener in _listeners:
            _listeners.remove(listener)


def _tell(reason: str) -> None:
    if _owner == os.getpid():
        for listener in tuple(_listeners):
            listener(reason)


def _hook_exceptions() -> None:
    """Once in a process, however often the last listener goes and another comes."""
    global _hooked
    if _hooked:
        return
    before = sys.excepthook

    def hook(kind: Any, error: Any, traceback: Any) -> None:
        if issubclass(kind, Exception):
            _tell("exception")
        before(kind, error, traceback)

    sys.excepthook, _hooked = hook, True


def _hook_signal() -> None:
    """If it is nobody's, and this is the thread that may: the first listener may have come in another one."""
    if threading.current_thread() is not threading.main_thread():
        return
    if signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        return

    def die(number: int, frame: object) -> None:
        signal.signal(number, signal.SIG_DFL)
        try:
            _tell("signal")
        finally:
            os.kill(os.getpid(), number)

    signal.signal(signal.SIGTERM, die)
