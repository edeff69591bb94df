"""Does the checker pass every correct server, and name the fault of every faulty one, and no other?"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.check.examinations import BLOCKING, CORRECT, FAULTY

Verdict = Callable[[Path], tuple[int, dict[str, Any]]]


def of(path: Path) -> Any:
    return pytest.param(path, id=path.stem)


@pytest.mark.parametrize("path", [of(path) for path in FAULTY])
def test_a_faulty_server_fails_by_its_fault_and_no_other(path: Path, verdict: Verdict) -> None:
    code, result = verdict(path)
    assert result["faults"] == [path.stem.partition("__")[0]], result
    assert (code, result["passed"]) == (1, False)
    assert result["score"]["points"] < result["score"]["of"]
    fault = next(check for check in result["checks"] if check["status"] == "fault")
    assert fault["text"]
    assert fault["hint"]


@pytest.mark.parametrize("path", [of(path) for path in CORRECT])
def test_a_correct_server_passes_and_polling_is_only_busy(path: Path, verdict: Verdict) -> None:
    code, result = verdict(path)
    polling = path.stem == "02_polling"
    assert result["faults"] == (["idle"] if polling else []), result
    assert code == (1 if polling else 0)
    assert result["score"] == {"points": 14 - polling, "of": 14}
    if polling:
        idle = next(check for check in result["checks"] if check["name"] == "idle")
        # How much it was is the machine's affair, too: on a crowded one 99 %.
        assert re.search(r"\b\d+% of the time", idle["text"])
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
    assert "RuntimeError: the port is made of cheese" in said["answers__never_listens"]
    assert "UnicodeDecodeError" in said["split-characters__decodes_each_packet"]
    assert "ConnectionResetError" in said["reset__dies_of_it"]
    assert "ValueError: filedescriptor out of range" in said["crowd__dies_of_too_many"]
    assert "31 threads in 1 process" in said["single-thread__thread_per_client"]


@pytest.mark.parametrize(
    ("name", "answer"),
    [("good", "upper"), ("order__last_in_first_out", "echo"), ("ctrl-c__bare_except", "upper")],
)
def test_what_it_answers_is_found_out(name: str, answer: str, verdict: Verdict) -> None:
    path = next(path for path in [*FAULTY, *CORRECT] if path.stem == name)
    assert verdict(path)[1]["answers"] == answer
