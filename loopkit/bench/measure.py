"""One scenario on one loop, once: a fresh process for the loop, the load, one sample."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from loopkit.bench.loops import FLOOR
from loopkit.bench.processes import Child, Failure

if TYPE_CHECKING:
    from loopkit.bench.loops import Contestant
    from loopkit.bench.scenarios import Scenario

HERE = Path(__file__).parent
CHILD = HERE / "child"
# Seconds: for a server to listen, for a load to answer beyond its window, for a process of ours to live at
# most.
START_LIMIT = 15.0
ANSWER_LIMIT = 30.0
LIFETIME = 120
WARMUP = 0.1

Sample = dict[str, float]


@dataclass(frozen=True)
class Settings:
    """How to measure: `scale` stretches every window, `heap` is "cold" or "warm"."""

    rounds: int = 5
    scale: float = 1.0
    heap: str = "cold"


@dataclass(frozen=True)
class Placement:
    """Which CPUs the loop and the load run on; empty: wherever the kernel likes."""

    server: str = ""
    load: str = ""

    @classmethod
    def choose(cls) -> Placement:
        """One CPU for the loop under test; for the load all the others but its hyper-threading sibling."""
        cpus = os.sched_getaffinity(0)
        server = max(cpus)
        others = cpus - {server}
        if not others:
            return cls()
        apart = others - siblings(server)
        return cls(str(server), ",".join(map(str, sorted(apart or others))))


def siblings(cpu: int) -> set[int]:
    """The CPUs that share a core with this one, as far as the kernel tells."""
    try:
        text = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list").read_text()
    except OSError:
        return set()
    found: set[int] = set()
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        found |= set(range(int(first), int(last or first) + 1))
    return found


def find_program(name: str) -> Path:
    """The file of a server program: examples/echo.py in a checkout is part of the package once installed."""
    for folder in (CHILD, HERE / "programs", HERE.parent.parent / "examples"):
        if (folder / name).is_file():
            return folder / name
    raise FileNotFoundError(f"the program {name} is missing from this installation of loopkit")


class Load:
    """The load process, started when first needed and again after it failed."""

    def __init__(self, cpus: str) -> None:
        self._cpus = cpus
        self._child: Child | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._drop()

    def run(self, job: dict[str, Any]) -> Sample:
        """Do a job. Raises Failure with what went wrong."""
        if self._child is None:
            arguments = ["-m", "loopkit.bench.load", *([self._cpus] if self._cpus else [])]
            self._child = Child(arguments, pipe_in=True)
        try:
            self._child.send(json.dumps(job))
            answer = self._child.read_json(job.get("seconds", 0) + ANSWER_LIMIT)
        except BaseException:
            self._drop()
            raise
        if "error" in answer:
            raise Failure(answer["error"])
        return answer

    def _drop(self) -> None:
        if self._child is not None:
            self._child.close()
            self._child = None


def measure(
    scenario: Scenario, loop: Contestant, settings: Settings, placement: Placement, load: Load
) -> Sample:
    """One sample. Raises Failure with one line that says how the loop failed."""
    with start_server(scenario, loop, settings, placement) as server:
        job = {
            "kind": scenario.load,
            "pid": server.pid,
            "address": wait_until_listening(server),
            "transport": scenario.transport,
            "size": scenario.size,
            "connections": scenario.connections,
            "operation": scenario.operation,
            "seconds": scenario.seconds * settings.scale,
            "warmup": WARMUP * settings.scale,
        }
        try:
            return load.run(job)
        except Failure as failure:
            if server.has_ended():
                raise Failure(f"the server {server.describe_end()}") from None
            words = server.last_words()
            raise Failure(f"{failure}" + (f"; the server said: {words}" if words else "")) from None


def start_server(scenario: Scenario, loop: Contestant, settings: Settings, placement: Placement) -> Child:
    """A process that runs the scenario's server program on the loop."""
    if loop.name == FLOOR:
        program = [str(CHILD / "floor.py"), "--mode", scenario.floor]
    else:
        name, *arguments = scenario.program
        program = [str(find_program(name)), *arguments]
    return Child(
        [str(CHILD / "run.py"), loop.factory, placement.server, str(LIFETIME), settings.heap, *program]
    )


def wait_until_listening(server: Child) -> list[str | int]:
    """Where the server listens, from the line in which it says so."""
    try:
        line = server.read_line(START_LIMIT)
    except Failure as failure:
        raise Failure(f"the server did not start: {failure}") from None
    found = re.search(r"listening on (\S+):(\d+)", line)
    if not found:
        raise Failure(f"the server did not say where it listens but: {line[:100]}")
    return [found[1], int(found[2])]
