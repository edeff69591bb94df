"""The recorded runs of chapters 6 to 8: do they still show the programs that stand there today?"""

import re
import subprocess
import sys

import pytest

from loopkit.diagnostics.lint import findings
from loopkit.diagnostics.player import page
from loopkit.diagnostics.recording import Call, Poll
from loopkit.diagnostics.tracefile import MARK, load
from tests.tutorial.programs import ROOT, TUTORIAL

RUNS = ROOT / "docs" / "_static" / "runs"
NAMES = ("06-callbacks", "07-timers", "08-coroutines")


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    """The same runs, made now."""
    folder = tmp_path_factory.mktemp("runs")
    subprocess.run([sys.executable, TUTORIAL / "record_runs.py", folder], check=True, timeout=20)
    return folder


def names_of(path):
    return {call.name for call in load(path).tracks[0].calls()}


@pytest.mark.parametrize("name", NAMES)
def test_a_run_on_the_page_is_what_the_program_does(name, fresh):
    assert names_of(RUNS / f"{name}.html") == names_of(fresh / f"{name}.html")


@pytest.mark.parametrize("name", NAMES)
def test_a_run_on_the_page_is_played_by_the_player_of_today(name):
    text = (RUNS / f"{name}.html").read_text(encoding="utf-8")
    today = page(load(RUNS / f"{name}.html"))
    without = [re.sub(rf"{re.escape(MARK)}.*?</script>", "", each, flags=re.DOTALL) for each in (text, today)]
    assert without[0] == without[1], "run record_runs.py again"


@pytest.mark.parametrize("name", NAMES)
def test_its_lines_are_the_lines_of_the_program(name):
    recording = load(RUNS / f"{name}.html")
    assert recording.lines
    for file, lines in recording.lines.items():
        source = (TUTORIAL / file).read_text().splitlines()
        for number, text in lines.items():
            assert source[number - 1] == text, f"{file}:{number} has changed: run record_runs.py again"


@pytest.mark.parametrize("name", NAMES)
def test_it_shows_what_its_chapter_is_about(name):
    track = load(RUNS / f"{name}.html").tracks[0]
    steps = list(track.steps())
    polls = [step for step in steps if isinstance(step, Poll)]
    calls = [step for step in steps if isinstance(step, Call)]
    assert any(call.why == "event" for call in calls)
    if name == "06-callbacks":
        assert all(poll.timeout is None for poll in polls)
        assert {call.why for call in calls} == {"event"}
    else:
        assert any(call.why == "timer" for call in calls)
        assert any(poll.timeout for poll in polls)
    if name == "07-timers":
        assert "Loop.on_bell" in names_of(RUNS / f"{name}.html")
    if name == "08-coroutines":
        assert {call.task for call in calls} == {"welcome 1", "talk 2", "talk 3"}
    assert findings(track) == []


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("folder", ["tutorial", "zh/tutorial"])
def test_the_player_stands_on_the_page(name, folder):
    page = ROOT / "docs" / folder / f"{name}.md"
    found = re.search(r'<iframe src="([^"#]+)#lang=(en|zh)"', page.read_text(encoding="utf-8"))
    assert found
    assert (page.parent / found[1]).resolve() == RUNS / f"{name}.html"
    assert found[2] == ("zh" if folder.startswith("zh") else "en")


@pytest.mark.parametrize("name", NAMES)
def test_a_page_tells_nothing_of_the_machine_it_was_made_on(name):
    text = (RUNS / f"{name}.html").read_text(encoding="utf-8")
    assert str(ROOT) not in text
    assert "/home/" not in text
    assert "/root/" not in text
