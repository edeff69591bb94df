"""Accepting connections. HOT: a server calls this for each of them.

Facts. `accept` makes a socket, a file and a descriptor before it looks at the queue: to find that nobody is
there takes it as long as to return a connection, and Python raises an exception besides. A poll of the
listening socket alone costs a tenth. And `socket.accept` turns the family and the type of every new socket
into enumerations, ten frames, before `socket.socket` turns them back into the integers they were.

Hence: accept once for an event, which stands for one connection at least, and ask before each further try;
and make the socket from the integers.
"""

from __future__ import annotations

import errno
import os
import select
import socket
from typing import Any

from ..pollers.masks import POLLIN

#: Errors that say nothing against the connection, which stays in the queue.
OUT_OF_RESOURCES = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


def _always(timeout: int) -> bool:
    return True  # where there is no poll: the next `accept` finds out


class Acceptor:
    """Takes connections from the listening socket `listener`."""

    __slots__ = ("_kind", "_poll", "listener")

    def __init__(self, listener: socket.socket) -> None:
        self.listener = listener
        self._kind = int(listener.family), int(listener.type), listener.proto
        self._poll: Any = _always
        if hasattr(select, "poll"):
            queue = select.poll()
            queue.register(listener, POLLIN)
            self._poll = queue.poll

    def accept(self) -> tuple[socket.socket, Any]:
        """A non-blocking socket, and the peer's address. Raises what ``socket.accept`` raises."""
        listener = self.listener
        # fast: without socket.accept's enumerations; see performance.md#accepting
        if type(listener) is socket.socket:
            fd, address = listener._accept()  # type: ignore[attr-defined]
            try:
                sock = socket.socket(*self._kind, fd)
            except BaseException:  # Ctrl-C
                os.close(fd)
                raise
        else:  # it may have an accept of its own
            sock, address = listener.accept()
        sock.setblocking(False)
        return sock, address

    def has_more(self) -> bool:
        """Whether somebody is waiting to be accepted."""
        return bool(self._poll(0))
