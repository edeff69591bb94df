"""A walk through what a loop does for a program: connections, TLS, pipes, files, children, threads, signals.

Not a program by itself: the tools' tests have it done while a tool is watching.
"""

import asyncio
import os
import signal
import socket
import ssl
import sys
import tempfile
from asyncio.subprocess import PIPE


async def answer(reader, writer):
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()
    writer.close()


async def talk(open_connection, *address, **options):
    reader, writer = await open_connection(*address, **options)
    writer.write(b"hello" * 50_000)
    received = await reader.readexactly(250_000)
    writer.close()
    await writer.wait_closed()
    return len(received)


async def connections(folder, authority, chain, key):
    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield await talk(asyncio.open_connection, *server.sockets[0].getsockname())
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(chain, key)
    trusting = ssl.create_default_context(cafile=authority)
    async with await asyncio.start_server(answer, "127.0.0.1", 0, ssl=tls) as server:
        yield await talk(asyncio.open_connection, *server.sockets[0].getsockname(), ssl=trusting)
    path = f"{folder}/socket"
    async with await asyncio.start_unix_server(answer, path) as server:
        yield await talk(asyncio.open_unix_connection, path)
    async with await asyncio.start_unix_server(answer, path):  # over what the first has left
        yield await talk(asyncio.open_unix_connection, path)


async def sockets(loop):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        theirs.setblocking(False)
        await loop.sock_sendall(ours, b"over a pair")
        yield await loop.sock_recv(theirs, 100)
    ours, theirs = socket.socketpair()
    with ours, await asyncio.to_thread(full_file) as file:
        ours.setblocking(False)
        transport, _ = await loop.create_connection(asyncio.Protocol, sock=theirs)
        await asyncio.gather(loop.sendfile(transport, file), receive(loop, ours, 100_000))
        yield file.tell()
        transport.close()


def full_file():
    file = tempfile.TemporaryFile()
    file.write(b"x" * 100_000)
    file.seek(0)
    return file


async def receive(loop, sock, count):
    while count > 0:
        count -= len(await loop.sock_recv(sock, 65_536))


async def children_and_threads(loop):
    echo = [sys.executable, "-c", "print(input())"]
    child = await asyncio.create_subprocess_exec(
        *echo, stdin=PIPE, stdout=PIPE, cwd="/"
    )  # fork, not posix_spawn
    yield await child.communicate(b"to a child\n")
    shell = await asyncio.create_subprocess_shell("exit 3")
    yield await shell.wait()
    yield await asyncio.to_thread(sum, range(10))
    yield (await loop.getaddrinfo("localhost", 80, family=socket.AF_INET))[0][-1]
    arrived = asyncio.Event()
    loop.add_signal_handler(signal.SIGUSR1, arrived.set)
    os.kill(os.getpid(), signal.SIGUSR1)
    yield await arrived.wait()
    loop.remove_signal_handler(signal.SIGUSR1)


async def pipes(loop):
    end, other_end = os.pipe()
    reader = asyncio.StreamReader()
    incoming, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(end, "rb", 0)
    )
    outgoing, _ = await loop.connect_write_pipe(asyncio.Protocol, os.fdopen(other_end, "wb", 0))
    outgoing.write(b"through a pipe\n")
    yield await reader.readline()
    outgoing.close()
    incoming.close()


async def do_everything(folder, *keys):
    """Do it all; one result per thing done."""
    loop = asyncio.get_running_loop()
    done = [result async for result in connections(folder, *keys)]
    for some in (sockets(loop), children_and_threads(loop), pipes(loop)):
        done += [result async for result in some]
    return done
