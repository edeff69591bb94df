"""TCP of the simulated kernel: connections with their handshakes, buffers, ends and resets.

The names of the states in the comments are Linux's; see `streams.py`.
"""

from __future__ import annotations

import errno
import socket
from select import POLLERR, POLLHUP, POLLIN, POLLOUT
from typing import TYPE_CHECKING, Any

from .files import failure
from .network import Flow, takes
from .streams import BOTH, READ, SEGMENT, WRITE, Stream

if TYPE_CHECKING:
    from .hosts import Host
    from .world import World


class Tcp(Stream):
    """A TCP socket."""

    protocol = kind = "tcp"

    def __init__(self, world: World, host: Host, family: int) -> None:
        super().__init__(world, host)
        self.family = family
        #: sock->state: what `connect` goes by.
        self.progress = "unconnected"  # "connecting", "connected", "disconnecting"
        self.is_at_end = False  # the peer's FIN has come
        self.is_bound = False
        self.reuses_address = self.reuses_port = self.is_v6only = False
        self.linger: int | None = None
        self.unsent = bytearray()
        self.under_way = 0
        self.flow: Flow = None  # type: ignore[assignment]  # from connect on
        self.is_orphan = False
        self.says_end = False  # a FIN follows what is unsent
        self.end_arrived = False
        any_address = "::" if family == socket.AF_INET6 else "0.0.0.0"
        self.local = self._address(any_address, 0)

    def _address(self, host: str, port: int) -> Any:
        return (host, port, 0, 0) if self.family == socket.AF_INET6 else (host, port)

    def readiness(self) -> int:
        if self.state == "listening":
            return POLLIN if self.clients else 0
        mask = POLLERR if self.error else 0
        if self.shut == BOTH or self.state == "closed":
            mask |= POLLHUP
        if self.shut & READ:
            mask |= POLLIN
        if self.state != "connecting":
            if self.received:
                mask |= POLLIN
            if self.shut & WRITE or len(self.unsent) * 3 <= self.send_size * 2:
                mask |= POLLOUT
        return mask

    # -- addresses -------------------------------------------------------------------------------------------

    def bind(self, address: Any) -> None:
        if self.is_bound or self.state != "closed":
            raise failure(errno.EINVAL)
        host, port = address[:2]
        if not self.host.has(host):
            raise failure(errno.EADDRNOTAVAIL)
        self.local = self._address(host, self.host.ports.bind(self, host, port))
        self.is_bound = True

    def _release_port(self, waits: bool = False) -> None:
        if self.is_bound:
            self.is_bound = False
            self.host.ports.release(self, self.local[1], waits)

    def peername(self) -> Any:
        if self.remote is None or self.state in ("closed", "connecting", "listening"):
            raise failure(errno.ENOTCONN)
        return self.remote

    # -- listening -------------------------------------------------------------------------------------------

    def listen(self, backlog: int) -> None:
        if self.progress != "unconnected" or self.state not in ("closed", "listening"):
            raise failure(errno.EINVAL)
        if not self.is_bound:
            self.bind(self.local)
        if self.state != "listening":
            self.host.ports.check_listen(self)
            self.state, self.shut = "listening", 0
        self.backlog = max(backlog, 0) if backlog < 4096 else 4096
        self.changed()

    def _stop_listening(self) -> None:
        self.state = "closed"
        while self.clients:
            self.clients.popleft().abort()

    # -- connecting ------------------------------------------------------------------------------------------

    def connect(self, address: Any) -> None:
        host, port = address[:2]
        if self.progress == "connected":
            raise failure(errno.EISCONN)
        code = errno.EALREADY
        if self.progress in ("unconnected", "disconnecting"):
            if self.progress == "disconnecting":
                raise failure(errno.EINVAL)
            if self.state != "closed":
                raise failure(errno.EISCONN)
            self._call(host, port)
            self.progress, code = "connecting", errno.EINPROGRESS
            raise failure(code)
        if self.state == "connecting":
            raise failure(code)
        if self.state == "closed":
            code = self.take_error() or errno.ECONNABORTED
            self._disconnect()
            raise failure(code)
        self.progress = "connected"

    def _disconnect(self) -> None:
        self.progress, self.state, self.shut = "unconnected", "closed", 0
        self.is_at_end = self.says_end = self.end_arrived = False
        self.remote = None
        self.received.clear()
        self.unsent.clear()

    def _call(self, host: str, port: int) -> None:
        target = self.host.world.network.host_at(self.host, host)
        if target is None or port == 0:
            raise failure(errno.ENETUNREACH if target is None else errno.ECONNREFUSED)
        loopback = "::1" if self.family == socket.AF_INET6 else "127.0.0.1"
        if host in ("0.0.0.0", "::"):
            host = loopback
        own = self.local[0]
        if own in ("0.0.0.0", "::"):
            own = self.host.address_to(host, self.family)
        if not self.is_bound:
            self.local = self._address(own, self.host.ports.bind(self, own, 0))
            self.is_bound = True
        else:
            self.local = self._address(own, self.local[1])
        self.remote = self._address(host, port)
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
        back = Flow(target, self.host, lambda: None)
        if not listeners:
            back.send(40, self.on_reset)
            return True
        exact = [other for other in listeners if other.local[0] == self.remote[0]]
        listeners = exact or listeners
        listener = listeners[self.world.choices.ask("net", len(listeners) - 1) if len(listeners) > 1 else 0]
        if listener.is_full:
            return False
        self.flow.is_syn = False
        child = Tcp(self.world, target, listener.family)
        child.local, child.remote = child._mapped(self.remote), child._mapped(self.local)
        child.state, child.progress, child.peer = "connected", "connected", self
        child.flow = back
        back.is_syn, back.on_give_up = False, child._timed_out
        child.options = dict(listener.options)
        child.send_size, child.receive_size = listener.send_size, listener.receive_size
        back.send(60, self._answered, child, listener)
        return True

    def _mapped(self, address: Any) -> Any:
        host, port = address[:2]
        if self.family == socket.AF_INET6 and ":" not in host:
            host = f"::ffff:{host}"
        return self._address(host, port)

    def _answered(self, child: Tcp, listener: Tcp) -> None:
        if self.state != "connecting":
            Flow(self.host, child.host, lambda: None).send(40, child.on_reset)
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

    def _timed_out(self) -> None:
        if self.state in ("connecting", "connected"):
            self._end_with(errno.ETIMEDOUT)

    # -- sending ---------------------------------------------------------------------------------------------

    def send(self, data: Any) -> int:
        if self.state != "connected":
            self.raise_error()
            raise failure(errno.EAGAIN if self.state == "connecting" else errno.EPIPE)
        self.raise_error()
        if self.shut & WRITE:
            raise failure(errno.EPIPE)
        room = self.send_size - len(self.unsent) - self.under_way
        if room <= 0 and len(data):
            raise failure(errno.EAGAIN)
        count = self.cut(min(room, len(data)), "write")
        self.unsent += data[:count]
        self._pump()
        return count

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
        if self.says_end:
            self.says_end = False
            self.flow.send(40, self._end_delivered)

    def _delivered(self, chunk: bytes) -> None:
        self.under_way -= len(chunk)
        peer = self.peer
        if peer.is_orphan or peer.state == "closed":
            if not peer.was_reset:
                peer.flow.send(40, self.on_reset)
            return
        peer.received += chunk
        peer.changed()
        if self.unsent:
            self._pump()
        if self.numbers:
            self.changed()

    def _end_delivered(self) -> None:
        peer = self.peer
        self.end_arrived = True
        if peer.state == "connected":
            peer.is_at_end = True
            peer.shut |= READ
            if peer.end_arrived:
                peer._finish(waits=True)
            peer.changed()
        if self.is_at_end:
            self._finish(waits=False)
        self.changed()

    def _finish(self, waits: bool) -> None:
        """Both directions have ended. The port of the side that ended first waits."""
        self.state, self.shut = "closed", BOTH
        if self.is_orphan:
            self._release_port(waits)

    # -- receiving -------------------------------------------------------------------------------------------

    def recv(self, size: int, peek: bool = False) -> bytes:
        if self.state == "listening":
            raise failure(errno.ENOTCONN)
        if self.received:
            return self.take(size, peek)
        if self.is_at_end:
            return b""
        self.raise_error()
        if self.shut & READ:
            return b""
        raise failure(errno.ENOTCONN if self.state == "closed" else errno.EAGAIN)

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

    was_reset = False

    def shutdown(self, how: int) -> None:
        bits = how + 1
        if self.progress == "connecting":
            done = self.state == "connected"
            self.progress = "connected" if done else "disconnecting"
        if self.state == "listening":
            if bits & READ:
                self._stop_listening()
                self._disconnect()
        elif self.state == "connecting":
            self.flow.drop()
            self._disconnect()
            self.shut = 0
        else:
            self.shut |= bits
            if self.state == "closed":
                self.changed()
                raise failure(errno.ENOTCONN)
            if bits & WRITE:
                self._say_end()
        self.changed()

    def _say_end(self) -> None:
        if not self.says_end and not self.end_arrived and not self._end_sent:
            self._end_sent = self.says_end = True
            self._pump()

    _end_sent = False

    def abort(self) -> None:
        """Reset the connection."""
        self.is_orphan = self.was_reset = True
        if self.state == "connected" and self.peer is not None:
            self.flow.drop()
            self.unsent.clear()
            self.flow.send(40, self.peer.on_reset)
        self.state, self.shut = "closed", BOTH
        self._release_port()

    def on_reset(self) -> None:
        """The peer has reset the connection, or refuses it."""
        if self.state == "connecting":
            self._end_with(errno.ECONNREFUSED)
        elif self.state == "connected":
            self._end_with(errno.EPIPE if self.is_at_end else errno.ECONNRESET)

    def _end_with(self, code: int) -> None:
        self.error, self.state, self.shut = code, "closed", BOTH
        self.was_reset = True
        if self.flow is not None:
            self.flow.drop()
        self.unsent.clear()
        if self.is_orphan:
            self._release_port()
        self.changed()

    def release(self) -> None:
        if self.state == "listening":
            self._stop_listening()
            self._release_port()
        elif self.state == "connected":
            if self.received or self.linger == 0:
                self.abort()
            else:
                self.is_orphan = True
                self.shut = BOTH
                self._say_end()
        else:
            if self.state == "connecting":
                self.flow.drop()
            self.state, self.is_orphan = "closed", True
            self._release_port()

    def vanish(self) -> None:
        """The host is gone, without a word to anybody."""
        self.state, self.shut, self.is_orphan, self.was_reset = "closed", BOTH, True, False
        self.received.clear()
        self._release_port()
