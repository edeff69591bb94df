"""The server that clients under test talk to where no real one is needed.

    python -m loopkit.bench.load.responder MODE

A bare `select.epoll`, so that it costs little beside the client. MODE is `http`, which answers every request
with the same body, or `websocket`, which sends every message back.
"""

from __future__ import annotations

import base64
import hashlib
import re
import select
import socket
import sys
from typing import Protocol

from loopkit.bench.load.exchanges import HELLO

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s" % (len(HELLO), HELLO)
#: RFC 6455: what a key is hashed with.
MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
CHUNK = 65536


class Talk(Protocol):
    """One connection: what comes in, what goes out."""

    def take(self, data: bytes) -> bytes:
        """Take a piece, and return what it is answered with."""


class Http:
    """Requests without a body."""

    def __init__(self) -> None:
        self._taken = b""

    def take(self, data: bytes) -> bytes:
        *requests, self._taken = (self._taken + data).split(b"\r\n\r\n")
        return ANSWER * len(requests)


class WebSocket:
    """Echo of messages that come in one frame each. Control frames are answered as the protocol wants it."""

    def __init__(self) -> None:
        self._taken = b""
        self._open = False

    def take(self, data: bytes) -> bytes:
        self._taken += data
        if not self._open:
            head, end, rest = self._taken.partition(b"\r\n\r\n")
            key = re.search(rb"\r\nsec-websocket-key: *(\S+)", head, re.IGNORECASE)
            if not end or key is None:
                return b""
            self._open, self._taken = True, rest
            accept = base64.b64encode(hashlib.sha1(key[1] + MAGIC).digest())
            upgrade = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            return upgrade + b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n" + self.take(b"")
        answers = []
        while (frame := self._frame()) is not None:
            answers.append(frame)
        return b"".join(answers)

    def _frame(self) -> bytes | None:
        """The answer to the next frame, if it is complete."""
        taken = self._taken
        if len(taken) < 6:
            return None
        first, length, start = taken[0], taken[1] & 127, 2
        if length >= 126:
            start = 4 if length == 126 else 10
            length = int.from_bytes(taken[2:start], "big")
        end = start + 4 + length
        if len(taken) < end:
            return None
        mask, masked = taken[start : start + 4], taken[start + 4 : end]
        self._taken = taken[end:]
        key = int.from_bytes((mask * (length // 4 + 1))[:length], "big")
        payload = (int.from_bytes(masked, "big") ^ key).to_bytes(length, "big")
        if first & 15 == 9:  # a ping is answered by a pong
            first = first & 0xF0 | 10
        size = bytes([length]) if length < 126 else b"\x7e" + length.to_bytes(2, "big")
        return bytes([first]) + size + payload


def serve(make_talk: type[Http | WebSocket]) -> None:
    """Serve for ever."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    print("listening on", ":".join(map(str, listener.getsockname())), flush=True)
    epoll = select.epoll()
    epoll.register(listener, select.EPOLLIN)
    clients: dict[int, tuple[socket.socket, Talk]] = {}
    while True:
        for fd, _ in epoll.poll():
            if fd == listener.fileno():
                sock, _ = listener.accept()
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                clients[sock.fileno()] = sock, make_talk()
                epoll.register(sock, select.EPOLLIN)
                continue
            sock, talk = clients[fd]
            try:
                data = sock.recv(CHUNK)
                if data:
                    sock.sendall(talk.take(data))
                    continue
            except OSError:
                pass
            del clients[fd]
            sock.close()


if __name__ == "__main__":
    serve(Http if sys.argv[1] == "http" else WebSocket)
