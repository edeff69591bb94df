"""The tutorial's homework, busy for ever once the first client has left. The fault: no end."""

import asyncio

from loopkit import sockets as socket


async def talk(sock):
    with sock:
        while True:
            data = await sock.recv(65536)
            await sock.sendall(data.upper())


async def main():
    with socket.create_server(("127.0.0.1", 9898)) as door:
        print("listening on port", door.getsockname()[1], flush=True)
        async with asyncio.TaskGroup() as tasks:
            while True:
                sock, _ = await door.accept()
                tasks.create_task(talk(sock))


if __name__ == "__main__":
    asyncio.run(main())
