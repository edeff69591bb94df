"""Methods whose room is entered when they are first called for.

`import loopkit` loads what nearly every program uses; pipes, datagrams, child processes, `sendfile` and TLS
are a dozen files more, which a program that does not use them need not wait for. `late` stands for a
function of such a file in the class body of the loop, and gives way to it on the first access: nothing is
left of it then.
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
