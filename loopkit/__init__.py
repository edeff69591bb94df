"""loopkit: a pure-Python asyncio event loop, written by hand on ``select``, ``poll`` and ``epoll``.

    import asyncio, loopkit
    asyncio.run(main(), loop_factory=loopkit.Loop)      # or: loopkit.run(main())

The map of the source, from the bottom up (imports only go downwards):

    handles.py timers.py wakeup.py late.py pollers/
                                               know nobody
    watches.py                                 the fd table: who waits for which descriptor
    errors.py debug.py tasks.py executor.py signals.py
                                               families of loop methods
    transports/ tls/ net/ processes/           the same, for sockets, pipes, TLS and child processes
    loop.py                                    Loop: the state, the turn, and the table of all methods
    runner.py                                  run(), install(), the policy: the front doors
    diagnostics/ bench/ cli/                   loaded on demand; nothing above knows them

Start with ``loop.py``: one turn of the loop is one function there.
"""

from __future__ import annotations

import sys

# ruff: noqa: E402 - `python -m loopkit` looks for modules in the current folder first. A student's select.py
# there would be taken for Python's, and run: it may be a server, and never return. So not while we import.
_folder = None
if sys.argv[:1] == ["-m"] and not sys.flags.safe_path:  # a package's name for as long as runpy looks for it
    _folder = sys.path.pop(0)

from typing import Any

from .late import preload
from .loop import BusyLoop, Loop, PollLoop, SelectLoop
from .runner import install, new_event_loop, run

if _folder is not None:
    sys.path.insert(0, _folder)
del _folder, sys

__version__ = "0.1.0"

__all__ = [
    "BusyLoop",
    "EventLoopPolicy",
    "Loop",
    "PollLoop",
    "SelectLoop",
    "install",
    "new_event_loop",
    "preload",
    "run",
]

try:
    from .loop import EpollLoop
except ImportError:  # this platform has no epoll
    pass
else:
    __all__ += ["EpollLoop"]


def __getattr__(name: str) -> Any:
    # Lazy, so that importing loopkit never touches the deprecated policy classes.
    if name == "EventLoopPolicy":
        from .runner import policy_class

        return policy_class()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
