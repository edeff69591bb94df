"""The servers that are compared: each model at its barest, and one asyncio server for loopkit's pollers.

    python servers.py KIND MODEL        prints its port, then echoes

The bare ones are what a course shows first, in the form in which they still work: no objects, no buffers, one
question to the kernel, and the answer sent at once. What they cost is what the model costs.
"""

import asyncio
import select
import socket
import sys
from typing import NoReturn


def busy(door: socket.socket) -> NoReturn:
    """Everybody is tried, in every round."""
    clients: list[socket.socket] = []
    while True:
        try:
            while True:
                sock, _ = door.accept()
                sock.setblocking(False)
                clients.append(sock)
        except BlockingIOError:
            pass
        for sock in tuple(clients):
            try:
                data = sock.recv(65536)
            except BlockingIOError:
                continue
            if data:
                sock.send(data)
            else:
                clients.remove(sock)
                sock.close()


def with_select(door: socket.socket) -> NoReturn:
    """The whole list goes to the kernel and comes back, in every round."""
    watched = [door]
    while True:
        for sock in select.select(watched, [], [])[0]:
            if sock is door:
                watched.append(door.accept()[0])
            elif data := sock.recv(65536):
                sock.send(data)
            else:
                watched.remove(sock)
                sock.close()


def with_object(door: socket.socket, poller: "select.poll | select.epoll") -> NoReturn:
    """poll and epoll: the same program, for Python's objects have the same methods."""
    socks: dict[int, socket.socket] = {}
    poller.register(door, select.POLLIN)
    while True:
        for fd, _ in poller.poll():
            if fd == door.fileno():
                sock, _ = door.accept()
                socks[sock.fileno()] = sock
                poller.register(sock, select.POLLIN)
            elif data := socks[fd].recv(65536):
                socks[fd].send(data)
            else:
                poller.unregister(fd)
                socks.pop(fd).close()


class Echo(asyncio.Protocol):
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


async def on_a_loop(door: socket.socket) -> None:
    server = await asyncio.get_running_loop().create_server(Echo, sock=door)
    await server.serve_forever()


def main(kind: str, model: str) -> None:
    door = socket.create_server(("127.0.0.1", 0), backlog=4096)
    door.setblocking(False)
    print(door.getsockname()[1], flush=True)
    if kind == "loopkit":
        import loopkit

        loopkit.run(on_a_loop(door), loop_factory=getattr(loopkit, f"{model.capitalize()}Loop"))
    elif model == "busy":
        busy(door)
    elif model == "select":
        with_select(door)
    else:
        with_object(door, getattr(select, model)())


if __name__ == "__main__":
    main(*sys.argv[1:])
