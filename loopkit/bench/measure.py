"""One scenario on one loop, once: a fresh process for the loop, the load, one sample or one failure."""

from __future__ import annotations

import json
import re
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from loopkit.bench.certificate import make_certificate
from loopkit.bench.loops import FLOOR
from loopkit.bench.peers import Peers
from loopkit.bench.processes import Child, Failure
from loopkit.bench.syscalls import Strace

if TYPE_CHECKING:
    from loopkit.bench.loops import Contestant
    from loopkit.bench.placement import Placement
    from loopkit.bench.scenario import Scenario

HERE = Path(__file__).parent
CHILD = HERE / "child"
# Seconds: for a server to listen, for an answer beyond the window, for a process of ours to live at most.
START_LIMIT = 15.0
ANSWER_LIMIT = 30.0
# Seconds that each of many connections may take to come, on a machine that has other things to do.
CONNECT_LIMIT = 0.005
LIFETIME = 120
# Seconds of its own processor time for which a loop's process works before it is measured. A just-in-time
# compiler, as PyPy's, wants to have seen everything a thousand times.
WARMUP = 0.1 if sys.implementation.name == "cpython" else 3.0
# How often a module is imported for one sample: a single import is over too soon to be measured well.
IMPORTS = 5

Sample = dict[str, float]


@dataclass(frozen=True)
class Settings:
    """How to measure.

    Attributes:
        rounds: samples of each loop in each scenario.
        scale: by which every window is stretched.
        heap: "cold" or "warm" (`child/run.py` says what that means).
        syscalls: whether to count system calls after the rounds.
    """

    rounds: int = 5
    scale: float = 1.0
    heap: str = "cold"
    syscalls: bool = False


def find_program(name: str) -> Path:
    """The file of a program: examples/echo.py in a checkout is part of the package once installed."""
    for folder in (CHILD, HERE / "programs", HERE.parent.parent / "examples"):
        if (folder / name).is_file():
            return folder / name
    raise FileNotFoundError(f"the program {name} is missing from this installation of loopkit")


class Bench:
    """Measures. Holds the load process and a scratch folder as long as its `with` block lasts."""

    def __init__(self, settings: Settings, placement: Placement) -> None:
        self.settings = settings
        self.placement = placement
        self._load: Child | None = None
        self._peers = Peers(placement)
        self._scratch = tempfile.TemporaryDirectory(prefix="loopkit-bench-")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._drop_load()
        self._peers.close()
        self._scratch.cleanup()

    def measure(self, scenario: Scenario, loop: Contestant) -> Sample:
        """One sample. Raises Failure with one line that says how the loop failed."""
        if scenario.load == "import":
            return self._measure_import(loop)
        if scenario.load in ("inside", "client"):
            return self._measure_inside(scenario, loop)
        return self._measure_server(scenario, loop)

    def count_syscalls(self, scenario: Scenario, loop: Contestant) -> dict[str, float]:
        """System calls per operation, by name. Raises Failure."""
        calls: dict[str, int] = {}
        if scenario.load in ("inside", "client"):
            sample = self._measure_inside(scenario, loop, calls)
        else:
            sample = self._measure_server(scenario, loop, calls)
        return {name: number / sample["operations"] for name, number in calls.items()}

    def _measure_server(
        self, scenario: Scenario, loop: Contestant, calls: dict[str, int] | None = None
    ) -> Sample:
        if scenario.transport == "tls":
            make_certificate(Path(self._scratch.name))
        with self._start(scenario, loop) as server:
            job = {
                "kind": scenario.load,
                "pid": server.pid,
                "address": wait_until_listening(server),
                "transport": scenario.transport,
                "certificate": f"{self._scratch.name}/certificate.pem",
                "size": scenario.size,
                "exchange": scenario.exchange,
                "connections": scenario.connections,
                "idle": scenario.idle,
                "operation": scenario.operation,
                "seconds": scenario.seconds * self.settings.scale,
                "warmup": WARMUP * self.settings.scale,
                "limit": 0 if calls is None else scenario.counted,
                "hold": calls is not None,
            }
            try:
                return self._run_load(job, server.pid, calls)
            except Failure as failure:
                if server.has_ended(seconds=1):
                    raise Failure(f"the server died: {server.describe_end()}") from None
                words = server.last_words()
                raise Failure(f"{failure}" + (f"; the server said: {words}" if words else "")) from None

    def _measure_inside(
        self, scenario: Scenario, loop: Contestant, calls: dict[str, int] | None = None
    ) -> Sample:
        seconds, warmup = scenario.seconds * self.settings.scale, WARMUP * self.settings.scale
        options = ["--seconds", str(seconds), "--warmup", str(warmup)]
        if calls is not None:
            options = ["--limit", str(scenario.counted), "--hold"]
        if scenario.peer:
            options += ["--peer", self._peers.address(scenario.peer)]
        with self._start(scenario, loop, options) as child:
            return converse(child, child.pid, ANSWER_LIMIT, calls)

    def _measure_import(self, loop: Contestant) -> Sample:
        module = loop.factory.partition(":")[0]
        # Compiled, as installed packages are, even if this source tree is not and must not be. The first
        # import compiles; the median does not see it.
        extra = {"PYTHONPYCACHEPREFIX": f"{self._scratch.name}/pycache", "PYTHONDONTWRITEBYTECODE": ""}
        samples = []
        for _ in range(IMPORTS):
            command = [str(CHILD / "imports.py"), module, self.placement.server]
            with Child("import", command, extra=extra, folder=loop.folder) as child:
                samples.append(child.read_json(ANSWER_LIMIT))
        return {key: statistics.median(sample[key] for sample in samples) for key in samples[0]}

    def _start(self, scenario: Scenario, loop: Contestant, options: list[str] | None = None) -> Child:
        """A process that runs the scenario's program on the loop."""
        scratch = self._scratch.name
        if loop.name == FLOOR:
            program = [str(CHILD / "floor.py"), "--mode", scenario.floor, "--scratch", scratch]
        else:
            name, *arguments = scenario.program
            program = [str(find_program(name)), *(argument.format(scratch=scratch) for argument in arguments)]
        # A server that was killed left its Unix socket behind, and not every loop removes a stale one.
        Path(scratch, "echo").unlink(missing_ok=True)
        run = [str(CHILD / "run.py"), loop.factory, self.placement.server, str(LIFETIME), self.settings.heap]
        command = [*run, *program, *(options or [])]
        settings = dict(loop.settings)
        return Child("program", command, pipe_in=options is not None, folder=loop.folder, extra=settings)

    def _run_load(self, job: dict[str, Any], pid: int, calls: dict[str, int] | None) -> Sample:
        """Give the load process a job. It is started when first needed, and again after it failed."""
        if self._load is None:
            cpus = [self.placement.load] if self.placement.load else []
            self._load = Child("load", ["-m", "loopkit.bench.load", *cpus], pipe_in=True)
        try:
            self._load.send(json.dumps(job))
            limit = job["seconds"] + ANSWER_LIMIT + job["idle"] * CONNECT_LIMIT
            answer = converse(self._load, pid, limit, calls)
        except BaseException:
            # Whatever it is still doing must not mix with the next job.
            self._drop_load()
            raise
        if "error" in answer:
            raise Failure(str(answer["error"]))
        return answer

    def _drop_load(self) -> None:
        if self._load is not None:
            self._load.close()
            self._load = None


def converse(child: Child, pid: int, limit: float, calls: dict[str, int] | None) -> dict[str, Any]:
    """Wait for a child's sample; if `calls` is given, count into it what process `pid` calls meanwhile."""
    answer = child.read_json(limit)
    if calls is None or "ready" not in answer:
        return answer
    with Strace(pid) as strace:
        child.send("go")
        answer = child.read_json(limit)
        calls.update(strace.stop())
    return answer


def wait_until_listening(server: Child) -> list[str | int] | str:
    """Where the server listens, from the line in which it says so: (host, port), or a path."""
    try:
        line = server.read_line(START_LIMIT)
    except Failure as failure:
        raise Failure(f"did not start: {failure}") from None
    if found := re.search(r"listening on ([\d.]+):(\d+)", line):
        return [found[1], int(found[2])]
    if found := re.search(r"listening on (/\S+)", line):
        return found[1]
    raise Failure(f"the server did not say where it listens but: {line[:100]}")
