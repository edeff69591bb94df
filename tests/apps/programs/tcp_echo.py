"""TCP echo, server and client, both of them protocols."""

import asyncio

from proof import loop_name

MESSAGE = b"hello, " * 100_000


class EchoServer(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)

    def eof_received(self):
        print("server: the client has said everything")


class EchoClient(asyncio.Protocol):
    def __init__(self, finished):
        self.finished = finished
        self.received = bytearray()

    def connection_made(self, transport):
        transport.write(MESSAGE)
        transport.write_eof()

    def data_received(self, data):
        self.received += data

    def connection_lost(self, exc):
        self.finished.set_result((exc, bytes(self.received) == MESSAGE))


async def main():
    loop = asyncio.get_running_loop()
    server = await loop.create_server(EchoServer, "127.0.0.1", 0)
    async with server:
        finished = loop.create_future()
        address = server.sockets[0].getsockname()
        await loop.create_connection(lambda: EchoClient(finished), *address)
        print("client: error, all echoed:", *await finished)
    print("loop:", loop_name())


asyncio.run(main())
