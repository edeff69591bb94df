"""One client's connection to the server under examination. Whatever the server does, nothing here hangs.

Two limits hold for each wait: `Patience.each` seconds without any progress, and the moment at which the whole
check must be over (a server that answers one byte a second makes progress all the time).
"""

from __future__ import annotations

import math
import select
import socket
import struct
import time
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Patience", "Talk", "Trouble"]

CHUNK = 65536

#: How many bytes of what was sent or received are quoted in a message.
QUOTED = 40


class Trouble(Exception):
    """What the server did wrong: the name of a text in `words.py`, and what goes into it."""

    def __init__(self, how: str, **values: Any) -> None:
        super().__init__(how, values)
        self.how = how
        self.values = values


class Patience:
    """How long to wait.

    Args:
        each: seconds without progress.
        altogether: seconds from now.
    """

    def __init__(self, each: float, altogether: float) -> None:
        self.each = each
        self.end = time.monotonic() + altogether
        self.altogether = altogether

    def left(self) -> float:
        """Seconds that the next wait may take. Raises Trouble if all time is up."""
        left = self.end - time.monotonic()
        if left <= 0:
            raise Trouble("late", seconds=self.altogether)
        return min(self.each, left)

    def until(self, true: Callable[[], bool], seconds: float = math.inf) -> bool:
        """Whether this becomes true in time, and in so many seconds; asked every few milliseconds."""
        end = time.monotonic() + min(self.left(), seconds)
        while not true():
            if time.monotonic() > end:
                return False
            time.sleep(0.01)
        return True


class Talk:
    """A connection.

    Args:
        address: the server's host and port.
        patience: how long each wait may take.
        small: make the kernel's buffers on our side tiny, so that the server's sends become partial early.

    Raises:
        Trouble: the server does not take the connection.
    """

    def __init__(self, address: tuple[str, int], patience: Patience, *, small: bool = False) -> None:
        self._patience = patience
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.sock = socket.socket(family)
        try:
            if small:
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                # Not as tiny: on the loopback less than a segment of 64 KiB is sent by a timer only.
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
            self.sock.settimeout(patience.left())
            self.sock.connect(address)
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except TimeoutError:
            self.sock.close()
            raise Trouble("unaccepted", seconds=patience.each) from None
        except OSError as error:
            self.sock.close()
            raise Trouble("refused", error=error.strerror) from None
        except BaseException:
            self.sock.close()
            raise
        self.sock.setblocking(False)
        self.port: int = self.sock.getsockname()[1]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        # After a fault the server is started again, maybe on the same port: no connection may linger there.
        self.close() if kind is None else self.reset()

    def close(self) -> None:
        """Say goodbye, as a program that ends does."""
        self.sock.close()

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
            events = (select.POLLOUT if rest else 0) | (select.POLLIN if received < len(answer) else 0)
            ready = self._ready(events, self._patience.left())
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

    def pour(self, data: memoryview, seconds: float) -> int:
        """Send until the server takes no more for so many seconds; how many bytes it took."""
        sent = 0
        while sent < len(data) and self._ready(select.POLLOUT, seconds):
            sent += self._send(data[sent : sent + CHUNK])
            self._patience.left()
        return sent

    def line(self) -> bytes:
        """What comes until a line is whole; b"" if nothing comes; less than a line if no more comes."""
        data = b""
        while not data.endswith(b"\n") and self._ready(select.POLLIN, self._patience.left()):
            chunk = self._recv(CHUNK)
            if not chunk:
                raise Trouble("closed", got=len(data), wanted=len(data) + 1)
            data += chunk
        return data

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
