"""Datagram transports: UDP and Unix datagram sockets. HOT: `sendto` and `on_readable`.

Some facts about datagrams

a) One `recvfrom` is one datagram, and what does not fit into its buffer is lost. UDP ends at 65,535 bytes; a
   Unix datagram is limited by the sender's buffer only, so that it is read with asyncio's 256 KiB.
b) An error belongs to the socket and not to a peer: an ICMP answer to an earlier datagram shows up in some
   later call, once. It is told to `error_received`, and the endpoint lives on.
c) `sendto` with a host name asks the resolver, and blocks until it has answered.

What we do. One event may stand for many datagrams: up to `BURST` are read before others have their turn.
Where they come one at a time the second `recvfrom` would be in vain each time, so that a vain one is not
repeated for `SINGLES` events.

Datagrams to a *name* wait, in their order, for one `loop.getaddrinfo`; those to numbers leave at once and may
overtake them, as any datagram may. They count as unsent, and `close()` waits for them. (asyncio blocks the
loop instead.)
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any

from .base import DRAINING, LOST, SocketTransport, name_of
from .flow import KIB, WriteFlow

if TYPE_CHECKING:
    from contextvars import Context

    from ..loop import Loop

INTERNET = (socket.AF_INET, socket.AF_INET6)

#: Bytes asked of one recvfrom: see fact a.
READ_SIZE = 256 * KIB
READ_SIZE_INTERNET = 64 * KIB

#: Datagrams read in one event at most, and how many events read just one after a second was not there.
BURST = 16
SINGLES = 32

#: How many addresses are remembered as numeric.
KNOWN_PEERS = 1024

#: From 3.13 on asyncio sends empty datagrams, and counts a header for each that waits.
SENDS_EMPTY = sys.version_info >= (3, 13)
HEADER_SIZE = 8 if SENDS_EMPTY else 0

FATAL_WRITE = "Fatal write error on datagram transport"


class DatagramTransport(SocketTransport, WriteFlow, asyncio.DatagramTransport, asyncio.Transport):
    """A datagram endpoint. An `asyncio.Transport` too, as asyncio's own are: programs check for that."""

    __slots__ = (
        "_address",  # where everything goes, if the endpoint was made with a remote address
        "_backlog",  # (data, address) of what the kernel did not take yet
        "_backlog_size",  # its bytes, with those of _unresolved
        "_connected",  # the kernel knows the peer: `send` without an address will do
        "_numeric",  # addresses of late that no resolver has to be asked for
        "_single",  # so many events to come read one datagram each
        "_unresolved",  # address with a host name -> datagrams that wait for the resolver
        "max_size",  # bytes asked of one recvfrom
    )

    def __init__(
        self,
        loop: Loop,
        sock: socket.socket,
        protocol: asyncio.BaseProtocol,
        address: Any,
        context: Context,
    ) -> None:
        super().__init__(loop, sock, context, name_of(sock.getpeername), None)
        self._protocol = protocol
        self._address = address
        self._backlog: deque[tuple[bytes, Any]] = deque()
        self._backlog_size = self._single = 0
        self._unresolved: dict[Any, list[bytes]] = {}
        self._numeric: set[Any] = set()
        self.max_size = READ_SIZE_INTERNET if sock.family in INTERNET else READ_SIZE
        self._connected = self._known is not None
        self.get_extra_info("sockname")  # now: sending binds a socket that is not bound yet
        self._callback = self.on_readable

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Have *protocol* receive from now on."""
        self._protocol = protocol

    # -- reading ---------------------------------------------------------------------------------------------

    def on_readable(self) -> None:
        """The kernel has datagrams, or the error of an earlier one."""
        single = self._single
        if single:
            self._single = single - 1
        for count in range(1 if single else BURST):
            if not self.is_reading():
                return
            try:
                data, address = self._socket.recvfrom(self.max_size)
            except (BlockingIOError, InterruptedError):
                if count == 1:
                    self._single = SINGLES
                return
            except OSError as exc:
                self._protocol.error_received(exc)
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as exc:
                self._fatal_error(exc, "Fatal read error on datagram transport")
            else:
                self._protocol.datagram_received(data, address)

    # -- writing ---------------------------------------------------------------------------------------------

    def sendto(self, data: bytes | bytearray | memoryview, addr: Any = None) -> None:
        """Send *data* to *addr*, or to the endpoint's remote address, as soon as the kernel takes it.

        An empty one is sent from Python 3.13 on and ignored before. Errors of the network go to
        `error_received`. Raises TypeError if *data* is not bytes-like, ValueError if the endpoint has another
        remote address. A host name in *addr* is looked up without blocking the loop (asyncio blocks).
        """
        # fast: to a known peer in one frame; see performance.md#known-peers
        if (
            type(addr) is tuple
            and addr in self._numeric
            and type(data) is bytes
            and data
            and not self._backlog
            and self._state != LOST
        ):
            try:
                self._socket.sendto(data, addr)
            except (BlockingIOError, InterruptedError):
                self._queue(data, addr)
            except OSError as exc:
                self._protocol.error_received(exc)
            return
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError(f"data argument must be a bytes-like object, not {type(data).__name__!r}")
        if not data and not SENDS_EMPTY:
            return
        if self._address:
            if addr not in (None, self._address):
                raise ValueError(f"Invalid address: must be None or {self._address}")
            addr = self._address
        if self._state == LOST:
            # An endpoint without a remote address sends until `connection_lost`, as asyncio's does.
            is_over: bool = self._socket is None  # given back: see _release
            if self._address or is_over or (addr is not None and self._is_name(addr)):
                self._note_lost_write()
            else:
                self._send(data, addr)
        elif addr is not None and self._is_name(addr):
            self._look_up(addr).append(bytes(data))
            self._backlog_size += len(data) + HEADER_SIZE
            self._maybe_pause_protocol()
        else:
            if type(addr) is tuple and not self._connected:
                if len(self._numeric) >= KNOWN_PEERS:
                    self._numeric.clear()
                self._numeric.add(addr)
            self._offer(data, addr)

    def _offer(self, data: bytes | bytearray | memoryview, addr: Any) -> None:
        if self._backlog or not self._send(data, addr):
            self._queue(bytes(data), addr)

    def _send(self, data: bytes | bytearray | memoryview, addr: Any) -> bool:
        """Give a datagram to the kernel. False if it has no room now."""
        try:
            # A peer without a name (the other end of a socketpair) can only be reached without an address.
            if self._connected and (addr is None or self._extra["peername"]):
                self._socket.send(data)
            else:
                self._socket.sendto(data, addr)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError as exc:
            self._protocol.error_received(exc)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            self._fatal_error(exc, FATAL_WRITE)
        return True

    def _queue(self, data: bytes, addr: Any) -> None:
        """The kernel does not take *data* now."""
        if not self._backlog:
            try:
                self._loop._watches.watch_write(
                    self._fd, self._loop._new_handle(self.on_writable, (), self._context)
                )
            except (OSError, ValueError) as exc:
                self._fatal_error(exc, FATAL_WRITE)
                return
        self._backlog.append((data, addr))
        self._backlog_size += len(data) + HEADER_SIZE
        self._maybe_pause_protocol()

    def on_writable(self) -> None:
        """The kernel takes datagrams again."""
        backlog = self._backlog
        for _ in range(BURST):
            if not backlog:
                break
            data, addr = datagram = backlog.popleft()
            self._backlog_size -= len(data) + HEADER_SIZE
            if not self._send(data, addr):
                backlog.appendleft(datagram)
                self._backlog_size += len(data) + HEADER_SIZE
                break
        if self._state == LOST:
            return
        self._maybe_resume_protocol()  # may send, and so fill the backlog again
        if not backlog and self._state != LOST:
            self._loop._watches.unwatch_write(self._fd)
            self._end_if_drained()

    def get_write_buffer_size(self) -> int:
        """Bytes that have not left yet; from Python 3.13 on with 8 more for each datagram."""
        return self._backlog_size

    # -- host names ------------------------------------------------------------------------------------------

    def _is_name(self, addr: Any) -> bool:
        """Whether the kernel's `sendto` would have to ask the resolver for *addr*."""
        if self._connected or self._socket.family not in INTERNET:
            return False
        if not isinstance(addr, tuple) or len(addr) < 2 or not isinstance(addr[1], int):
            return False  # the socket will say what is wrong with it
        host = addr[0].decode("latin-1") if isinstance(addr[0], bytes) else addr[0]
        if not isinstance(host, str) or ":" in host or host in {"", "<broadcast>"}:
            return False
        try:
            socket.inet_pton(socket.AF_INET, host)
        except (OSError, ValueError):
            return True
        return False

    def _look_up(self, addr: Any) -> list[bytes]:
        """The datagrams that wait until it is known what *addr* means."""
        if addr not in self._unresolved:
            self._unresolved[addr] = []
            lookup = self._loop.create_task(
                self._loop.getaddrinfo(addr[0], addr[1], family=self._socket.family, type=socket.SOCK_DGRAM)
            )
            lookup.add_done_callback(partial(self._on_resolved, addr), context=self._context)
        return self._unresolved[addr]

    def _on_resolved(self, addr: Any, lookup: asyncio.Task[list[tuple[Any, ...]]]) -> None:
        waiting = self._unresolved.pop(addr, ())
        error = None if lookup.cancelled() else lookup.exception()
        if self._state == LOST:
            return
        self._backlog_size -= sum(len(data) + HEADER_SIZE for data in waiting)
        try:
            if isinstance(error, OSError):
                self._protocol.error_received(error)
            elif error is not None:
                self._fatal_error(error, FATAL_WRITE)
            elif not lookup.cancelled():
                found = lookup.result()[0][4]
                for data in waiting:
                    self._offer(
                        data, (*found[:2], *(addr[2:] or found[2:]))
                    )  # flow and scope as the program said
        finally:
            if self._state != LOST:
                self._maybe_resume_protocol()
                self._end_if_drained()

    # -- ending ----------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Receive no more, send what waits, then close; `connection_lost(None)` follows. Idempotent."""
        if self._state >= DRAINING:
            return
        self._state = DRAINING
        self._loop._watches.unwatch_read(self._fd)
        self._end_if_drained()

    def _end_if_drained(self) -> None:
        if self._state == DRAINING and not self._backlog and not self._unresolved:
            self._lose(None)

    def _drop_unsent(self) -> None:
        self._backlog.clear()
        self._unresolved.clear()
        self._backlog_size = 0
