"""UDP echo, server and client."""

import asyncio

from proof import loop_name


class EchoServer(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, address):
        print("server:", data.decode())
        self.transport.sendto(data, address)


class EchoClient(asyncio.DatagramProtocol):
    def __init__(self, message, finished):
        self.message = message
        self.finished = finished

    def connection_made(self, transport):
        self.transport = transport
        transport.sendto(self.message.encode())

    def datagram_received(self, data, address):
        print("client:", data.decode())
        self.transport.close()

    def connection_lost(self, exc):
        self.finished.set_result(exc)


async def main():
    loop = asyncio.get_running_loop()
    server, _ = await loop.create_datagram_endpoint(EchoServer, local_addr=("127.0.0.1", 0))
    address = server.get_extra_info("sockname")
    for message in ("one", "two", "drei"):
        finished = loop.create_future()
        await loop.create_datagram_endpoint(
            lambda m=message, f=finished: EchoClient(m, f), remote_addr=address
        )
        await finished
    server.close()
    print("loop:", loop_name())


asyncio.run(main())
