"""The measurements of the chapters: can a reader repeat each of them?"""

import resource
import subprocess
import sys

import pytest

from tests.tutorial.programs import TUTORIAL, environment


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("wait 01_blocking.py", "01_blocking.py: the second client has no answer after 2 s"),
        ("wait 05_epoll.py", "05_epoll.py: the second client has waited "),
        ("idle 03_select.py", "03_select.py: 0.0% of a core for 100 clients who say nothing"),
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
