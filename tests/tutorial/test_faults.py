"""The faults that the chapters show: does the wrong way still go wrong, and the right way right?

A fault that no longer shows (a newer Python, another kernel) would be a lie on a page.
"""

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.support.pythons import OUT_OF_RANGE, needs_rdhup, program
from tests.tutorial.programs import PATIENCE, TUTORIAL, environment

FAULTS = sorted((TUTORIAL / "faults").glob("*.py"))

SHOWN = {
    "accepted_blocks": (
        "the listener blocks: False, the client: True; ben waits until anna says something",
        "the listener blocks: False, the client: False; ben is answered",
    ),
    "bare_except": (
        "silent client: nothing there; client that says hello: nothing there",
        "silent client: nothing there; client that says hello: AttributeError came through",
    ),
    "cut_character": ("UnicodeDecodeError: unexpected end of data", "grüß dich"),
    "decoding_twice": ("AttributeError: 'str' object has no attribute 'decode'", "HELLO"),
    "event_equals": (
        "nothing is done: epoll tells the same again at once, without end",
        "read, and find out",
    ),
    "fd_1024": (
        f"descriptor 1024: ValueError: {OUT_OF_RANGE}",
        "descriptor 1024: readable",
    ),
    "foreign_await": ("RuntimeError: no running event loop", "slept"),
    "port_in_use": ("Address already in use", "listening again"),
    "removing_while_iterating": (
        "visited ['anna left', 'carl', 'dora left'], kept ['ben left', 'carl']",
        "visited ['anna left', 'ben left', 'carl', 'dora left'], kept ['carl']",
    ),
    "vanished_client": (
        "the server ends with ConnectionResetError",
        "anna: was lost (Connection reset by peer); ben: hello",
    ),
}


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, TUTORIAL / "faults" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("path", [program(path) for path in FAULTS if path.stem in SHOWN])
def test_the_wrong_way_goes_wrong_and_the_right_way_does_not(path: Path) -> None:
    fault = load(path.stem)
    assert (fault.wrong(), fault.right()) == SHOWN[path.stem]


def test_a_send_that_is_not_repeated_loses_the_rest() -> None:
    fault = load("partial_send")
    arrived, _, of, *_ = fault.wrong().split()
    assert int(arrived) < len(fault.MESSAGE) / 2, of
    assert fault.right() == "10000000 of 10000000 bytes arrived"


def test_answers_to_a_client_that_never_reads_pile_up_unless_one_stops_reading() -> None:
    fault = load("slow_reader")
    wrong, right = (int(words.split()[0]) for words in (fault.wrong(), fault.right()))
    assert wrong > 10_000
    assert right < 100


def test_the_second_wrong_ways_do_not_raise_but_garble() -> None:
    assert load("cut_character").wrong_too() == "gr��ß dich"
    assert load("decoding_twice").wrong_too() == "B'HELLO'"


@needs_rdhup
def test_what_epoll_says_in_each_situation() -> None:
    fault = load("event_equals")
    asked = fault.EPOLLIN | fault.select.EPOLLRDHUP
    assert {s.__name__: fault.in_words(fault.event_after(s, asked)) for s in fault.SITUATIONS} == {
        "nothing": "no event",
        "writes": "EPOLLIN",
        "writes_and_shuts_down": "EPOLLIN | EPOLLRDHUP",
        "closes": "EPOLLIN | EPOLLRDHUP",
        "crashes": "EPOLLIN | EPOLLERR | EPOLLHUP | EPOLLRDHUP",
    }


@pytest.mark.parametrize("path", [program(path) for path in FAULTS])
def test_each_runs_by_itself_and_shows_both_ways(path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(path)],
        capture_output=True,
        encoding="utf-8",
        env=environment(PYTHONIOENCODING="utf-8"),
        timeout=PATIENCE,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "wrong: " in done.stdout
    assert "right: " in done.stdout
