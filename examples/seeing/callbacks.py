"""The homework's fault with a callback, in the style of the tutorial's chapter 6."""

import asyncio
import socket


async def main():
    loop = asyncio.get_running_loop()
    door = socket.create_server(("127.0.0.1", 9898))
    door.setblocking(False)
    print("listening on port", door.getsockname()[1], flush=True)

    def on_message(sock):
        sock.send(sock.recv(65536).upper())

    while True:
        sock, _ = await loop.sock_accept(door)
        loop.add_reader(sock, on_message, sock)


if __name__ == "__main__":
    asyncio.run(main())
