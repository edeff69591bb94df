"""Does the checker pass every correct client, and name the fault of every faulty one, and no other?"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from loopkit.check.client_checks import CLIENT_CHECKS
from loopkit.check.words import TEXTS
from tests.check.examinations import BLOCKING, CORRECT_CLIENTS, FAULTY_CLIENTS
from tests.support.pythons import program

pytestmark = pytest.mark.timeout(700)

Verdict = Callable[..., tuple[int, dict[str, Any]]]


@pytest.mark.parametrize("path", [program(path) for path in FAULTY_CLIENTS])
def test_a_faulty_client_fails_by_its_fault_and_no_other(path: Path, verdict: Verdict) -> None:
    code, result = verdict(path, True)
    assert (code, result["faults"]) == (1, [path.stem.partition("__")[0]]), result


@pytest.mark.parametrize("path", [program(path) for path in CORRECT_CLIENTS])
def test_a_correct_client_passes(path: Path, verdict: Verdict) -> None:
    code, result = verdict(path, True)
    assert (code, result["faults"]) == (0, []), result
    assert result["score"] == {"points": len(CLIENT_CHECKS), "of": len(CLIENT_CHECKS)}


def test_the_first_chapters_client_hears_nothing_while_it_waits_for_the_keyboard(verdict: Verdict) -> None:
    _, result = verdict(BLOCKING, True)
    assert result["faults"] == ["listens"]
    states = {found["name"]: found["status"] for found in result["checks"]}
    assert states["server-gone"] == states["server-lost"] == "skipped"
    assert states["end-of-input"] == states["nobody-there"] == "passed"


def test_every_check_of_clients_has_its_texts_and_a_client_that_fails_it() -> None:
    for check in CLIENT_CHECKS:
        for kind in ("title", "fault", "hint"):
            assert f"{check.name}.{kind}" in TEXTS
    assert {check.name for check in CLIENT_CHECKS} == {
        path.stem.partition("__")[0] for path in FAULTY_CLIENTS
    }


def test_what_a_client_needs_comes_before_it() -> None:
    before: set[str] = set()
    for check in CLIENT_CHECKS:
        assert set(check.needs) <= before
        before.add(check.name)


def test_a_thread_that_still_reads_the_keyboard_is_seen(verdict: Verdict) -> None:
    _, result = verdict(next(path for path in FAULTY_CLIENTS if "thread_in_input" in path.stem), True)
    fault = next(found for found in result["checks"] if found["status"] == "fault")
    assert "still waits for the keyboard" in fault["text"]
