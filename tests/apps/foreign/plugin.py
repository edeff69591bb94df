"""A plugin for the pytest of a foreign suite: the default loop, and the outcome of each test.

Environment: FOREIGN_LOOP is asyncio or a poller of loopkit; FOREIGN_OUTCOMES the file for the outcomes.
"""

import json
import os
from typing import Any

import pytest

LOOP = os.environ["FOREIGN_LOOP"]
RESULTS = os.environ["FOREIGN_OUTCOMES"]

if LOOP != "asyncio":
    os.environ["LOOPKIT_POLLER"] = LOOP
    import loopkit

    loopkit.install()

#: Test -> (outcome, the last line of why).
outcomes: dict[str, tuple[str, str]] = {}


@pytest.hookimpl
def pytest_runtest_logreport(report: Any) -> None:
    if report.when != "call" and report.outcome == "passed":
        return
    if outcomes.get(report.nodeid, ("passed",))[0] == "failed":
        return
    outcome = "xfailed" if hasattr(report, "wasxfail") and report.skipped else report.outcome
    outcomes[report.nodeid] = outcome, _reason(report)


def _reason(report: Any) -> str:
    if report.outcome != "failed":
        return ""
    crash = getattr(report.longrepr, "reprcrash", None)
    text = crash.message if crash is not None else str(report.longrepr)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[0][:200] if lines else ""


def pytest_collectreport(report: Any) -> None:
    if report.failed:
        outcomes[report.nodeid] = "failed", "cannot be collected: " + _reason(report)


def pytest_sessionfinish(session: Any) -> None:
    if hasattr(session.config, "workerinput"):
        return  # a worker of pytest-xdist: its reports reach the one that started it
    with open(RESULTS, "w") as file:
        json.dump(outcomes, file, indent=1, sort_keys=True)
