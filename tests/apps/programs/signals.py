"""Waits for SIGINT and SIGTERM, as a service does, and ends by itself after the second of them."""

import asyncio
import signal

from proof import loop_name


async def main():
    loop = asyncio.get_running_loop()
    arrived = asyncio.Queue()
    for name in ("SIGINT", "SIGTERM"):
        loop.add_signal_handler(getattr(signal, name), arrived.put_nowait, name)
    print("ready")
    for _ in range(2):
        print("got", await arrived.get())
    print("loop:", loop_name())


asyncio.run(main())
