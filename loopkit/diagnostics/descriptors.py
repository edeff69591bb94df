"""The fd table in words: who holds a descriptor, what it waits for, what lies unsent in it; and what the
kernel has that the loop does not know.

Peers and times are the kernel's own: TCP_INFO counts bytes and remembers when the last ones came and went, so
that nobody has to count them as they pass.
"""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import struct
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..pollers.masks import POLLERR, POLLHUP, POLLIN, POLLOUT
from .instruments import instruments
from .stacks import cut, unwrapped

if TYPE_CHECKING:
    from ..loop import Loop

__all__ = ["Descriptor", "fds"]

#: Offsets in struct tcp_info: milliseconds since data was last sent, and received; bytes acked, and received.
_LAST_SENT, _LAST_RECEIVED, _BYTES = 44, 52, 120
#: The state, in the first byte of it, of a connection whose peer has closed.
_CLOSE_WAIT = 8


@dataclass(frozen=True, slots=True)
class Descriptor:
    """One open descriptor of the process, or of the loop's table."""

    fd: int
    #: ``"connection"``, ``"server"``, ``"datagram"``, ``"pipe"``, ``"sock_*"``, ``"add_reader"``,
    #: ``"loop"`` (its own), or ``"unknown"``: the kernel has it, the loop does not know it.
    kind: str
    #: Who holds it, in words.
    owner: str
    #: Masks of `select`: what somebody waits for, and what the poller has been told.
    wanted: int = 0
    armed: int = 0
    #: Addresses in words; empty if there are none.
    local: str = ""
    peer: str = ""
    #: Bytes that were written and have not left the process.
    unsent: int = 0
    #: Seconds since the last byte came or went; None if the kernel does not say.
    idle: float | None = None
    #: Bytes that came, and that were sent and confirmed; None if the kernel does not say.
    received: int | None = None
    sent: int | None = None
    #: Whether the peer of a TCP connection has closed its end, and nobody has closed this one.
    ended: bool = False


def fds(loop: Any) -> list[Descriptor]:
    """Every descriptor that *loop* knows, by number; then those that only the kernel knows.

    May be called from any thread. Raises TypeError if *loop* is not loopkit's, RuntimeError if it is closed.
    """
    instruments(loop)
    known = {fd: _of_entry(loop, fd, entry) for fd, entry in sorted(loop._watches.entries.items())}
    for fd, words in _own(loop).items():
        known.setdefault(fd, Descriptor(fd, "loop", words))
    others = [
        Descriptor(fd, "unknown", words, **_addresses(fd)) for fd, words in open_files() if fd not in known
    ]
    return [known[fd] for fd in sorted(known)] + others


def _own(loop: Loop) -> dict[int, str]:
    """What the loop has for itself, and does not watch."""
    signals = loop._signals
    parts = [
        (getattr(loop._watches.poller, "_epoll", None), f"the {loop.poller_name} object"),
        (loop._wakeup._sender, "the wake-up, other end"),
        (None if signals is None else signals.pair.sender, "signals, other end"),
    ]
    found = {}
    for part, words in parts:
        with contextlib.suppress(ValueError):  # closed
            if part is not None and part.fileno() >= 0:
                found[int(part.fileno())] = words
    return found


def open_files() -> list[tuple[int, str]]:
    """The open descriptors of this process, as the kernel describes them; without the one that this takes."""
    found = []
    try:
        names = os.listdir("/proc/self/fd")
    except OSError:
        return []
    for name in names:
        try:
            found.append((int(name), cut(os.readlink(f"/proc/self/fd/{name}"))))
        except OSError:
            continue  # the directory itself, or closed in the meantime
    return sorted(found)


def _of_entry(loop: Loop, fd: int, entry: Any) -> Descriptor:
    owner = entry.owner() if type(entry.owner) is weakref.ref else entry.owner
    kind, words = _kind(loop, fd, entry, owner)
    transport = owner if hasattr(owner, "get_write_buffer_size") else None
    unsent = 0
    if transport is not None:
        with contextlib.suppress(Exception):
            unsent = transport.get_write_buffer_size()
    found = Descriptor(fd, kind, words, entry.wanted(), entry.armed, unsent=unsent, **_addresses(fd))
    return found


def _kind(loop: Loop, fd: int, entry: Any, owner: Any) -> tuple[str, str]:
    if owner is not None:
        return _owner_kind(owner)
    if entry.guest is not None:
        return "sock_*", "a socket of the program's"
    callbacks = [_function(watcher) for watcher in (entry.reader, entry.writer) if watcher is not None]
    if callbacks and getattr(callbacks[0], "__self__", None) is loop._wakeup:
        return "loop", "the wake-up"
    if (signals := loop._signals) is not None and fd == signals.pair.receiver.fileno():
        return "loop", "signals"
    names = dict.fromkeys(getattr(call, "__qualname__", type(call).__qualname__) for call in callbacks)
    words = " and ".join(names) or "nobody any more"
    return "add_reader", words if entry.thing is None else f"{words}, on {cut(type(entry.thing).__name__)}"


def _function(watcher: Any) -> Any:
    """What a reader or writer calls."""
    return unwrapped(getattr(watcher, "_callback", None))


def _owner_kind(owner: Any) -> tuple[str, str]:
    protocol = getattr(owner, "_protocol", None)
    kind = type(owner).__name__
    for part, word in (
        ("Datagram", "datagram"),
        ("Pipe", "pipe"),
        ("SSL", "connection"),
        ("Stream", "connection"),
    ):
        if part in kind:
            whose = "..." if protocol is None else type(protocol).__qualname__
            words = f"{'TLS ' if part == 'SSL' else ''}{word} of {whose}"
            reader = getattr(protocol, "_stream_reader", None) or getattr(protocol, "_stream_reader_wr", None)
            return word, words + (" (streams)" if reader is not None else "")
    return "server", kind


def owner_words(loop: Loop, fd: int) -> str:
    """Whose *fd* is, shortly: for a lane of a picture."""
    entry = loop._watches.entries.get(fd)
    if entry is None:
        return "nobody"
    found = _of_entry(loop, fd, entry)
    peer = f" {found.peer}" if found.peer else f" {found.local}" if found.local else ""
    return f"{found.owner}{peer}"


def mask_words(mask: int) -> str:
    """A mask of the poller in words."""
    names = ((POLLIN, "read"), (POLLOUT, "write"), (POLLERR, "error"), (POLLHUP, "hang-up"))
    words = [word for bit, word in names if mask & bit]
    return "+".join(words) or ("-" if not mask else hex(mask))


# -- what the kernel knows -----------------------------------------------------------------------------------


def address_words(address: Any) -> str:
    if isinstance(address, tuple) and len(address) >= 2:
        host = f"[{address[0]}]" if ":" in str(address[0]) else address[0]
        return f"{host}:{address[1]}"
    if isinstance(address, bytes):
        return cut(address.decode(errors="replace"))
    return cut(str(address)) if address else ""


def _addresses(fd: int) -> dict[str, Any]:
    """Addresses, bytes and idle time of a socket, by its number: through a duplicate of it.

    Of a socket only: with any duplicate of a file that is closed, the process loses its locks on that file.
    """
    try:
        if not stat.S_ISSOCK(os.fstat(fd).st_mode):
            return {}
        duplicate = os.dup(fd)
    except OSError:
        return {}
    blocks = os.get_blocking(duplicate)
    try:
        sock = socket.socket(fileno=duplicate)
    except OSError:
        os.close(duplicate)  # it was another file's meanwhile
        return {}
    # PyPy makes every new socket a blocking one, and with it the one that it is a duplicate of: the loop's.
    os.set_blocking(duplicate, blocks)
    with sock:
        found: dict[str, Any] = {}
        with contextlib.suppress(OSError):
            found["local"] = address_words(sock.getsockname())
        with contextlib.suppress(OSError):
            found["peer"] = address_words(sock.getpeername())
        if found.get("peer") and sock.family in (socket.AF_INET, socket.AF_INET6):
            found.update(_tcp_info(sock))
        return found


def _tcp_info(sock: socket.socket) -> dict[str, Any]:
    try:
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
        (last_sent,) = struct.unpack_from("=I", info, _LAST_SENT)
        (last_received,) = struct.unpack_from("=I", info, _LAST_RECEIVED)
        acked, received = struct.unpack_from("=QQ", info, _BYTES)
        ended = info[0] == _CLOSE_WAIT
    except (OSError, AttributeError, struct.error):
        return {}
    return {"idle": min(last_sent, last_received) / 1000, "received": received, "sent": acked, "ended": ended}
