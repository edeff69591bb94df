"""What a scenario is: one thing to measure, and the figure by which loops are compared in it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CPU", "KIB", "MEMORY", "METRICS", "Metric", "Scenario"]

KIB = 1024


@dataclass(frozen=True)
class Metric:
    """A figure of which less is better: `key` in a sample, which times `scale` is in `unit`."""

    key: str
    title: str
    unit: str
    scale: float = 1.0


CPU = Metric("cpu", "CPU", "us", 1e6)
MEMORY = Metric("rss", "memory", "bytes")
METRICS = {metric.key: metric for metric in (CPU, MEMORY)}


@dataclass(frozen=True)
class Scenario:
    """One thing to measure.

    Attributes:
        name: what it is called on the command line.
        title: what it is, for a reader.
        program: the file that runs on the loop, and its arguments. `{scratch}` in an argument is a directory
            that holds a certificate (certificate.pem, key.pem) and has room for sockets.
        load: what the other side does (`load/jobs.py`); "inside" if the program measures itself, "client" if
            it does so while it talks to a `peer`, "import" if the import of the loop's module is all.
        transport: "tcp", "unix", "udp" or "tls".
        size: bytes of a message.
        connections: how many of them talk at the same time.
        idle: how many more are open and say nothing.
        operation: what is counted.
        metric: the figure by which loops are compared.
        floor: the mode of the bare epoll server (`child/floor.py`) under the same load, if there is one.
        seconds: how long a window is.
        counted: operations over which system calls are counted; 0 where that says nothing.
        exchange: what is said in a load of kind "talk" (`load/exchanges.py`).
        peer: the server that a "client" talks to (`peers.py`).
        needs: modules without which there is nothing to measure.
    """

    name: str
    title: str
    program: tuple[str, ...] = ()
    load: str = "echo"
    transport: str = "tcp"
    size: int = KIB
    connections: int = 32
    idle: int = 0
    operation: str = "request"
    metric: Metric = CPU
    floor: str = "tcp"
    seconds: float = 0.5
    counted: int = 2000
    exchange: str = ""
    peer: str = ""
    needs: tuple[str, ...] = ()
