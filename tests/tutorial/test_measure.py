"""The measurements of the chapters: can a reader repeat each of them?"""

import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tutorial.programs import TUTORIAL, environment


@pytest.mark.timeout(120)  # eleven hundred clients
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("wait 01_blocking.py", "01_blocking.py: the second client has no answer after 2 s"),
        ("wait 05_epoll.py", "05_epoll.py: the second client has waited "),
        ("idle 03_select.py", "03_select.py: wants 0.0% of a core for 100 clients who say nothing"),
        ("crowd 03_select.py 1100", "03_select.py: 1020 of 1100 clients were served"),
    ],
)
def test_it_prints_what_the_chapter_says(arguments: str, words: str) -> None:
    done = subprocess.run(
        [sys.executable, str(TUTORIAL / "measure.py"), *arguments.split()],
        capture_output=True,
        text=True,
        env=environment(),
        timeout=25,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert words in done.stdout


def test_a_table_ends_even_if_the_server_hardly_lets_anybody_in(tmp_path: Path) -> None:
    """The exercise of chapter 2: a pause in each round, in which one client is let in."""
    source = (TUTORIAL / "02_polling.py").read_text(encoding="utf-8")
    begin = "    while True:  # and nothing in it ever sleeps\n"
    assert begin in source
    slow = tmp_path / "slow.py"
    slow.write_text(
        source.replace(begin, f"{begin}        __import__('time').sleep(0.02)\n"), encoding="utf-8"
    )
    script = f"import measure; measure.LET_IN = 1; measure.CELL = 0; measure.cost([{str(slow)!r}], [0, 1000])"
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        env=environment(PYTHONPATH=str(TUTORIAL)),
        timeout=25,
    )
    assert (done.returncode, done.stderr) == (0, "")
    nobody, thousand = done.stdout.split()[-2:]
    assert float(nobody) > 0
    assert thousand == "-"


def test_it_ends_in_the_background_too_where_ctrl_c_is_ignored() -> None:
    done = subprocess.run(
        [sys.executable, str(TUTORIAL / "measure.py"), "wait", "05_epoll.py"],
        capture_output=True,
        text=True,
        env=environment(),
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),  # as a shell does for "&"
        timeout=25,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "the second client has waited" in done.stdout


def test_bad_usage_shows_the_usage() -> None:
    done = subprocess.run(
        [sys.executable, str(TUTORIAL / "measure.py"), "speed"],
        capture_output=True,
        text=True,
        env=environment(),
    )
    assert done.returncode == 2
    assert "measure.py cost" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "descriptors", "words"),
    [
        ("wait none.py", 200, "none.py does not start; to see why: python none.py server 9898\n"),
        ("crowd 04_poll.py 300", 200, "sorry: [Errno 24] Too many open files\n"),
    ],
)
def test_what_cannot_be_measured_is_told_in_one_line(arguments: str, descriptors: int, words: str) -> None:
    done = subprocess.run(
        [sys.executable, str(TUTORIAL / "measure.py"), *arguments.split()],
        capture_output=True,
        text=True,
        env=environment(PYTHONWARNINGS=""),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors)),
        timeout=25,
    )
    assert (done.returncode, done.stderr) == (1, words)
