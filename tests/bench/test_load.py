"""Does the load notice what it must, in whatever pieces bytes arrive?"""

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress

import pytest

from loopkit.bench.load.connections import Broken, Connection, make_payload
from loopkit.bench.load.echo import EchoLoad
from loopkit.bench.load.jobs import measure, percentiles
from loopkit.bench.load.meter import Meter
from loopkit.bench.syscalls import parse_summary


@pytest.fixture
def serve() -> Iterator[Callable[[Callable[[bytes], bytes]], socket.socket]]:
    """Starts a thread that answers on a socket pair with what a function makes of each piece."""
    threads, ends = [], []

    def start(answer: Callable[[bytes], bytes]) -> socket.socket:
        mine, theirs = socket.socketpair()
        # Small buffers: a large message cannot go at once, in either direction.
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        mine.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)

        def echo() -> None:
            # The other end may be gone when a test has seen enough.
            with theirs, suppress(OSError):
                while data := theirs.recv(1000):
                    theirs.sendall(answer(data))

        thread = threading.Thread(target=echo)
        thread.start()
        threads.append(thread)
        ends.append(mine)
        return mine

    yield start
    for end in ends:
        end.close()
    for thread in threads:
        thread.join()


@pytest.mark.parametrize("size", [1, 64, 999, 1000, 1001, 65536, 300_000])
def test_messages_of_any_size_come_back_whole(serve: Callable[..., socket.socket], size: int) -> None:
    with closing(EchoLoad([serve(bytes), serve(bytes)], size)) as load:
        load.start()
        assert len(load.pump(30, limit=5)) >= 5
        load.finish()


@pytest.mark.parametrize(
    "wrong",
    [lambda data: data[::-1], lambda data: data + b"!", lambda data: b"\0" * len(data)],
    ids=["order", "more", "zero"],
)
def test_wrong_bytes_are_seen(serve: Callable[..., socket.socket], wrong: Callable[[bytes], bytes]) -> None:
    with closing(EchoLoad([serve(wrong)], 64)) as load:
        load.start()
        with pytest.raises(Broken, match=r"wrong bytes on connection 0|more"):
            load.pump(30, limit=5)
            load.finish()


def test_replies_swapped_between_connections_are_seen() -> None:
    first, second = socket.socketpair(), socket.socketpair()
    with closing(EchoLoad([first[0], second[0]], 32)) as load, first[1], second[1]:
        load.start()
        to_second, to_first = first[1].recv(32), second[1].recv(32)
        first[1].sendall(to_first)
        second[1].sendall(to_second)
        with pytest.raises(Broken, match="wrong bytes"):
            load.pump(30)


def test_an_end_in_the_middle_of_a_reply_is_seen() -> None:
    mine, theirs = socket.socketpair()
    with closing(EchoLoad([mine], 32)) as load, theirs:
        load.start()
        theirs.sendall(theirs.recv(32)[:10])
        theirs.shutdown(socket.SHUT_WR)
        with pytest.raises(Broken, match="closed connection 0 instead of replying"):
            load.pump(30)


@pytest.mark.parametrize("size", [1, 2, 10, 1024])
def test_payloads_are_one_line_and_differ(size: int) -> None:
    payloads = [make_payload(size, owner, turn) for owner in range(3) for turn in range(2)]
    assert all(len(payload) == size and payload.index(b"\n") == size - 1 for payload in payloads)
    if size >= 10:
        assert len(set(payloads)) == len(payloads)


def test_a_reply_may_come_byte_by_byte() -> None:
    mine, theirs = socket.socketpair()
    with mine, theirs:
        connection = Connection(mine, 0, 5)
        done = [connection.take(connection.expected[at : at + 1]) for at in range(5)]
    assert done == [False, False, False, False, True]


def test_percentiles_of_few_and_many() -> None:
    assert percentiles([3.0]) == {"p50": 3.0, "p99": 3.0}
    many = percentiles([float(value) for value in range(101)])
    assert many == {"p50": 50.0, "p99": 99.0}


def test_a_window_in_which_the_machine_stood_still_stays_open_for_one_operation() -> None:
    windows = iter([[], [], [0.25]])
    job = {"pid": os.getpid(), "warmup": 0, "seconds": 0.001, "operation": "request"}
    sample = measure(job, lambda: None, lambda seconds: next(windows))
    assert (sample["operations"], sample["p50"]) == (1, 0.25)


def test_the_meter_reads_this_process() -> None:
    meter = Meter(os.getpid())
    before = meter.read()
    sum(range(200_000))
    used = meter.read().since(before)
    assert used["cpu"] > 0
    assert meter.resident_bytes() > 1 << 20


def test_the_summary_of_strace_is_read() -> None:
    text = """\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 50.00    0.000010           5      2000           sendto
 50.00    0.000010           5      2010        10 recvfrom
------ ----------- ----------- --------- --------- ----------------
100.00    0.000020           4      4010        10 total
"""
    assert parse_summary(text) == {"sendto": 2000, "recvfrom": 2010}
