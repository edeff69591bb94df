"""Loops that count: what they ask of the kernel, and how many Python frames a message costs."""

import asyncio
import contextlib
import sys
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import loopkit
from loopkit.pollers import POLLERS
from loopkit.pollers.epoll import EpollPoller
from tests.support.net import connect, read_exactly


class CountingPoller:
    """The real epoll poller behind a counter of its calls. A poll with timeout 0 counts as "poll(0)"."""

    name = "counting"
    limit: int | None = None
    calls: Counter[str] = Counter()

    def __init__(self, owned: Any = ()) -> None:
        self._real = EpollPoller(owned)

    def poll(self, timeout: float | None, /) -> list[tuple[int, int]]:
        self.calls["poll(0)" if timeout == 0 else "poll"] += 1
        return self._real.poll(timeout)

    def register(self, fd: int, mask: int, /) -> None:
        self.calls["epoll_ctl"] += 1
        self._real.register(fd, mask)

    def modify(self, fd: int, mask: int, /) -> None:
        self.calls["epoll_ctl"] += 1
        self._real.modify(fd, mask)

    def unregister(self, fd: int, /) -> None:
        self.calls["epoll_ctl"] += 1
        self._real.unregister(fd)

    def close(self) -> None:
        self._real.close()


class CountingLoop(loopkit.Loop):
    """A loop on the counting poller, whose clock stands still for as long as `frozen` is True."""

    poller_name = "counting"
    frozen = False

    def __init__(self) -> None:
        POLLERS["counting"] = CountingPoller
        try:
            super().__init__()
        finally:
            del POLLERS["counting"]
        self._now = super().time()
        self._watches.audit_at = 1 << 60  # once in 256 polls, at least: it would come into one count in ten

    def time(self) -> float:
        return self._now if self.frozen else super().time()


class Meter:
    """Counts Python frames and the poller's calls in the thread that starts it, between two moments."""

    def __init__(self, count_frames: bool = False) -> None:
        self.count_frames = count_frames
        self.frames: Counter[str] = Counter()
        #: C functions that are system calls, or try one, by name.
        self.kernel: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()

    def start(self) -> None:
        self._before = CountingPoller.calls.copy()
        if self.count_frames:
            sys.setprofile(self._on_event)

    def stop(self) -> None:
        if self.count_frames:
            sys.setprofile(None)
            del self.frames[self.stop.__qualname__]
        self.calls = CountingPoller.calls - self._before

    def _on_event(self, frame: Any, event: str, arg: object) -> None:
        if event == "call":
            self.frames[frame.f_code.co_qualname] += 1
        elif event == "c_call" and arg.__name__ in KERNEL:
            self.kernel[arg.__name__] += 1


# OpenSSL's `read` and `write` are none: they work in memory.
KERNEL = {"poll", "recv", "recv_into", "send", "sendmsg", "register", "modify", "unregister"}

SIZE = 64
WARM_UP = 20
MESSAGES = 200

Server = Callable[[asyncio.AbstractEventLoop, Callable[[], None]], Any]


def measure_echo(
    factory: Callable[[], asyncio.AbstractEventLoop],
    serve: Server,
    meter: Meter,
    dial: Callable[[Any], Any] = connect,
) -> None:
    """Echo `MESSAGES` messages, one after the other, between start and stop of the meter.

    `serve(loop, on_message)` is a coroutine that returns (address, close); on_message() is for each message.
    The client is a thread that blocks, so that each message is one event.
    """
    seen = 0

    def on_message() -> None:
        nonlocal seen
        seen += 1
        if seen == WARM_UP:
            meter.start()
        elif seen == WARM_UP + MESSAGES:
            meter.stop()

    def client(address: Any) -> None:
        with dial(address) as sock:
            for _ in range(WARM_UP + MESSAGES):
                sock.sendall(b"x" * SIZE)
                assert read_exactly(sock, SIZE) == b"x" * SIZE

    loop = factory()
    loop.set_debug(False)  # whose turn is another one
    with contextlib.closing(loop):
        address, close = loop.run_until_complete(serve(loop, on_message))
        thread = threading.Thread(target=lambda: (client(address), loop.call_soon_threadsafe(loop.stop)))
        thread.start()
        try:
            loop.run_forever()
        finally:
            sys.setprofile(None)
            thread.join()
            loop.run_until_complete(close())
    assert seen == WARM_UP + MESSAGES
