"""The order of things: scenario by scenario, round by round, loop by loop."""

from __future__ import annotations

import os
import platform
import resource
import shutil
import time
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Protocol

import loopkit
from loopkit.bench.loops import FLOOR
from loopkit.bench.measure import Bench
from loopkit.bench.placement import Placement
from loopkit.bench.processes import Failure
from loopkit.bench.results import LoopResult, Report, ScenarioResult

if TYPE_CHECKING:
    from loopkit.bench.loops import Contestant
    from loopkit.bench.measure import Settings
    from loopkit.bench.scenario import Scenario


#: A process that is busy for such a share of the time cannot do more.
LIMIT = 0.9


class Progress(Protocol):
    """Who is told how far it is."""

    def expect(self, steps: int) -> None:
        """So many steps will come."""

    def begin(self, text: str) -> None:
        """A step begins."""

    def end(self) -> None:
        """It is over."""


def run(scenarios: list[Scenario], loops: list[Contestant], settings: Settings, progress: Progress) -> Report:
    """Measure every scenario on every loop. After Ctrl-C the report holds what there is until then."""
    # The children inherit it: a crowd needs a descriptor for each of its connections.
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    placement = Placement.choose()
    report = Report(describe_run(settings, loops, placement))
    per_pair = settings.rounds + settings.syscalls
    progress.expect(sum(len(entrants(scenario, loops)) for scenario in scenarios) * per_pair)
    with Bench(settings, placement) as bench, placement.keep_off():
        try:
            for scenario in scenarios:
                if contestants := entrants(scenario, loops):
                    result = start_result(scenario, contestants)
                    report.scenarios.append(result)
                    run_scenario(bench, scenario, contestants, result, progress)
        except KeyboardInterrupt:
            report.about["interrupted"] = "yes, so rounds are missing"
    return report


def entrants(scenario: Scenario, loops: list[Contestant]) -> list[Contestant]:
    """The loops that take part: the floor only where there is one."""
    return [loop for loop in loops if loop.name != FLOOR or scenario.floor]


def start_result(scenario: Scenario, loops: list[Contestant]) -> ScenarioResult:
    """A result without samples."""
    rows = [LoopResult(loop.name) for loop in loops]
    return ScenarioResult(scenario.name, scenario.title, scenario.metric.key, scenario.operation, rows)


def run_scenario(
    bench: Bench, scenario: Scenario, loops: list[Contestant], result: ScenarioResult, progress: Progress
) -> None:
    """All rounds of a scenario, into `result`. A loop that fails once is not asked again."""
    settings = bench.settings
    pairs = list(zip(loops, result.rows, strict=True))
    for number in range(settings.rounds):
        # Every round starts with another loop, so that none is always the one after a slow neighbour.
        turn = number % len(pairs)
        for loop, row in [*pairs[turn:], *pairs[:turn]]:
            if not row.failure:
                progress.begin(f"{scenario.name}, round {number + 1} of {settings.rounds}: {loop.name}")
                take_sample(bench, scenario, loop, row)
            progress.end()
    for _, row in pairs:
        row.remark = limited(row)
    for loop, row in pairs if settings.syscalls else []:
        if not row.failure and scenario.counted:
            progress.begin(f"{scenario.name}, system calls: {loop.name}")
            count_syscalls(bench, scenario, loop, row)
        progress.end()


def take_sample(bench: Bench, scenario: Scenario, loop: Contestant, row: LoopResult) -> None:
    """One more sample for the row, or how the loop failed."""
    try:
        row.samples.append(bench.measure(scenario, loop))
    except Failure as failure:
        row.failure = str(failure)


def limited(row: LoopResult) -> str:
    """What to say if the load could not have done more: requests per second are its own figure then."""
    load, busy = row.median("load_busy"), row.median("busy")
    if load is None or busy is None or load < LIMIT or busy > LIMIT:
        return ""
    return f"the load was busy for {load:.0%} of the time, the server for {busy:.0%}: it could have done more"


def count_syscalls(bench: Bench, scenario: Scenario, loop: Contestant, row: LoopResult) -> None:
    """The row's system calls. That they cannot be counted is no failure of the loop."""
    try:
        row.syscalls = bench.count_syscalls(scenario, loop)
    except Failure as failure:
        row.remark = f"system calls not counted: {failure}"


def describe_run(settings: Settings, loops: list[Contestant], placement: Placement) -> dict[str, str]:
    """When, where, what and how."""
    return {
        "date": time.strftime("%Y-%m-%d %H:%M:%S %z"),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "processor": processor(),
        "cpus": str(len(os.sched_getaffinity(0))),
        "pinned": str(placement),
        "heap": settings.heap,
        "rounds": str(settings.rounds),
        "window": f"x{settings.scale:g}",
        "load": "wrk for HTTP/1.1 with keep-alive, else our own" if shutil.which("wrk") else "our own",
        **versions(loops),
    }


def versions(loops: list[Contestant]) -> dict[str, str]:
    """The versions of the loops that are distributions of their own."""
    found = {}
    for loop in loops:
        if loop.folder:
            continue  # another version of us, named by its folder
        if loop.factory.startswith("loopkit:"):
            found["loopkit"] = loopkit.__version__
        elif loop.install:
            try:
                found[loop.install] = version(loop.install)
            except PackageNotFoundError:
                # It can be imported all the same, from a source tree for instance.
                continue
    return found


def processor() -> str:
    """The processor's name."""
    try:
        with open("/proc/cpuinfo") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or "unknown"
