"""What libraries call to make sockets, and what they get while a simulation runs: see `outside.py`.

``socket.socket`` itself is asked, by its ``__new__``: it does not matter from where a library has the class.
"""

from __future__ import annotations

import errno
import os
import socket
from typing import TYPE_CHECKING, Any

from . import outside
from .files import failure
from .world import FIRST_FD

if TYPE_CHECKING:
    from collections.abc import Callable

    from .world import World

_opted_out = 0


class real_sockets:
    """``with real_sockets():`` sockets that are made in it are real ones, in the middle of a simulation."""

    def __enter__(self) -> None:
        global _opted_out
        _opted_out += 1

    def __exit__(self, *exc: object) -> None:
        global _opted_out
        _opted_out -= 1


def _is_simulated(fileno: Any = None) -> bool:
    if outside.simulation() is None or _opted_out:
        return False
    return fileno is None or (isinstance(fileno, int) and fileno >= FIRST_FD)


@outside.replaces(socket.socket, "__new__")
def _new(original: Any) -> Any:
    def __new__(cls: Any, family: int = -1, type: int = -1, proto: int = -1, fileno: Any = None) -> Any:
        if cls is socket.socket and _is_simulated(fileno):
            return original(outside.here().socket_type)
        return original(cls)

    return staticmethod(__new__)


@outside.replaces(socket, "socketpair")
def _socketpair(original: Any) -> Any:
    def socketpair(family: Any = None, type: int = socket.SOCK_STREAM, proto: int = 0) -> Any:
        if not _is_simulated():
            return original(family, type, proto)
        if family not in (None, socket.AF_UNIX):
            raise failure(errno.EOPNOTSUPP)
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
                if loop is None or _opted_out
                else make(loop.world)(*args, **options)
            )

        return resolve


_resolving("getaddrinfo", lambda world: world.network.resolve)
_resolving(
    "gethostbyname", lambda world: lambda name: world.network.resolve(name, 0, socket.AF_INET)[0][4][0]
)
_resolving("gethostname", lambda world: lambda: outside.current_host(world).name)


def _by_number(name: str, make: Callable[[Any, int], Any]) -> None:
    @outside.replaces(os, name)
    def _replacement(original: Any) -> Any:
        def call(fd: Any, *args: Any) -> Any:
            loop = outside.simulation()
            if loop is None or not isinstance(fd, int) or fd < FIRST_FD:
                return original(fd, *args)
            file = loop.world.files.get(fd)
            if file is None:
                raise failure(errno.EBADF)
            with loop.world.lock:
                return make(file, fd)(*args)

        return call


_by_number("close", lambda file, fd: lambda: file.world.files.close(fd))
_by_number("dup", lambda file, fd: lambda: file.world.files.install(file))
_by_number("set_blocking", lambda file, fd: lambda flag: None)
_by_number("fchmod", lambda file, fd: lambda mode: setattr(file, "mode", mode))
