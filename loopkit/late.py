"""Methods whose room is entered when they are first called for.

`import loopkit` loads what turns: the loop, its handles and timers, tasks, the fd table, the pollers. What it
can be asked for besides (connections, servers, datagrams, pipes, TLS, signals, child processes) is two dozen
files more, of which most programs need few. `late` stands for a function of such a file in the class body of
the loop, and gives way to it on the first access: nothing is left of it then.

The price: the first `create_server` or `create_connection` of a process imports its files, some 2 ms, while
the loop is running. And they must still be there, and be of the version that was started: a daemon that
changes its root, a package that is upgraded beneath a running program, say `preload()` beforehand.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

#: Rooms that no method of the loop stands for: they are entered by others, in the middle of something.
INNER_ROOMS = ("tls", "diagnostics.turns")

_lates: list[late] = []


def preload() -> None:
    """Load everything that a loop may ever need, instead of each part when it is first used.

    For programs that lose sight of the files: by ``os.chroot``, by a sandbox, by an upgrade of the package
    while they run, or because no descriptor is left to open one. Call it at any time before that. Raises
    ImportError if something cannot be loaded.
    """
    import concurrent.futures
    import traceback

    for method in _lates:
        getattr(method.owner, method.name)
    for room in INNER_ROOMS:
        _enter(room)
    concurrent.futures.ThreadPoolExecutor  # noqa: B018  # is loaded by that
    import_module("encodings.idna")  # by the first host name
    traceback.format_exception(OSError())  # Python 3.15 loads half a dozen modules for the first traceback


def _enter(room: str) -> Any:
    name = f"{__package__}.{room}"
    try:
        return import_module(name)
    except ImportError as exc:
        if not (exc.name or name).startswith(f"{__package__}."):
            raise  # a Python that was built without something
        raise ImportError(
            f"{name} cannot be loaded any more ({exc}); if this program changes its root, or its files are "
            f"replaced while it runs, let it call {__package__}.preload() before",
            name=exc.name,
            path=exc.path,
        ) from exc


class late:
    """``name = late("room")``: the function *name* of ``loopkit.room``, bound as if it stood there itself."""

    def __init__(self, room: str) -> None:
        self.room = room
        _lates.append(self)

    def __set_name__(self, owner: type, name: str) -> None:
        self.owner, self.name = owner, name

    def __get__(self, loop: object, owner: type | None = None) -> Any:
        function = getattr(_enter(self.room), self.name)
        setattr(self.owner, self.name, function)
        return function.__get__(loop, owner)
