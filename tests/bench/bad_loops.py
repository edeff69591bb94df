"""Event loops that do wrong in ways a benchmark must survive: factories for `tests.bench.bad_loops:NAME`."""

import asyncio
import os
from collections.abc import Callable
from typing import Any


class _Altered(asyncio.SelectorEventLoop):
    """Serves with another `data_received` than the program's."""

    def __init__(self, data_received: Callable[[Any, bytes], None]) -> None:
        super().__init__()
        self._data_received = data_received

    async def create_server(self, protocol_factory: Any, *args: Any, **kwargs: Any) -> Any:
        altered = type("Altered", (protocol_factory,), {"data_received": self._data_received})
        return await super().create_server(altered, *args, **kwargs)


def flips_a_bit() -> asyncio.AbstractEventLoop:
    return _Altered(lambda self, data: self.transport.write(data[:-2] + b"\0" + data[-1:]))


def repeats() -> asyncio.AbstractEventLoop:
    def data_received(self: Any, data: bytes) -> None:
        self.first = getattr(self, "first", data)
        self.transport.write(self.first)

    return _Altered(data_received)


def hangs_up() -> asyncio.AbstractEventLoop:
    return _Altered(lambda self, data: self.transport.abort())


def dies() -> asyncio.AbstractEventLoop:
    return _Altered(lambda self, data: os.abort())


def says_nothing() -> asyncio.AbstractEventLoop:
    return _Altered(lambda self, data: None)


def cannot_start() -> asyncio.AbstractEventLoop:
    raise RuntimeError("this loop needs a kernel from the future")


class _NoTls(asyncio.SelectorEventLoop):
    async def create_server(self, *args: Any, ssl: Any = None, **kwargs: Any) -> Any:
        if ssl is not None:
            raise NotImplementedError("no TLS here")
        return await super().create_server(*args, **kwargs)


def no_tls() -> asyncio.AbstractEventLoop:
    return _NoTls()


def asks() -> asyncio.AbstractEventLoop:
    raise RuntimeError(f"LOOPKIT_METRICS is {os.environ.get('LOOPKIT_METRICS')}")
