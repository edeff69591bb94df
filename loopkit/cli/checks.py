"""The real checks of ``loopkit doctor``: each is a small asyncio program that proves one ability of a loop.

They use nothing but asyncio's public functions, on real sockets, pipes, signals and children, so that what
passes here is what an application will find.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import tempfile
import threading
import time
from asyncio.subprocess import PIPE
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import FrameType

__all__ = ["ABSENT", "CHECKS", "FAILED", "OK", "Outcome", "perform"]

#: Seconds after which a check has failed; each needs some milliseconds.
LIMIT = 10.0

#: What a check can come to; "not available" is not a failure.
OK, FAILED, ABSENT = "ok", "failed", "not available"

PAYLOAD = bytes(range(256)) * 1024


class Outcome(NamedTuple):
    status: str
    detail: str
    seconds: float


def perform(
    check: Callable[[], Awaitable[None]], loop_factory: Callable[[], asyncio.AbstractEventLoop]
) -> Outcome:
    """Run *check* on a loop of its own, for little more than LIMIT. Raises nothing but KeyboardInterrupt."""
    complaints: list[dict[str, Any]] = []

    async def watched() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: complaints.append(context))
        await check()

    began = time.perf_counter()
    status, detail = OK, ""
    try:
        with _Deadline(), asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.run(watched())
    except NotImplementedError as error:
        status, detail = ABSENT, str(error)
    except (Exception, asyncio.CancelledError) as error:
        status, detail = FAILED, _describe(error)
    if complaints:  # an exception in a callback: often the cause of the failure just caught
        cause = f"{complaints[0]['message']}: {_describe(complaints[0].get('exception'))}"
        status, detail = FAILED, f"{cause}; {detail}" if detail else cause
    return Outcome(status, detail, time.perf_counter() - began)


def _describe(error: BaseException | None) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())


class _Deadline:
    """Interrupts a check by SIGALRM, which works even on a loop whose timers or wakeups are broken.

    It goes on ringing, because a broken loop may swallow the first exception and then hang in its clean-up.
    """

    def __enter__(self) -> None:
        self.previous = signal.signal(signal.SIGALRM, self.ring)
        signal.setitimer(signal.ITIMER_REAL, LIMIT, 1.0)

    def __exit__(self, *_: object) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, self.previous)

    def ring(self, signum: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"no end after {LIMIT:g} seconds")


def _expect(truth: object, otherwise: str) -> None:
    if not truth:
        raise RuntimeError(otherwise)


# -- The checks.


async def _echo(
    start: Callable[..., Awaitable[asyncio.Server]],
    connect: Callable[[asyncio.Server], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]],
) -> None:
    """Send the payload and expect it back, from both sides at once: it is more than socket buffers hold."""
    served = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        await _close(writer)
        served.set()

    async with await start(serve) as server:
        reader, writer = await connect(server)
        writer.write(PAYLOAD)
        echoed, _ = await asyncio.gather(reader.readexactly(len(PAYLOAD)), writer.drain())
        await _close(writer)
        await served.wait()
    _expect(echoed == PAYLOAD, "what came back is not what was sent")


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    await writer.wait_closed()


async def tcp() -> None:
    await _echo(
        lambda serve: asyncio.start_server(serve, "127.0.0.1", 0),
        lambda server: asyncio.open_connection(*server.sockets[0].getsockname()),
    )


async def unix() -> None:
    with tempfile.TemporaryDirectory(prefix="loopkit-") as folder:
        path = os.path.join(folder, "echo")
        await _echo(
            lambda serve: asyncio.start_unix_server(serve, path),
            lambda server: asyncio.open_unix_connection(path),
        )


async def tls() -> None:
    try:
        import ssl
    except ImportError as error:
        raise NotImplementedError(f"this Python has no ssl module: {error}") from None
    ours, theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    theirs.check_hostname, theirs.verify_mode = False, ssl.CERT_NONE
    try:
        for context in (ours, theirs):
            # Anonymous key exchange, so that a check on the loopback needs no certificate, and this file no
            # private key. TLS 1.3 has none.
            context.maximum_version = ssl.TLSVersion.TLSv1_2
            context.set_ciphers("aNULL:@SECLEVEL=0")
    except (ValueError, ssl.SSLError) as error:
        raise NotImplementedError(f"this OpenSSL cannot do TLS without a certificate: {error}") from None
    await _echo(
        lambda serve: asyncio.start_server(serve, "127.0.0.1", 0, ssl=ours),
        lambda server: asyncio.open_connection(*server.sockets[0].getsockname(), ssl=theirs),
    )


class _Datagrams(asyncio.DatagramProtocol):
    """Answers every datagram if it is the server; keeps the first one if it is the client."""

    def __init__(self, answering: bool) -> None:
        self.answering = answering
        self.received: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        if self.answering:
            self.transport.sendto(data, addr)
        elif not self.received.done():
            self.received.set_result(data)


async def udp() -> None:
    loop = asyncio.get_running_loop()
    answering, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(True), local_addr=("127.0.0.1", 0))
    address = answering.get_extra_info("sockname")
    asking, client = await loop.create_datagram_endpoint(lambda: _Datagrams(False), remote_addr=address)
    asking.sendto(b"ping")
    _expect(await client.received == b"ping", "the datagram came back changed")
    asking.close()
    answering.close()


async def timers() -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    rung: list[float] = []
    for delay in (0.03, 0.01, 0.02):
        loop.call_at(began + delay, rung.append, delay)  # from one moment: a busy machine may stop in between
    await asyncio.sleep(0.04)
    _expect(rung == [0.01, 0.02, 0.03], f"the order was {rung}")
    _expect(loop.time() - began >= 0.039, "a timer came early")


async def threads() -> None:
    loop = asyncio.get_running_loop()
    for _ in range(20):
        woken = loop.create_future()
        thread = threading.Thread(target=loop.call_soon_threadsafe, args=(woken.set_result, None))
        thread.start()
        await woken
        thread.join()


async def signals() -> None:
    loop = asyncio.get_running_loop()
    received = loop.create_future()
    loop.add_signal_handler(signal.SIGUSR1, received.set_result, None)
    os.kill(os.getpid(), signal.SIGUSR1)
    await received
    _expect(loop.remove_signal_handler(signal.SIGUSR1), "the handler was not there any more")


async def executor() -> None:
    thread = await asyncio.get_running_loop().run_in_executor(None, threading.get_ident)
    _expect(thread != threading.get_ident(), "it ran in the loop's own thread")


async def sockets() -> None:
    loop = asyncio.get_running_loop()
    left, right = socket.socketpair()
    with left, right:
        left.setblocking(False)
        right.setblocking(False)
        receiving = asyncio.ensure_future(loop.sock_recv(right, 10))
        await asyncio.sleep(0)  # let it find nothing to read, so that it has to wait
        await loop.sock_sendall(left, b"ping")
        _expect(await receiving == b"ping", "the bytes came changed")


async def pipes() -> None:
    loop = asyncio.get_running_loop()
    for_reading, for_writing = os.pipe()
    reader = asyncio.StreamReader()
    with open(for_reading, "rb", 0) as source, open(for_writing, "wb", 0) as sink:
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), source)
        transport, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, sink)
        transport.write(b"ping")
        transport.close()
        _expect(await reader.read() == b"ping", "the bytes came changed")


async def subprocesses() -> None:
    command = (sys.executable, "-I", "-S", "-c", "print(input())")
    child = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE)
    output, _ = await child.communicate(b"ping\n")
    _expect(child.returncode == 0, f"the child ended with {child.returncode}")
    _expect(output == b"ping\n", f"the child wrote {output!r}")


#: Every check by the name it has in the report.
CHECKS: dict[str, Callable[[], Awaitable[None]]] = {
    "TCP echo": tcp,
    "Unix socket echo": unix,
    "TLS echo": tls,
    "UDP": udp,
    "sock_recv, sock_sendall": sockets,
    "pipes": pipes,
    "timers": timers,
    "calls from threads": threads,
    "executor": executor,
    "signals": signals,
    "subprocess": subprocesses,
}
