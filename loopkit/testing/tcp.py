"""TCP of the simulated kernel: connections with their handshakes, buffers, ends and resets.

The names of the states in the comments are Linux's; see `streams.py`.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any, ClassVar

from .families import BOTH, READ, WRITE, Internet
from .files import fail_if, failure
from .network import Flow, takes
from .streams import Stream

if TYPE_CHECKING:
    from .hosts import Host

SEGMENT = 64 * 1024

#: What a connection has from its listener.
INHERITED = "reuses_address", "reuses_port", "is_v6only", "linger", "send_size", "receive_size"

#: SO_LINGER of a socket whose close is a reset: on, for no seconds.
HARD = (1).to_bytes(4, "little") + bytes(4)


class Tcp(Internet, Stream):
    """A TCP socket."""

    kind = "tcp"
    deaf: ClassVar = {"listening": errno.ENOTCONN}

    def __init__(self, host: Host, family: int) -> None:
        super().__init__(host, family)
        #: sock->state: what `connect` goes by.
        self.progress = "unconnected"  # "connecting", "connected", "disconnecting"
        self.unsent = bytearray()
        self.under_way = 0
        self.fin = ""  # "waits" behind what is unsent, "sent"
        self.flow: Flow = None  # type: ignore[assignment]  # from connect on

    @property
    def is_writable(self) -> Any:
        return self.shut & WRITE or len(self.unsent) * 3 <= self.send_size * 2

    # -- listening -------------------------------------------------------------------------------------------

    def listen(self, backlog: int) -> None:
        is_other = self.progress != "unconnected" or self.state not in ("closed", "listening")
        fail_if(is_other, errno.EINVAL)
        self.bind_itself()
        if self.state != "listening":
            self.host.ports.check_listen(self)
            self.state, self.shut = "listening", 0
        self.backlog = min(max(backlog, 0), 4096)
        self.changed()

    # -- connecting ------------------------------------------------------------------------------------------

    def connect(self, address: Any) -> None:
        fail_if(self.progress == "connected", errno.EISCONN)
        fail_if(self.progress == "disconnecting", errno.EINVAL)
        if self.progress == "unconnected":
            fail_if(self.state != "closed", errno.EISCONN)
            self._call(*address[:2])
            self.progress = "connecting"
            raise failure(errno.EINPROGRESS)
        fail_if(self.state == "connecting", errno.EALREADY)
        if self.state == "closed":
            code = self.take_error() or errno.ECONNABORTED
            self._disconnect()
            raise failure(code)
        self.progress = "connected"

    def _disconnect(self) -> None:
        self.progress, self.state, self.shut, self.fin = "unconnected", "closed", 0, ""
        self.is_at_end, self.remote = False, None
        self.received.clear()
        self.unsent.clear()

    def _call(self, host: str, port: int) -> None:
        host, target = self.reach(host)
        fail_if(port == 0, errno.ECONNREFUSED)
        self.bind_itself()
        self.local, self.remote = self.local_to(host), self.address(host, port)
        self.state, self.shut, self.error = "connecting", 0, 0
        self.flow = Flow(self.host, target, self._timed_out)
        self.flow.send(60, self._knock, target)

    def _knock(self, target: Host) -> bool:
        """Our SYN has come to *target*. False: nobody answers it."""
        if self.state != "connecting":
            return True
        listeners = [
            other
            for other in target.ports.users("tcp", self.remote[1])
            if other.state == "listening" and takes(other, self.family, self.remote[0])
        ]
        back = Flow(target, self.host)
        if not listeners:
            back.send(40, self.on_reset)
            return True
        exact = [other for other in listeners if other.local[0] == self.remote[0]]
        listeners = exact or listeners
        listener = listeners[self.world.choices.ask("net", len(listeners) - 1) if len(listeners) > 1 else 0]
        if listener.is_full:
            return False
        self.flow.is_syn = back.is_syn = False
        child = Tcp(target, listener.family)
        child.options = dict(listener.options)
        for name in INHERITED:
            setattr(child, name, getattr(listener, name))
        child.local, child.remote = child.address(*self.remote[:2]), child.address(*self.local[:2])
        child.is_bound = True
        target.ports.add(child, child.local[1])
        child.state, child.progress, child.peer = "connected", "connected", self
        child.flow, back.on_give_up = back, child._timed_out
        back.send(60, self._answered, child, listener)
        return True

    def _answered(self, child: Tcp, listener: Tcp) -> None:
        if self.state != "connecting":
            Flow(self.host, child.host).send(40, child.on_reset)
            return
        self.state, self.peer = "connected", child
        self.changed()
        self.flow.send(40, self._queued, child, listener)

    def _queued(self, child: Tcp, listener: Tcp) -> None:
        if listener.state != "listening":
            child.abort()
            return
        listener.clients.append(child)
        listener.changed()

    # -- sending ---------------------------------------------------------------------------------------------

    def send(self, data: Any) -> int:
        if self.error or self.state != "connected" or self.shut & WRITE:
            self.raise_error()
            raise failure(errno.EAGAIN if self.state == "connecting" else errno.EPIPE)
        piece = self.fitting(data, self.send_size - len(self.unsent) - self.under_way)
        self.unsent += piece
        self._pump()
        return len(piece)

    def _pump(self) -> None:
        peer = self.peer
        while self.unsent:
            window = peer.receive_size - len(peer.received) - self.under_way
            if window <= 0 and not peer.is_orphan:
                return
            chunk = bytes(self.unsent[: min(max(window, 1), SEGMENT)])
            del self.unsent[: len(chunk)]
            self.under_way += len(chunk)
            self.flow.send(len(chunk) + 40, self._delivered, chunk)
        if self.fin == "waits":
            self.fin = "sent"
            self.flow.send(40, self._end_delivered)

    def _delivered(self, chunk: bytes) -> None:
        self.under_way -= len(chunk)
        peer = self.peer
        if peer.is_orphan or peer.state == "closed":
            peer.flow.send(40, self.on_reset)
            return
        peer.received += chunk
        peer.changed()
        if self.unsent:
            self._pump()
        self.changed()

    def read_some(self) -> None:
        peer = self.peer
        if peer is not None and peer.unsent and not self.flow.link.is_cut:
            # The window update takes its time, too.
            self.flow.send(40, peer._on_window)

    def _on_window(self) -> None:
        if self.state == "connected" or self.is_orphan:
            self._pump()
            self.changed()

    # -- ending ----------------------------------------------------------------------------------------------

    def shutdown(self, how: int) -> None:
        if self.progress == "connecting":
            self.progress = "connected" if self.state == "connected" else "disconnecting"
        if self.state == "connecting":
            self.flow.drop()
            self._disconnect()
        elif self.state != "listening":
            super().shutdown(how)
            fail_if(self.state == "closed", errno.ENOTCONN)
            if self.shut & WRITE:
                self._say_end()
        elif how != 1:  # SHUT_WR
            self.refuse_clients()
            self._disconnect()
        self.changed()

    def _say_end(self) -> None:
        if not self.fin:
            self.fin = "waits"
            self._pump()

    def _end_delivered(self) -> None:
        peer = self.peer
        if peer.state == "connected":
            peer.is_at_end = True
            peer.shut |= READ
            peer.changed()
            if self.is_at_end:  # both have ended; the port of the side that ended first waits
                peer._end(waits=True)
        if self.is_at_end:
            self._end()
        self.changed()

    def on_reset(self) -> None:
        """The peer has reset the connection, or refuses it."""
        if self.state == "connecting":
            self._end(errno.ECONNREFUSED)
        elif self.state == "connected":
            self._end(errno.EPIPE if self.is_at_end else errno.ECONNRESET)

    def _timed_out(self) -> None:
        if self.state in ("connecting", "connected"):
            self._end(errno.ETIMEDOUT)

    def _end(self, code: int = 0, waits: bool = False) -> None:
        """There is no connection any more, because of the error *code*, if any."""
        if code or self.state == "connecting":
            self.flow.drop()
        self.error, self.state, self.shut = code or self.error, "closed", BOTH
        self.unsent.clear()
        if self.is_orphan or not self.is_locked:
            self.release_port(waits)
        self.changed()

    def abort(self) -> None:
        """Have no connection any more, and reset that which there is."""
        was_connected = self.state == "connected"
        self.refuse_clients()
        self.is_orphan = True
        self._end()
        if was_connected:
            self.flow.send(40, self.peer.on_reset)

    def vanish(self) -> None:
        for client in self.clients:
            client.vanish()
        if self.flow is not None:
            self.flow.drop()
        self.is_orphan = True
        self._end()

    def release(self) -> None:
        if self.state == "connected" and not self.received and self.linger != HARD:
            self.is_orphan, self.shut = True, BOTH
            self._say_end()
        else:
            self.abort()
