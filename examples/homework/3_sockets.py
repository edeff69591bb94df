"""The homework, third solution: blocking style on loopkit, with loopkit.sockets.

A server that sends back what a client writes, in upper case, to many at once in one thread;
and a client that listens to the keyboard and to the server at the same time.

    IDLE=60 python 3_sockets.py server 9898
    python 3_sockets.py client 127.0.0.1 9898        (or: nc, or telnet, 127.0.0.1 9898)
"""

import asyncio
import codecs
import os
import sys

import loopkit
from loopkit import sockets as socket  # the names are those of the socket module

IDLE = float(os.environ.get("IDLE", "60"))  # seconds of silence, then a client is sent home


# The server: it reads like chapter 1.


async def talk(sock, name):
    print(name, "came", flush=True)
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    try:
        with sock:
            while True:
                async with asyncio.timeout(IDLE):
                    data = await sock.recv(65536)
                    if not data:
                        break
                    await sock.sendall(decoder.decode(data).upper().encode())
    except TimeoutError:
        print(name, "was silent for too long", flush=True)
    except OSError as error:
        print(name, "was lost:", error, flush=True)
    else:
        print(name, "left", flush=True)


async def server(port):
    with socket.create_server(("127.0.0.1", port), backlog=1024) as door:
        print("listening on port", door.getsockname()[1], flush=True)
        async with asyncio.TaskGroup() as tasks:  # holds on to them, and ends them when it ends
            while True:
                try:
                    sock, address = await door.accept()
                except OSError as error:  # no descriptor left: accept() would say so without end
                    print("nobody is let in for a second:", error, flush=True)
                    await asyncio.sleep(1)
                    continue
                tasks.create_task(talk(sock, "{}:{}".format(*address)))


# The client: two tasks, so that it hears the server while it waits for the keyboard.


async def typed():
    """What has been typed, as soon as there is something; b"" at the end."""
    loop = asyncio.get_running_loop()
    something = loop.create_future()
    try:
        loop.add_reader(sys.stdin, lambda: something.done() or something.set_result(None))
    except PermissionError:  # epoll refuses plain files (client < file): those never block
        return os.read(sys.stdin.fileno(), 65536)
    try:
        await something
    finally:
        loop.remove_reader(sys.stdin)
    return os.read(sys.stdin.fileno(), 65536)


async def keyboard(sock):
    try:
        while words := await typed():
            await sock.sendall(words)
        sock.shutdown(socket.SHUT_WR)  # all is said; the last answers may still come
    except OSError:  # the server has gone: whoever listens hears that, too, and ends the client
        pass


async def client(host, port):
    with await socket.create_connection((host, port)) as sock:
        speaking = asyncio.create_task(keyboard(sock))
        while answer := await sock.recv(65536):
            sys.stdout.buffer.write(answer)  # bytes through and through: nothing to decode
            sys.stdout.buffer.flush()
        speaking.cancel()  # the server has gone: nobody to speak to


def main():
    match sys.argv[1:]:
        case ["server", port] if port.isdecimal():
            loopkit.run(server(int(port)))
        case ["client", host, port] if port.isdecimal():
            loopkit.run(client(host, int(port)))
        case _:
            print(__doc__, file=sys.stderr)
            sys.exit(2)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        print("stopped")
    except (OSError, OverflowError) as error:  # OverflowError: no port has such a number
        sys.exit(f"sorry: {error}")
