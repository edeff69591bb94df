"""Methods whose room is entered when they are first called for.

`import loopkit` loads what turns: the loop, its handles and timers, tasks, the fd table, the pollers. What it
can be asked for besides (connections, servers, datagrams, pipes, TLS, signals, child processes) is two dozen
files more, of which most programs need few. `late` stands for a function of such a file in the class body of
the loop, and gives way to it on the first access: nothing is left of it then.

The price: the first `create_server` or `create_connection` of a process imports its files, some 2 ms, while
the loop is running. A program that minds says ``loopkit.Loop.create_server`` beforehand.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any


class late:
    """``name = late("room")``: the function *name* of ``loopkit.room``, bound as if it stood there itself."""

    def __init__(self, room: str) -> None:
        self.room = room

    def __set_name__(self, owner: type, name: str) -> None:
        self.owner, self.name = owner, name

    def __get__(self, loop: object, owner: type | None = None) -> Any:
        function = getattr(import_module(f"{__package__}.{self.room}"), self.name)
        setattr(self.owner, self.name, function)
        return function.__get__(loop, owner)
