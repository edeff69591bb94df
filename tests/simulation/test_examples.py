"""The program of the tutorial's last chapter does what the page says."""

import importlib.util
from pathlib import Path

import pytest

from loopkit.testing import Found, explore

ROOT = Path(__file__).parents[2]
PROGRAM = ROOT / "examples/testing/test_pool.py"


@pytest.fixture
def program():
    spec = importlib.util.spec_from_file_location("example_of_a_pool", PROGRAM)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_hole_is_found_at_the_level_that_the_page_says(program):
    with pytest.raises(Found) as caught:
        explore(program.test_nobody_shares_a_connection)
    report = caught.value.report
    assert report.level == "time"
    assert len(report.schedule) == 1
    assert report.schedule[0] in (ROOT / "docs/tutorial/13-find-the-race.md").read_text()


def test_the_mended_pool_passes(program):
    explore(program.test_nobody_shares_a_connection_of_the_mended_pool, seeds=200, level="order")
