"""Starts the workers, watches them, and collects what they report.

A module has a process of its own; when a test hangs or takes the process down, that test has failed with
that as its reason, and a new worker goes on with the next one. So one bad test costs one line of the score
and nothing else.
"""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

ROOT = Path(__file__).resolve().parents[2]
SECONDS_PER_TEST = 60.0


class Stopped(Exception):
    """Raised in the threads of a run that was broken off."""


class Sessions:
    """The workers that run now. Ctrl-C does not reach them, since each is in a session of its own."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.leaders: set[int] = set()
        self.stopped = False

    def add(self, leader: int) -> None:
        with self.lock:
            self.leaders.add(leader)
            if self.stopped:
                kill(leader)

    def end(self, leader: int) -> None:
        """Forget a worker, and kill what a failed test has left behind in its session."""
        with self.lock:
            self.leaders.discard(leader)
        kill(leader)
        if self.stopped:
            raise Stopped

    def stop(self) -> None:
        with self.lock:
            self.stopped = True
            for leader in self.leaders:
                kill(leader)


def kill(session: int) -> None:
    """Kill every process of a session, if there are any."""
    try:
        os.killpg(session, signal.SIGKILL)
    except ProcessLookupError:
        pass


@dataclass
class ModuleScore:
    """What became of one module's tests with one loop."""

    loop: str
    module: str
    passed: int = 0
    on_loop: int = 0  # of the passed ones: how many ran the loop under test at all
    failed: dict[str, str] = field(default_factory=dict)  # test -> reason
    excluded: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    log: str = ""


@dataclass
class Options:
    """What to run: `pattern` is a part of the test's name, `excluded` runs the excluded tests too."""

    pattern: str = ""
    excluded: bool = False
    seconds: float = SECONDS_PER_TEST
    workers: int = os.cpu_count() or 1
    sessions: Sessions = field(default_factory=Sessions)


def run(
    loops: Iterable[str],
    modules: Iterable[str],
    options: Options,
    progress: Callable[[ModuleScore], None] = lambda score: None,
) -> list[ModuleScore]:
    """Run every module with every loop, a few workers at a time; results in the order of the arguments."""

    def one(job: tuple[str, str]) -> ModuleScore:
        started = time.monotonic()
        score = run_module(*job, options)
        score.seconds = time.monotonic() - started
        progress(score)
        return score

    modules = list(modules)
    pool = ThreadPoolExecutor(options.workers)
    try:
        return list(pool.map(one, [(loop, module) for loop in loops for module in modules]))
    except BaseException:
        options.sessions.stop()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def run_module(loop: str, module: str, options: Options) -> ModuleScore:
    """Run one module with one loop, with as many workers after one another as it takes."""
    score = ModuleScore(loop, module)
    results: dict[str, dict[str, Any]] = {}
    plan: dict[str, str | None] = {}
    while True:
        events, log, status = _worker(loop, module, options, list(results))
        score.log += log
        current = None
        finished = False
        skipped = ""
        for event in events:
            if "plan" in event:
                plan = event["plan"]
            elif "start" in event:
                current = event["start"]
            elif "end" in event:
                results[event["end"]] = event
                current = None
            elif "skipped" in event:
                skipped = event["reason"]
            finished = finished or "finished" in event
        if current is not None:
            results[current] = {
                "outcome": "failed",
                "reason": _how_it_ended(log, status, options.seconds),
                "ran": 1,
            }
        elif not finished:
            results[f"{module} (the module itself)"] = {
                "outcome": "failed",
                "reason": _last_line(log, status),
                "ran": 0,
            }
            break
        else:
            break
    _count(score, plan, results, skipped, options)
    return score


def names(module: str) -> list[str]:
    """The names of all tests that the running Python has in a module."""
    events, log, status = _worker("asyncio", module, Options(pattern="none has this in its name"), [])
    plan = next((event["plan"] for event in events if "plan" in event), None)
    if plan is None:
        raise LookupError(f"{module} cannot be loaded: {_last_line(log, status)}")
    return list(plan)


def _count(
    score: ModuleScore,
    plan: dict[str, str | None],
    results: dict[str, dict[str, Any]],
    skipped: str,
    options: Options,
) -> None:
    for test, reason in plan.items():
        if reason is not None:
            score.excluded[test] = reason
        elif test not in results and options.pattern in test:
            results[test] = {
                "outcome": "skipped" if skipped else "failed",
                "reason": skipped or "was never run",
            }
    for test, result in results.items():
        if result["outcome"] == "passed":
            score.passed += 1
            score.on_loop += bool(result["ran"])
        else:
            getattr(score, result["outcome"])[test] = result["reason"]
    if score.passed and not score.on_loop and not options.pattern:
        score.failed[f"{score.module} (the module itself)"] = "the loop under test never ran"


def _worker(
    loop: str, module: str, options: Options, done: list[str]
) -> tuple[list[dict[str, Any]], str, int]:
    """One worker's events, its log and its exit status."""
    with tempfile.TemporaryDirectory() as directory, open(os.path.join(directory, "log"), "w+") as log:
        report = os.path.join(directory, "report")
        orders = {
            "loop": loop,
            "module": module,
            "pattern": options.pattern,
            "excluded": options.excluded,
            "seconds": options.seconds,
            "done": done,
            "report": report,
        }
        status = _run_process(orders, directory, log, options.sessions)
        log.seek(0)
        lines = Path(report).read_text().splitlines(keepends=True) if os.path.exists(report) else []
        return [json.loads(line) for line in lines if line.endswith("\n")], log.read(), status


def _run_process(orders: dict[str, object], directory: str, log: TextIO, sessions: Sessions) -> int:
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    process = subprocess.Popen(
        [sys.executable, "-m", __name__.rpartition(".")[0] + ".worker"],
        stdin=subprocess.PIPE,
        stdout=log,
        stderr=log,
        cwd=directory,
        env={**os.environ, "PYTHONPATH": path},
        start_new_session=True,
        text=True,
    )
    assert process.stdin is not None
    sessions.add(process.pid)
    try:
        with process.stdin as stdin:
            json.dump(orders, stdin)
        return process.wait()
    finally:
        sessions.end(process.pid)


def _how_it_ended(log: str, status: int, seconds: float) -> str:
    if status < 0:
        return f"the process died of {signal.Signals(-status).name}"
    stacks = log.rpartition("Timeout (")[2]
    if stacks != log:
        main = stacks.rpartition("(most recent call first):")[2]
        frames = re.findall(r'File "((?!.*/tests/conformance/)[^"]*)", line (\d+) in (\S+)', main)
        where = next(
            (f"{Path(file).name}:{line} in {function}" for file, line, function in frames),
            "code without frames",
        )
        return f"hung: no result after {seconds:g} s, at {where}"
    return f"the process ended itself with status {status}"


def _last_line(log: str, status: int) -> str:
    lines = [line for line in log.splitlines() if line.strip()]
    return lines[-1] if lines else f"the worker ended with status {status} before any test"
