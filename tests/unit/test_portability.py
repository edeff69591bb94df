"""What Linux has and others have not, taken away before loopkit is loaded: the rest works, or says so."""

import subprocess
import sys

import pytest

from tests.support.pythons import needs_eventfd

PROGRAM = """
import asyncio, os, posix, select, signal, socket, sys, tempfile

for module, name in {gone}:
    if hasattr(globals()[module], name):
        delattr(globals()[module], name)

import loopkit

async def serve(reader, writer):
    writer.write(await reader.readline())
    await writer.drain()
    writer.close()

async def main():
    loop = asyncio.get_running_loop()
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    address = server.sockets[0].getsockname()
    reader, writer = await asyncio.open_connection(*address)
    writer.write(b"hello\\n")
    assert await reader.read() == b"hello\\n"
    writer.close()
    await writer.wait_closed()
    assert await asyncio.to_thread(int, "5") == 5
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", "raise SystemExit(3)")
    assert await process.wait() == 3
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as ours:
        ours.setblocking(False)
        listener.setblocking(False)
        await loop.sock_connect(ours, listener.getsockname())
        theirs, _ = await loop.sock_accept(listener)
        with theirs, tempfile.TemporaryFile() as file:
            file.write(b"x" * 1000)
            file.seek(0)
            assert await loop.sock_sendfile(ours, file) == 1000
            assert len(await loop.sock_recv(theirs, 2000)) == 1000
    server.close()
    await server.wait_closed()

for kind in {loops}:
    with asyncio.Runner(loop_factory=getattr(loopkit, kind)) as runner:
        runner.run(main())
{more}
"""

GONE = {
    "epoll": [("select", "epoll")],
    "eventfd": [("os", "eventfd")],
    "pidfd_open": [("os", "pidfd_open")],
    "SOCK_CLOEXEC": [("socket", "SOCK_CLOEXEC"), ("socket", "SOCK_NONBLOCK")],
    "sendfile": [("os", "sendfile"), ("posix", "sendfile")],
    "AF_UNIX": [("socket", "AF_UNIX")],
    "SO_REUSEPORT": [("socket", "SO_REUSEPORT")],
    "set_wakeup_fd": [("signal", "set_wakeup_fd")],
    "sched_yield": [("os", "sched_yield"), ("posix", "sched_yield")],
}


def run(gone, loops=("Loop", "SelectLoop", "PollLoop", "BusyLoop"), more=""):
    code = PROGRAM.format(gone=gone, loops=loops, more=more)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


# Where there is no eventfd, the pair of sockets that stands in for it would be one that Linux does not have.
@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=needs_eventfd) if n == "AF_UNIX" else n for n in GONE]
)
def test_what_is_missing_is_done_without(name):
    run(GONE[name])


def test_all_of_it_may_be_missing():
    # But for AF_UNIX, as above.
    run([entry for name in GONE if name != "AF_UNIX" for entry in GONE[name]])


def test_select_works_alone():
    refused = """
try:
    loopkit.PollLoop()
except ValueError as error:
    assert "no poller is called 'poll'; choose one of select" in str(error), error
else:
    raise AssertionError("it has no poll")
"""
    run([("select", "poll"), ("select", "epoll")], ("Loop", "SelectLoop"), refused)


@needs_eventfd
def test_unix_sockets_that_are_missing_are_named():
    refused = """
async def unix():
    for attempt in (asyncio.start_unix_server(serve, "path"), asyncio.open_unix_connection("path")):
        try:
            await attempt
        except OSError as error:
            assert str(error) == "this platform has no Unix sockets; use TCP on 127.0.0.1", error
        else:
            raise AssertionError("there are none")

loopkit.run(unix())
"""
    run([("socket", "AF_UNIX")], ("Loop",), refused)
