"""The order of things: scenario by scenario, round by round, loop by loop."""

from __future__ import annotations

import contextlib
import os
import platform
import time
from typing import TYPE_CHECKING, Protocol

from loopkit.bench.loops import FLOOR
from loopkit.bench.measure import Load, Placement, Settings, measure
from loopkit.bench.processes import Failure
from loopkit.bench.results import LoopResult, Report, ScenarioResult

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loopkit.bench.loops import Contestant
    from loopkit.bench.scenarios import Scenario


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
    placement = Placement.choose()
    report = Report(describe_run(settings, placement))
    progress.expect(sum(len(entrants(scenario, loops)) for scenario in scenarios) * settings.rounds)
    with Load(placement.load) as load, keep_off(placement):
        try:
            for scenario in scenarios:
                result = ScenarioResult(
                    scenario.name, scenario.title, scenario.metric.key, scenario.operation
                )
                report.scenarios.append(result)
                run_scenario(scenario, entrants(scenario, loops), result, settings, placement, load, progress)
        except KeyboardInterrupt:
            report.about["interrupted"] = "yes: rounds are missing"
    return report


def entrants(scenario: Scenario, loops: list[Contestant]) -> list[Contestant]:
    """The loops that take part: the floor only where there is one."""
    return [loop for loop in loops if loop.name != FLOOR or scenario.floor]


def run_scenario(
    scenario: Scenario,
    loops: list[Contestant],
    result: ScenarioResult,
    settings: Settings,
    placement: Placement,
    load: Load,
    progress: Progress,
) -> None:
    """All rounds of a scenario. A loop that fails once is not asked again."""
    rows = {loop.name: LoopResult(loop.name) for loop in loops}
    result.rows.extend(rows.values())
    for number in range(settings.rounds):
        # Every round starts with another loop, so that none is always the one after a slow neighbour.
        turn = number % max(1, len(loops))
        for loop in [*loops[turn:], *loops[:turn]]:
            row = rows[loop.name]
            if not row.failure:
                progress.begin(f"{scenario.name}, round {number + 1} of {settings.rounds}: {loop.name}")
                try:
                    row.samples.append(measure(scenario, loop, settings, placement, load))
                except Failure as failure:
                    row.failure = str(failure)
            progress.end()


@contextlib.contextmanager
def keep_off(placement: Placement) -> Iterator[None]:
    """Keep this process, which draws the progress, off the CPU of the loop under test."""
    if not placement.load:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, [int(cpu) for cpu in placement.load.split(",")])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def describe_run(settings: Settings, placement: Placement) -> dict[str, str]:
    """When, where and how."""
    pinned = (
        f"loop on CPU {placement.server}, load on CPU {placement.load}" if placement.server else "not pinned"
    )
    return {
        "date": time.strftime("%Y-%m-%d %H:%M:%S %z"),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cpu": cpu_model(),
        "cpus": str(len(os.sched_getaffinity(0))),
        "pinned": pinned,
        "heap": settings.heap,
        "rounds": str(settings.rounds),
    }


def cpu_model() -> str:
    """The processor's name."""
    try:
        with open("/proc/cpuinfo") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or "unknown"
