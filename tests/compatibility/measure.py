"""Running every probe on every loop, in forked processes.

A probe that crashes its process or hangs is one result, and what a failure leaves behind dies with the
process. The parent forks, so it must have neither threads nor loops: it is the command, never pytest.
"""

import asyncio
import json
import os
import re
import select
import signal
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

import loopkit
from tests.support import tls

from .registry import PROBES, Probe, of, perform

try:
    import uvloop
except ImportError:
    uvloop = None

# Seconds. A probe that takes longer hangs.
LIMIT = 5.0

LOOPS = {
    "epoll": loopkit.EpollLoop,
    "poll": loopkit.PollLoop,
    "select": loopkit.SelectLoop,
    "busy": loopkit.BusyLoop,
    "asyncio": asyncio.SelectorEventLoop,
}
if uvloop is not None:
    LOOPS["uvloop"] = uvloop.new_event_loop

# The columns of the table: loopkit's answer is that of all its pollers.
COLUMNS = {"loopkit": ("epoll", "poll", "select", "busy"), "asyncio": ("asyncio",), "uvloop": ("uvloop",)}

# What a probe raised, as the last line of its traceback; None if it passed.
Outcome = str | None


@dataclass
class Results:
    """Loop -> probe (as a string) -> outcome."""

    outcomes: dict[str, dict[str, Outcome]] = field(default_factory=dict)

    def of(self, column: str, method: str) -> dict[str, Outcome]:
        """Probe (what it tries) -> outcome; of several loops in the column the first failure counts."""
        merged: dict[str, Outcome] = {}
        for probe in of(method):
            outcomes = {loop: self.outcomes[loop][str(probe)] for loop in COLUMNS[column]}
            failed = [f"{loop}: {outcome}" for loop, outcome in outcomes.items() if outcome]
            merged[probe.what] = failed[0].removeprefix(f"{column}: ") if failed else None
        return merged

    def status(self, column: str, method: str) -> str:
        """works, partial, missing; or broken, when nothing passes of what is there."""
        outcomes = self.of(column, method).values()
        if all(outcome is None for outcome in outcomes):
            return "works"
        if any(outcome is None for outcome in outcomes):
            return "partial"
        missing = all("NotImplementedError" in str(outcome) for outcome in outcomes)
        return "missing" if missing else "broken"


def measure(loops: Iterable[str] = LOOPS, probes: Iterable[Probe] = PROBES, limit: float = LIMIT) -> Results:
    """Run the probes on the loops of these names; as many loops at a time as there are processors."""
    tls.certificate()  # made once, before the forks, instead of once in each
    results = Results({loop: {} for loop in loops})
    waiting = deque(_Run(loop, deque(probes), outcomes) for loop, outcomes in results.outcomes.items())
    running: list[_Run] = []
    while waiting or running:
        while waiting and len(running) < (os.cpu_count() or 1):
            running.append(waiting.popleft())
        for run in running:
            run.start()
        patience = min(run.since for run in running) + limit - time.monotonic()
        select.select(running, [], [], max(0.0, patience))
        for run in running:
            run.listen(limit)
        running = [run for run in running if run.probes]
    return results


class _Run:
    """The probes of one loop, in a child process that writes a line after each.

    A child goes on to the next probe only after one that passed: what a failure leaves behind ends with it.
    """

    def __init__(self, loop: str, probes: deque[Probe], outcomes: dict[str, Outcome]) -> None:
        self.loop, self.probes, self.outcomes = loop, probes, outcomes
        self.pid = 0

    def fileno(self) -> int:
        return self.pipe

    def start(self) -> None:
        """Have a child that works on the probes that are left."""
        if self.pid:
            return
        self.since, self.said = time.monotonic(), b""
        self.pipe, theirs = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.close(self.pipe)
                _child(self.loop, self.probes, theirs)
            finally:
                os._exit(1)
        os.close(theirs)
        os.set_blocking(self.pipe, False)

    def listen(self, limit: float) -> None:
        """Take the outcomes that are there; end a child that has failed, crashed or hangs."""
        over = False
        while not over:
            try:
                data = os.read(self.pipe, 65536)
            except BlockingIOError:
                break
            over = not data
            self.said += data
        failed = False
        *lines, self.said = self.said.split(b"\n")
        for line in lines:
            failed = self._note(json.loads(line)) or failed
        if failed or over or not self.probes:
            code = self._end()
            if self.probes and not failed:
                self._note(f"crashes: {signal.Signals(-code).name if code < 0 else f'exit code {code}'}")
        elif time.monotonic() > self.since + limit:
            self._end()
            self._note(f"hangs: no result after {limit:g} s")

    def _note(self, outcome: Outcome) -> bool:
        self.since = time.monotonic()
        self.outcomes[str(self.probes.popleft())] = outcome
        return outcome is not None

    def _end(self) -> int:
        """Nothing of the child stays; how it ended."""
        ended, status = os.waitpid(self.pid, os.WNOHANG)
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:  # it has ended already, or not become the leader of a group yet
            pass
        if not ended:
            _, status = os.waitpid(self.pid, 0)
        os.close(self.pipe)
        self.pid = 0
        return os.waitstatus_to_exitcode(status)


def _child(loop: str, probes: Iterable[Probe], pipe: int) -> None:
    os.setpgid(0, 0)  # its own children shall go with it
    nowhere = os.open(os.devnull, os.O_RDWR)
    for fd in 0, 1, 2:
        os.dup2(nowhere, fd)
    for probe in probes:
        outcome = None
        try:
            perform(probe, LOOPS[loop])
        except BaseException as error:
            outcome = _last_line(error)
        os.write(pipe, json.dumps(outcome).encode() + b"\n")
        if outcome is not None:
            return


def _last_line(error: BaseException) -> str:
    """As at the end of a traceback, without what differs from run to run."""
    text = str(error).partition("\n")[0]
    text = re.sub(r"0x[0-9a-f]+", "0x…", text)
    text = re.sub(r"(?<=, )\d{4,5}(?=\))|(?<=fd=)\d+|/tmp/[^' ]*", "…", text)
    name = type(error).__qualname__.replace("Failed", "AssertionError")  # pytest's own, for `raises`
    return f"{name}: {text}" if text else name
