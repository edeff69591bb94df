"""What is measured: the table of scenarios, and the groups that name several at once."""

from __future__ import annotations

from dataclasses import dataclass

KIB = 1024


@dataclass(frozen=True)
class Metric:
    """A figure of which less is better: `key` in a sample, which times `scale` is in `unit`."""

    key: str
    title: str
    unit: str
    scale: float = 1.0


CPU = Metric("cpu", "CPU per operation", "us", 1e6)
RSS = Metric("rss", "memory per connection", "bytes")
P99 = Metric("p99", "p99 latency", "us", 1e6)
METRICS = {metric.key: metric for metric in (CPU, RSS, P99)}


@dataclass(frozen=True)
class Scenario:
    """One thing to measure.

    `program` is a server program and its arguments, or empty for a scenario that runs inside one process.
    `load` is what the other side does. `size` is in bytes, `idle` the number of connections that say nothing.
    `floor` is the mode of the bare epoll server under the same load, if there is one.
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
    floor: str = ""
    seconds: float = 0.5


def _echo(name: str, title: str, mode: str, size: int = KIB, connections: int = 32) -> Scenario:
    program = ("echo.py", "--mode", mode, "--port", "0")
    return Scenario(name, title, program, size=size, connections=connections, floor="tcp")


SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        _echo("protocol", "protocol echo, 1 KiB x 32 connections", "protocol"),
        _echo("streams", "streams echo, 1 KiB x 32 connections", "streams"),
        _echo("sock", "sock_* echo, 1 KiB x 32 connections", "sock"),
    )
}
GROUPS = {
    "echo": ["protocol", "streams", "sock"],
    "all": list(SCENARIOS),
}


def choose(names: list[str]) -> list[Scenario]:
    """The scenarios that names and groups stand for, each once, in the order given.

    Raises:
        ValueError: a name is neither a scenario nor a group.
    """
    chosen: dict[str, Scenario] = {}
    for name in names:
        if name not in SCENARIOS and name not in GROUPS:
            groups = ", ".join(GROUPS)
            raise ValueError(f"no scenario is called {name!r}; groups: {groups}; --list shows every scenario")
        chosen |= {member: SCENARIOS[member] for member in GROUPS.get(name, [name])}
    return list(chosen.values())
