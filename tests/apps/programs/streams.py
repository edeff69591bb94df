"""A server and many clients of streams: lines there and back, with time limits and a closing handshake."""

import asyncio

from proof import loop_name


async def answer(reader, writer):
    while line := await reader.readline():
        writer.write(line.upper())
        await writer.drain()
    writer.close()
    await writer.wait_closed()


async def talk(address, number):
    reader, writer = await asyncio.open_connection(*address)
    for word in ("red", "green", "blue"):
        writer.write(f"{number} {word}\n".encode())
        line = await asyncio.wait_for(reader.readline(), timeout=10)
        assert line == f"{number} {word.upper()}\n".encode(), line
    writer.write_eof()
    rest = await reader.read()
    writer.close()
    await writer.wait_closed()
    return number, rest


async def main():
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        address = server.sockets[0].getsockname()
        print(await asyncio.gather(*(talk(address, number) for number in range(20))))
    print("loop:", loop_name())


asyncio.run(main())
