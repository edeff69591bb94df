"""Listening sockets: from a host and a port, or a path, to sockets that are bound; and their end.

Facts
- A host may mean several addresses, and one of a family the system does not have or has not enabled.
- An IPv6 socket of Linux takes IPv4 connections too, unless it is told not to (V6ONLY): the IPv4 socket of
  the same server would find its port in use.
- The file of a Unix socket outlives it. One that is left over stands in the way of the next server; and the
  one that is there at the end may be the next server's already, which its inode tells.
- `bind` makes that file with the bits of the socket's own inode, less the umask. The umask is the process's:
  to change it for a moment would change the files that other threads make.
"""

from __future__ import annotations

import asyncio
import errno
import itertools
import os
import socket
import stat
import sys
from asyncio.log import logger
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from . import addresses

# From where ``os`` has them: tools that replace functions of ``os`` to catch blocking calls shall not see our
# own, and when this file is loaded they may have done it already.
try:
    from posix import chmod, remove
    from posix import stat as os_stat
except ImportError:  # Windows, which does not get as far as to a Unix socket
    from os import chmod, remove
    from os import stat as os_stat

if TYPE_CHECKING:
    from ..loop import Loop


class Listener:
    """The owner of a listening socket in the fd table: it says that `accept` never blocks."""

    __slots__ = ("_socket",)

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock

    def is_closing(self) -> bool:
        """True: asyncio lets a program watch a listening socket itself."""
        return True


async def resolve_hosts(
    loop: Loop, host: str | Iterable[str] | None, port: int | str | None, family: int, flags: int
) -> set[addresses.AddrInfo]:
    hosts: list[Any]
    if host == "":
        hosts = [None]
    elif isinstance(host, (str, bytes)) or not isinstance(host, Iterable):
        hosts = [host]
    else:
        hosts = list(host)
    answers = await asyncio.gather(
        *(addresses.ensure_resolved(loop, (name, port), family=family, flags=flags) for name in hosts)
    )
    for name, infos in zip(hosts, answers, strict=True):
        if not infos:
            raise OSError(f"getaddrinfo({name!r}) returned empty list")
    return set(itertools.chain.from_iterable(answers))


def bind(
    loop: Loop,
    infos: Iterable[addresses.AddrInfo],
    reuse_address: bool,
    reuse_port: bool | None,
    keep_alive: bool | None,
) -> list[socket.socket]:
    sockets: list[socket.socket] = []
    infos = list(infos)
    try:
        for family, kind, proto, _, address in infos:
            try:
                sock = socket.socket(family, kind, proto)
            except OSError:
                # A combination the system does not have (no IPv6, say).
                if loop._debug:
                    logger.warning(
                        "create_server() failed to create socket.socket(%r, %r, %r)",
                        family,
                        kind,
                        proto,
                        exc_info=True,
                    )
                continue
            sockets.append(sock)
            if reuse_address:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, True)
            if reuse_port and family in (socket.AF_INET, socket.AF_INET6):
                addresses.set_reuse_port(sock)
            if keep_alive:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, True)
            if family == socket.AF_INET6:
                # Linux would listen on both families, and the IPv4 socket of the same server would be "in
                # use".
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, True)
            try:
                sock.bind(address)
            except OSError as exc:
                if exc.errno == errno.EADDRNOTAVAIL and sys.version_info >= (3, 13):
                    sockets.pop().close()  # the family exists but is not enabled
                    if loop._debug:
                        logger.warning(addresses.bind_error(address, exc).strerror)
                    continue
                raise addresses.bind_error(address, exc) from None
        if not sockets:
            raise OSError(f"could not bind on any address out of {[info[4] for info in infos]!r}")
    except BaseException:
        for sock in sockets:
            sock.close()
        raise
    return sockets


def bind_unix(path: str | bytes, mode: int | None) -> socket.socket:
    sock = addresses.unix_socket()
    try:
        remove_stale(path)
        if mode is None or not is_file(path):
            sock.bind(path)
        else:
            # Before bind, so that the file never has bits that were not asked for; after it, for those that
            # the umask has taken.
            os.fchmod(sock.fileno(), mode)
            sock.bind(path)
            _set_mode(path, mode)
    except OSError as exc:
        sock.close()
        if exc.errno == errno.EADDRINUSE:
            raise OSError(errno.EADDRINUSE, f"Address {path!r} is already in use") from None
        raise
    except BaseException:
        sock.close()
        raise
    return sock


def _set_mode(path: str | bytes, mode: int) -> None:
    if stat.S_IMODE(os_stat(path).st_mode) == mode:
        return
    try:
        chmod(path, mode)
    except BaseException:
        remove(path)
        raise


def is_file(name: str | bytes) -> bool:
    """Whether a Unix socket name is a path, and not abstract or empty."""
    return bool(name) and name[0] not in (0, "\x00")


def remove_stale(path: str | bytes) -> None:
    """Remove the socket file that an earlier server left at *path*."""
    if not is_file(path):
        return
    try:
        if stat.S_ISSOCK(os_stat(path).st_mode):
            remove(path)
    except FileNotFoundError:
        pass
    except OSError as exc:
        # The directory may allow to create a socket and not to list; bind will tell.
        logger.error("Unable to check or remove stale UNIX socket %r: %r", path, exc)


def inode(sock: socket.socket) -> int | None:
    """The inode of the file that the Unix socket *sock* is bound to; None if there is no such file."""
    name = sock.getsockname()
    try:
        return os_stat(name).st_ino if is_file(name) else None
    except FileNotFoundError:
        return None


def stop_listening(loop: Loop, sock: socket.socket) -> None:
    """Take *sock* out of the poller, close it, and remove the file of a Unix socket that we made."""
    made = loop._unix_server_sockets.pop(sock.fileno(), None)
    path = sock.getsockname() if made is not None else None
    if not loop.is_closed():
        owner = loop._watches.owner(sock.fileno())
        if isinstance(owner, Listener) and owner._socket is sock:
            loop._watches.disown(sock.fileno(), owner)
    sock.close()
    if path is None:
        return
    try:
        # Somebody may have bound the path anew: that file is not ours.
        if os_stat(path).st_ino == made:
            remove(path)
    except FileNotFoundError:
        pass
    except OSError as exc:
        logger.error("Unable to clean up listening UNIX socket %r: %r", path, exc)
