"""One service in several processes: each has an event loop of its own, and listens on the same port.

    python examples/many_processes.py --port 8888 --processes 2 --loop loopkit:Loop

A loop runs in one thread, and one thread uses one core. With SO_REUSEPORT (`reuse_port=True`) every process
has a listening socket of its own on the port, and the kernel gives each new connection to one of them, by a
hash of its addresses. Nothing is shared and nothing is passed on: what one process knows the others do not.

The service answers each line with the number of the process that has the connection, and how many it has had.
Stop with Ctrl-C or SIGTERM: all processes end. If one dies by itself, the others are stopped as well and the
exit code is 1: whoever supervises the service shall see it.
"""

import argparse
import asyncio
import importlib
import multiprocessing
import os
import signal
import socket
import sys
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess

BACKLOG = 1024


class Answers(asyncio.Protocol):
    connections = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        Answers.connections += 1
        self.transport = transport
        self.waiting = b""

    def data_received(self, data: bytes) -> None:
        *lines, self.waiting = (self.waiting + data).split(b"\n")
        answer = b"process %d, connection %d\n" % (os.getpid(), Answers.connections)
        self.transport.write(answer * len(lines))


async def serve(host: str, port: int) -> None:
    """Serve until SIGTERM."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    server = await loop.create_server(Answers, host, port, reuse_port=True, backlog=BACKLOG)
    # In one piece: the others write to the same place.
    print(f"process {os.getpid()} listens on {host}:{port}\n", end="", flush=True)
    await stop.wait()
    server.close()


def work(host: str, port: int, factory: str) -> None:
    """What each process does."""
    # Ctrl-C reaches every process of a terminal; the first one passes it on, as SIGTERM.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if factory:
        module, _, name = factory.partition(":")
        with asyncio.Runner(loop_factory=getattr(importlib.import_module(module), name)) as runner:
            runner.run(serve(host, port))
    else:
        asyncio.run(serve(host, port))


def main() -> int:
    parser = argparse.ArgumentParser(description="One service in several processes.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8888, help="0 for any (default: 8888)")
    parser.add_argument(
        "--processes", type=int, default=len(os.sched_getaffinity(0)), help="default: the cores"
    )
    parser.add_argument("--loop", default="", metavar="MODULE:FACTORY", help="default: asyncio's")
    options = parser.parse_args()
    # Takes the port, so that it is ours (and known, if it was 0) before anybody listens on it.
    with socket.socket() as reserved:
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        reserved.bind((options.host, options.port))
        port = reserved.getsockname()[1]
        # New interpreters, not forks: a fork would inherit what this process has opened.
        spawn = multiprocessing.get_context("spawn").Process
        processes = [
            spawn(target=work, args=(options.host, port, options.loop)) for _ in range(options.processes)
        ]
        return supervise(processes)


def supervise(processes: list[BaseProcess]) -> int:
    """Start them all; end them all when one has ended, or when we are told to."""
    asked = False

    def ask(number: int, frame: object) -> None:
        nonlocal asked
        asked = True
        for process in processes:
            if process.is_alive():
                process.terminate()

    for process in processes:
        process.start()
    signal.signal(signal.SIGTERM, ask)
    signal.signal(signal.SIGINT, ask)
    wait([process.sentinel for process in processes])
    failed = not asked
    for process in processes:
        process.terminate()
    for process in processes:
        process.join()
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
