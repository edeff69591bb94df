"""A descriptor's number is given back and used again: who hears what, whoever the two users are."""

import asyncio
import contextlib
import os
import socket
import tempfile

import pytest

import loopkit
from tests.support.net import fill, unix_pair

OLD_USERS = ["reader", "writer", "sock_recv", "sock_sendall", "sock_sendfile"]
WAYS = ["close", "dup kept", "detach", "os.close", "dup2"]


class Old:
    """Somebody who uses a socket, and what was called on his behalf."""

    def __init__(self, loop, kind):
        self.loop, self.kind, self.calls, self.task = loop, kind, [], None
        self.sock, self.peer = socket.socketpair()
        self.sock.setblocking(False)
        self.peer.setblocking(False)
        self.file = None

    async def begin(self):
        loop, sock = self.loop, self.sock
        if self.kind == "reader":
            loop.add_reader(sock, self.calls.append, "read")
        elif self.kind == "writer":
            fill(sock)
            loop.add_writer(sock, self.calls.append, "write")
        elif self.kind == "sock_recv":
            self.task = asyncio.ensure_future(loop.sock_recv(sock, 100))
        elif self.kind == "sock_sendall":
            self.task = asyncio.ensure_future(loop.sock_sendall(sock, b"old" * 1_000_000))
        elif self.kind == "sock_sendfile":
            self.file = tempfile.TemporaryFile()
            self.file.write(b"old" * 1_000_000)
            self.file.flush()
            self.task = asyncio.ensure_future(loop.sock_sendfile(sock, self.file))
        await asyncio.sleep(0.001)

    def vanish(self, way):
        """Give the number back; returns it, and who takes the file on."""
        number, heir = self.sock.fileno(), None
        if way == "dup kept":
            heir = socket.socket(fileno=os.dup(number))
        if way == "os.close":
            os.close(number)
            self.sock.detach()
        elif way == "detach":
            heir = socket.socket(fileno=os.dup(self.sock.fileno()))
            os.close(self.sock.detach())
        elif way != "dup2":
            self.sock.close()
        return number, heir

    async def end(self):
        if self.task is not None:
            self.task.cancel()
            await asyncio.wait([self.task])
        if self.file is not None:
            self.file.close()
        self.peer.close()


def pair_at(number, way):
    """A connected pair, the first of which has *number*."""
    ours, theirs = socket.socketpair()
    if way == "dup2":
        os.dup2(ours.fileno(), number)
        ours.close()
        ours = socket.socket(fileno=number)
    elif ours.fileno() != number:
        if theirs.fileno() == number:
            ours, theirs = theirs, ours
        else:
            os.dup2(ours.fileno(), number)
            ours.close()
            ours = socket.socket(fileno=number)
    ours.setblocking(False)
    theirs.setblocking(False)
    return ours, theirs


def silent(sock):
    with pytest.raises(BlockingIOError):
        sock.recv(100)


async def new_user_hears(loop, kind, ours, theirs):
    """Have the new user receive b'new' and say so; nothing but what was sent to it may reach it."""
    if kind == "reader":
        got = loop.create_future()
        loop.add_reader(ours, lambda: got.done() or got.set_result(ours.recv(100)))
        await asyncio.sleep(0.002)
        assert not got.done()
        theirs.send(b"new")
        assert await asyncio.wait_for(got, 5) == b"new"
        loop.remove_reader(ours)
    elif kind == "sock_recv":
        for _ in range(5):
            receiving = asyncio.ensure_future(loop.sock_recv(ours, 100))
            await asyncio.sleep(0.001)
            assert not receiving.done()
            theirs.send(b"new")
            assert await asyncio.wait_for(receiving, 5) == b"new"
    elif kind == "transport":
        reader, writer = await asyncio.open_connection(sock=ours)
        await asyncio.sleep(0.002)
        theirs.send(b"new")
        assert await asyncio.wait_for(reader.readexactly(3), 5) == b"new"
        writer.write(b"answer")
        await asyncio.sleep(0.002)
        assert theirs.recv(100) == b"answer"
        silent(theirs)
        writer.transport.abort()
        await asyncio.sleep(0)
        return
    silent(theirs)


@pytest.mark.loops("epoll", "poll", "select", "busy")
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("new", ["reader", "sock_recv", "transport"])
@pytest.mark.parametrize("old", OLD_USERS)
def test_the_new_user_of_a_number_gets_its_own_and_the_old_one_nothing(new_loop, old, new, way):
    """On asyncio some of these hang, and one writes the old user's file to the new one."""
    loop = new_loop()
    loop.set_exception_handler(lambda loop, context: None)

    async def main():
        first = Old(loop, old)
        await first.begin()
        number, heir = first.vanish(way)
        ours, theirs = pair_at(number, way)
        if way == "dup2":
            first.sock.detach()
        before = list(first.calls)
        if heir is not None:
            first.peer.send(b"for the heir")
        await new_user_hears(loop, new, ours, theirs)
        # It may have been called while the number was nobody's that we know; not since it is somebody's.
        assert first.calls[len(before) :] == [] or old in ("reader", "writer")
        if first.task is not None and first.task.done():
            assert isinstance(first.task.exception(), OSError)
        ours.close()
        theirs.close()
        if heir is not None:
            heir.close()
        await first.end()

    loop.run_until_complete(main())


@pytest.mark.loops("epoll", "poll", "select", "busy")
@pytest.mark.parametrize("old", ["sock_recv", "sock_sendall", "sock_sendfile"])
def test_who_waits_under_a_number_that_is_taken_hears_an_error(new_loop, old):
    loop = new_loop()

    async def main():
        first = Old(loop, old)
        await first.begin()
        number, _ = first.vanish("close")
        ours, theirs = pair_at(number, "close")
        reader, writer = await asyncio.open_connection(sock=ours)
        with pytest.raises(OSError, match="Bad file descriptor|was closed by somebody else"):
            await asyncio.wait_for(first.task, 5)
        silent(theirs)
        writer.transport.abort()
        await asyncio.sleep(0)
        theirs.close()
        await first.end()

    loop.run_until_complete(main())


@pytest.mark.loops("epoll", "poll", "select", "busy")
def test_a_transport_whose_number_was_taken_is_lost_and_closes_nobodys_file(new_loop):
    loop = new_loop()

    async def main():
        lost = loop.create_future()

        class Old(asyncio.Protocol):
            def connection_lost(self, exc):
                lost.set_result(exc)

        old, peer = socket.socketpair()
        transport, _ = await loop.create_connection(Old, sock=old)
        transport.write(b"before")
        await asyncio.sleep(0)
        number = old.fileno()
        new, new_peer = socket.socketpair()
        os.dup2(new.fileno(), number)
        new.close()
        taken = socket.socket(fileno=number)
        taken.setblocking(False)
        reader, writer = await asyncio.open_connection(sock=taken)
        assert isinstance(await asyncio.wait_for(lost, 5), OSError)
        transport.close()
        transport.abort()
        await asyncio.sleep(0)
        os.fstat(number)
        new_peer.send(b"hello")
        assert await asyncio.wait_for(reader.readexactly(5), 5) == b"hello"
        new_peer.setblocking(False)
        silent(new_peer)
        writer.transport.abort()
        await asyncio.sleep(0)
        new_peer.close()
        peer.close()

    loop.run_until_complete(main())


# -- what lives on elsewhere ---------------------------------------------------------------------------------


def count_polls(loop):
    """How often the loop asks its poller from now on: a call returns the number so far."""
    start = loop._watches.polls
    return lambda: loop._watches.polls - start


@pytest.mark.loops("epoll", "poll", "select")
@pytest.mark.parametrize("direction", ["in", "out", "hang-up"])
@pytest.mark.parametrize("new", [None, "reader", "sock_recv", "transport", "server"])
def test_a_file_that_lives_on_elsewhere_does_not_spin_the_loop(new_loop, new, direction):
    loop = new_loop()

    async def main():
        sock, peer = socket.socketpair()
        sock.setblocking(False)
        number = sock.fileno()
        if direction == "out":
            fill(sock)
            loop.add_writer(number, int)
        else:
            loop.add_reader(number, int)
        await asyncio.sleep(0)
        twin = os.dup(number)
        sock.close()
        ours, theirs = pair_at(number, "close")
        users = contextlib.AsyncExitStack()
        if new == "reader":
            loop.add_reader(ours, int)
            users.callback(loop.remove_reader, ours)
        elif new == "sock_recv":
            task = asyncio.ensure_future(loop.sock_recv(ours, 100))
            users.callback(task.cancel)
        elif new == "transport":
            transport, _ = await loop.create_connection(asyncio.Protocol, sock=ours)
            users.callback(transport.abort)
        elif new == "server":
            ours.close()
            server = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)
            users.callback(server.close)
        if direction == "in":
            peer.send(b"for the twin")
        elif direction == "out":
            with contextlib.suppress(BlockingIOError):
                while peer.recv(65536, socket.MSG_DONTWAIT):
                    pass
        else:
            peer.close()
        # A dead entry is found by the poll that is audited; after that the loop sleeps.
        polls = count_polls(loop)
        spun = 10
        while spun >= 10 and polls() < 1000:
            before = polls()
            await asyncio.sleep(0.05)
            spun = polls() - before
        assert spun < 10
        await users.aclose()
        await asyncio.sleep(0)
        ours.close()
        theirs.close()
        peer.close()
        os.close(twin)

    loop.run_until_complete(main())


@pytest.mark.loops("poll", "select")
def test_a_closed_descriptor_starves_nobody(new_loop):
    loop = new_loop()

    async def main():
        reading, writing = os.pipe()
        calls = []
        loop.add_reader(reading, calls.append, 1)
        with unix_pair() as (ours, theirs):
            os.close(reading)
            theirs.send(b"one")
            assert await asyncio.wait_for(loop.sock_recv(ours, 10), 5) == b"one"
            receiving = asyncio.ensure_future(loop.sock_recv(ours, 10))
            polls = count_polls(loop)
            await asyncio.sleep(0.01)
            assert polls() < 20
            assert calls == []
            theirs.send(b"two")
            assert await asyncio.wait_for(receiving, 5) == b"two"
        os.close(writing)

    loop.run_until_complete(main())


@pytest.mark.loops("epoll")
def test_handing_over_socket_after_socket_costs_the_same_whoever_else_is_there(new_loop):
    """Counted in calls of the poller: each rebuild tells the new poller of everybody."""
    loop = new_loop()
    idle = 200

    async def main():
        with contextlib.ExitStack() as stack:
            for _ in range(idle):
                ours, _ = stack.enter_context(unix_pair())
                loop.add_reader(ours, int)
                stack.callback(loop.remove_reader, ours)
            rebuilt = []
            rebuild = type(loop._watches).rebuild
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(
                    type(loop._watches), "rebuild", lambda self: (rebuilt.append(self.polls), rebuild(self))
                )
                polls = count_polls(loop)
                for _ in range(50):
                    sock, peer = socket.socketpair()
                    stack.callback(peer.close)
                    sock.setblocking(False)
                    for _ in range(6):
                        receiving = asyncio.ensure_future(loop.sock_recv(sock, 10))
                        await asyncio.sleep(0)
                        peer.send(b"x")
                        await receiving
                    stack.callback(os.close, os.dup(sock.fileno()))
                    sock.close()
                    peer.send(b"for the worker")
                    await asyncio.sleep(0.001)
                assert len(rebuilt) * idle <= polls() + idle

    loop.run_until_complete(main())


@pytest.mark.loops("epoll")
def test_a_rebuild_without_a_descriptor_to_spare_leaves_the_loop_alive(new_loop):
    import resource

    loop = new_loop()

    async def main():
        loop._watches.audit_at = 0
        sock, peer = socket.socketpair()
        twin = os.dup(sock.fileno())
        loop.add_reader(sock, int)
        await asyncio.sleep(0)
        number = sock.fileno()
        sock.close()
        loop.remove_reader(number)
        old = loop._watches.poller
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, limits[1]))
        try:
            peer.send(b"x")
            await asyncio.sleep(0.01)
            assert loop._watches.poller is old
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        loop._watches.rebuild_at = 0
        polls = count_polls(loop)
        await asyncio.sleep(0.05)
        assert loop._watches.poller is not old
        assert polls() < 20
        os.close(twin)
        peer.close()

    loop.run_until_complete(main())


@pytest.mark.loops("epoll", "poll", "select", "busy")
def test_a_child_that_only_execs_pays_nothing_for_each_descriptor(new_loop):
    """What it does is counted in the child: no registration, and no new poller."""
    loop = new_loop()
    with contextlib.ExitStack() as stack:
        for _ in range(20):
            ours, _ = stack.enter_context(unix_pair())
            loop.add_reader(ours, int)
            stack.callback(loop.remove_reader, ours)
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            kind = type(loop._watches.poller).__name__
            os.write(writing, kind.encode())
            os._exit(0)
        os.waitpid(pid, 0)
        assert os.read(reading, 100) == b"Inherited"
        assert type(loop._watches.poller) is not loopkit.rebuilding.Inherited
        os.close(reading)
        os.close(writing)
