"""The child process: one module of CPython's tests against one loop.

It reads its orders from standard input (JSON: loop, module, tests already done, seconds per test, file to
report to), runs the tests one after the other, and reports each with a line of JSON. A test that takes too
long is ended together with the whole process by faulthandler's watchdog, a C thread that needs no GIL and so
also ends a loop that hangs in C; where it hung is then in the log. The parent starts another worker for the
rest.
"""

import asyncio
import faulthandler
import importlib
import json
import os
import signal
import sys
import threading
import traceback
import unittest
from collections.abc import Iterator
from typing import Any, TextIO

from . import exclusions, inject, targets
from .modules import PACKAGE

STARTUP_SECONDS = 60.0


class Report(unittest.TestResult):
    """Runs tests and reports the start and the end of each."""

    def __init__(self, file: TextIO, log: TextIO, seconds: float, witness: inject.Witness) -> None:
        super().__init__()
        self.file = file
        self.log = log
        self.seconds = seconds
        self.witness = witness
        self.outcome = ""
        self.reason = ""
        self.thread_errors: list[str] = []
        threading.excepthook = self.note_thread_error

    def note_thread_error(self, error: threading.ExceptHookArgs) -> None:
        """A server in a thread that did not get what it expects is a failure that unittest does not see."""
        threading.__excepthook__(error)
        self.thread_errors.append(f"{error.exc_type.__name__}: {error.exc_value}")

    def send(self, **event: object) -> None:
        self.file.write(json.dumps(event) + "\n")
        self.file.flush()

    def run_one(self, test: unittest.TestCase) -> None:
        """Run a test and report it; what it leaves behind or raises outside of itself is its failure."""
        self.outcome, self.reason = "passed", ""
        self.witness.reset()
        self.thread_errors.clear()
        self.send(start=name(test))
        faulthandler.dump_traceback_later(self.seconds, exit=True, file=self.log)
        try:
            type(test).run(test, self)
        except BaseException:  # IsolatedAsyncioTestCase closes its loop when the test is over
            self._failed(test, sys.exc_info())
        if self.outcome == "passed" and self.thread_errors:
            self.outcome, self.reason = "failed", f"in a thread: {self.thread_errors[0]}"
        if self.outcome == "passed" and self.witness.foreign:
            ran = ", ".join(sorted(self.witness.foreign))
            self.outcome, self.reason = "failed", f"ran on {ran} instead of the loop under test"
        left_running = asyncio._get_running_loop()
        if left_running is not None:
            asyncio._set_running_loop(None)
            self.outcome, self.reason = "failed", f"left {left_running!r} running. {self.reason}"
        self.send(end=name(test), outcome=self.outcome, reason=self.reason, ran=self.witness.ours)

    def _failed(self, test: unittest.TestCase, error: Any) -> None:
        text = "".join(traceback.format_exception(*error))
        print(f"{'=' * 100}\n{test.id()}\n{text}", file=self.log, flush=True)
        last = next(
            (line for line in reversed(traceback.format_exception_only(*error[:2])) if line.strip()), ""
        )
        self.outcome, self.reason = "failed", last.strip().splitlines()[0]
        if not isinstance(test, unittest.TestCase):  # setUpClass, setUpModule
            self.send(end=name(test), outcome="failed", reason=self.reason, ran=0)

    def addError(self, test: unittest.TestCase, err: Any) -> None:
        self._failed(test, err)

    def addFailure(self, test: unittest.TestCase, err: Any) -> None:
        self._failed(test, err)

    def addSubTest(self, test: unittest.TestCase, subtest: unittest.TestCase, err: Any) -> None:
        if err is not None:
            self._failed(test, err)

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:
        self.outcome, self.reason = "skipped", reason
        if not isinstance(test, unittest.TestCase):
            self.send(skipped=name(test), reason=reason)

    def addUnexpectedSuccess(self, test: unittest.TestCase) -> None:
        self.outcome, self.reason = "failed", "unexpected success"


def name(test: unittest.TestCase) -> str:
    """The short name of a test: module.Class.test."""
    return test.id().removeprefix(PACKAGE + ".")


def flatten(suite: unittest.TestSuite) -> Iterator[unittest.TestCase]:
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            yield from flatten(item)
        else:
            yield item


def main() -> None:
    """Run what standard input asks for."""
    orders = json.load(sys.stdin)
    # A shell that starts us in the background has SIGINT ignored, and exec() hands that down.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    faulthandler.dump_traceback_later(STARTUP_SECONDS, exit=True)
    target = targets.load(orders["loop"])
    witness = inject.Witness(target)
    inject.open_doors(target)
    module = importlib.import_module(f"{PACKAGE}.{orders['module']}")
    inject.prepare(module, target)

    done = set(orders["done"])
    suite = unittest.TestSuite()
    plan: dict[str, str | None] = {}
    for test in flatten(unittest.defaultTestLoader.loadTestsFromModule(module)):
        plan[name(test)] = None if orders["excluded"] else exclusions.reason_for(name(test), target.name)
        if plan[name(test)] is None and orders["pattern"] in name(test) and name(test) not in done:
            test.run = lambda result, test=test: result.run_one(test)
            suite.addTest(test)
    with open(orders["report"], "a") as file:
        report = Report(file, sys.stderr, orders["seconds"], witness)
        report.send(plan=plan)
        suite.run(report)
        report.send(finished=True)
    sys.stderr.flush()
    os._exit(0)  # a thread that a failed test has left behind would keep the interpreter from ending


if __name__ == "__main__":
    main()
