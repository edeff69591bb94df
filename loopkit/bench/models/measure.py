"""One server after the other, and each with more and more silent clients."""

from __future__ import annotations

import os
import platform
import resource
import socket
import statistics
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import loopkit
from loopkit.bench.models.results import KINDS, MODELS, Comparison, Row
from loopkit.bench.placement import Placement
from loopkit.bench.plan import processor
from loopkit.bench.processes import Child, Failure
from loopkit.pollers import POLLERS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loopkit.bench.plan import Progress

__all__ = ["SIZES", "Settings", "compare"]

SIZES = (10, 100, 900, 5000)
SERVERS = Path(__file__).parent / "servers.py"

#: Seconds a server may take to begin, and for any answer.
LIMIT = 15.0

#: Windows of which the median counts.
WINDOWS = 3

#: How many connections are made before one of them asks, so that no queue overflows.
BATCH = 100

#: Descriptors that a process has open besides its clients.
SPARE = 50


class Settings(NamedTuple):
    """How to measure.

    Args:
        sizes: how many silent clients, growing.
        seconds: how long to measure each server with each number of them.
    """

    sizes: tuple[int, ...] = SIZES
    seconds: float = 0.6


def compare(settings: Settings, progress: Progress) -> Comparison:
    """Measure every model of this platform. After Ctrl-C the result holds what there is until then."""
    placement = Placement.choose()
    with _descriptors() as limit:
        sizes = [size for size in settings.sizes if limit is None or size + SPARE < limit]
        about = {
            "date": time.strftime("%Y-%m-%d %H:%M:%S %z"),
            "python": f"{platform.python_implementation()} {platform.python_version()}",
            "system": f"{platform.system()} {platform.release()} {platform.machine()}",
            "processor": processor(),
            "loopkit": loopkit.__version__,
            "pinned": str(placement),
        }
        if len(sizes) < len(settings.sizes):
            about["left out"] = f"sizes beyond the limit of {limit} descriptors (ulimit -Hn)"
        comparison = Comparison(about, sizes)
        models = [model for model in MODELS if model in POLLERS]
        progress.expect(len(KINDS) * len(models) * len(sizes))
        try:
            with placement.keep_off():
                for kind in KINDS:
                    for model in models:
                        row = Row(kind, model)
                        comparison.rows.append(row)
                        _measure(row, sizes, settings.seconds, placement, progress)
        except KeyboardInterrupt:
            about["interrupted"] = "yes, so figures are missing"
    return comparison


def _measure(row: Row, sizes: list[int], seconds: float, placement: Placement, progress: Progress) -> None:
    name = f"{row.kind} {row.model}"
    try:
        with Child(name, [str(SERVERS), row.kind, row.model]) as child, ExitStack() as stack:
            if placement.server:
                os.sched_setaffinity(child.pid, map(int, placement.server.split(",")))
            port = int(child.read_line(LIMIT))
            silent = 0
            active = stack.enter_context(_client(port))
            for size in sizes:
                progress.begin(f"{name}: {size} silent clients")
                if not row.failure:
                    # One after the other where it will end, so that it is known at how many.
                    batch = 1 if row.model == "select" else BATCH
                    while silent < size and not row.failure:
                        count = min(batch, size - silent)
                        row.failure = _fill(child, port, count, stack)
                        silent += 0 if row.failure else count
                        row.served = silent + 1
                if not row.failure:
                    row.cost[size] = _cost(child.pid, active, seconds * 2 / 3)
                    row.idle[size] = _idle(child.pid, seconds / 3)
                progress.end()
    except (Failure, OSError) as failure:
        row.failure = str(failure)


def _fill(child: Child, port: int, count: int, stack: ExitStack) -> str:
    """So many more clients, the last of whom is answered; or how the server refuses them."""
    try:
        for _ in range(count):
            sock = stack.enter_context(_client(port))
        _ask(sock)
    except OSError as error:
        try:
            child.read_line(0.5)  # it says nothing any more: this finds out how it has ended
        except Failure as failure:
            if child.has_ended():
                return str(failure)
        return child.last_words() or f"it closes the connection ({error.strerror or error})"
    return ""


def _client(port: int) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port), timeout=LIMIT)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def _ask(sock: socket.socket) -> None:
    sock.sendall(b"x" * 64)
    if sock.recv(64) != b"x" * 64:
        raise ConnectionResetError("it answers something else")


def _cost(pid: int, active: socket.socket, seconds: float) -> float:
    """Processor seconds per answer: the median of some windows."""
    _ask(active)
    found = []
    for _ in range(WINDOWS):
        answers, before, end = 0, _clock(pid)[0], time.monotonic() + seconds / WINDOWS
        while not answers or time.monotonic() < end:
            _ask(active)
            answers += 1
        found.append((_clock(pid)[0] - before) / answers)
    return statistics.median(found)


def _idle(pid: int, seconds: float) -> float:
    """Share of the time in which it wants a processor although nobody says anything."""
    before, began = _settled_clock(pid)
    time.sleep(seconds)
    after, ended = _settled_clock(pid)
    return min(1.0, (after - before) / (ended - began))


def _settled_clock(pid: int) -> tuple[float, float]:
    """How long the process has run or waited for a processor, and when that was so.

    The kernel adds what it runs at each tick, and a wait when it is over: until then some of it is missing.
    """
    last = sum(_clock(pid))
    while (now := sum(_clock(pid))) == last and _wants_to_run(pid):
        time.sleep(0.001)
    return now, time.monotonic()


def _wants_to_run(pid: int) -> bool:
    """Whether the process runs or waits for a processor (proc(5))."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "R"


def _clock(pid: int) -> tuple[float, float]:
    """Seconds for which the process has run, and for which it has waited for a processor."""
    ran = waited = 0
    for thread in Path(f"/proc/{pid}/task").iterdir():
        figures = (thread / "schedstat").read_text().split()
        ran += int(figures[0])
        waited += int(figures[1])
    return ran / 1e9, waited / 1e9


@contextmanager
def _descriptors() -> Iterator[int | None]:
    """Open as many descriptors as this process may, and by inheritance the servers; None: any number."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        yield None if hard == resource.RLIM_INFINITY else hard
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
