"""`loopkit explore` and `loopkit replay`, as a user starts them."""

import json
from pathlib import Path

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


MARKED = """
import asyncio
import pytest

@pytest.mark.loopkit(seeds=5, level="sleep")
async def test_it():
    await asyncio.sleep(1)
"""


@pytest.fixture
def race(tmp_path):
    path = tmp_path / "test_shop.py"
    path.write_text(RACE)
    return str(path)


def token_of(text):
    return next(line for line in text.splitlines() if "loopkit replay" in line).split()[3]


def test_explore_finds_a_race_and_replay_repeats_it(race):
    ended = run_loopkit("explore", "--seeds", "50", f"{race}::test_race")
    assert ended.code == 1, ended
    assert "level: time: it can happen on asyncio as it is" in ended.out
    token = token_of(ended.out)
    again = run_loopkit("replay", token, f"{race}::test_race")
    assert again.code == 1
    assert token_of(again.out) == token


def test_a_failure_that_was_saved_is_replayed_from_its_file_alone(race, tmp_path):
    kept = tmp_path / "failure.json"
    found = run_loopkit("explore", "--seeds", "50", f"--save={kept}", f"{race}::test_race")
    assert json.loads(kept.read_text())["token"] == token_of(found.out)
    again = run_loopkit("replay", str(kept))
    assert (again.code, token_of(again.out)) == (1, token_of(found.out))
    assert run_loopkit("replay", str(kept), f"{race}::test_race") == again


@pytest.mark.parametrize("suffix", ["html", "json", "txt"])
def test_each_turn_of_a_failing_run_is_written_for_the_player(race, tmp_path, suffix):
    trace = tmp_path / f"turns.{suffix}"
    assert run_loopkit("explore", "--seeds", "50", "--trace", str(trace), f"{race}::test_race").code == 1
    assert "a deadline passed meanwhile" in trace.read_text()
    if suffix == "json":
        assert run_loopkit("view", str(trace), "-o", str(tmp_path / "again.txt")).code == 0
        assert "error: AssertionError" in (tmp_path / "again.txt").read_text()


def test_what_the_marker_says_is_true_from_the_shell_too(tmp_path):
    marked = tmp_path / "test_marked.py"
    marked.write_text(MARKED)
    assert run_loopkit("explore", f"{marked}::test_it").out == "6 schedules, and none fails at level sleep\n"
    ended = run_loopkit("explore", "--seeds=2", f"{marked}::test_it")
    assert ended.out == "3 schedules, and none fails at level sleep\n"


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
        (["replay", "lk1-313-time-s0-"], "replay needs a token and a test"),
        (["replay", "nowhere.json", "{race}::test_race"], "cannot read nowhere.json: No such file"),
        (["replay", "{race}.json"], "is no JSON"),
        (["replay", "{other}"], "is no failure that loopkit.testing has saved: it has no token"),
        (
            ["explore", "--trace", "t.svg", "{race}::test_race"],
            "is written as .html, .json, .txt, not as 't.svg'",
        ),
        (["explore", "--seeds=50", "--save=/dev/null/f", "{race}::test_race"], "cannot write /dev/null/f"),
    ],
)
def test_bad_usage_is_one_line_and_exit_code_2(race, words, complaint):
    Path(f"{race}.json").write_text("{")
    other = Path(race).with_name("other.json")
    other.write_text("[1]")
    ended = run_loopkit(*(word.format(race=race, other=other) for word in words))
    assert ended.code == 2
    assert complaint in ended.err
    assert len(ended.err.splitlines()) == 1
