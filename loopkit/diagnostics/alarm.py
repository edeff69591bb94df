"""The alarm that rings while a C call keeps the interpreter's lock: faulthandler's, shared with nobody.

Facts
- `faulthandler` has a C thread that needs no lock: after some seconds it writes the stacks of all threads.
- One process has one such alarm; who else uses it (pytest does) is known by its thread, which blocks all
  signals.
- Arming costs 0.1 ms, therefore only a few times a second.
- A child that was forked while the alarm is set waits for ever for a thread that it does not have, as soon as
  it sets the alarm, takes it back or ends. So it is taken back before a fork, and set again in the parent.

Rejected: a signal (`setitimer`): it belongs to the program, interrupts system calls, and its Python handler
does not run within a C call either.
"""

from __future__ import annotations

import faulthandler
import os
import sys
import tempfile
import threading
import time
from typing import IO

from ..fork import at_fork
from .instruments import sharing
from .stacks import Place, without_loop

#: What sigfillset() leaves out: SIGKILL and SIGSTOP, which cannot be blocked, and two signals of glibc's own.
ALL_SIGNALS = 0xFFFFFFFE7FFBFEFF


class Alarm:
    """faulthandler's timer, as long as nobody else uses it."""

    def __init__(self, seconds: float, *, to_stderr: bool) -> None:
        self.seconds = seconds
        self.to_stderr = to_stderr
        self.file: IO[bytes] | None = None
        self.read = 0
        self.armed_at: float | None = None
        self.threads: set[str] = set()  # in the kernel's numbers, what may be the alarm's thread
        self.given_up = not os.path.isdir("/proc/self/task")

    def arm(self) -> None:
        """Set it, unless somebody else has."""
        global _armed
        with sharing:  # nobody forks meanwhile
            self._arm()
            if self.armed_at is not None:
                _armed = self
            elif _armed is self:
                _armed = None

    def _arm(self) -> None:
        if self.given_up:
            return
        before = _threads()
        if not self._is_ours(before):
            self.given_up = True  # for good: two users would cancel each other's alarms
            self.armed_at = None
            return
        try:
            faulthandler.dump_traceback_later(self.seconds, file=self._target())
        except (OSError, ValueError, RuntimeError, AttributeError):
            self.given_up = True
            return
        self.armed_at = time.monotonic()
        after = _threads()
        self.threads = (self.threads & after) | (after - before)

    def _is_ours(self, threads: set[str]) -> bool:
        """Whether none of *threads* but one of those that we have started looks like faulthandler's timer."""
        python = {str(thread.native_id) for thread in threading.enumerate()}
        return not any(_blocks_all_signals(name) for name in threads - python - self.threads)

    def _target(self) -> int:
        if self.to_stderr:
            try:
                return sys.stderr.fileno()
            except (AttributeError, OSError, ValueError):
                return 2
        if self.file is None:
            self.file = tempfile.TemporaryFile(prefix="loopkit-watch-")
        return self.file.fileno()

    def rearm_if_old(self, now: float, age: float) -> None:
        if self.armed_at is not None and now - self.armed_at >= age:
            self.arm()

    def heard(self) -> list[tuple[Place, ...]]:
        """The stacks that were written since the last time, of the thread that had the lock."""
        if self.file is None or os.fstat(self.file.fileno()).st_size <= self.read:
            return []
        self.file.seek(self.read)
        text = self.file.read().decode(errors="replace")
        self.read += len(text.encode())
        return [parse_traceback(part) for part in text.split("Timeout (")[1:]]

    def cancel(self) -> None:
        global _armed
        with sharing:
            if self.armed_at is not None and self._is_ours(_threads()):
                faulthandler.cancel_dump_traceback_later()
            self.armed_at = None
            if _armed is self:
                _armed = None

    def close(self) -> None:
        self.cancel()
        if self.file is not None:
            self.file.close()
            self.file = None
            self.read = 0


#: The alarm that is set, or was at the fork in progress.
_armed: Alarm | None = None


def _before_fork() -> None:
    sharing.acquire()
    if _armed is not None:
        faulthandler.cancel_dump_traceback_later()


def _after_fork_in_parent() -> None:
    if _armed is not None:
        _armed.arm()
    sharing.release()


def _after_fork_in_child() -> None:
    global _armed
    if _armed is not None:
        _armed.armed_at = None
        _armed = None
    sharing.release()


at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)


def parse_traceback(text: str) -> tuple[Place, ...]:
    """The stack of the loop's thread in what faulthandler wrote of all: outermost first."""
    threads = text.split("\n\n")
    chosen = next((part for part in threads if " in _turns" in part or " in observed_turns" in part), text)
    found: list[Place] = []
    for line in chosen.splitlines():
        head, _, rest = line.strip().partition('", line ')
        if head.startswith('File "') and " in " in rest:
            number, _, function = rest.partition(" in ")
            found.append(Place(head[6:], int(number), function))
    return without_loop(tuple(reversed(found)))


def _threads() -> set[str]:
    """The threads of this process, by the kernel's numbers."""
    return set(os.listdir("/proc/self/task"))


def _blocks_all_signals(thread: str) -> bool:
    """Whether the thread of that number, in the kernel, looks like faulthandler's timer."""
    try:
        with open(f"/proc/self/task/{thread}/status", encoding="ascii", errors="replace") as file:
            return any(line.startswith("SigBlk:") and int(line[7:], 16) == ALL_SIGNALS for line in file)
    except OSError:
        return False  # it has just ended
