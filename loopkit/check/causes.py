"""Why a server does not answer, as far as the kernel lets one look: in which system call it sleeps, on what.

A server that sleeps in its poller may have forgotten somebody. One that sleeps in `recv`, `send`, `accept` or
`sleep` serves nobody meanwhile, and which of these it is says what to change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import process, sockets

if TYPE_CHECKING:
    from .server import Server

__all__ = ["cause", "held_up"]


def cause(server: Server) -> str:
    """The name of a text that says in what the server waits; empty if it is in nothing that says anything."""
    if server.pid is None:
        return ""
    server.settle()
    for thread in process.tasks(process.family(server.pid)):
        if (found := process.syscall(thread)) is not None and (name := _named(server, thread[0], *found)):
            return name
    return ""


def held_up(pid: int | None) -> str:
    """The name of a text that says why a client does not end: a thread of it reads the keyboard."""
    if pid is None:
        return ""
    calls = [process.syscall(thread) for thread in process.tasks(process.family(pid))]
    return "in-keyboard" if ("read", 0) in calls else ""


def _named(server: Server, pid: int, call: str, argument: int) -> str:
    if call == "sleep":
        return "in-sleep"
    if call in ("recv", "send", "read", "write", "writev") and process.blocks(pid, argument):
        door = sockets.listener(pid, server.address[1])
        if call in ("read", "write", "writev") and not sockets.is_socket(pid, argument):
            return "in-file" if argument > 2 else ""
        direction = "recv" if call in ("recv", "read") else "send"
        # accept() gives blocking sockets whatever the listener is: the usual surprise.
        surprised = door is not None and process.blocks(pid, door) is False
        return f"in-{direction}-accepted" if surprised else f"in-{direction}"
    return {"accept": "in-accept", "connect": "in-connect", "wait": "in-wait"}.get(call, "")
