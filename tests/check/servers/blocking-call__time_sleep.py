"""Sleeps in a coroutine, and all others with it."""

import asyncio
import sys
import time


async def talk(reader, writer):
    try:
        while data := await reader.read(65536):
            time.sleep(0.05)
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


async def main():
    async with await asyncio.start_server(talk, "127.0.0.1", int(sys.argv[1]), backlog=1024) as server:
        await server.serve_forever()


try:
    asyncio.run(main())
except KeyboardInterrupt:
    pass
