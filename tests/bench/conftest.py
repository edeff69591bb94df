"""A bench with tiny windows, and the loops it measures."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from loopkit.bench.loops import Contestant
from loopkit.bench.measure import Bench, Settings
from loopkit.bench.placement import Placement
from loopkit.bench.scenario import Scenario
from loopkit.bench.scenarios import SCENARIOS

ROOT = str(Path(__file__).parents[2])
ASYNCIO = Contestant("asyncio", "asyncio:SelectorEventLoop")


@pytest.fixture(autouse=True)
def _children_find_the_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), ROOT])))


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    with Bench(Settings(rounds=1, scale=0.02), Placement()) as bench:
        yield bench


def tiny(name: str) -> Scenario:
    """A scenario with few connections."""
    scenario = SCENARIOS[name]
    program = scenario.program
    if "--many" in program:
        program = (*program[:-1], "50")
    return replace(
        scenario,
        program=program,
        connections=min(scenario.connections, 4),
        idle=min(scenario.idle, 20),
        counted=min(scenario.counted, 50),
    )


def bad(name: str) -> Contestant:
    """A loop of `bad_loops`."""
    return Contestant(name, f"tests.bench.bad_loops:{name}")
