"""One client's connection to the server under examination. Whatever the server does, nothing here hangs.

Two limits hold for each wait: `Patience.each` seconds without any progress, and the end of the whole check (a
server that answers one byte a second makes progress all the time).
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import socket
import struct
import termios
from typing import TYPE_CHECKING, Self

from .patience import Trouble

if TYPE_CHECKING:
    from .patience import Patience

__all__ = ["Talk", "call"]

CHUNK = 65536

#: How many bytes of what was sent or received are quoted in a message.
QUOTED = 40

#: The first byte of `struct tcp_info`, when the other end has closed and we have not (net/tcp_states.h).
CLOSE_WAIT = 8


def call(address: tuple[str, int], patience: Patience, *, small: bool = False) -> Talk:
    """Connect to a server. Raises Trouble if it does not take the connection.

    Args:
        address: the server's host and port.
        patience: how long each wait may take, then and later.
        small: make the kernel's buffers on our side tiny, so that the server's sends become partial early.
    """
    talk = Talk(socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET), patience)
    try:
        if small:
            talk.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            # Not as tiny: on the loopback less than a segment of 64 KiB is sent by a timer only.
            talk.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        talk.connect(address)
    except BaseException:
        talk.sock.close()
        raise
    return talk


class Talk:
    """A connection, from either end.

    Args:
        sock: its socket, which is closed with it.
        patience: how long each wait may take.
    """

    def __init__(self, sock: socket.socket, patience: Patience) -> None:
        self._patience = patience
        self.sock = sock
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.port = 0

    def connect(self, address: tuple[str, int]) -> None:
        """Connect it. Raises Trouble if nobody takes the connection."""
        error = self.sock.connect_ex(address)
        if error == errno.EINPROGRESS:
            if not self._wait(select.POLLOUT):
                raise Trouble("unaccepted", seconds=self._patience.each)
            error = self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            raise Trouble("refused", error=os.strerror(error))
        self.port = self.sock.getsockname()[1]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        # After a fault the server is started again, maybe on the same port: no connection may linger there.
        self.close() if kind is None else self.reset()

    def close(self) -> None:
        """Say goodbye, as a program that ends does.

        But to a server that has closed first, break it off: else its end of the connection stays in TIME_WAIT
        and holds its port for a minute, in which a server without SO_REUSEADDR cannot be started.
        """
        if self.sock.fileno() >= 0 and self._left_alone():
            self.reset()
        self.sock.close()

    def _left_alone(self) -> bool:
        return self.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 8)[0] == CLOSE_WAIT

    def reset(self) -> None:
        """Break the connection off, as a machine that crashes and comes back does."""
        if self.sock.fileno() >= 0:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.sock.close()

    def end(self) -> None:
        """Send the end of the stream; the answers may still come. Raises Trouble if it is lost."""
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError as error:
            raise Trouble("broken", error=error.strerror) from None

    def send(self, data: bytes) -> None:
        """Send all of it. Raises Trouble if the server does not take it."""
        self.exchange(data, b"")

    def ask(self, question: bytes, answer: bytes) -> None:
        """Send, and receive exactly this answer. Raises Trouble if anything else happens."""
        self.exchange(question, answer)

    def receive(self, answer: bytes) -> None:
        """Receive exactly this answer. Raises Trouble if anything else comes."""
        self.exchange(b"", answer)

    def exchange(self, data: bytes, answer: bytes) -> None:
        """Send and receive at the same time, so that neither end waits for the other one to read first."""
        rest = memoryview(data)
        received = 0
        while rest or received < len(answer):
            ready = self._wait(
                (select.POLLOUT if rest else 0) | (select.POLLIN if received < len(answer) else 0)
            )
            if not ready:
                raise Trouble("silent", seconds=self._patience.each, got=received, wanted=len(answer))
            if rest and ready & select.POLLOUT:
                rest = rest[self._send(rest) :]
            if received < len(answer) and ready & ~select.POLLOUT:
                chunk = self._recv(min(CHUNK, len(answer) - received))
                if not chunk:
                    raise Trouble("closed", got=received, wanted=len(answer))
                self._compare(chunk, answer, received)
                received += len(chunk)

    def pour(self, data: memoryview) -> int:
        """Send what is taken at once; how many bytes it was."""
        sent = 0
        while sent < len(data) and (taken := self._send(data[sent : sent + CHUNK])):
            sent += taken
        return sent

    def line(self) -> bytes:
        """What comes until a line is whole; b"" if nothing comes; less than a line if no more comes."""
        data = b""
        while not data.endswith(b"\n") and self._wait(select.POLLIN):
            chunk = self._recv(CHUNK)
            if not chunk:
                raise Trouble("closed", got=len(data), wanted=len(data) + 1)
            data += chunk
        return data

    def anything(self) -> bytes:
        """Whatever comes, at least a byte. Raises Trouble if nothing does."""
        if not self._wait(select.POLLIN):
            raise Trouble("mute", seconds=self._patience.each)
        data = self._recv(CHUNK)
        if not data:
            raise Trouble("closed", got=0, wanted=1)
        return data

    def clear(self) -> None:
        """Take what has come so far and forget it. A connection that has ended or is lost is not noticed."""
        try:
            while self.sock.recv(CHUNK):
                pass
        except OSError:
            pass

    def hears_or_ends(self) -> bool:
        """Whether anything came, the end of the connection included, before patience was over."""
        return bool(self._wait(select.POLLIN))

    @property
    def delivered(self) -> bool:
        """Whether all that was sent has arrived at the other end's kernel."""
        return self._count(termios.TIOCOUTQ) == 0

    @property
    def waiting(self) -> int:
        """How many bytes have come that were not received here yet."""
        return self._count(termios.FIONREAD)

    @property
    def unsent(self) -> int:
        """How many bytes that were sent here the other end's kernel has not taken yet."""
        return self._count(termios.TIOCOUTQ)

    def _count(self, request: int) -> int:
        if self.sock.fileno() < 0:
            return 0
        found: int = struct.unpack("i", fcntl.ioctl(self.sock, request, b"\0\0\0\0"))[0]
        return found

    def _wait(self, events: int) -> int:
        return self._patience.wait(lambda seconds: self._ready(events, seconds))

    def _ready(self, events: int, seconds: float) -> int:
        poll = select.poll()
        poll.register(self.sock, events)
        found = poll.poll(seconds * 1000)
        return found[0][1] if found else 0

    def _send(self, data: memoryview) -> int:
        try:
            return self.sock.send(data)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise Trouble("broken", error=error.strerror) from None

    def _recv(self, size: int) -> bytes:
        try:
            return self.sock.recv(size)
        except OSError as error:
            raise Trouble("broken", error=error.strerror) from None

    @staticmethod
    def _compare(chunk: bytes, answer: bytes, at: int) -> None:
        wanted = answer[at : at + len(chunk)]
        if chunk != wanted:
            pairs = enumerate(zip(chunk, wanted, strict=True))
            first = next(number for number, (got, right) in pairs if got != right)
            here = slice(first, first + QUOTED)
            raise Trouble("wrong", at=at + first, wanted=wanted[here], got=chunk[here])
