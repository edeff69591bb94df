"""aiodebug names the callbacks that take too long: told before the loop runs, or while it does."""

import asyncio
import sys
import time

import aiodebug.log_slow_callbacks
from proof import loop_name

import loopkit

named = []


class Slow(asyncio.Protocol):
    def data_received(self, data):
        time.sleep(0.06)
        received.set_result(data)


def slow():
    time.sleep(0.06)


async def slow_step():
    time.sleep(0.06)


async def main():
    global received
    loop = asyncio.get_running_loop()
    if "late" in sys.argv:
        aiodebug.log_slow_callbacks.enable(0.05, lambda name, seconds: named.append(name))
        loop.set_debug(loop.get_debug())
        await asyncio.sleep(0)
    loop.call_soon(slow)
    await asyncio.sleep(0.001)
    await asyncio.create_task(slow_step(), name="a task")
    received = loop.create_future()
    server = await loop.create_server(Slow, "127.0.0.1", 0)
    transport, _ = await loop.create_connection(asyncio.Protocol, *server.sockets[0].getsockname())
    transport.write(b"hello")
    await received
    transport.close()
    server.close()
    for part in ("slow()", "'a task'", "on_readable()"):
        print(part, any(part in name for name in named))
    print("loop:", loop_name())


if "late" not in sys.argv:
    aiodebug.log_slow_callbacks.enable(0.05, lambda name, seconds: named.append(name))
loopkit.run(main())
