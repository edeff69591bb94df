"""Does the report on crowds say what grows, and by how much?"""

from xml.etree import ElementTree

import pytest

from loopkit.bench.report import scale
from loopkit.bench.results import LoopResult, Report, ScenarioResult


def crowd(size: int, **cpu: float) -> ScenarioResult:
    rows = [
        LoopResult(
            {"loopkit": "loopkit-epoll"}.get(name, name),
            [{"operations": 9.0, "rate": 1.0, "cpu": cost * 1e-6, "connect": 20e-6, "rss": 800.0}] * 3,
        )
        for name, cost in cpu.items()
    ]
    return ScenarioResult(f"scale-{size}", f"{size}", "cpu", "request", rows)


def report() -> Report:
    return Report(
        {"python": "3.13", "date": "today"},
        [crowd(100, loopkit=8, asyncio=20, floor=7), crowd(19_000, loopkit=8.4, asyncio=40, floor=7)],
    )


def test_growth_is_told_for_each_loop_and_against_the_floor() -> None:
    lines = scale.summary(report()).splitlines()
    table = {line.split()[0]: line.split()[1:] for line in lines[2:5]}
    assert table["loopkit-epoll"] == ["8.00", "8.40", "+5%", "+5%"]
    assert table["asyncio"] == ["20.0", "40.0", "+100%", "+100%"]
    assert table["floor"] == ["7.00", "7.00", "+0%", "-"]


def test_the_dream_of_many_is_arithmetic_from_what_was_measured() -> None:
    told = " ".join(scale.summary(report()).split())
    assert "loopkit-epoll: a request's cost is flat. 800,000 silent connections" in told
    assert "800,000 x 800 bytes = 0.64 GB" in told
    assert "800,000 x 20.0 us = 16 s of one core" in told
    assert "asyncio: a request's cost is growing (+100% from 100 to 19,000)" in told


def test_a_loop_that_fails_in_a_crowd_has_no_figures_there() -> None:
    failing = report()
    failing.scenarios[1].rows[1].failure = "too many"
    lines = scale.summary(failing).splitlines()
    assert next(line for line in lines if line.startswith("asyncio")).split()[1:] == ["20.0", "-", "-", "-"]


def test_curves_are_drawn_for_everybody_with_figures() -> None:
    root = ElementTree.fromstring(scale.draw(report()))
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"loopkit-epoll", "asyncio", "floor", "100", "19,000"} <= set(texts)
    assert len(list(root.iter("{http://www.w3.org/2000/svg}polygon"))) == 3


@pytest.mark.parametrize("kept", [0, 1])
def test_one_size_says_nothing_of_growth(kept: int) -> None:
    few = report()
    del few.scenarios[kept:]
    assert not scale.has_crowds(few)
    assert scale.has_crowds(report())
