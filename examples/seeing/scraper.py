"""A scraper whose memory grows. The fault: tasks that are started, never awaited, and wait for ever."""

import asyncio

tasks = []


async def site(reader, writer):  # stands for the sites: answers one line, and goes on listening
    await reader.readline()
    writer.write(b"hello\n")
    await reader.read()


async def fetch(port):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET\n")
    await reader.readline()
    await reader.readline()  # a second line, which no site sends


async def main():
    server = await asyncio.start_server(site, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    while True:
        tasks.append(asyncio.create_task(fetch(port)))
        await asyncio.sleep(0.05)


if __name__ == "__main__":
    asyncio.run(main())
