"""python -m tests.soak [MINUTES] [--loop NAME]: everything again and again; what is held stays flat.

Each round makes connections, TLS connections, datagrams, a subprocess, threadsafe calls and cancelled
connects on one loop, then counts memory, descriptors, objects and threads. Not part of the test run: it takes
minutes. Ends with 1 if the last quarter holds more than the second one did.
"""

import argparse
import asyncio
import contextlib
import gc
import os
import resource
import sys
import threading
import time

from tests.support.loops import OURS, THEIRS
from tests.support.tls import NAME, client_context, server_context

CONNECTIONS = 200
DATAGRAMS = 500
CALLS = 2000


async def echo(reader, writer):
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(4096):
            writer.write(data)
            await writer.drain()
    writer.close()


async def connections(address, **options):
    async def visit():
        reader, writer = await asyncio.open_connection(*address, **options)
        writer.write(b"x" * 1000)
        assert await reader.readexactly(1000) == b"x" * 1000
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    for _ in range(CONNECTIONS // 20):
        await asyncio.gather(*(visit() for _ in range(20)))


async def cancelled_connects(address):
    tasks = [asyncio.ensure_future(asyncio.open_connection(*address)) for _ in range(50)]
    await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    for done in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(done, tuple):
            done[1].close()


async def datagrams():
    loop = asyncio.get_running_loop()
    left = loop.create_future()
    got = 0

    class Receiver(asyncio.DatagramProtocol):
        def datagram_received(self, data, address):
            nonlocal got
            got += 1
            if data == b"last":
                left.set_result(None)

    receiver, _ = await loop.create_datagram_endpoint(Receiver, local_addr=("127.0.0.1", 0))
    address = receiver.get_extra_info("sockname")
    sender, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=address)
    for number in range(DATAGRAMS):
        sender.sendto(b"%d" % number)
        while got < number - 50:  # the kernel drops what nobody reads in time
            await asyncio.sleep(0)
    sender.sendto(b"last")
    await asyncio.wait_for(left, 10)
    sender.close()
    receiver.close()


async def threadsafe():
    loop, done, count = asyncio.get_running_loop(), asyncio.get_running_loop().create_future(), 0

    def one():
        nonlocal count
        count += 1
        if count == CALLS:
            done.set_result(None)

    thread = threading.Thread(target=lambda: [loop.call_soon_threadsafe(one) for _ in range(CALLS)])
    thread.start()
    await done
    thread.join()


async def subprocess():
    process = await asyncio.create_subprocess_exec(sys.executable, "-S", "-c", "", stdout=-1)
    await process.communicate()


def counts():
    gc.collect()
    kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with open("/proc/self/statm") as file:
        kib = int(file.read().split()[1]) * resource.getpagesize() // 1024
    return kib, len(os.listdir("/proc/self/fd")), len(gc.get_objects()), threading.active_count()


def show(rounds, figures):
    print("{:7} {:9} {:5} {:9} {:8}".format(rounds, *figures), flush=True)


async def soak(minutes):
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    secure = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=server_context())
    plain_address, secure_address = (each.sockets[0].getsockname() for each in (server, secure))
    context, end, rounds, table = client_context(), time.monotonic() + minutes * 60, 0, []
    print("  round   RSS KiB   fds   objects  threads")
    while time.monotonic() < end or rounds < 8:
        await connections(plain_address)
        await connections(secure_address, ssl=context, server_hostname=NAME)
        await cancelled_connects(plain_address)
        await datagrams()
        await threadsafe()
        await subprocess()
        await asyncio.sleep(0.05)
        rounds += 1
        table.append(counts())
        if rounds & (rounds - 1) == 0:
            print(
                f"{rounds:7} {table[-1][0]:9} {table[-1][1]:5} {table[-1][2]:9} {table[-1][3]:8}", flush=True
            )
    print(f"{rounds:7} {table[-1][0]:9} {table[-1][1]:5} {table[-1][2]:9} {table[-1][3]:8}")
    for each in server, secure:
        each.close()
        await each.wait_closed()
    quarter = max(len(table) // 4, 1)
    early, late = (sorted(part)[len(part) // 2] for part in (table[quarter : 2 * quarter], table[-quarter:]))
    return late[0] <= early[0] * 1.05 and late[1] <= early[1] and late[2] <= early[2] * 1.01


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("minutes", nargs="?", type=float, default=5.0)
    parser.add_argument("--loop", default="epoll", choices=[*OURS, *THEIRS])
    chosen = parser.parse_args()
    with asyncio.Runner(loop_factory={**OURS, **THEIRS}[chosen.loop]) as runner:
        flat = runner.run(soak(chosen.minutes))
    print("flat" if flat else "NOT flat")
    raise SystemExit(not flat)


if __name__ == "__main__":
    main()
