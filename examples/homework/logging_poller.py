"""A poller that tells what it is asked, and what it answers.

It knows nothing of the kernel: it hands every question to the best poller of this machine. The program below
is one conversation of a server and a client on a loop with this poller; what is asked goes to standard error:

    python logging_poller.py
"""

import asyncio
import sys
from select import POLLERR, POLLHUP, POLLIN, POLLNVAL, POLLOUT

import loopkit
from loopkit.pollers import POLLERS, best

NAMES = {POLLIN: "IN", POLLOUT: "OUT", POLLERR: "ERR", POLLHUP: "HUP", POLLNVAL: "NVAL"}


def words(mask):
    return "+".join(name for bit, name in NAMES.items() if mask & bit)


def tell(line):
    print(line, file=sys.stderr)


class LoggingPoller:
    name = "logging"

    def __init__(self, owned=()):
        self.other = POLLERS[best()](owned)
        self.limit = self.other.limit

    def poll(self, timeout, /):
        events = self.other.poll(timeout)
        answer = ", ".join(f"{fd} {words(mask)}" for fd, mask in events)
        tell(f"poll({timeout}): {answer or 'nobody'}")
        return events

    def register(self, fd, mask, /):
        tell(f"register({fd}, {words(mask)})")
        self.other.register(fd, mask)

    def modify(self, fd, mask, /):
        tell(f"modify({fd}, {words(mask)})")
        self.other.modify(fd, mask)

    def unregister(self, fd, /):
        tell(f"unregister({fd})")
        self.other.unregister(fd)

    def close(self):
        self.other.close()


class LoggingLoop(loopkit.Loop):
    poller_name = "logging"  # looked up in POLLERS when a loop is made


async def answer(reader, writer):
    while line := await reader.readline():
        writer.write(line.upper())
    writer.close()
    await writer.wait_closed()


async def main():
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        for line in (b"hello\n", b"and goodbye\n"):
            writer.write(line)
            print((await reader.readline()).decode(), end="")
        writer.write_eof()
        await reader.read()
        writer.close()
        await writer.wait_closed()


if __name__ == "__main__":
    POLLERS["logging"] = LoggingPoller
    loopkit.run(main(), loop_factory=LoggingLoop)
