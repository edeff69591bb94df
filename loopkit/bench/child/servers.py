"""Echo servers in plain asyncio, beyond those of examples/echo.py; each says where it listens."""

import argparse
import asyncio
import contextlib
import ssl
from pathlib import Path

HOST = "127.0.0.1"
BACKLOG = 1024
SIZE = 1024
HEADER = 64


class Echo(asyncio.Protocol):
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)

    def pause_writing(self) -> None:
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        self.transport.resume_reading()


class TwoWrites(Echo):
    """As a web server answers: the header in one write, the body in the next."""

    def data_received(self, data: bytes) -> None:
        self.transport.write(data[:HEADER])
        self.transport.write(data[HEADER:])


class Buffered(asyncio.BufferedProtocol):
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.transport = transport
        self.buffer = bytearray(65536)

    def get_buffer(self, sizehint: int) -> bytearray:
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        # The buffer is read into again before the peer has taken these bytes: write a copy.
        self.transport.write(bytes(memoryview(self.buffer)[:nbytes]))


class Datagrams(asyncio.DatagramProtocol):
    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.transport.sendto(data, addr)


async def echo_lines(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while line := await reader.readline():
            writer.write(line)
            await writer.drain()
    writer.close()


async def echo_exactly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
        while True:
            writer.write(await reader.readexactly(SIZE))
            await writer.drain()
    writer.close()


def server_context(folder: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(Path(folder, "certificate.pem"), Path(folder, "key.pem"))
    return context


async def serve(options: argparse.Namespace) -> None:
    loop = asyncio.get_running_loop()
    mode = options.mode
    if mode == "udp":
        transport, _ = await loop.create_datagram_endpoint(Datagrams, local_addr=(HOST, 0))
        announce(*transport.get_extra_info("sockname"))
        await loop.create_future()
    if mode == "unix":
        server = await loop.create_unix_server(Echo, options.path, backlog=BACKLOG)
        announce(options.path)
    elif mode in ("readline", "readexactly"):
        handler = echo_lines if mode == "readline" else echo_exactly
        server = await asyncio.start_server(handler, HOST, 0, backlog=BACKLOG)
        announce(*server.sockets[0].getsockname())
    else:
        protocol = {"buffered": Buffered, "two-writes": TwoWrites, "tls": Echo}[mode]
        context = server_context(options.certificate) if mode == "tls" else None
        server = await loop.create_server(protocol, HOST, 0, ssl=context, backlog=BACKLOG)
        announce(*server.sockets[0].getsockname())
    await server.serve_forever()


def announce(*address: object) -> None:
    print("listening on", ":".join(map(str, address)), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--mode", required=True)
    parser.add_argument("--path")
    parser.add_argument("--certificate")
    asyncio.run(serve(parser.parse_args()))
