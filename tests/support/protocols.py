"""Protocols that write down what happens to them."""

import asyncio
from collections.abc import Callable
from typing import Any


class _Waiting:
    """Await a condition that callbacks may bring about: `await protocol.until(lambda: ...)`."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self._waiters: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []

    def note(self, *event: Any) -> None:
        self.events.append(event[0] if len(event) == 1 else event)
        for condition, waiter in self._waiters:
            if not waiter.done() and condition():
                waiter.set_result(None)

    async def until(self, condition: Callable[[], bool]) -> None:
        if condition():
            return
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append((condition, waiter))
        await waiter

    async def until_event(self, event: Any) -> None:
        await self.until(lambda: event in self.events)


class _Connection(_Waiting):
    """What stream protocols of both kinds have in common."""

    transport: Any = None
    lost_with: Any = "not lost"

    def __init__(self, keep_open: bool = False) -> None:
        super().__init__()
        self.data = bytearray()
        self.keep_open = keep_open  # what eof_received() returns

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.note("made")

    def pause_writing(self) -> None:
        self.note("pause")

    def resume_writing(self) -> None:
        self.note("resume")

    def eof_received(self) -> bool:
        self.note("eof")
        return self.keep_open

    def connection_lost(self, exc: BaseException | None) -> None:
        self.lost_with = exc
        self.note("lost")

    async def made(self) -> Any:
        await self.until_event("made")
        return self.transport

    async def lost(self) -> BaseException | None:
        """Wait for connection_lost(); what it was told."""
        await self.until_event("lost")
        return self.lost_with

    async def received(self, count: int) -> bytes:
        """Wait for `count` bytes in all; everything that came."""
        await self.until(lambda: len(self.data) >= count)
        return bytes(self.data)


class Recorder(_Connection, asyncio.Protocol):
    """Events "made", "data", "eof", "pause", "resume", "lost"; `data` is all that came."""

    def data_received(self, data: bytes) -> None:
        self.data += data
        self.note("data")


class BufferedRecorder(_Connection, asyncio.BufferedProtocol):
    """As Recorder, through a buffer of its own."""

    def __init__(self, keep_open: bool = False, size: int = 65536) -> None:
        super().__init__(keep_open)
        self.buffer = bytearray(size)
        self.hints: list[int] = []

    def get_buffer(self, sizehint: int) -> bytearray:
        self.hints.append(sizehint)
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.data += self.buffer[:nbytes]
        self.note("data")


class DatagramRecorder(_Waiting, asyncio.DatagramProtocol):
    """`packets` is a list of (data, address), `errors` what error_received() was told."""

    transport: Any = None
    lost_with: Any = "not lost"

    def __init__(self) -> None:
        super().__init__()
        self.packets: list[tuple[bytes, Any]] = []
        self.errors: list[OSError] = []

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.note("made")

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.packets.append((data, addr))
        self.note("data")

    def error_received(self, exc: Exception) -> None:
        assert isinstance(exc, OSError)
        self.errors.append(exc)
        self.note("error")

    def pause_writing(self) -> None:
        self.note("pause")

    def resume_writing(self) -> None:
        self.note("resume")

    def connection_lost(self, exc: BaseException | None) -> None:
        self.lost_with = exc
        self.note("lost")

    async def received(self, count: int) -> list[tuple[bytes, Any]]:
        """Wait for `count` datagrams in all."""
        await self.until(lambda: len(self.packets) >= count)
        return self.packets

    async def lost(self) -> BaseException | None:
        await self.until_event("lost")
        return self.lost_with


class Echo(Recorder):
    """Sends back what comes."""

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self.transport.write(data)
