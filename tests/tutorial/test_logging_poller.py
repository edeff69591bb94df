"""The poller of docs/howto/write-a-poller.md: does it keep the contract, and does its program tell it all?

The contract is the tests of loopkit's own pollers. They come here by import, and find the fixtures below.
"""

import contextlib
import importlib.util
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.tutorial.programs import HOMEWORK, PATIENCE, environment
from tests.unit.pollers.test_pollers import (  # noqa: F401  pytest uses them
    test_a_closed_descriptor_is_refused,
    test_a_descriptor_closed_while_watched_stops_nobody,
    test_a_descriptor_is_reported_when_it_is_readable,
    test_a_dup_is_a_descriptor_of_its_own,
    test_a_full_socket_is_not_writable,
    test_a_reset_wakes_whoever_waits,
    test_a_reused_number_can_be_watched,
    test_a_timeout_of_zero_does_not_wait,
    test_closing_twice_is_harmless,
    test_it_is_reported_again_as_long_as_it_is,
    test_only_what_was_asked_for_is_reported,
    test_several_are_reported_at_once,
    test_the_end_of_the_stream_makes_it_readable,
    test_the_writing_end_of_a_broken_pipe_is_reported,
)

PROGRAM = HOMEWORK / "logging_poller.py"

spec = importlib.util.spec_from_file_location("logging_poller", PROGRAM)
assert spec is not None
assert spec.loader is not None
example = importlib.util.module_from_spec(spec)
spec.loader.exec_module(example)


@pytest.fixture
def kind() -> str:
    return "logging"


@pytest.fixture
def poller() -> Iterator[Any]:
    with contextlib.closing(example.LoggingPoller()) as poller:
        yield poller


def test_a_conversation_on_it_is_told_question_by_question() -> None:
    done = subprocess.run(
        [sys.executable, str(PROGRAM)], capture_output=True, text=True, env=environment(), timeout=PATIENCE
    )
    assert (done.returncode, done.stdout) == (0, "HELLO\nAND GOODBYE\n")
    lines = done.stderr.splitlines()
    assert all(re.fullmatch(r"(poll|register|modify|unregister)\(.*", line) for line in lines)
    polls = [line for line in lines if line.startswith("poll(None): ")]
    # Each of two lines goes there and back, and each of these wakes somebody who was waiting.
    assert sum(" IN" in line for line in polls) >= 4
    assert any("+" in line or " OUT" in line for line in lines)  # the client connected
