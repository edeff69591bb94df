"""Reads the keyboard in a thread, for which the end of asyncio.run() waits."""

import asyncio
import sys


async def typed(writer):
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.buffer.readline):
        writer.write(line)
        await writer.drain()
    writer.write_eof()


async def main():
    try:
        reader, writer = await asyncio.open_connection(sys.argv[1], int(sys.argv[2]))
    except OSError as error:
        sys.exit(f"no server: {error}")
    typing = asyncio.create_task(typed(writer))
    try:
        while data := await reader.read(65536):
            sys.stdout.buffer.write(data)
            sys.stdout.flush()
    except OSError:
        pass
    typing.cancel()
    writer.close()


try:
    asyncio.run(main())
except KeyboardInterrupt:
    pass
