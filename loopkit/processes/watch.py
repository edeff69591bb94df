"""Noticing the end of a child, and reaping it.

Facts
- A pidfd (Linux 5.3) is a descriptor of a process, readable when that has ended: an ordinary event for the
  poller, with neither signal nor thread, in any thread's loop. It is closed on exec, as Python's own
  descriptors are.
- Where there is none (another system, a seccomp filter, no descriptor left, or one beyond what the poller can
  watch), a thread of its own waits for each child.
- Anybody in the process may reap our child: `os.wait()`, SIGCHLD set to SIG_IGN, a `Popen.poll()`. Its status
  is lost then, and its number may be another child's already, which must not be waited for.

asyncio's child watchers, and the policies that hand them out, are not consulted.
"""

from __future__ import annotations

import os
import threading
from asyncio.log import logger
from contextvars import Context, copy_context
from io import FileIO

# Bound at import: tools that replace functions of ``os`` to catch blocking calls shall not see our own.
from os import waitpid, waitstatus_to_exitcode
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..loop import Loop

WNOHANG: int = getattr(os, "WNOHANG", 0)  # where there is none, no child is started: see spawn.py
pidfd_open: Callable[[int], int] | None = getattr(os, "pidfd_open", None)


class ExitWatch:
    """Calls ``callback(returncode)`` when child *pid* has ended; None if somebody else has reaped it."""

    __slots__ = ("_callback", "_file", "_loop", "_pid")

    def __init__(self, loop: Loop, pid: int, callback: Callable[[int | None], object]) -> None:
        self._file: FileIO | None = None  # of the pidfd: it is closed once, whatever comes between two lines
        self._loop = loop
        self._pid = pid
        self._callback = callback
        if not self._open():
            # A daemon: the interpreter does not wait for children either.
            name = f"asyncio-waitpid-{pid}"
            threading.Thread(target=self._wait, args=(copy_context(),), name=name, daemon=True).start()

    def _open(self) -> bool:
        if pidfd_open is None:
            return False
        try:
            self._file = FileIO(pidfd_open(self._pid))
            self._loop._watch(self._file.fileno(), self._on_exit)
        except (OSError, ValueError):
            self._close()
            return False
        return True

    def _close(self) -> None:
        file = getattr(self, "_file", None)  # Ctrl-C may come before there is one
        if file is not None:
            file.close()

    #: A loop that is closed before the child ends forgets the descriptor without closing it.
    __del__ = _close

    def _on_exit(self) -> None:
        if self._file is not None:
            self._loop._watches.forget(self._file.fileno())
        self._close()
        self._callback(collect(self._pid, WNOHANG))

    def _wait(self, context: Context) -> None:
        returncode = collect(self._pid, 0)
        try:
            self._loop.call_soon_threadsafe(self._callback, returncode, context=context)
        except RuntimeError:
            logger.warning("Loop %r that handles pid %r is closed", self._loop, self._pid)


def collect(pid: int, options: int) -> int | None:
    """The return code of child *pid* (negative: the signal that ended it); None if somebody else got it."""
    try:
        found, status = waitpid(pid, options)
    except ChildProcessError:
        return None
    # Nothing, although the pidfd says that it has ended: the number belongs to another child by now.
    return waitstatus_to_exitcode(status) if found else None
