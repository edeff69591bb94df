"""Another thread between any two lines: the schedule that a race needs, made to happen.

A thread that is traced stops before each line of certain functions and of whatever they call, and another
thread acts there. What holds then holds for every place at which the interpreter could have switched between
lines, and nothing is left to luck or to the clock.
"""

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import CodeType, FrameType
from typing import Any


class Between:
    """Runs `act` before lines of the functions with these codes: all of them, or the *only*-th one."""

    def __init__(self, act: Callable[[], None], codes: set[CodeType], only: int | None) -> None:
        self.act, self.codes, self.only = act, codes, only
        #: Lines that were come to.
        self.lines = 0
        self._inside: FrameType | None = None

    def __call__(self, frame: FrameType, event: str, arg: Any) -> Any:
        if self._inside is None:
            if frame.f_code not in self.codes:
                return None
            self._inside = frame
        return self._line

    def _line(self, frame: FrameType, event: str, arg: Any) -> Any:
        if event == "line":
            if self.only in (None, self.lines):
                self.act()
            self.lines += 1
        elif event == "return" and frame is self._inside:
            self._inside = None
        return self._line


@contextmanager
def between_lines_of(function: Any, act: Callable[[], None], only: int | None = None) -> Iterator[Between]:
    """While it lasts, *act* is called before each line of *function*, and of what it calls, in this thread.

    A test in which `lines` stays 0 has tested nothing.
    """
    before, tracer = sys.gettrace(), Between(act, {function.__code__}, only)
    sys.settrace(tracer)
    try:
        yield tracer
    finally:
        sys.settrace(before)


def in_a_thread(work: Callable[[], object]) -> None:
    """Have another thread do *work*, and wait for its end; what it raises is raised here."""
    raised: list[BaseException] = []

    def caught() -> None:
        try:
            work()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=caught)
    thread.start()
    thread.join()
    if raised:
        raise raised[0]


class Gate:
    """A lock in place of *lock* that tells who stands before it: `until_still()` waits for that."""

    def __init__(self, lock: Any) -> None:
        self._lock = lock
        self._still = threading.Event()

    def start(self, work: Callable[[], object]) -> threading.Thread:
        """Have another thread do *work*; returns when it is done, or stands before the lock."""
        self._still.clear()

        def done() -> None:
            try:
                work()
            finally:
                self._still.set()

        thread = threading.Thread(target=done)
        thread.start()
        self._still.wait()
        return thread

    def __enter__(self) -> None:
        if not self._lock.acquire(blocking=False):
            self._still.set()
            self._lock.acquire()

    def __exit__(self, *exc: object) -> None:
        self._lock.release()
