"""add_reader, add_writer and their removal."""

import asyncio
import os
import socket

import pytest

from tests.support.net import fill, tcp_pair, unix_pair


def run(loop, seconds=0.003):
    loop.run_until_complete(asyncio.sleep(seconds))


def test_a_reader_is_called_while_there_is_something_to_read(new_loop):
    loop = new_loop()
    with unix_pair() as (ours, theirs):
        got = []

        def on_readable(*args):
            got.append((args, ours.recv(1)))
            if len(got) == 3:
                loop.stop()

        loop.add_reader(ours, on_readable, 1, "two")
        theirs.send(b"abc")
        loop.run_forever()
        run(loop)
        loop.remove_reader(ours)
    assert got == [((1, "two"), b"a"), ((1, "two"), b"b"), ((1, "two"), b"c")]


def test_a_writer_is_called_while_there_is_room(new_loop):
    loop = new_loop()
    with unix_pair() as (ours, theirs):
        calls = []

        def on_writable():
            calls.append(1)
            if len(calls) == 3:
                loop.remove_writer(ours)
                loop.stop()

        loop.add_writer(ours, on_writable)
        loop.run_forever()
        run(loop)
    assert calls == [1, 1, 1]


def test_a_writer_waits_until_there_is_room(new_loop):
    loop = new_loop()
    with unix_pair() as (ours, theirs):
        amount = fill(ours)
        calls = []
        loop.add_writer(ours, lambda: (calls.append(1), loop.remove_writer(ours)))
        run(loop)
        assert calls == []
        while amount:
            amount -= len(theirs.recv(65536))
        run(loop)
        assert calls == [1]


@pytest.mark.uvloop_differs(reason="returns None")
@pytest.mark.parametrize("direction", ["reader", "writer"])
def test_removing_tells_whether_there_was_one(new_loop, direction):
    loop = new_loop()
    add, remove = getattr(loop, f"add_{direction}"), getattr(loop, f"remove_{direction}")
    with unix_pair() as (ours, theirs):
        assert remove(ours) is False
        add(ours, print)
        assert remove(ours.fileno()) is True
        assert remove(ours) is False


def test_removing_one_direction_leaves_the_other(new_loop):
    loop = new_loop()
    with unix_pair() as (ours, theirs):
        theirs.send(b"x")
        ran = []
        loop.add_reader(ours, lambda: (ran.append("read"), ours.recv(1)))
        loop.add_writer(ours, pytest.fail, "ran")
        loop.remove_writer(ours)
        run(loop)
        assert ran == ["read"]
        loop.add_writer(ours, lambda: (ran.append("write"), loop.remove_writer(ours)))
        loop.remove_reader(ours)
        theirs.send(b"x")
        run(loop)
        assert ran == ["read", "write"]


def test_a_removed_reader_is_not_called(new_loop):
    loop = new_loop()
    with unix_pair() as (ours, theirs):
        loop.add_reader(ours, pytest.fail, "ran")
        theirs.send(b"x")
        loop.call_soon(loop.remove_reader, ours)
        run(loop)
        assert not loop.remove_reader(ours)


def test_adding_again_replaces_the_callback(new_loop):
    loop = new_loop()
    with unix_pair() as (ours, theirs):
        theirs.send(b"x")
        got = []
        loop.add_reader(ours, pytest.fail, "ran")
        loop.add_reader(ours, lambda: got.append(ours.recv(1)))
        run(loop)
        loop.remove_reader(ours)
    assert got == [b"x"]


def test_a_callback_may_replace_itself(new_loop):
    loop = new_loop()
    with unix_pair() as (ours, theirs):
        theirs.send(b"ab")
        got = []

        def first():
            got.append(("first", ours.recv(1)))
            loop.add_reader(ours, second)

        def second():
            got.append(("second", ours.recv(1)))

        loop.add_reader(ours, first)
        run(loop)
        loop.remove_reader(ours)
    assert got == [("first", b"a"), ("second", b"b")]


def test_a_reader_sees_the_end_of_the_stream(new_loop):
    loop = new_loop()
    for pair in (unix_pair, tcp_pair):
        with pair() as (ours, theirs):
            got = []
            loop.add_reader(ours, lambda got=got, ours=ours: (got.append(ours.recv(10)), loop.stop()))
            theirs.close()
            loop.run_forever()
            loop.remove_reader(ours)
        assert set(got) == {b""}


def test_a_pending_connect_that_fails_wakes_the_writer(new_loop):
    loop = new_loop()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))  # bound, not listening: refuses
        with socket.socket() as sock:
            sock.setblocking(False)
            sock.connect_ex(probe.getsockname())
            errors = []

            def on_writable():
                loop.remove_writer(sock)
                errors.append(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
                loop.stop()

            loop.add_writer(sock, on_writable)
            loop.run_forever()
    assert errors[0] != 0


def test_pipes_can_be_watched(new_loop):
    loop = new_loop()
    read, write = os.pipe()
    try:
        got = []
        loop.add_reader(read, lambda: (got.append(os.read(read, 10)), loop.remove_reader(read)))
        loop.add_writer(write, lambda: (os.write(write, b"through"), loop.remove_writer(write)))
        run(loop)
    finally:
        os.close(read)
        os.close(write)
    assert got == [b"through"]


def test_the_same_number_for_a_new_socket_is_watched_anew(new_loop):
    """A closed descriptor leaves the kernel's table; its number comes back as something else."""
    loop = new_loop()
    for _ in range(3):
        with unix_pair() as (ours, theirs):
            got = []
            theirs.send(b"x")
            loop.add_reader(ours, lambda got=got, ours=ours: got.append(ours.recv(1)))
            run(loop)
            loop.remove_reader(ours)
            assert got == [b"x"]


@pytest.mark.uvloop_differs(reason="forgets to watch the new descriptor, or crashes", run=False)
def test_a_number_closed_while_watched_can_be_watched_again(new_loop, loop_name):
    loop = new_loop()
    first, first_peer = socket.socketpair()
    number = first.fileno()
    loop.add_reader(first, int)
    run(loop)
    loop.remove_reader(first)
    first.close()
    second, second_peer = socket.socketpair()
    with first_peer, second, second_peer:
        assert second.fileno() == number
        second_peer.send(b"x")
        got = []
        loop.add_reader(second, lambda: got.append(second.recv(1)))
        run(loop)
        loop.remove_reader(second)
    assert got == [b"x"]


def test_duplicates_are_watched_apart(new_loop):
    loop = new_loop()
    with unix_pair() as (ours, theirs), ours.dup() as twin:
        got = []
        loop.add_reader(ours, lambda: (got.append("ours"), loop.remove_reader(ours)))
        loop.add_reader(twin, lambda: (got.append("twin"), loop.remove_reader(twin)))
        theirs.send(b"x")
        run(loop)
    assert sorted(got) == ["ours", "twin"]


@pytest.mark.parametrize("method", ["add_reader", "add_writer", "remove_reader", "remove_writer"])
def test_what_is_no_descriptor_is_refused(new_loop, method):
    loop = new_loop()
    callback = (print,) if method.startswith("add") else ()
    with pytest.raises(ValueError, match="^Invalid file object: 'spam'$"):
        getattr(loop, method)("spam", *callback)


@pytest.mark.parametrize("method", ["add_reader", "add_writer", "remove_reader", "remove_writer"])
def test_a_negative_descriptor_is_refused(new_loop, method):
    loop = new_loop()
    callback = (print,) if method.startswith("add") else ()
    with pytest.raises(ValueError, match="^Invalid file descriptor: -1$"):
        getattr(loop, method)(-1, *callback)


@pytest.mark.parametrize("method", ["add_reader", "add_writer"])
def test_a_regular_file_is_refused_where_the_kernel_cannot_watch_it(new_loop, method, tmp_path, loop_name):
    if loop_name in ("poll", "select", "busy"):
        pytest.skip("poll() and select() take files and call them always ready")
    loop = new_loop()
    with open(tmp_path / "file", "wb") as file, pytest.raises(PermissionError):
        getattr(loop, method)(file, print)


@pytest.mark.uvloop_differs(reason="remove returns None")
def test_removing_from_a_closed_socket_is_false(new_loop):
    loop = new_loop()
    sock = socket.socket()
    loop.add_reader(sock, print)
    loop.add_writer(sock, print)
    loop.remove_reader(sock)
    loop.remove_writer(sock)
    number = sock.fileno()
    sock.close()
    assert loop.remove_reader(number) is False
    assert loop.remove_writer(number) is False


@pytest.mark.uvloop_differs(reason="raises")
def test_removing_from_a_closed_loop_is_false(new_loop):
    loop = new_loop()
    with unix_pair() as (ours, theirs):
        loop.add_reader(ours, print)
        loop.close()
        assert loop.remove_reader(ours) is False
        assert loop.remove_writer(ours) is False


async def test_the_descriptor_of_a_transport_is_refused():
    loop = asyncio.get_running_loop()
    with unix_pair() as (ours, theirs):
        number = ours.fileno()
        transport, _ = await loop.create_unix_connection(asyncio.Protocol, sock=ours)
        for method, callback in (
            (loop.add_reader, (print,)),
            (loop.add_writer, (print,)),
            (loop.remove_reader, ()),
            (loop.remove_writer, ()),
        ):
            with pytest.raises(RuntimeError, match=f"^File descriptor {number} is used by transport <"):
                method(number, *callback)
        transport.close()
        await asyncio.sleep(0)
        await asyncio.sleep(0)


async def test_the_descriptor_is_free_when_the_transport_is_gone():
    loop = asyncio.get_running_loop()
    with unix_pair() as (ours, theirs):
        transport, _ = await loop.create_unix_connection(asyncio.Protocol, sock=ours.dup())
        transport.abort()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        theirs_again = socket.socket(fileno=os.dup(ours.fileno()))
        with theirs_again:
            called = asyncio.Event()
            loop.add_reader(theirs_again, called.set)
            theirs.send(b"x")
            await called.wait()
            loop.remove_reader(theirs_again)


def test_objects_with_fileno_are_taken(new_loop):
    class Thing:
        def __init__(self, sock):
            self.fileno = sock.fileno

    loop = new_loop()
    with unix_pair() as (ours, theirs):
        theirs.send(b"x")
        got = []
        thing = Thing(ours)
        loop.add_reader(thing, lambda: got.append(ours.recv(1)))
        run(loop)
        loop.remove_reader(thing)
    assert got == [b"x"]


def test_a_reader_runs_in_the_context_of_its_adding(new_loop):
    import contextvars

    variable = contextvars.ContextVar("variable", default="default")
    loop = new_loop()
    seen = []
    with unix_pair() as (ours, theirs):
        theirs.send(b"x")

        def add():
            variable.set("mine")
            loop.add_reader(ours, lambda: (seen.append(variable.get()), ours.recv(1)))

        contextvars.copy_context().run(add)
        run(loop)
        loop.remove_reader(ours)
    assert seen == ["mine"]


def test_a_level_triggered_reader_is_called_again_for_what_it_left(new_loop):
    loop = new_loop()
    with unix_pair() as (ours, theirs):
        theirs.send(b"abcdef")
        got = []

        def on_readable():
            got.append(ours.recv(2))
            if len(got) == 3:
                loop.stop()

        loop.add_reader(ours, on_readable)
        loop.run_forever()
        loop.remove_reader(ours)
    assert b"".join(got) == b"abcdef"


def test_many_descriptors_are_watched(new_loop):
    loop = new_loop()
    pairs = [socket.socketpair() for _ in range(200)]
    got = set()
    try:
        for number, (ours, theirs) in enumerate(pairs):
            loop.add_reader(ours, lambda n=number, s=ours: (got.add(n), s.recv(1)))
            theirs.send(b"x")
        run(loop, 0.02)
        assert got == set(range(200))
        for ours, _ in pairs:
            loop.remove_reader(ours)
    finally:
        for pair in pairs:
            for sock in pair:
                sock.close()


@pytest.mark.loops("epoll", "poll", "select", "busy")
def test_a_transport_that_closes_takes_its_descriptor_along(new_loop):
    loop, calls = new_loop(), []

    async def main():
        with unix_pair() as (ours, theirs):
            transport, _ = await loop.create_connection(asyncio.Protocol, sock=ours)
            theirs.send(b"unread")
            transport.abort()
            loop.add_reader(ours, lambda: calls.append(ours.fileno()))
            for _ in range(5):
                await asyncio.sleep(0)
            assert ours.fileno() == -1
            assert -1 not in calls

    loop.run_until_complete(main())
