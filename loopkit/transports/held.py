"""Held writes, and how nobody comes to notice them.

Small writes made during a callback of the loop are held until that callback returns, and leave together
(`stream.py`). Held bytes have not been sent, though the program was told so. It must not be able to lose,
double or reorder one by whatever else it does with the same file. Hence:

- A connection is held only as long as loopkit alone can write to it: its socket was made here, by `accept` or
  `connect`. Who passes a socket (`sock=`) may keep it, or its number, or a dup; such a connection is written
  to at once, always.
- What the program sees of our socket is a `WatchedSocket`. Each of its methods that can tell, or do,
  something about what was written has it sent first; those that give the file away (`fileno`, `dup`, `_sock`)
  end the holding for good. Names, family and type do neither: servers ask for them all the time.
- Before a fork everything held in this thread is sent (`loop.py`): the child has a copy of it. What other
  threads hold is theirs to send, and is dropped in the child.
- Only the thread that runs the loop holds, and only while a callback is running that ends in a flush.

What is left is a callback that writes and then ends the process without another word to Python (`os._exit`,
`os.exec*`, a crash), or that blocks: see `docs/explanation/differences.md`.
"""

from __future__ import annotations

import weakref
from asyncio.trsock import TransportSocket
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import socket

    from ..loop import Loop
    from .stream import StreamTransport


def send_all(loop: Loop) -> None:
    """Have everything sent that is held, whoever raises meanwhile; then let the last exception out."""
    holding, failed = list(loop._unsent), []
    if loop._gathering is not None:
        holding.append(loop._gathering)
    for transport in holding:
        try:
            transport._send_held()
        except BaseException as exc:
            failed.append(exc)
    if not loop.is_running():
        loop._gathering = None
        loop._unsent.clear()
    if failed:
        raise failed.pop()


class WatchedSocket(TransportSocket):
    """The `asyncio.trsock.TransportSocket` of a connection whose writes may be held."""

    __slots__ = ("_real", "_transport")

    def __init__(self, sock: socket.socket, transport: StreamTransport) -> None:
        self._real = sock
        self._watch(transport)

    def _watch(self, transport: StreamTransport) -> None:
        self._transport = weakref.ref(transport)  # which refers to us

    def _written(self) -> socket.socket:
        """The socket, with all that was written to it."""
        transport = self._transport()
        if transport is not None:
            transport._send_held()
        return self._real

    @property
    def _sock(self) -> socket.socket:
        """The socket, which somebody else may use from now on."""
        transport = self._transport()
        if transport is not None:
            transport._stop_holding()
        return self._real

    # What gives the file away: fileno and dup are inherited, and go by `_sock`.

    # What may have to do with what was written:

    def shutdown(self, how: int) -> None:
        self._written().shutdown(how)

    def getsockopt(self, *args: Any) -> Any:
        return self._written().getsockopt(*args)

    def setsockopt(self, *args: Any) -> None:
        self._written().setsockopt(*args)

    # What has not:

    @property
    def family(self) -> int:
        return self._real.family

    @property
    def type(self) -> int:
        return self._real.type

    @property
    def proto(self) -> int:
        return self._real.proto

    def getpeername(self) -> Any:
        return self._real.getpeername()

    def getsockname(self) -> Any:
        return self._real.getsockname()

    def get_inheritable(self) -> bool:
        return self._real.get_inheritable()

    def __repr__(self) -> str:
        return repr(TransportSocket(self._real))
