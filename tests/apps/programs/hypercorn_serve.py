"""hypercorn, told in code."""

import asyncio
import signal

from asgi_app import app
from hypercorn.asyncio import serve
from hypercorn.config import Config

import loopkit


async def main():
    config = Config()
    config.bind = ["127.0.0.1:0"]
    asked_to_end = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asked_to_end.set)
    await serve(app, config, shutdown_trigger=asked_to_end.wait)


loopkit.run(main())
