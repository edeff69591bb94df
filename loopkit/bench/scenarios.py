"""What is measured: the table of scenarios, and the groups that name several at once."""

from __future__ import annotations

from dataclasses import replace

from loopkit.bench.apps import APPS, missing
from loopkit.bench.scenario import KIB, MEMORY, Scenario

#: How many connections there are in a crowd, and how many of them talk.
SIZES = (100, 1000, 5000, 19_000)
TALKING = 100


def _echo(name: str, title: str, mode: str, size: int = KIB, connections: int = 32) -> Scenario:
    # The program of examples/echo.py, just as anybody would run it.
    program = ("echo.py", "--mode", mode, "--port", "0")
    return Scenario(name, title, program, size=size, connections=connections)


def _served(name: str, title: str, mode: str, *arguments: str) -> Scenario:
    return Scenario(name, title, ("servers.py", "--mode", mode, *arguments))


def _tls(name: str, title: str) -> Scenario:
    served = _served(name, title, "tls", "--certificate", "{scratch}")
    return replace(served, transport="tls", floor="tls")


def _crowd(size: int) -> Scenario:
    echo = _echo(f"scale-{size}", f"64 B x {TALKING} connections of {size:,}", "protocol", 64, TALKING)
    return replace(echo, load="crowd", idle=size - TALKING)


def _inside(name: str, title: str, operation: str, counted: int = 2000, seconds: float = 0.3) -> Scenario:
    program = ("inside.py", "--scenario", name)
    return Scenario(
        name, title, program, "inside", operation=operation, floor="", counted=counted, seconds=seconds
    )


def _many(name: str, title: str, operation: str, many: int) -> Scenario:
    inside = _inside(name, title, operation)
    return replace(inside, program=(*inside.program, "--many", str(many)))


CONNECTIONS = [
    _echo("protocol-64", "protocol echo, 64 B x 1 connection", "protocol", 64, 1),
    _echo("protocol", "protocol echo, 1 KiB x 32 connections", "protocol"),
    _echo("protocol-10k", "protocol echo, 10 KiB x 32 connections", "protocol", 10 * KIB),
    _echo("protocol-100k", "protocol echo, 100 KiB x 8 connections", "protocol", 100 * KIB, 8),
    _echo("protocol-1000", "protocol echo, 1 KiB x 1000 connections", "protocol", KIB, 1000),
    _served("buffered", "BufferedProtocol echo, 1 KiB x 32 connections", "buffered"),
    _echo("streams", "streams echo with read(), 1 KiB x 32 connections", "streams"),
    _served("readline", "streams echo with readline(), 1 KiB x 32 connections", "readline"),
    _served("readexactly", "streams echo with readexactly(), 1 KiB x 32 connections", "readexactly"),
    _echo("sock", "sock_* echo, 1 KiB x 32 connections", "sock"),
    _echo("sock-100k", "sock_* echo, 100 KiB x 8 connections", "sock", 100 * KIB, 8),
    _served("two-writes", "header and body in two writes, 1 KiB x 32 connections", "two-writes"),
    replace(_served("udp", "UDP echo, 1 KiB x 32 sockets", "udp"), transport="udp", floor="udp"),
    replace(
        _served(
            "unix", "Unix socket protocol echo, 1 KiB x 32 connections", "unix", "--path", "{scratch}/echo"
        ),
        transport="unix",
        floor="unix",
    ),
    replace(
        _echo("churn", "connect, echo 1 KiB, close; 16 at a time", "protocol", KIB, 16),
        load="churn",
        operation="connection",
        counted=500,
    ),
    replace(
        _echo("churn-1", "connect, echo 64 B, close; one after another", "protocol", 64, 1),
        load="churn",
        operation="connection",
        counted=500,
    ),
]
TLS = [
    _tls("tls", "TLS protocol echo, 1 KiB x 32 connections"),
    replace(_tls("tls-100k", "TLS protocol echo, 100 KiB x 8 connections"), size=100 * KIB, connections=8),
    replace(
        _tls("handshake", "TLS 1.3 handshake, echo 64 B, close; 8 at a time"),
        load="churn",
        size=64,
        connections=8,
        operation="handshake",
        counted=100,
    ),
]
IDLE = [
    replace(
        _echo("idle-memory", "memory of 5000 idle connections", "protocol", 64),
        load="memory",
        idle=5000,
        operation="connection",
        metric=MEMORY,
        counted=0,
    ),
    replace(
        _tls("idle-memory-tls", "memory of 300 idle TLS connections"),
        load="memory",
        size=64,
        idle=300,
        operation="connection",
        metric=MEMORY,
        counted=0,
    ),
    replace(_echo("among-900", "64 B x 1 connection among 900 idle ones", "protocol", 64, 1), idle=900),
    replace(_echo("among-5000", "64 B x 1 connection among 5000 idle ones", "protocol", 64, 1), idle=5000),
]
INSIDE = [
    _inside("call-soon", "call_soon, each callback schedules the next", "callback"),
    _inside("call-soon-batch", "call_soon, 100,000 callbacks at once", "callback", counted=100_000),
    _inside("threadsafe", "call_soon_threadsafe from another thread", "callback"),
    _inside("timers-fired", "call_later, 1000 timers in 2 to 3 ms, all fire", "timer"),
    _inside("timers-cancelled", "call_later, 1000 timers, all cancelled", "timer"),
    _inside("timers-rearmed", "call_later, cancelled and set anew; 100 at a time", "timer"),
    _inside("sleep", "await asyncio.sleep(0)", "step"),
    _inside("tasks", "create_task of an empty coroutine, and await it", "task"),
    _inside("gather", "asyncio.gather of 1,000 empty coroutines", "task"),
    _inside("task-group", "TaskGroup of 1,000 empty coroutines", "task"),
    _inside("queue", "asyncio.Queue of 10, one producer and one consumer", "item"),
    _inside("queue-many", "asyncio.Queue of 10, 100 producers and 100 consumers", "item"),
    _inside("broadcast", "asyncio.Event, 10,000 waiters woken at once", "waiter", counted=10_000),
    _inside("wait-for", "asyncio.wait_for around sleep(0)", "call"),
    _inside("timeout", "asyncio.timeout() around sleep(0)", "call"),
    _inside("executor", "run_in_executor, there and back", "call"),
    _inside("subprocess", "create_subprocess_exec of `true`, and wait", "process", counted=20),
    _inside("startup", "make a loop, run an empty coroutine, close it", "loop", counted=50),
    Scenario(
        "import",
        "import the loop's module, with asyncio loaded",
        load="import",
        operation="import",
        floor="",
        counted=0,
    ),
]
SCALE = [
    *(_crowd(size) for size in SIZES),
    replace(
        _echo("scale-backlog", "connect, echo 64 B, close; 1,000 wait to be accepted", "protocol", 64, 1000),
        load="backlog",
        operation="connection",
    ),
    _many("scale-timers", "call_later and cancel, while 1,000,000 timers wait", "timer", 1_000_000),
    _many("scale-tasks", "100,000 tasks, each woken by its future", "task", 100_000),
]
LOOKING = [
    _echo("protocol-1", "protocol echo, 1 KiB x 1 connection", "protocol", KIB, 1),
    Scenario(
        "ping-pong",
        "add_reader, one byte at a time between two sockets of the process",
        ("ping_pong.py",),
        "inside",
        operation="turn",
        floor="",
    ),
]
ROWS = (*CONNECTIONS, *TLS, *IDLE, *INSIDE)
SCENARIOS = {scenario.name: scenario for scenario in (*ROWS, *SCALE, *APPS, *LOOKING)}
GROUPS = {
    "echo": ["protocol", "streams", "sock"],
    "connections": [scenario.name for scenario in CONNECTIONS],
    "tls-all": [scenario.name for scenario in TLS],
    "idle": [scenario.name for scenario in IDLE],
    "inside": [scenario.name for scenario in INSIDE],
    "scale": [scenario.name for scenario in SCALE],
    "apps": [scenario.name for scenario in APPS],
    "looking": ["protocol", *(scenario.name for scenario in LOOKING)],
    "all": [scenario.name for scenario in ROWS],
}

#: Who runs where nobody says so, in groups that are about some loops only.
USUAL = {"looking": ["loopkit-epoll", "loopkit-epoll+metrics", "loopkit-epoll+watch"]}


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


def available(chosen: list[Scenario]) -> tuple[list[Scenario], list[str]]:
    """Those of the scenarios that can run on this machine, and one line about each that cannot.

    Raises:
        ValueError: none can.
    """
    absent = {scenario.name: why for scenario in chosen if (why := missing(scenario))}
    kept = [scenario for scenario in chosen if scenario.name not in absent]
    if not kept:
        raise ValueError("; ".join(f"{name}: {why}" for name, why in absent.items()))
    return kept, [f"{name} is skipped: {why}" for name, why in absent.items()]
