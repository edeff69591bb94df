"""The homework, second solution: async def on the hundred-line loop of chapter 9.

A server that sends back what a client writes, in upper case, to many at once in one thread;
and a client that listens to the keyboard and to the server at the same time.

    IDLE=60 python 2_async_def.py server 9898
    python 2_async_def.py client 127.0.0.1 9898        (or: nc, or telnet, 127.0.0.1 9898)
"""

import asyncio
import codecs
import os
import socket
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tutorial"))
from hundred_lines import Loop

IDLE = float(os.environ.get("IDLE", "60"))  # seconds of silence, then a client is sent home


class Socket:
    """A socket with the names of socket.socket. Write `await` in front, and nobody blocks."""

    def __init__(self, sock):
        sock.setblocking(False)
        self.sock = sock
        self.loop = asyncio.get_running_loop()

    async def accept(self):
        sock, address = await self.loop.sock_accept(self.sock)
        return Socket(sock), address

    async def recv(self, size):
        return await self.loop.sock_recv(self.sock, size)

    async def sendall(self, data):
        await self.loop.sock_sendall(self.sock, data)

    async def connect(self, address):
        await self.loop.sock_connect(self.sock, address)

    def shutdown(self, how):
        self.sock.shutdown(how)

    def close(self):
        self.sock.close()


# The server: it reads like chapter 1.


async def talk(sock, name):
    print(name, "came", flush=True)
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    try:
        while True:
            async with asyncio.timeout(IDLE):
                data = await sock.recv(65536)
                if not data:
                    break
                await sock.sendall(decoder.decode(data).upper().encode())
            # Neither call has waited if it did not have to: now it is the others' turn.
            await asyncio.sleep(0)
    except TimeoutError:
        print(name, "was silent for too long", flush=True)
    except OSError as error:
        print(name, "was lost:", error, flush=True)
    else:
        print(name, "left", flush=True)
    finally:
        sock.close()


async def server(listener):
    door = Socket(listener)
    tasks = set()  # asyncio itself does not hold on to a task: whoever starts it must
    while True:
        try:
            sock, address = await door.accept()
        except OSError as error:  # no descriptor left: accept() would say so without end
            print("nobody is let in for a second:", error, flush=True)
            await asyncio.sleep(1)
            continue
        task = asyncio.create_task(talk(sock, "{}:{}".format(*address)))
        tasks.add(task)
        task.add_done_callback(tasks.discard)


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


async def client(address):
    with socket.socket() as raw:
        sock = Socket(raw)
        await sock.connect(address)
        speaking = asyncio.create_task(keyboard(sock))
        while answer := await sock.recv(65536):
            sys.stdout.buffer.write(answer)  # bytes through and through: nothing to decode
            sys.stdout.buffer.flush()
        speaking.cancel()  # the server has gone: nobody to speak to


def main():
    with asyncio.Runner(loop_factory=Loop) as runner:
        match sys.argv[1:]:
            case ["server", port] if port.isdecimal():
                with socket.create_server(("127.0.0.1", int(port)), backlog=1024) as listener:
                    print("listening on port", listener.getsockname()[1], flush=True)
                    runner.run(server(listener))
            case ["client", host, port] if port.isdecimal():
                runner.run(client((host, int(port))))
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
