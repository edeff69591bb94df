"""The simulated kernel against the real one: the same operations on both, the same answers.

Hypothesis draws sequences of calls on a few sockets, or ends of pipes. After each call everything that was
answered is compared: the result or the errno, and what a poll says of all of them. Sizes of buffers are the
one thing that differs, so that no call here sends much; of pipes they do not.

`LOOPKIT_KERNEL_SEQUENCES=10000` runs that many; by default it is 200.
"""

import errno
import os
import select
import socket
import struct
import tempfile
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loopkit.testing import SimLoop, outside
from tests.support.pythons import PYPY

SOCKETS = 5
SEQUENCES = int(os.environ.get("LOOPKIT_KERNEL_SEQUENCES", "200"))

slots = st.integers(0, SOCKETS - 1)
small = st.integers(1, 5)

#: recv(0) is answered by Python itself; PyPy's asks the kernel.
NOTHING = [] if PYPY else [0]

#: What a socket is asked for. (Of buffers the sizes differ, until they are set.)
OPTIONS = [
    getattr(socket, f"SO_{name}")
    for name in ["REUSEADDR", "REUSEPORT", "BROADCAST", "KEEPALIVE", "LINGER", "TYPE", "DOMAIN", "ACCEPTCONN"]
]

STREAM = st.one_of(
    st.tuples(st.just("new"), slots, st.sampled_from(["tcp", "tcp6", "unix"])),
    st.tuples(st.just("pair"), slots, slots),
    st.tuples(st.just("bind"), slots, slots),
    st.tuples(st.just("bind_again"), slots, slots),
    st.tuples(st.just("listen"), slots, st.integers(0, 3)),
    st.tuples(st.just("connect"), slots, slots),
    st.tuples(st.just("connect"), slots, slots),
    st.tuples(st.just("accept"), slots, slots),
    st.tuples(st.just("accept"), slots, slots),
    st.tuples(st.just("send"), slots, small),
    st.tuples(st.just("send"), slots, small),
    st.tuples(st.just("recv"), slots, st.sampled_from([*NOTHING, 1, 3, 100])),
    st.tuples(st.just("recv"), slots, st.just(100)),
    st.tuples(st.just("recvfrom"), slots, st.sampled_from([2, 100])),
    st.tuples(st.just("peek"), slots, small),
    st.tuples(st.just("shutdown"), slots, st.integers(0, 2)),
    st.tuples(st.just("linger"), slots, st.just(0)),
    st.tuples(st.just("reuse"), slots, st.just(0)),
    st.tuples(st.just("option"), slots, st.sampled_from(OPTIONS)),
    st.tuples(st.just("buffers"), slots, st.sampled_from([1, 5000])),
    st.tuples(st.just("forbidden"), slots, st.sampled_from([socket.SO_TYPE, socket.SO_ERROR])),
    st.tuples(st.just("error"), slots, st.just(0)),
    st.tuples(st.just("names"), slots, st.just(0)),
    st.tuples(st.just("dup"), slots, slots),
    st.tuples(st.just("close"), slots, st.just(0)),
)

DATAGRAM = st.one_of(
    st.tuples(st.just("new"), slots, st.sampled_from(["udp", "udp6", "unixd"])),
    st.tuples(st.just("pair_dgram"), slots, slots),
    st.tuples(st.just("bind"), slots, slots),
    st.tuples(st.just("connect"), slots, slots),
    st.tuples(st.just("sendto"), slots, slots),
    st.tuples(st.just("sendto"), slots, slots),
    st.tuples(st.just("send"), slots, small),
    st.tuples(st.just("send"), slots, st.sampled_from([0, 65507, 65508, 70000])),
    st.tuples(st.just("recvfrom"), slots, st.sampled_from([1, 100])),
    st.tuples(st.just("recvfrom"), slots, st.just(100)),
    st.tuples(st.just("peek"), slots, small),
    st.tuples(st.just("listen"), slots, st.just(1)),
    st.tuples(st.just("accept"), slots, slots),
    st.tuples(st.just("broadcast"), slots, st.integers(0, 1)),
    st.tuples(st.just("option"), slots, st.sampled_from(OPTIONS)),
    st.tuples(st.just("shutdown"), slots, st.integers(0, 2)),
    st.tuples(st.just("error"), slots, st.just(0)),
    st.tuples(st.just("names"), slots, st.just(0)),
    st.tuples(st.just("close"), slots, st.just(0)),
)

PIPE = st.one_of(
    st.tuples(st.just("pipe"), slots, slots),
    st.tuples(st.just("pipe"), slots, slots),
    st.tuples(st.just("write"), slots, st.sampled_from([0, 1, 5, 100, 4095, 4096])),
    st.tuples(st.just("write"), slots, st.sampled_from([1, 4097, 9000, 65535, 65536, 70000])),
    st.tuples(st.just("read"), slots, st.sampled_from([0, 1, 100, 4096, 5000])),
    st.tuples(st.just("read"), slots, st.sampled_from([4095, 65536, 100_000])),
    st.tuples(st.just("dup"), slots, slots),
    st.tuples(st.just("close"), slots, st.just(0)),
)

KINDS = {
    "tcp": (socket.AF_INET, socket.SOCK_STREAM),
    "tcp6": (socket.AF_INET6, socket.SOCK_STREAM),
    "unix": (socket.AF_UNIX, socket.SOCK_STREAM),
    "udp": (socket.AF_INET, socket.SOCK_DGRAM),
    "udp6": (socket.AF_INET6, socket.SOCK_DGRAM),
    "unixd": (socket.AF_UNIX, socket.SOCK_DGRAM),
}
LOCAL = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}


class End:
    """An end of a pipe, with the face of a socket."""

    def __init__(self, fd):
        self.fd = fd

    def fileno(self):
        return self.fd

    def setblocking(self, flag):
        os.set_blocking(self.fd, flag)

    def dup(self):
        return End(os.dup(self.fd))

    def close(self):
        os.close(self.fd)

    @property
    def file(self):
        return outside.here().files.get(self.fd)


class Kernel:
    """Sockets of one kernel, by slot, and what it answers."""

    def __init__(self, folder):
        self.folder = folder
        self.sockets = [None] * SOCKETS
        self.names = {}  # address -> word, so that ports need not be equal
        self.count = 0

    def poll(self):
        raise NotImplementedError

    def word(self, address):
        """*address*, with each port and path replaced by the order in which it came."""
        if address is None or address in ("", b""):
            return address
        if isinstance(address, (str, bytes)):
            return self.names.setdefault(address, f"path{len(self.names)}")
        port = address[1]
        return (
            address[0],
            self.names.setdefault(port, f"port{len(self.names)}") if port else 0,
            *address[2:],
        )

    def put(self, slot, sock):
        if self.sockets[slot] is not None:
            self.sockets[slot].close()
        sock.setblocking(False)
        self.sockets[slot] = sock

    def perform(self, operation, slot, value):
        sock = self.sockets[slot]
        if sock is None and operation not in ("new", "pair", "pair_dgram", "pipe"):
            return "no socket"
        try:
            return getattr(self, "do_" + operation)(slot, sock, value)
        except OSError as exc:
            if operation == "new":
                raise
            return errno.errorcode.get(exc.errno, exc.errno)

    def do_new(self, slot, sock, kind):
        self.put(slot, socket.socket(*KINDS[kind]))

    def do_pair(self, slot, sock, other):
        if slot != other:
            left, right = socket.socketpair()
            self.put(slot, left)
            self.put(other, right)

    def do_pair_dgram(self, slot, sock, other):
        if slot != other:
            left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
            self.put(slot, left)
            self.put(other, right)

    def do_pipe(self, slot, sock, other):
        if slot != other:
            reader, writer = os.pipe()
            self.put(slot, End(reader))
            self.put(other, End(writer))

    def do_write(self, slot, sock, size):
        return os.write(sock.fileno(), b"x" * size)

    def do_read(self, slot, sock, size):
        return len(os.read(sock.fileno(), size))

    def do_bind(self, slot, sock, value):
        if sock.family == socket.AF_UNIX:
            self.count += 1
            sock.bind(os.path.join(self.folder, str(self.count)))
        else:
            sock.bind((LOCAL[sock.family], 0))

    def do_bind_again(self, slot, sock, other):
        other = self.sockets[other]
        if other is None or other.family != sock.family or sock.family == socket.AF_UNIX:
            return "not comparable"
        if not other.getsockname()[1]:
            return "no port"
        sock.bind(other.getsockname())

    def do_listen(self, slot, sock, backlog):
        sock.listen(backlog)

    def target(self, sock, other):
        if other is None or other.family != sock.family or other.type != sock.type:
            return None
        address = other.getsockname()
        if sock.family == socket.AF_UNIX:
            return address or None
        return address if address[1] else None

    def do_connect(self, slot, sock, other):
        target = self.target(sock, self.sockets[other])
        if target is None or other == slot:
            return "no target"
        sock.connect(target)

    def do_accept(self, slot, sock, other):
        client, address = sock.accept()
        if other == slot:
            client.close()
        else:
            self.put(other, client)
        return self.word(address)

    def do_send(self, slot, sock, size):
        return sock.send(b"x" * (min(size, 5) if sock.family == socket.AF_UNIX else size))

    def do_sendto(self, slot, sock, other):
        target = self.target(sock, self.sockets[other])
        return "no target" if target is None else sock.sendto(b"y" * other, target)

    def do_recv(self, slot, sock, size):
        return sock.recv(size)

    def do_recvfrom(self, slot, sock, size):
        data, address = sock.recvfrom(size)
        return data, self.word(address)

    def do_peek(self, slot, sock, size):
        return sock.recv(size, socket.MSG_PEEK)

    def do_shutdown(self, slot, sock, how):
        sock.shutdown(how)

    def do_linger(self, slot, sock, value):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def do_reuse(self, slot, sock, value):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)

    def do_option(self, slot, sock, option):
        return sock.getsockopt(socket.SOL_SOCKET, option, 8)

    def do_buffers(self, slot, sock, size):
        answers = []
        for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            for asked in (size, 100_000):  # of the small one only the number can be compared
                sock.setsockopt(socket.SOL_SOCKET, option, asked)
                answers.append(sock.getsockopt(socket.SOL_SOCKET, option))
        return answers

    def do_forbidden(self, slot, sock, option):
        sock.setsockopt(socket.SOL_SOCKET, option, 1)

    def do_broadcast(self, slot, sock, value):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, value)
        if not value and sock.family == socket.AF_INET:
            sock.sendto(b"x", ("255.255.255.255", 9))

    def do_error(self, slot, sock, value):
        return sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)

    def do_names(self, slot, sock, value):
        own = self.word(sock.getsockname())
        try:
            return own, self.word(sock.getpeername())
        except OSError as exc:
            return own, errno.errorcode[exc.errno]

    def do_dup(self, slot, sock, other):
        if other != slot:
            self.put(other, sock.dup())

    def do_close(self, slot, sock, value):
        sock.close()
        self.sockets[slot] = None

    def close(self):
        for sock in self.sockets:
            if sock is not None:
                sock.close()


class Real(Kernel):
    def poll(self):
        poller = select.epoll()
        slots = {}
        for slot, sock in enumerate(self.sockets):
            if sock is not None:
                poller.register(sock, select.POLLIN | select.POLLOUT)
                slots[sock.fileno()] = slot
        found = {slots[fd]: mask for fd, mask in poller.poll(0)}
        poller.close()
        return found


class Simulated(Kernel):
    def poll(self):
        return {
            slot: mask
            for slot, sock in enumerate(self.sockets)
            if sock is not None and (mask := sock.file.readiness())
        }


def compare(operations):
    with tempfile.TemporaryDirectory() as folder:
        os.mkdir(os.path.join(folder, "real"))
        os.mkdir(os.path.join(folder, "simulated"))
        real = Real(os.path.join(folder, "real"))
        simulated = Simulated(os.path.join(folder, "simulated"))
        loop = SimLoop()
        told = []
        try:
            for operation in operations:
                expected = real.perform(*operation), None
                expected = expected[0], settled(real)
                with outside.running(loop):
                    got = simulated.perform(*operation), simulated.poll()
                told.append((operation, expected))
                assert got == expected, f"after {told}"
        finally:
            real.close()
            with outside.running(loop):
                simulated.close()
            loop.close()


def settled(kernel):
    """What a poll says, once it says the same twice: loopback works beside us."""
    before = kernel.poll()
    for _ in range(100):
        time.sleep(0)
        now = kernel.poll()
        if now == before:
            return now
        before = now
    return before


options = settings(
    max_examples=SEQUENCES,
    deadline=None,
    derandomize=SEQUENCES <= 200,
    database=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.timeout(0 if SEQUENCES > 200 else 120)
@options
@given(st.lists(STREAM, max_size=25))
def test_streams_answer_as_linux_does(operations):
    compare(operations)


@pytest.mark.timeout(0 if SEQUENCES > 200 else 120)
@options
@given(st.lists(DATAGRAM, max_size=20))
def test_datagrams_answer_as_linux_does(operations):
    compare(operations)


@pytest.mark.timeout(0 if SEQUENCES > 200 else 120)
@options
@given(st.lists(PIPE, max_size=25))
def test_pipes_answer_as_linux_does(operations):
    compare(operations)


def test_a_unix_client_is_called_by_its_name():
    named = [("new", 1, "unix"), ("bind", 1, 0), ("connect", 1, 0), ("accept", 0, 2)]
    server = [("new", 0, "unix"), ("bind", 0, 0), ("listen", 0, 1)]
    compare([*server, *named, ("send", 1, 3), ("recvfrom", 2, 1), ("close", 1, 0), ("recvfrom", 2, 100)])
    compare([("pair", 0, 1), ("send", 0, 3), ("recvfrom", 1, 100)])


def test_a_datagram_is_of_the_name_that_its_sender_has_when_it_is_read():
    sent = [("pair_dgram", 0, 1), ("send", 0, 3), ("send", 0, 3), ("recvfrom", 1, 100), ("bind", 0, 0)]
    compare([*sent, ("recvfrom", 1, 100)])
    compare([*sent, ("close", 0, 0), ("recvfrom", 1, 100)])
