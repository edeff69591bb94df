"""Pipes, terminals and sockets as one-way streams."""

import contextlib
import os
import pty
import tty

import pytest

from tests.support import net
from tests.support.protocols import Recorder

from ..registry import probe, same


@contextlib.contextmanager
def _fifo():
    """Both ends of a pipe as files."""
    read, write = os.pipe()
    with open(read, "rb", 0) as reader, open(write, "wb", 0) as writer:
        yield reader, writer


@contextlib.contextmanager
def _terminal():
    """A raw terminal: the file of its user's side, and that of the program's."""
    master, slave = pty.openpty()
    tty.setraw(slave)
    with open(master, "r+b", 0) as user, open(slave, "r+b", 0) as program:
        yield user, program


@probe("connect_read_pipe", "a pipe, to its end")
async def connect_read_pipe(loop):
    with _fifo() as (reader, writer):
        transport, protocol = await loop.connect_read_pipe(Recorder, reader)
        writer.write(b"hello")
        same(await protocol.received(5), b"hello")
        writer.close()
        same(await protocol.lost(), None)
        same("eof" in protocol.events, True)


@probe("connect_read_pipe", "pause_reading() and resume_reading()")
async def connect_read_pipe_paused(loop):
    with _fifo() as (reader, writer):
        transport, protocol = await loop.connect_read_pipe(Recorder, reader)
        transport.pause_reading()
        same(transport.is_reading(), False)
        writer.write(b"hello")
        transport.resume_reading()
        same(await protocol.received(5), b"hello")
        transport.close()
        await protocol.lost()


@probe("connect_read_pipe", "a socket")
async def connect_read_pipe_socket(loop):
    with net.unix_pair() as (ours, theirs):
        transport, protocol = await loop.connect_read_pipe(Recorder, ours)
        theirs.sendall(b"hello")
        same(await protocol.received(5), b"hello")
        transport.close()
        await protocol.lost()


@probe("connect_read_pipe", "a terminal")
async def connect_read_pipe_terminal(loop):
    with _terminal() as (user, program):
        transport, protocol = await loop.connect_read_pipe(Recorder, program)
        user.write(b"hello")
        same(await protocol.received(5), b"hello")
        transport.close()
        await protocol.lost()


@probe("connect_read_pipe", "ValueError for a regular file")
async def connect_read_pipe_file(loop):
    with open(__file__, "rb", 0) as file, pytest.raises(ValueError):
        await loop.connect_read_pipe(Recorder, file)


@probe("connect_write_pipe", "a pipe")
async def connect_write_pipe(loop):
    with _fifo() as (reader, writer):
        transport, protocol = await loop.connect_write_pipe(Recorder, writer)
        transport.write(b"hello")
        same(await net.blocking(os.read, reader.fileno(), 100), b"hello")
        transport.close()
        same(await protocol.lost(), None)
        same(reader.read(1), b"")


@probe("connect_write_pipe", "pause_writing() and resume_writing()")
async def connect_write_pipe_full(loop):
    with _fifo() as (reader, writer):
        transport, protocol = await loop.connect_write_pipe(Recorder, writer)
        transport.write(b"x" * 1_000_000)
        await protocol.until_event("pause")
        same(len(await net.blocking(_read, reader, 1_000_000)), 1_000_000)
        await protocol.until_event("resume")
        transport.write_eof()
        await protocol.lost()


def _read(file, count):
    data = b""
    while len(data) < count:
        data += file.read(count - len(data))
    return data


@probe("connect_write_pipe", "a reader that goes away")
async def connect_write_pipe_broken(loop):
    with _fifo() as (reader, writer):
        transport, protocol = await loop.connect_write_pipe(Recorder, writer)
        reader.close()
        await protocol.lost()
        same(transport.is_closing(), True)


@probe("connect_write_pipe", "a socket")
async def connect_write_pipe_socket(loop):
    with net.unix_pair() as (ours, theirs):
        transport, protocol = await loop.connect_write_pipe(Recorder, ours)
        transport.write(b"hello")
        same(await net.blocking(net.read_exactly, theirs, 5), b"hello")
        transport.close()
        await protocol.lost()


@probe("connect_write_pipe", "a terminal")
async def connect_write_pipe_terminal(loop):
    with _terminal() as (user, program):
        transport, protocol = await loop.connect_write_pipe(Recorder, program)
        transport.write(b"hello")
        same(await net.blocking(_read, user, 5), b"hello")
        transport.close()
        await protocol.lost()


@probe("connect_write_pipe", "ValueError for a regular file")
async def connect_write_pipe_file(loop):
    with open(__file__, "rb", 0) as file, pytest.raises(ValueError):
        await loop.connect_write_pipe(Recorder, file)
