"""`loopkit explore` and `loopkit replay`, as a user starts them."""

import pytest

from tests.cli.commands import run_loopkit

RACE = """
import asyncio

async def test_race():
    stock = {"items": 1}

    async def buy(delay):
        await asyncio.sleep(delay)
        if stock["items"]:
            await asyncio.sleep(0.0002)
            stock["items"] -= 1

    await asyncio.gather(buy(0.001), buy(0.0015))
    assert stock["items"] >= 0

class TestIt:
    async def test_nothing(self):
        await asyncio.sleep(3600)

async def test_needs(fixture):
    pass

def test_plain():
    pass
"""


@pytest.fixture
def race(tmp_path):
    path = tmp_path / "test_shop.py"
    path.write_text(RACE)
    return str(path)


def token_of(text):
    return next(line for line in text.splitlines() if "loopkit replay" in line).split()[3]


def test_explore_finds_a_race_and_replay_repeats_it(race, tmp_path):
    page = tmp_path / "report.html"
    ended = run_loopkit("explore", "--seeds", "50", "--html", str(page), f"{race}::test_race")
    assert ended.code == 1, ended
    assert "level: time: it can happen on asyncio as it is" in ended.out
    assert page.read_text().startswith("<!doctype html>")
    token = token_of(ended.out)
    again = run_loopkit("replay", token, f"{race}::test_race")
    assert again.code == 1
    assert token_of(again.out) == token


def test_explore_says_when_it_finds_nothing(race):
    ended = run_loopkit("explore", "--seeds=20", "--level=order", f"{race}::TestIt::test_nothing")
    assert (ended.code, ended.out) == (0, "21 schedules, and none fails at level order\n")


def test_a_replay_of_another_program_says_so(race):
    ended = run_loopkit("replay", "lk1-313-time-s0-late400.1", f"{race}::test_race")
    assert ended.code == 2
    assert "the replay diverged: 1 deviations were never reached" in ended.err


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["explore"], "explore needs a test"),
        (["explore", "{race}"], "needs the name of a test, too"),
        (["explore", "{race}::test_other"], "has no 'test_other'"),
        (["explore", "nowhere.py::test"], "there is no file 'nowhere.py'"),
        (["explore", "{race}::test_plain"], "is no async function"),
        (["explore", "{race}::test_needs"], "needs fixture: let pytest explore it"),
        (["explore", "--seeds", "many", "{race}::test_race"], "--seeds needs a number, not 'many'"),
        (["explore", "--level", "high", "{race}::test_race"], "level must be one of time, sleep, order"),
        (["explore", "--colour", "{race}::test_race"], "explore does not understand '--colour'"),
        (["replay", "{race}::test_race"], "replay needs a token and a test"),
        (["replay", "lk0", "{race}::test_race"], "'lk0' is no token of loopkit.testing"),
    ],
)
def test_bad_usage_is_one_line_and_exit_code_2(race, words, complaint):
    ended = run_loopkit(*(word.format(race=race) for word in words))
    assert ended.code == 2
    assert complaint in ended.err
    assert len(ended.err.splitlines()) == 1
