"""What is said on a connection: the requests, and whether an answer is complete and right.

An exchange knows a protocol and nothing of sockets: bytes go in, bytes come out. Each is as small as
verifying every answer allows, for the load must cost less than the server that it measures.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Protocol

from loopkit.bench.load.connections import Broken, make_payload

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["EXCHANGES", "Exchange", "decode_chunks"]

HELLO = b"Hello, world"
#: A body that an application sends in four pieces.
PIECE = b"p" * 1024
#: What a program of `child/apps.py` makes of ITEM.
ITEM = b'{"name":"loop","price":3,"tags":["a","b"]}'
ITEM_ANSWER = b'{"name":"loop","total":6,"tags":["a","b"]}'
MESSAGE = 256
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)


class Exchange(Protocol):
    """One connection's conversation.

    Attributes:
        opening: is sent first, before anything is counted; empty if there is nothing to open.
        once: whether the connection ends with the first answer.
    """

    opening: bytes
    once: bool

    def request(self) -> bytes:
        """The next request."""

    def take(self, data: bytes) -> bool:
        """Take a piece of an answer. True when that is complete; raises Broken when it is wrong."""


class Http:
    """HTTP/1.1: the same request again and again, each answered by the same body."""

    opening = b""

    def __init__(self, body: bytes, sent: bytes = b"", *, once: bool = False) -> None:
        self.once = once
        self.body, self.sent = body, sent
        lines = [b"POST / HTTP/1.1" if sent else b"GET / HTTP/1.1", b"Host: 127.0.0.1", b"Accept: */*"]
        if sent:
            lines += [b"Content-Type: application/json", b"Content-Length: %d" % len(sent)]
        if once:
            lines.append(b"Connection: close")
        self._request = b"\r\n".join([*lines, b"", sent])
        self._taken = b""

    def request(self) -> bytes:
        return self._request

    def take(self, data: bytes) -> bool:
        taken = self._taken = self._taken + data
        head, end, body = taken.partition(b"\r\n\r\n")
        if not end:
            return False
        if not head.startswith(b"HTTP/1.1 200 "):
            raise Broken(f"the server answered {head[:60]!r}")
        if CHUNKED.search(head):
            if not body.endswith(b"0\r\n\r\n"):
                return False
            body = decode_chunks(body)
        else:
            length = LENGTH.search(head)
            if length is None:
                raise Broken(f"an answer without a length: {head[:100]!r}")
            if len(body) < int(length[1]):
                return False
        if body != self.body:
            raise Broken(f"a wrong body: {body[:60]!r} instead of {self.body[:60]!r}")
        self._taken = b""
        return True


def decode_chunks(text: bytes) -> bytes:
    """The body that was sent in chunks. Raises Broken if these are no chunks."""
    body: list[bytes] = []
    rest = text
    while True:
        size, end, rest = rest.partition(b"\r\n")
        try:
            length = int(size, 16)
        except ValueError:
            raise Broken(f"no size of a chunk: {size[:20]!r}") from None
        if not end or rest[length : length + 2] != b"\r\n":
            raise Broken(f"a chunk of {length} bytes does not end there")
        if not length:
            return b"".join(body)
        body.append(rest[:length])
        rest = rest[length + 2 :]


class WebSocket:
    """Echo of binary messages. The mask is four zeros, which the protocol allows and which costs nothing."""

    opening = (
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    #: What the key must be answered with (it is the example of RFC 6455).
    ACCEPT = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    once = False

    def __init__(self, index: int = 0) -> None:
        payloads = [make_payload(MESSAGE, index, turn) for turn in range(2)]
        size = MESSAGE.to_bytes(2, "big")
        self._requests = [b"\x82\xfe" + size + bytes(4) + payload for payload in payloads]
        self._answers = [b"\x82\x7e" + size + payload for payload in payloads]
        self._turn = 1
        self._open = False
        self._taken = b""

    def request(self) -> bytes:
        self._turn = 1 - self._turn
        return self._requests[self._turn]

    def take(self, data: bytes) -> bool:
        taken = self._taken + data
        if not self._open:
            head, end, taken = taken.partition(b"\r\n\r\n")
            if not end:
                self._taken = head
                return False
            if not head.startswith(b"HTTP/1.1 101 ") or self.ACCEPT not in head:
                raise Broken(f"no WebSocket was opened: {head[:60]!r}")
            self._open = True
            self._taken = b""
            if taken:
                raise Broken("a message came before any was sent")
            return True
        expected = self._answers[self._turn]
        if not expected.startswith(taken):
            raise Broken(f"a wrong message: {taken[:20]!r} instead of {expected[:20]!r}")
        self._taken = b"" if len(taken) == len(expected) else taken
        return len(taken) == len(expected)


class Http2:
    """HTTP/2 without TLS, by prior knowledge: one request at a time, each on its own stream."""

    once = False
    DATA, HEADERS, SETTINGS, PING, GOAWAY, RESET = 0, 1, 4, 6, 7, 3
    END_STREAM, ACK, END_HEADERS = 1, 1, 4
    #: The server may send us so much before it must wait: all that a benchmark comes to.
    WINDOW = 2**31 - 1 - 65535

    def __init__(self) -> None:
        settings = self._frame(self.SETTINGS, 0, 0, b"")
        window = self._frame(8, 0, 0, self.WINDOW.to_bytes(4, "big"))
        self.opening = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + settings + window
        # :method GET, :scheme http, :path / are entries of the static table; :authority is written out.
        authority = b"127.0.0.1"
        self._head = b"\x82\x86\x84\x01" + bytes([len(authority)]) + authority
        self._stream = -1
        self._pending = b""
        self._taken = b""
        self._body = b""
        self._found = self._open = False

    @staticmethod
    def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
        return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload

    def request(self) -> bytes:
        self._stream += 2
        self._body, self._found = b"", False
        pending, self._pending = self._pending, b""
        return pending + self._frame(
            self.HEADERS, self.END_HEADERS | self.END_STREAM, self._stream, self._head
        )

    def take(self, data: bytes) -> bool:
        taken, done = self._taken + data, False
        while len(taken) >= 9:
            length = int.from_bytes(taken[:3], "big")
            if len(taken) < 9 + length:
                break
            kind, flags, payload = taken[3], taken[4], taken[9 : 9 + length]
            taken = taken[9 + length :]
            done = self._frame_came(kind, flags, payload) or done
        self._taken = taken
        return done

    def _frame_came(self, kind: int, flags: int, payload: bytes) -> bool:
        """True if an answer is complete now, or if the connection is open now."""
        if kind in (self.SETTINGS, self.PING) and not flags & self.ACK:
            self._pending += self._frame(kind, self.ACK, 0, payload if kind == self.PING else b"")
            if kind == self.SETTINGS and not self._open:
                self._open = True
                return True
        elif kind in (self.GOAWAY, self.RESET):
            raise Broken(
                f"the server ended the {'connection' if kind == self.GOAWAY else 'stream'}: {payload!r}"
            )
        elif kind == self.HEADERS:
            self._found = payload.startswith(b"\x88")  # :status 200, an entry of the static table
        elif kind == self.DATA:
            self._body += payload
        if kind in (self.DATA, self.HEADERS) and flags & self.END_STREAM:
            if not self._found or self._body != HELLO:
                raise Broken(f"a wrong answer on stream {self._stream}: {self._body[:60]!r}")
            return True
        return False


#: By name: what makes the exchange of connection number so-and-so.
EXCHANGES: dict[str, Callable[[int], Exchange]] = {
    "hello": lambda index: Http(HELLO),
    "hello-close": lambda index: Http(HELLO, once=True),
    "chunks": lambda index: Http(PIECE * 4),
    "json": lambda index: Http(ITEM_ANSWER, ITEM),
    "websocket": WebSocket,
    "http2": lambda index: Http2(),
}
