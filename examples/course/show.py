"""Shows each fault of the course's three servers by what comes of it, and what the repaired one does instead.

    python show.py                        all of them
    python show.py polling select         these

Nothing here waits for time to pass. A server that has work is told by the kernel from one that sleeps, so "no
answer" means: it sleeps, and nothing has come.
"""

import os
import re
import resource
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

HERE = Path(__file__).parent
PATIENCE = 15.0  # seconds until something that must happen is given up


class Server:
    """One of the programs in this folder, in another process."""

    def __init__(self, name, port=0):
        # -u: what it prints is seen at once, not when it ends.
        self.process = subprocess.Popen(
            [sys.executable, "-u", HERE / f"{name}.py", str(port)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
        )
        self.pid = self.process.pid
        self.sleeps = name != "polling_repaired"  # the model itself; as printed it does, in the wrong place
        self.port = 0
        if first := self.process.stdout.readline():  # it may have ended: the port is taken
            self.port = int(first.split()[-1])

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.process.kill()
        self.process.communicate()

    def client(self):
        sock = socket.socket()
        sock.settimeout(PATIENCE)
        # So that the kernel keeps little for who does not read: else how much that is grows as it likes.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        try:
            sock.connect(("127.0.0.1", self.port))
        except OSError:
            sock.close()
            raise
        return sock

    def state(self):
        """R: it runs, or wants to. S: it sleeps. Z: it has ended."""
        return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0]

    def owes(self, sock):
        """How much the kernel still holds of what the server has sent to this client."""
        ours, theirs = (f":{port:04X}" for port in (self.port, sock.getsockname()[1]))
        for line in Path("/proc/net/tcp").read_text().splitlines():
            _, local, remote, _, queues, *_ = line.split()
            if local.endswith(ours) and remote.endswith(theirs):
                return int(queues.partition(":")[0], 16)
        return 0

    def settles(self):
        """Wait until it has nothing more to do."""
        if self.sleeps:
            wait_until(lambda: self.state() in "SZ")

    def lines(self):
        """What it has printed since the last look, without waiting for more."""
        found = []
        while select.select([self.process.stdout], [], [], 0)[0] and (line := self.process.stdout.readline()):
            found.append(line.decode().strip())
        return found

    def ending(self):
        """Wait for its end; returns the last line of its traceback."""
        _, errors = self.process.communicate(timeout=PATIENCE)
        # Which socket it was is of no interest, and another one each time.
        return re.sub(r"<socket.*>", "<socket [closed]>", errors.decode().strip().rpartition("\n")[2])


class Patience:
    """Ends a loop that waits for something which does not come."""

    def __init__(self):
        self.end = time.monotonic() + PATIENCE

    def wait(self):
        if time.monotonic() > self.end:
            raise TimeoutError("gave up waiting")
        time.sleep(0.001)


def wait_until(true):
    patience = Patience()
    while not true():
        patience.wait()


def answer(server, sock, words, size=None):
    """Send, and receive the whole answer; less, if the server sleeps before that; None, if it hung up."""
    if words:
        sock.sendall(words)
    size, came, patience = size or len(words), b"", Patience()
    sock.setblocking(False)
    over = False
    while len(came) < size:
        try:
            data = sock.recv(1 << 20)
        except BlockingIOError:
            if over:
                break
            # Only a look after this one finds what the server sent before it fell asleep.
            over = server.sleeps and server.state() == "S" and not server.owes(sock)
            patience.wait()
        except ConnectionResetError:
            return None
        else:
            if not data:
                return None
            came += data
    sock.settimeout(PATIENCE)
    return came


def reset(sock):
    """Leave without a goodbye, as a program that is killed does."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def flood(server, sock, total=12_000_000):
    """Write and never read, as long as the server takes it; returns how many bytes that were."""
    sent, patience = 0, Patience()
    sock.setblocking(False)
    while sent < total:
        asleep = server.state() == "S"
        try:
            sent += sock.send(b"a" * min(60_000, total - sent))
        except BlockingIOError:
            if asleep:
                break
            patience.wait()
    sock.settimeout(PATIENCE)
    return sent


@contextmanager
def stopped(server):
    """It does not run in here, so that it finds everything at once afterwards."""
    os.kill(server.pid, signal.SIGSTOP)
    wait_until(lambda: server.state() == "T")
    yield
    os.kill(server.pid, signal.SIGCONT)


def runs(server):
    looks = ""
    for _ in range(20):
        looks += server.state()
        time.sleep(0.001)
    return f"{looks.count('R')} of 20 looks found it running"


# The polling server.


def a_second_client(server):
    """a second client asks while the first is silent"""
    with server.client(), server.client() as second:
        return f"answer: {answer(server, second, b'hello')[:5]!r}"


def ctrl_c(server):
    """Ctrl-C while a client is connected"""
    with server.client() as sock:
        answer(server, sock, b"hello")
        server.settles()
        server.process.send_signal(signal.SIGINT)
        try:
            server.process.wait(0.5)
        except subprocess.TimeoutExpired:
            return f"it goes on, and answers: {answer(server, sock, b'hello')[:5]!r}"
        return "it ends"


def what_it_prints(server):
    """what it prints of a client's words"""
    with server.client() as sock:
        answer(server, sock, b"hello")
        server.settles()
        return str([line for line in server.lines() if line.startswith("got")][:1])


def a_cut_character(server):
    """a character that is cut in two by a packet"""
    with server.client() as sock:
        came = answer(server, sock, b"a\xe4\xb8", size=1)  # so the first half has been read, by itself
        if came is not None:
            came += answer(server, sock, b"\x96", size=3)
        return server.ending() if came is None else f"answer: {came.decode()!r}"


def who_left(server):
    """the first of two clients leaves"""
    with server.client() as first, server.client() as second:
        answer(server, first, b"hello")
        answer(server, second, b"hello", size=1)
        address = first.getsockname()
        server.settles()
        first.close()
        line = b""
        while not line.startswith(b"left"):
            line = server.process.stdout.readline()
        return (
            "it names that one" if line.decode().strip() == f"left: {address}" else "it names the other one"
        )


def two_leave(server):
    """two of three clients leave, the third is silent"""
    with server.client() as first, server.client() as second, server.client():
        answer(server, first, b"hello")
        answer(server, second, b"hello", size=1)
        answer(server, first, b"hello")
        answer(server, second, b"hello", size=1)
        server.settles()
        with stopped(server):
            second.close()
            first.close()

        def connections():
            return len(os.listdir(f"/proc/{server.pid}/fd")) - 4  # 0, 1, 2 and the listener

        wait_until(lambda: (server.sleeps and server.state() == "S") or connections() == 1)
        open_ones = connections()
        return f"{open_ones} of 3 connections are still open"


def nobody_there(server):
    """nobody is connected"""
    return runs(server)


# The select server.


def last_words(server):
    """a client says its last words and shuts down its side"""
    with server.client() as sock:
        with stopped(server):
            sock.sendall(b"goodbye")
            sock.shutdown(socket.SHUT_WR)
        came = answer(server, sock, b"", 7)
        return server.ending() if came is None else f"answer: {came!r}"


def a_reset(server):
    """a client is killed"""
    with server.client() as other:
        sock = server.client()
        answer(server, sock, b"hello")
        with stopped(server):
            reset(sock)
        came = answer(server, other, b"hello")
        return server.ending() if came is None else f"the other one's answer: {came!r}"


def never_reads(server):
    """a client writes 12 MB and reads nothing"""

    def kilobytes():
        status = Path(f"/proc/{server.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0])

    before = kilobytes()
    with server.client() as sock:
        flood(server, sock)
        wait_until(lambda: server.state() == "S")
        return f"the server keeps {(kilobytes() - before) / 1000:.0f} MB for it"


def part_of_it(server):
    """a client writes, up to 12 MB, and reads afterwards"""
    with server.client() as sock:
        sent = flood(server, sock)
        came = answer(server, sock, b"", sent)
        return "all of it comes back" if len(came) == sent else f"{len(came) / sent:.0%} of it comes back"


def eleven_hundred(server):
    """1100 clients"""
    served = 0
    with ExitStack() as stack:
        try:
            for _ in range(1100):
                served += answer(server, stack.enter_context(server.client()), b"x") is not None
        except ConnectionError:  # nobody listens any more
            return f"{served} were served, then: {server.ending()}"
        return f"{served} are served, the others are turned away"


def started_again(server):
    """stopped while a client is connected, and started again"""
    with server.client() as sock:
        answer(server, sock, b"hello")
        server.process.send_signal(signal.SIGINT)
        server.process.communicate(timeout=PATIENCE)
        with Server(Path(server.process.args[2]).stem, server.port) as again:
            return "it listens" if again.port else again.ending()


# The epoll server. `a_cut_character` and `a_reset` are faults of this one, too.


def after_a_reset(server):
    """a client was killed, nobody is connected"""
    sock = server.client()
    answer(server, sock, b"hello")
    with stopped(server):
        reset(sock)
    answer(server, sock := server.client(), b"hello")
    with sock:
        return runs(server)


def whose_answer(server):
    """a client writes and reads nothing; another one asks"""
    with server.client() as first, server.client() as second:
        flood(server, first)
        return f"the other one's answer: {answer(server, second, b'hello', 5)[:5]!r}"


SHOWN = {
    "polling": [
        a_second_client,
        ctrl_c,
        what_it_prints,
        a_cut_character,
        who_left,
        two_leave,
        nobody_there,
    ],
    "select": [last_words, a_reset, never_reads, part_of_it, eleven_hundred, started_again],
    "epoll": [a_cut_character, after_a_reset, whose_answer],
}


def show(model, fault):
    """What the two servers of this model do in this situation: as printed, repaired."""
    seen = []
    for version in ("as_printed", "repaired"):
        with Server(f"{model}_{version}") as server:
            seen.append(fault(server))
    return seen


def raise_limit():
    """As many descriptors as we may have: 1100 clients are 1100 at either end."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def main():
    models = sys.argv[1:] or list(SHOWN)
    if not set(models) <= set(SHOWN):
        sys.exit(f"usage: python show.py [{'] ['.join(SHOWN)}]")
    raise_limit()
    for model in models:
        for fault in SHOWN[model]:
            before, after = show(model, fault)
            print(f"{model}: {fault.__doc__}\n    as printed: {before}\n    repaired:   {after}", flush=True)


if __name__ == "__main__":
    main()
