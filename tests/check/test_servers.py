"""Does the checker pass every correct server, and name the fault of every faulty one, and no other?"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.check.examinations import BLOCKING, CORRECT, FAULTY
from tests.support.pythons import PYPY, program

pytestmark = pytest.mark.timeout(700)

Verdict = Callable[[Path], tuple[int, dict[str, Any]]]


@pytest.mark.parametrize("path", [program(path) for path in FAULTY])
def test_a_faulty_server_fails_by_its_fault_and_no_other(path: Path, verdict: Verdict) -> None:
    code, result = verdict(path)
    assert result["faults"] == [path.stem.partition("__")[0]], result
    assert (code, result["passed"]) == (1, False)
    assert result["score"]["points"] < result["score"]["of"]
    fault = next(check for check in result["checks"] if check["status"] == "fault")
    assert fault["text"]
    assert fault["hint"]


@pytest.mark.parametrize("path", [program(path) for path in CORRECT])
def test_a_correct_server_passes_and_polling_is_only_busy(path: Path, verdict: Verdict) -> None:
    code, result = verdict(path)
    polling = path.stem == "02_polling"
    assert result["faults"] == (["idle"] if polling else []), result
    assert code == (1 if polling else 0)
    assert result["score"] == {"points": 18 - polling, "of": 18}
    if polling:
        idle = next(check for check in result["checks"] if check["name"] == "idle")
        assert re.search(r"\b(9\d|100)% of the time in which it could run", idle["text"])
        assert "Polling in a circle never sleeps" in idle["hint"]


def test_every_check_has_a_server_that_fails_it(verdict: Verdict) -> None:
    _, result = verdict(CORRECT[0])
    assert {check["name"] for check in result["checks"]} == {path.stem.partition("__")[0] for path in FAULTY}


def test_one_client_at_a_time_is_one_fault_and_what_needs_two_is_not_tried(verdict: Verdict) -> None:
    _, result = verdict(BLOCKING)
    assert result["faults"] == ["together"]
    skipped = {check["name"] for check in result["checks"] if check["status"] == "skipped"}
    assert {"slow-reader", "silent-client", "crowd", "idle"} <= skipped


def test_the_last_words_of_a_program_are_quoted(verdict: Verdict) -> None:
    said = {}
    for path in FAULTY:
        for found in verdict(path)[1]["checks"]:
            if found["status"] == "fault":
                said[path.stem] = found["text"]
    assert "RuntimeError: the port is made of cheese" in said["runs__never_listens"]
    assert "KeyError" in said["runs__closed_but_still_writable"]
    assert "UnicodeDecodeError" in said["split-characters__decodes_each_packet"]
    assert "ConnectionResetError" in said["reset__dies_of_it"]
    assert "ValueError: filedescriptor out of range" in said["crowd__dies_of_too_many"]
    assert "31 threads in 1 process" in said["single-thread__thread_per_client"]


def test_of_a_server_that_ends_of_itself_nothing_else_is_decided(verdict: Verdict) -> None:
    for path in FAULTY:
        if path.stem.startswith("runs__"):
            _, result = verdict(path)
            assert [check["status"] for check in result["checks"]] == ["fault"] + 17 * ["undecided"]
            assert result["score"] == {"points": 0, "of": 18}
            assert "not decided: the program ended" in result["checks"][1]["text"]


@pytest.mark.parametrize(
    ("name", "cause", "line"),
    [
        ("together__accepted_socket_blocks", "in-recv-accepted", "client.recv(1024)"),
        ("together__one_at_a_time", "in-recv", "sock.recv(65536)"),
        ("silent-client__waits_for_first_words", "in-recv", "sock.recv(65536)"),
        ("slow-reader__blocking_send", "in-send", "self.sock.sendall(data)"),
        ("slow-reader__one_queue_for_all", "mixed-up", ""),
        ("blocking-call__time_sleep", "in-sleep", "time.sleep"),
    ],
)
def test_why_it_does_not_answer_is_seen_from_outside(
    name: str, cause: str, line: str, verdict: Verdict
) -> None:
    path = next(path for path in FAULTY if path.stem == name)
    fault = next(check for check in verdict(path)[1]["checks"] if check["status"] == "fault")
    assert fault["cause"] == cause
    if PYPY:
        assert not fault["where"]  # it knows only where a function begins
    elif line:
        file, _, number = fault["where"].partition(":")
        assert file == path.name
        assert line in path.read_text().splitlines()[int(number) - 1]


@pytest.mark.parametrize(
    ("name", "answer"),
    [("good", "upper"), ("order__last_in_first_out", "echo"), ("ctrl-c__bare_except", "upper")],
)
def test_what_it_answers_is_found_out(name: str, answer: str, verdict: Verdict) -> None:
    path = next(path for path in [*FAULTY, *CORRECT] if path.stem == name)
    assert verdict(path)[1]["answers"] == answer
