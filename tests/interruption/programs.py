"""The programs that are interrupted. Each counts what must come; the callback that is hit may be missing."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading

from tests.support.tls import NAME, client_context, server_context


class Program:
    """What the harness calls; `problems` in the end."""

    def __init__(self, loop):
        self.loop = loop

    def begin(self):
        """Before the run that is interrupted."""

    def after(self, where):
        """After it: what makes the rest come."""

    def is_over(self):
        return True

    def problems(self, interrupted):
        return []

    def end(self):
        """Give back what is open."""


class Callbacks(Program):
    """Callbacks that schedule callbacks, some cancelled."""

    COUNT = 60

    def begin(self):
        self.ran = []
        for number in range(self.COUNT):
            self.loop.call_soon(self.work, number)
            self.loop.call_soon(self.ran.append, ("cancelled", number)).cancel()
        self.loop.call_later(0.002, self.loop.stop)

    def work(self, number):
        self.ran.append(("now", number))
        self.loop.call_soon(self.ran.append, ("next", number))

    def is_over(self):
        return len(self.ran) >= 2 * self.COUNT - 2

    def problems(self, interrupted):
        from tests.interruption.harness import missing

        expected = [(when, number) for when in ("now", "next") for number in range(self.COUNT)]
        # The one that is hit may not have scheduled what it would have.
        return missing(expected, self.ran, 2 if interrupted else 0)


class Timers(Program):
    """A crowd that is due at once, a few that are cancelled, and some that come later."""

    COUNT = 150

    def begin(self):
        self.fired = []
        loop, now = self.loop, self.loop.time()
        for number in range(self.COUNT):
            loop.call_at(now - 1 + number / 1000, self.fired.append, number)
            if number % 3 == 0:
                loop.call_at(now + 60, self.fired.append, "cancelled").cancel()
        for number in range(self.COUNT, self.COUNT + 5):
            loop.call_later(0.001 * (number - self.COUNT), self.fired.append, number)
        loop.call_later(0.006, loop.stop)

    def is_over(self):
        return len(self.fired) >= self.COUNT + 4

    def problems(self, interrupted):
        from tests.interruption.harness import missing

        return missing(range(self.COUNT + 5), self.fired, 1 if interrupted else 0)


class Threadsafe(Program):
    """A thread that schedules, while the loop turns."""

    COUNT = 30

    def begin(self):
        self.ran = []
        self.may_go_on = threading.Semaphore(0)
        self.thread = threading.Thread(target=self.post)
        self.loop.call_soon(self.thread.start)
        self.loop.call_later(0.1, self.loop.stop)

    def post(self):
        for number in range(self.COUNT):
            self.loop.call_soon_threadsafe(self.took, number)
        self.loop.call_soon_threadsafe(self.loop.stop)

    def took(self, number):
        self.ran.append(number)

    def after(self, where):
        if not self.thread.ident:
            self.thread.start()
        self.thread.join()

    def is_over(self):
        return len(self.ran) >= self.COUNT - 1

    def problems(self, interrupted):
        from tests.interruption.harness import missing

        return missing(range(self.COUNT), self.ran, 1 if interrupted else 0)


class Echo(Program):
    """Two protocols on sockets of ours, many small messages there and back; then a new client."""

    COUNT = 12
    size = 20

    def begin(self):
        self.got, self.sent = b"", b""
        self.lost = []
        self.chunks = 0
        self.transports = []
        self.loop.create_task(self.talk())

    async def talk(self):
        try:
            await self.connect()
        finally:
            self.loop.stop()

    async def connect(self):
        program = self

        class Server(asyncio.Protocol):
            def connection_made(self, transport):
                self.transport = transport
                program.transports.append(transport)

            def data_received(self, data):
                self.transport.write(data[:7])
                self.transport.write(data[7:])

        class Client(asyncio.Protocol):
            def connection_made(self, transport):
                self.transport = transport
                program.transports.append(transport)

            def data_received(self, data):
                program.got += data
                program.chunks += 1

            def connection_lost(self, exc):
                program.lost.append(exc)

        loop = self.loop
        self.server = await loop.create_server(Server, "127.0.0.1", 0, **self.server_options())
        address = self.server.sockets[0].getsockname()
        _, client = await loop.create_connection(Client, *address, **self.client_options())
        self.client = client
        for number in range(self.COUNT):
            message = b"%03d" % number * (self.size // 3)
            self.sent += message
            before = len(self.got)
            client.transport.write(message)
            for _ in range(20):  # no two at a time: the callback that is hit may have received one
                await asyncio.sleep(0.0005)
                if len(self.got) > before:
                    break
        while len(self.got) < len(self.sent):
            await asyncio.sleep(0.0005)

    def server_options(self):
        return {}

    def client_options(self):
        return {}

    def after(self, where):
        self.is_connected = hasattr(self, "client")
        if self.is_connected and not self.client.transport.is_closing():
            self.expected = self.sent
            self.tail = b"last words"
            self.client.transport.write(self.tail)
        else:
            self.tail = b""
        self.rounds = 0
        self.was_hit = where is not None and "/tls/" in where[0]
        self.fresh = self.loop.create_task(self.come_new()) if hasattr(self, "server") else None

    async def come_new(self):
        address = self.server.sockets[0].getsockname()
        reader, writer = await asyncio.open_connection(*address, **self.client_options())
        self.transports.append(writer.transport)
        writer.write(b"newcomer")
        return await reader.readexactly(8)

    def is_over(self):
        self.rounds += 1
        is_answered = not self.tail or self.tail in self.got or bool(self.lost) or self.was_hit
        return self.rounds > 400 or (is_answered and (self.fresh is None or self.fresh.done()))

    def problems(self, interrupted):
        problems = []
        if self.fresh is not None and not (self.fresh.done() and self.fresh.exception() is None):
            problems.append(f"a new client is not served: {self.fresh!r}")
        if self.was_hit or not self.got:
            return problems  # the callback that was hit was TLS's own work for it, or its very beginning
        if self.tail and not self.lost and self.tail not in self.got:
            problems.append("a connection that is open does not answer any more")
        whole = self.sent + self.tail
        if not self.lost and len(self.got) > len(whole):
            problems.append(f"bytes came twice: {len(self.got)} of {len(whole)}")
        if not self.lost and interrupted and len(self.got) < len(whole) - 2 * self.size:
            problems.append(f"bytes are lost: {len(self.got)} of {len(whole)}")
        return problems

    def end(self):
        if hasattr(self, "server"):
            self.server.close()
        for transport in self.transports:
            transport.abort()
        for task in asyncio.all_tasks(self.loop):
            task.cancel()


class SecureEcho(Echo):
    """The same by TLS."""

    COUNT = 4

    def server_options(self):
        return {"ssl": server_context()}

    def client_options(self):
        return {"ssl": client_context(), "server_hostname": NAME}

    def problems(self, interrupted):
        # OpenSSL that is interrupted in the middle of a record ends the connection: that is its right.
        return [] if self.lost else super().problems(interrupted)


class Sockets(Program):
    """Coroutines on sock_recv and sock_sendall."""

    COUNT = 10

    def begin(self):
        self.ours, self.theirs = socket.socketpair()
        self.ours.setblocking(False)
        self.theirs.setblocking(False)
        self.got, self.answers = b"", b""
        self.loop.create_task(self.serve())
        self.loop.create_task(self.ask())

    async def serve(self):
        while data := await self.loop.sock_recv(self.ours, 100):
            await self.loop.sock_sendall(self.ours, data)

    async def ask(self):
        for number in range(self.COUNT):
            await self.loop.sock_sendall(self.theirs, b"%d" % number)
            self.answers += await self.loop.sock_recv(self.theirs, 100)
        self.loop.stop()

    def after(self, where):
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.fresh = self.loop.create_task(self.again())

    async def again(self):
        """The same sockets serve whoever comes next."""
        await self.loop.sock_sendall(self.theirs, b"fresh")
        data = b""
        while not data.endswith(b"fresh"):
            data += await self.loop.sock_recv(self.ours, 100)
        return True

    def is_over(self):
        return self.fresh.done()

    def problems(self, interrupted):
        if not self.fresh.done():
            return ["sockets that were in use when it came are not served any more"]
        return [] if self.fresh.exception() is None else [f"failed: {self.fresh.exception()!r}"]

    def end(self):
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.ours.close()
        self.theirs.close()


class Signals(Program):
    """A signal handler of the loop's."""

    def begin(self):
        self.came = 0
        self.previous = signal.getsignal(signal.SIGUSR1)
        self.loop.add_signal_handler(signal.SIGUSR1, self.on_signal)
        for number in range(3):
            self.loop.call_later(0.001 * number, os.kill, os.getpid(), signal.SIGUSR1)
        self.loop.call_later(0.006, self.loop.stop)

    def on_signal(self):
        self.came += 1

    def after(self, where):
        self.before = self.came
        os.kill(os.getpid(), signal.SIGUSR1)

    def is_over(self):
        return self.came > self.before

    def problems(self, interrupted):
        return [] if self.came > self.before else ["a signal that comes later is not heard"]

    def end(self):
        self.loop.remove_signal_handler(signal.SIGUSR1)


class Subprocess(Program):
    """A child with pipes; whatever is hit, no zombie is left."""

    def begin(self):
        self.loop.create_task(self.run())

    async def run(self):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-S", "-c", "print(input())", stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        await process.communicate(b"hello\n")
        self.loop.stop()

    def after(self, where):
        self.rounds = 0

    def is_over(self):
        self.rounds += 1
        return not children() or self.rounds > 200

    def end(self):
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        for pid in children():
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def children():
    """The pids of our children."""
    with open(f"/proc/self/task/{threading.main_thread().native_id}/children") as file:
        return [int(pid) for pid in file.read().split()]


PROGRAMS = {
    program.__name__.lower(): program
    for program in (Callbacks, Timers, Threadsafe, Echo, SecureEcho, Sockets, Signals, Subprocess)
}
