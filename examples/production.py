"""A server as strangers are served: several processes, limits, metrics, and an end without lost answers.

    python examples/production.py --port 9898 --workers 2 --metrics 9464

It sends back each line in upper case. The first process only starts the others and looks after them; each
worker has a loop of its own and listens at the same port, and the kernel deals the callers out, by
SO_REUSEPORT. SIGTERM or Ctrl-C ends it: nobody new is let in, who waits for a line is sent home, who is owed
an answer gets it. The page is docs/howto/production.md; every claim of it about this program is a test.
"""

import argparse
import asyncio
import contextlib
import logging
import os
import resource
import signal
import socket
import sys

import loopkit
from loopkit.diagnostics.metrics import openmetrics

log = logging.getLogger("server")


class Service:
    """What one worker serves."""

    def __init__(self, options):
        self.options = options
        self.stopping = False
        self.waiting = {}  # task of a connection -> whether it waits for the client, and may be sent home

    async def answer(self, reader, writer):
        task = asyncio.current_task()
        if self.stopping or len(self.waiting) >= self.options.limit:
            writer.write(b"sorry, full\n")
            writer.close()
            return
        self.waiting[task] = True
        try:
            while not self.stopping:
                self.waiting[task] = True
                async with asyncio.timeout(self.options.idle):
                    line = await reader.readuntil(b"\n")
                self.waiting[task] = False
                writer.write(line.upper())
                # Waits only if the client does not take its answers, and then not for ever.
                async with asyncio.timeout(self.options.idle):
                    await writer.drain()
        except asyncio.LimitOverrunError:
            writer.write(b"sorry, a line has 1 MiB at most\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # it has left, and needs no line in the log
        except TimeoutError:
            writer.transport.abort()  # what it does not take now it will never take
        finally:
            writer.close()  # sends what is left, in the background
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
            del self.waiting[task]

    async def metrics(self, reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        gauge = f"# TYPE server_connections gauge\nserver_connections {len(self.waiting)}\n"
        body = (gauge + openmetrics(asyncio.get_running_loop())).encode()
        head = (
            "HTTP/1.1 200 OK\r\nContent-Type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n"
        )
        writer.write(f"{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)
        writer.close()

    async def stop(self, servers):
        self.stopping = True
        for server in servers:
            server.close()
        for task, idle in list(self.waiting.items()):
            if idle:
                task.cancel()
        if self.waiting:
            _, late = await asyncio.wait(list(self.waiting), timeout=self.options.grace)
            for task in late:
                task.cancel()


async def work(options):
    """A worker, from the first descriptor to the last answer."""
    loopkit.preload()  # when no descriptor is left, no file can be opened to say so
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(
        resource.RLIMIT_NOFILE, (hard, hard)
    )  # the soft limit is for programs that use select()
    service = Service(options)
    if options.fd is None:
        where = {"host": options.host, "port": options.port, "reuse_port": True}
    else:
        where = {"sock": socket.socket(fileno=options.fd)}
    # The kernel cuts the backlog at net.core.somaxconn without a word.
    servers = [await asyncio.start_server(service.answer, **where, backlog=4096, limit=1 << 20)]
    if options.metrics is not None:
        port = options.metrics and options.metrics + options.worker
        servers.append(await asyncio.start_server(service.metrics, "127.0.0.1", port))
        log.info("worker %d: metrics on port %d", options.worker, servers[1].sockets[0].getsockname()[1])
    stop = stop_signal()
    log.info("worker %d: serving, process %d", options.worker, os.getpid())
    os.write(options.ready, b".")
    await stop.wait()
    await service.stop(servers)


def stop_signal():
    """An event that SIGTERM and Ctrl-C set."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


def notify(state):
    """Tell systemd, if it is there and wants to know (Type=notify)."""
    if address := os.environ.get("NOTIFY_SOCKET"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.sendto(state, address.replace("@", "\0", 1) if address.startswith("@") else address)


async def keep(number, options, stop):
    """One worker after another, until all is to end."""
    fds = [fd for fd in (options.fd, options.ready) if fd is not None]
    handed_over = [f"--fd={options.fd}"] if options.fd is not None else [f"--port={options.port}"]
    while not stop.is_set():
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            __file__,
            *sys.argv[1:],
            *handed_over,
            f"--ready={options.ready}",
            f"--worker={number}",
            pass_fds=fds,
        )
        ended = asyncio.ensure_future(process.wait())
        stopped = asyncio.ensure_future(stop.wait())
        await asyncio.wait({ended, stopped}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if not ended.done():
            process.terminate()
            await ended
        elif not stop.is_set():
            log.warning("worker %d ended (%d): another one takes its place", number, process.returncode)
            await asyncio.sleep(options.pause)


async def announce(ears, workers):
    """Tell systemd when all workers serve. Each writes a byte when it does; so do those that come later."""
    serving = 0
    while await asyncio.get_running_loop().sock_recv(ears, 1):
        serving += 1
        if serving == workers:
            notify(b"READY=1")


async def supervise(options):
    with contextlib.ExitStack() as stack:
        ears, mouth = map(stack.enter_context, socket.socketpair())
        ears.setblocking(False)
        options.ready = mouth.fileno()
        if options.fd is None:
            # Bound and never listening: it holds the port while workers come and go, and gets no caller.
            place = stack.enter_context(socket.socket())
            place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            place.bind((options.host, options.port))
            options.port = place.getsockname()[1]
            log.info("port %d, %d workers", options.port, options.workers)
        stop = stop_signal()
        async with asyncio.TaskGroup() as group:
            announcing = group.create_task(announce(ears, options.workers))
            for number in range(options.workers):
                group.create_task(keep(number, options, stop))
            await stop.wait()
            notify(b"STOPPING=1")
            announcing.cancel()
    log.info("stopped")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9898, help="0: any free one")
    parser.add_argument(
        "--workers", type=int, default=os.cpu_count(), help="processes (one for each processor)"
    )
    parser.add_argument("--limit", type=int, default=10_000, help="connections of a worker")
    parser.add_argument(
        "--idle", type=float, default=60, help="seconds a client may be silent, or not take its answer"
    )
    parser.add_argument("--grace", type=float, default=20, help="seconds for what is under way at the end")
    parser.add_argument("--pause", type=float, default=1, help="seconds before a worker is replaced")
    parser.add_argument("--metrics", type=int, help="port of the first worker's metrics (0: any free ones)")
    # What the first process tells its workers: their number, the listener, where to say that they serve.
    for name in ("--worker", "--fd", "--ready"):
        parser.add_argument(name, type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    # systemd's socket activation: the listener is descriptor 3, and is kept while we are restarted. The
    # variables reach children that they do not concern, hence the number of the process.
    if os.environ.get("LISTEN_PID") == str(os.getpid()) and os.environ.get("LISTEN_FDS") == "1":
        options.fd = 3
    return options


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    options = arguments()
    loopkit.run(supervise(options) if options.worker is None else work(options))
