"""add_reader, add_writer and their opposites."""

import asyncio

from tests.support import net

from ..registry import probe, same


@probe("add_reader", "with arguments, when there is something to read")
async def add_reader(loop):
    with net.unix_pair() as (ours, theirs):
        done = loop.create_future()

        def readable(what):
            loop.remove_reader(ours.fileno())
            done.set_result((what, ours.recv(100)))

        loop.add_reader(ours.fileno(), readable, "readable")
        await asyncio.sleep(0)
        same(done.done(), False)
        theirs.sendall(b"hello")
        same(await done, ("readable", b"hello"))


@probe("add_reader", "an object with fileno()")
async def add_reader_object(loop):
    with net.unix_pair() as (ours, theirs):
        ready = asyncio.Event()
        loop.add_reader(ours, ready.set)
        theirs.sendall(b"hello")
        await ready.wait()
        loop.remove_reader(ours)


@probe("add_reader", "replaces the callback before")
async def add_reader_again(loop):
    with net.unix_pair() as (ours, theirs):
        old, new = asyncio.Event(), asyncio.Event()
        loop.add_reader(ours, old.set)
        loop.add_reader(ours, new.set)
        theirs.sendall(b"hello")
        await new.wait()
        same(old.is_set(), False)
        loop.remove_reader(ours)


@probe("add_reader", "the end of the stream")
async def add_reader_end(loop):
    with net.unix_pair() as (ours, theirs):
        ready = asyncio.Event()
        loop.add_reader(ours, ready.set)
        theirs.close()
        await ready.wait()
        loop.remove_reader(ours)
        same(ours.recv(1), b"")


@probe("remove_reader", "no call afterwards")
async def remove_reader(loop):
    with net.unix_pair() as (ours, theirs), net.unix_pair() as (other, peer):
        calls, ready = [], asyncio.Event()
        loop.add_reader(ours, calls.append, 1)
        loop.remove_reader(ours)
        loop.add_reader(other, ready.set)
        theirs.sendall(b"hello")
        peer.sendall(b"hello")
        await ready.wait()
        loop.remove_reader(other)
        same(calls, [])


@probe("remove_reader", "whether there was one")
async def remove_reader_returns(loop):
    with net.unix_pair() as (ours, theirs):
        same(loop.remove_reader(ours), False)
        loop.add_reader(ours, print)
        same(loop.remove_reader(ours), True)
        same(loop.remove_reader(ours), False)


@probe("add_writer", "with arguments, when there is room")
async def add_writer(loop):
    with net.unix_pair() as (ours, theirs):
        net.fill(ours)
        done = loop.create_future()

        def writable(what):
            loop.remove_writer(ours.fileno())
            done.set_result(what)

        loop.add_writer(ours.fileno(), writable, "writable")
        await asyncio.sleep(0)
        same(done.done(), False)
        theirs.setblocking(False)
        with_room = loop.create_task(_drain(loop, theirs, done))
        same(await done, "writable")
        await with_room


async def _drain(loop, sock, until):
    while not until.done():
        try:
            sock.recv(65536)
        except BlockingIOError:
            pass
        await asyncio.sleep(0)


@probe("add_writer", "beside a reader")
async def add_writer_beside_reader(loop):
    with net.unix_pair() as (ours, theirs):
        writable, readable = asyncio.Event(), asyncio.Event()
        loop.add_reader(ours, readable.set)
        loop.add_writer(ours, writable.set)
        await writable.wait()
        same(readable.is_set(), False)
        loop.remove_writer(ours)
        theirs.sendall(b"hello")
        await readable.wait()
        loop.remove_reader(ours)


@probe("remove_writer", "no call afterwards")
async def remove_writer(loop):
    with net.unix_pair() as (ours, theirs), net.unix_pair() as (other, peer):
        calls, ready = [], asyncio.Event()
        loop.add_writer(ours, calls.append, 1)
        loop.remove_writer(ours)
        loop.add_writer(other, ready.set)
        await ready.wait()
        loop.remove_writer(other)
        same(calls, [])


@probe("remove_writer", "whether there was one")
async def remove_writer_returns(loop):
    with net.unix_pair() as (ours, theirs):
        same(loop.remove_writer(ours), False)
        loop.add_writer(ours, print)
        same(loop.remove_writer(ours), True)
        same(loop.remove_writer(ours), False)
