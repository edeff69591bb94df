"""What Linux has and others have not, taken away before loopkit is loaded: the rest works, or says so."""

import platform
import subprocess
import sys

import pytest

from tests.support.pythons import needs_eventfd

PROGRAM = """
import asyncio, os, posix, select, signal, socket, sys, tempfile
{kernel}
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
    if hasattr(os, "WNOHANG"):
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
    "poll": [("select", "poll")],
    "AF_UNIX": [("socket", "AF_UNIX")],
    "SO_REUSEPORT": [("socket", "SO_REUSEPORT")],
    "set_wakeup_fd": [("signal", "set_wakeup_fd")],
    "siginterrupt": [("signal", "siginterrupt")],
    "sched_yield": [("os", "sched_yield"), ("posix", "sched_yield")],
}


# What Python on Windows has not: of the names that loopkit or a program on it might use, all (but
# for those that the standard library goes on using here).
GONE_ON_WINDOWS = {
    "select": "epoll poll EPOLLERR EPOLLHUP EPOLLIN EPOLLOUT EPOLL_CLOEXEC POLLERR POLLHUP POLLIN POLLNVAL"
    " POLLOUT POLLPRI POLLRDHUP",
    "os": "O_NONBLOCK P_PID P_PIDFD WEXITED WEXITSTATUS WIFEXITED WIFSIGNALED WIFSTOPPED WNOHANG WNOWAIT"
    " WSTOPSIG WTERMSIG chown eventfd fork get_blocking geteuid getloadavg getpgid getuid killpg"
    " mkfifo pidfd_open pipe2 posix_spawn pread preadv pwrite readv register_at_fork"
    " sched_yield sendfile set_blocking setsid splice statvfs sysconf uname waitid writev",
    "signal": "SIGALRM SIGCHLD SIGHUP SIGKILL SIGPIPE SIGQUIT SIGSTOP SIGUSR1 SIGUSR2 SIGVTALRM SIGWINCH"
    " SIG_BLOCK alarm pause pthread_kill pthread_sigmask setitimer siginterrupt sigpending sigwait",
    "socket": "AF_UNIX MSG_DONTWAIT MSG_EOR MSG_NOSIGNAL SCM_RIGHTS SOCK_CLOEXEC SOCK_NONBLOCK SO_PEERCRED"
    " SO_REUSEPORT recv_fds send_fds",
}

# What an old kernel or a sandbox says to a system call that Python was built with: ENOSYS. By a filter of
# seccomp: load the number of the call; if it is this one, go on, else skip one; refuse; allow.
REFUSING = """
import ctypes, errno

def code(operation, to, jump=0):
    return operation | jump << 24 | to << 32

refuse, allow = 0x00050000 | errno.ENOSYS, 0x7FFF0000
filter = (ctypes.c_uint64 * 4)(code(0x20, 0), code(0x15, {number}, 1), code(0x06, refuse), code(0x06, allow))
class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]
libc = ctypes.CDLL(None)
libc.prctl(38, 1, 0, 0, 0)
if libc.prctl(22, 2, ctypes.byref(Program(4, ctypes.addressof(filter)))):
    sys.exit("no seccomp")
"""

# The number of a call on each machine.
REFUSED = {
    "accept4": {"x86_64": 288, "aarch64": 242},
    "epoll_create1": {"x86_64": 291, "aarch64": 20},
    "eventfd2": {"x86_64": 290, "aarch64": 19},
    "pidfd_open": {"x86_64": 434, "aarch64": 434},
    "sendfile": {"x86_64": 40, "aarch64": 71},
}

LOOPS = ("Loop", "SelectLoop", "PollLoop", "BusyLoop")


def run(gone, loops=LOOPS, more="", kernel=""):
    code = PROGRAM.format(gone=gone, loops=loops, more=more, kernel=kernel)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    if done.stderr == "no seccomp\n":
        pytest.skip("this kernel takes no filters of system calls")
    assert done.returncode == 0, done.stderr


# Where there is no eventfd, the pair of sockets that stands in for it would be one that Linux does not have.
@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=needs_eventfd) if n == "AF_UNIX" else n for n in GONE]
)
def test_what_is_missing_is_done_without(name):
    run(GONE[name], ("Loop", "SelectLoop") if name == "poll" else LOOPS)


@pytest.mark.parametrize("name", REFUSED)
def test_a_kernel_that_has_no_such_call_is_done_without(name):
    if sys.platform != "linux" or platform.machine() not in REFUSED[name]:
        pytest.skip("the numbers of system calls are not known here")
    run([], kernel=REFUSING.format(number=REFUSED[name][platform.machine()]))


def test_all_of_it_may_be_missing():
    # But for AF_UNIX, as above.
    run([entry for name in GONE if name != "AF_UNIX" for entry in GONE[name]], ("Loop", "SelectLoop"))


def test_select_works_with_what_python_on_windows_has():
    """Which is not to say that it runs there: this is Linux without the names."""
    without = """
for name in "fcntl", "grp", "pty", "pwd", "resource", "termios", "tty":
    sys.modules[name] = None

def socketpair():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        return client, listener.accept()[0]

socket.socketpair = socketpair
"""
    refused = """
async def refused(what, words):
    try:
        await what
    except (OSError, NotImplementedError) as error:
        assert str(error) == words, error
    else:
        raise AssertionError("it cannot be done")

async def main():
    loop = asyncio.get_running_loop()
    with tempfile.TemporaryFile() as file:
        for connect in loop.connect_read_pipe, loop.connect_write_pipe:
            words = "this platform has no non-blocking pipes; use sockets, or a thread"
            await refused(connect(asyncio.Protocol, file), words)
    words = "this platform has no waitpid() as Unix has; use subprocess in a thread"
    await refused(asyncio.create_subprocess_exec(sys.executable), words)

loopkit.run(main())
"""
    gone = [(module, name) for module, names in GONE_ON_WINDOWS.items() for name in names.split()]
    run(gone, ("Loop", "SelectLoop"), more=refused, kernel=without)


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


@pytest.mark.parametrize("name", ["set_wakeup_fd", "siginterrupt"])
def test_handlers_of_signals_that_cannot_be_are_refused(name):
    refused = f"""
async def handle():
    loop = asyncio.get_running_loop()
    try:
        loop.add_signal_handler(signal.SIGTERM, print)
    except NotImplementedError as error:
        assert str(error) == "this platform has no signal.{name}; use signal.signal()", error
    else:
        raise AssertionError("it cannot be done")
    assert not loop.remove_signal_handler(signal.SIGTERM)

loopkit.run(handle())
"""
    run([("signal", name)], ("Loop",), refused)


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
