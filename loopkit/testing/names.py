"""What libraries call to make sockets, and what they get while a simulation runs: see `outside.py`.

``socket.socket`` itself is asked, by its ``__new__``: it does not matter from where a library has the class.
"""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING, Any

from . import outside
from .files import fail_if
from .sockets import SimSocket

if TYPE_CHECKING:
    from collections.abc import Callable

    from .world import World


def _is_simulated(fileno: Any = None) -> bool:
    return outside.simulates() and (
        fileno is None or (isinstance(fileno, int) and fileno >= outside.FIRST_FD)
    )


#: A program's own subclass, and what it is made of -> its simulated twin; None: it cannot have one.
_twins: dict[tuple[Any, Any], Any] = {}


def _twin(cls: Any) -> Any:
    """*cls*, with a simulated socket in the place of the real one."""
    simulated = outside.here().socket_type
    if cls is socket.socket or issubclass(cls, SimSocket):
        return simulated if cls is socket.socket else cls
    key = cls, simulated
    if key not in _twins:
        try:
            _twins[key] = type(cls.__name__, (cls, simulated), {"__module__": cls.__module__})
        except TypeError:  # slots of its own
            _twins[key] = cls
    return _twins[key]


@outside.replaces(socket.socket, "__new__")
def _new(original: Any) -> Any:
    def __new__(cls: Any, family: int = -1, type: int = -1, proto: int = -1, fileno: Any = None) -> Any:
        return original(_twin(cls) if _is_simulated(fileno) else cls)

    return staticmethod(__new__)


@outside.replaces(socket, "socketpair")
def _socketpair(original: Any) -> Any:
    def socketpair(family: Any = None, type: int = socket.SOCK_STREAM, proto: int = 0) -> Any:
        if not _is_simulated():
            return original(family, type, proto)
        fail_if(family not in (None, socket.AF_UNIX), errno.EOPNOTSUPP)
        left: Any = socket.socket(socket.AF_UNIX, type)
        right: Any = socket.socket(socket.AF_UNIX, type)
        left.file.marry(right.file)
        return left, right

    return socketpair


def _resolving(name: str, make: Callable[[World], Any]) -> None:
    @outside.replaces(socket, name)
    def _replacement(original: Any) -> Any:
        def resolve(*args: Any, **options: Any) -> Any:
            loop = outside.simulation()
            return (
                original(*args, **options)
                if loop is None or outside.opted_out
                else make(loop.world)(*args, **options)
            )

        return resolve


_resolving("getaddrinfo", lambda world: world.network.resolve)
_resolving("gethostbyname", lambda world: world.network.resolve_one)
_resolving("gethostname", lambda world: lambda: outside.current_host(world).name)
