"""Real peers for the code under test: connected sockets, blocking servers in threads, ports.

Every socket made here has a timeout, so that a peer which is never answered fails its test and ends its
thread.
"""

import asyncio
import contextlib
import select
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from loopkit.check.ports import held_port

T = TypeVar("T")

# Seconds that a blocking peer waits for the loop under test. Only a failing test waits this long.
PATIENCE = 10.0

# Bytes that a peer here lets the kernel keep for it (SO_RCVBUF; Linux takes twice as much). Set before it
# connects or listens: the window is agreed then.
KEPT = 1 << 18


def _most_unsent() -> int:
    """How far a sender's buffer may grow: it does so with the window, and with what the kernel remembers."""
    try:
        return int(Path("/proc/sys/net/ipv4/tcp_wmem").read_text().split()[2])
    except OSError:
        return 1 << 22


# Bytes of which something is left to be written, whoever sends them to a peer here that does not read.
TOO_MUCH = _most_unsent() + (1 << 21)

LOCALHOST = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}


def free_port(kind: int = socket.SOCK_STREAM) -> int:
    """A port that nobody has now, nor is given by the kernel in the next second."""
    with held_port(kind) as port:
        return port


def refused_port() -> int:
    """A port that refuses TCP connections."""
    return free_port()


def listener(family: int = socket.AF_INET, backlog: int = 100) -> socket.socket:
    """A non-blocking listening TCP socket on loopback."""
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, KEPT)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((LOCALHOST[socket.AddressFamily(family)], 0))
    sock.listen(backlog)
    sock.setblocking(False)
    return sock


@contextlib.contextmanager
def tcp_pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two connected TCP sockets: a non-blocking one for the loop, a blocking one for the test."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        theirs = connect(server.getsockname())
        ours, _ = server.accept()
    ours.setblocking(False)
    ours.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with ours, theirs:
        yield ours, theirs


@contextlib.contextmanager
def unix_pair(kind: int = socket.SOCK_STREAM) -> Iterator[tuple[socket.socket, socket.socket]]:
    """As `tcp_pair`, by socketpair()."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, kind)
    ours.setblocking(False)
    theirs.settimeout(PATIENCE)
    with ours, theirs:
        yield ours, theirs


def connect(address: Any) -> socket.socket:
    """A blocking client of the TCP or Unix address, with a timeout."""
    if not isinstance(address, tuple):
        family = socket.AF_UNIX
    else:
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    sock = socket.socket(family)
    try:
        sock.settimeout(PATIENCE)
        if family != socket.AF_UNIX:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, KEPT)
        sock.connect(address)
    except OSError:
        sock.close()
        raise
    return sock


def read_exactly(sock: socket.socket, count: int) -> bytes:
    """`count` bytes, or fewer when the peer closes first."""
    data = bytearray()
    while len(data) < count:
        chunk = sock.recv(min(65536, count - len(data)))
        if not chunk:
            break
        data += chunk
    return bytes(data)


def read_all(sock: socket.socket) -> bytes:
    """Everything until the peer closes."""
    data = bytearray()
    while chunk := sock.recv(65536):
        data += chunk
    return bytes(data)


def talk(address: Any, message: bytes = b"hello") -> bytes:
    """Connect, send the message, read as many bytes, close."""
    with connect(address) as sock:
        sock.sendall(message)
        return read_exactly(sock, len(message))


def reset(sock: socket.socket) -> None:
    """Close a TCP socket so that the peer sees ECONNRESET, not the end of the stream."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def fill(sock: socket.socket) -> int:
    """Write until the kernel takes no more; how many bytes it took."""
    sock.setblocking(False)
    total = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            total += sock.send(b"x" * 65536)
    return total


async def blocking(func: Callable[..., T], *args: Any) -> T:
    """Run a blocking peer in a thread of its own while the loop under test goes on."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def finish(result: Any, error: BaseException | None) -> None:
        if done.cancelled():
            return
        if error is None:
            done.set_result(result)
        else:
            done.set_exception(error)

    def work() -> None:
        try:
            result, error = func(*args), None
        except BaseException as exc:
            result, error = None, exc
        with contextlib.suppress(RuntimeError):  # a test that failed has closed its loop by now
            loop.call_soon_threadsafe(finish, result, error)

    thread = threading.Thread(target=work, name=f"peer {getattr(func, '__name__', func)}")
    thread.start()
    try:
        return await done
    finally:
        if done.done() and not done.cancelled():
            thread.join()


@contextlib.contextmanager
def serving(
    handler: Callable[[socket.socket], None], family: int = socket.AF_INET, path: Any = None
) -> Iterator[Any]:
    """A real blocking server in threads; gives its address. `handler(sock)` runs in a thread per connection.

    Leaving the block closes the listener and waits for the handlers.
    """
    if path is None:
        server = socket.create_server((LOCALHOST[socket.AddressFamily(family)], 0), family=family)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, KEPT)
    else:
        server = socket.socket(socket.AF_UNIX)
        server.bind(path)
        server.listen()
    threads: list[threading.Thread] = []

    def serve_one(sock: socket.socket) -> None:
        sock.settimeout(PATIENCE)
        with sock, contextlib.suppress(OSError):
            handler(sock)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = server.accept()
                threads.append(threading.Thread(target=serve_one, args=(sock,), name="serving one"))
                threads[-1].start()

    acceptor = threading.Thread(target=accept, name="serving")
    acceptor.start()
    try:
        yield server.getsockname()
    finally:
        with contextlib.suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)  # this, not close(), wakes a thread that sits in accept()
        acceptor.join()
        server.close()
        for thread in threads:
            thread.join()


def echo(sock: socket.socket) -> None:
    """A handler for `serving`: send back what comes."""
    while data := sock.recv(65536):
        sock.sendall(data)


@contextlib.contextmanager
def black_hole() -> Iterator[tuple[str, int]]:
    """An address that neither accepts nor refuses connections: a listener whose queue is full."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(20):
            sock = stack.enter_context(socket.socket())
            sock.setblocking(False)
            sock.connect_ex(server.getsockname())
            if not select.select([], [sock], [], 0.05)[1]:
                break
        yield server.getsockname()
