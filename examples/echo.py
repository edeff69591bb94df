"""An echo server in plain asyncio, written in the three ways asyncio offers.

    python examples/echo.py --mode protocol --port 8888

Then, from another terminal, `nc 127.0.0.1 8888`: every line you type comes back. Stop with Ctrl-C.

* `protocol`: asyncio calls you. The least work per message, no coroutine at all.
* `streams`: you await a reader and a writer. The usual choice.
* `sock`: you await operations on a plain non-blocking socket. The closest to the `socket` module.

Nothing here knows which event loop runs it.
"""

import argparse
import asyncio
import contextlib
import socket

# How many clients may wait to be accepted: more than asyncio's 100, so that a crowd that arrives at once gets
# in.
BACKLOG = 1024


def announce(server_socket: socket.socket, mode: str) -> None:
    host, port = server_socket.getsockname()[:2]
    print(f"listening on {host}:{port} ({mode}); stop with Ctrl-C", flush=True)


# --- protocol ---------------------------------------------------------------------------------------------


class Echo(asyncio.Protocol):
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)

    # A client that sends without reading would make us hold its bytes for ever.
    # So while it does not read what we wrote, we do not read what it sends.
    def pause_writing(self) -> None:
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        self.transport.resume_reading()


async def serve_protocol(host: str, port: int) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Echo, host, port, backlog=BACKLOG)
    announce(server.sockets[0], "protocol")
    await server.serve_forever()


# --- streams ----------------------------------------------------------------------------------------------


async def echo_stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    # A client may vanish at any await: that is no error of ours.
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


async def serve_streams(host: str, port: int) -> None:
    server = await asyncio.start_server(echo_stream, host, port, backlog=BACKLOG)
    announce(server.sockets[0], "streams")
    await server.serve_forever()


# --- sock_* -----------------------------------------------------------------------------------------------


async def echo_sock(client: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    with client, contextlib.suppress(ConnectionError):
        while data := await loop.sock_recv(client, 65536):
            await loop.sock_sendall(client, data)


async def serve_sock(host: str, port: int) -> None:
    loop = asyncio.get_running_loop()
    with socket.create_server((host, port), backlog=BACKLOG) as listener:
        listener.setblocking(False)
        announce(listener, "sock")
        async with asyncio.TaskGroup() as clients:
            while True:
                client, _ = await loop.sock_accept(listener)
                # Send small messages at once; protocols and streams have this set by the loop.
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                clients.create_task(echo_sock(client))


SERVERS = {"protocol": serve_protocol, "streams": serve_streams, "sock": serve_sock}


def main() -> None:
    parser = argparse.ArgumentParser(description="An echo server in plain asyncio.")
    parser.add_argument("--mode", choices=SERVERS, default="protocol", help="which way (default: protocol)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, default=8888, help="port to listen on, 0 for any (default: 8888)")
    options = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(SERVERS[options.mode](options.host, options.port))


if __name__ == "__main__":
    main()
