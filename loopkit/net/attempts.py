"""One address of several: which of them is connected.

Happy eyeballs (RFC 8305): a host with several addresses is tried address after address, each attempt starting
when the previous one has failed or a delay has passed; the first to succeed wins and the others are given up.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from typing import TYPE_CHECKING

from . import addresses

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..loop import Loop
    from .addresses import AddrInfo


async def connect_any(
    loop: Loop,
    infos: Sequence[AddrInfo],
    local_infos: Sequence[AddrInfo] | None,
    delay: float | None,
    all_errors: bool,
) -> socket.socket:
    """A socket connected to one of *infos*, bound to one of *local_infos* before if there are any.

    Tries them one after the other, or in a race if *delay* (seconds between two starts) is given. Raises
    OSError if all fail, or with *all_errors* an ExceptionGroup of the causes.
    """
    failures: list[list[OSError]] = []
    sock = None
    if delay is None:
        for info in infos:
            try:
                sock = await _connect_one(loop, info, local_infos, failures)
                break
            except OSError:
                continue
    else:
        sock = await _race(loop, infos, local_infos, failures, delay)
    if sock is not None:
        return sock
    errors = [error for attempt in failures for error in attempt]
    try:
        if all_errors:
            raise ExceptionGroup("create_connection failed", errors)
        if not errors:  # every attempt was cut short before it had an error of its own
            raise TimeoutError("create_connection failed")
        if len({str(error) for error in errors}) == 1:
            raise errors[0]
        raise OSError(f"Multiple exceptions: {', '.join(str(error) for error in errors)}")
    finally:
        del errors, failures  # the traceback would hold them, and they the traceback


async def _connect_one(
    loop: Loop, info: AddrInfo, local_infos: Sequence[AddrInfo] | None, failures: list[list[OSError]]
) -> socket.socket:
    """A socket connected to one address. Its errors also go to *failures*, in the order of the attempts."""
    mine: list[OSError] = []
    failures.append(mine)
    family, kind, proto, _, address = info
    sock = None
    try:
        sock = socket.socket(family=family, type=kind, proto=proto)
        sock.setblocking(False)
        if local_infos is not None:
            _bind_any(sock, family, local_infos, mine)
        await loop.sock_connect(sock, address)
        return sock
    except OSError as exc:
        mine.append(exc)
        _close_quietly(sock)
        raise
    except BaseException:
        _close_quietly(sock)
        raise
    finally:
        del mine, failures


def _bind_any(
    sock: socket.socket, family: int, local_infos: Sequence[AddrInfo], failures: list[OSError]
) -> None:
    """Bind *sock* to the first address that it can have. Errors go to *failures*, but for the one raised."""
    try:
        for local_family, _, _, _, address in local_infos:
            if local_family != family:
                continue
            try:
                sock.bind(address)
                return
            except OSError as exc:
                failures.append(addresses.bind_error(address, exc))
        if failures:
            raise failures.pop()
        raise OSError(f"no matching local address with {family=} found")
    finally:
        del failures  # our caller adds to it what we raise, whose traceback leads here


def _close_quietly(sock: socket.socket | None) -> None:
    if sock is not None:
        try:
            sock.close()
        except OSError:
            pass  # the connection's own error is the one to tell


async def _race(
    loop: Loop,
    infos: Sequence[AddrInfo],
    local_infos: Sequence[AddrInfo] | None,
    failures: list[list[OSError]],
    delay: float,
) -> socket.socket | None:
    """The first socket to be connected, or None. No attempt outlives the call."""
    waiting = list(infos)
    running: set[asyncio.Task[socket.socket]] = set()
    winner: socket.socket | None = None
    try:
        while winner is None and (waiting or running):
            if waiting:
                running.add(loop.create_task(_connect_one(loop, waiting.pop(0), local_infos, failures)))
            done, running = await asyncio.wait(
                running, timeout=delay if waiting else None, return_when=asyncio.FIRST_COMPLETED
            )
            for task in done:
                winner = _settle(task, winner)
    finally:
        for task in running:
            task.cancel()
        if running:
            done, _ = await asyncio.wait(running)
            for task in done:
                winner = _settle(task, winner)
        if winner is not None and sys.exc_info()[0] is not None:
            winner.close()  # we were cancelled ourselves
    return winner


def _settle(task: asyncio.Task[socket.socket], winner: socket.socket | None) -> socket.socket | None:
    """Take the result of a finished attempt: its socket if there is no winner yet."""
    if task.cancelled():
        return winner
    error = task.exception()
    if error is not None:
        if not isinstance(error, OSError):
            raise error
        return winner
    sock = task.result()
    if winner is None:
        return sock
    sock.close()
    return winner
