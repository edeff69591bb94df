"""Run a small program again and again, and raise at another line of `loopkit/` each time.

A program (`programs.py`) is started on a new loop, and interrupted at one of the lines it comes through while
the loop runs, as Ctrl-C might. Then the loop is run again, until the program is at its end, and the program
says what is missing. Whatever happens a thread must be able to wake the loop and end it.

Lines that only open or close a block are left out (`try:`, `finally:`, `else:`, `pass`): CPython looks for
signals at the end of calls, at the beginning of functions and at backward jumps, so that nothing can be
raised there. (Raised at the `pass` of a handler, CPython 3.13 never frees what is being handled.)
"""

import asyncio
import contextlib
import gc
import linecache
import os
import sys
import threading
import warnings
from collections import Counter
from pathlib import Path

import loopkit
from tests.support.fdtable import check_invariants
from tests.support.leaks import open_descriptors

PACKAGE = str(Path(loopkit.__file__).parent) + os.sep

#: Rooms that are no part of the loop.
ELSEWHERE = tuple(PACKAGE + name for name in ("bench", "check", "cli", "testing"))

BLOCKS = ("try:", "finally:", "else:", "pass")

INTERRUPTIONS = (KeyboardInterrupt, SystemExit)

#: Seconds until a thread says that the loop does not end.
PATIENCE = 60.0


class Interrupting:
    """Traces a thread, and raises *exc* at the *index*-th line of the package; -1: only counts."""

    def __init__(self, exc=KeyboardInterrupt, index=-1):
        self.exc, self.index, self.count = exc, index, 0
        self.lines = []
        self.where = None

    def __call__(self, frame, event, arg):
        name = frame.f_code.co_filename
        return self._line if name.startswith(PACKAGE) and not name.startswith(ELSEWHERE) else None

    def _line(self, frame, event, arg):
        if event != "line":
            return self._line
        line = linecache.getline(frame.f_code.co_filename, frame.f_lineno).strip()
        if line in BLOCKS or line.startswith(("except", "with ", "def ", "@", "class ")):
            return self._line
        here = (frame.f_code.co_filename, frame.f_lineno)
        if self.index < 0:
            self.lines.append(here)
        elif self.count == self.index:
            self.where = (*here, line)
            sys.settrace(None)
            raise self.exc
        self.count += 1
        return self._line


def lines_of(program_class, factory):
    """The lines that an undisturbed run comes through, in their order."""
    loopkit.preload()  # to load a file is to run lines of it, and is not repeated
    tracer = Interrupting()
    problems = run(program_class, factory, tracer)
    assert problems == [], problems
    return tracer.lines


def moments(lines, occurrences):
    """For each line the indexes of *occurrences* of its visits (the first ones, and the middle)."""
    visits = {}
    for index, line in enumerate(lines):
        visits.setdefault(line, []).append(index)
    chosen = set()
    for indexes in visits.values():
        chosen.update(indexes[:occurrences])
        chosen.add(indexes[len(indexes) // 2])
    return sorted(chosen)


def run(program_class, factory, tracer):
    """One run; returns what is wrong afterwards, in words."""
    before = open_descriptors()
    with _unraised() as faults:
        problems = _problems(program_class, factory, tracer)
    problems += faults
    lost = {fd: to for fd, to in open_descriptors().items() if before.get(fd) != to}
    if lost:
        problems.append(f"descriptors are left: {lost}")
    return problems


@contextlib.contextmanager
def _unraised():
    """A list of what was raised where nobody can hear it, but for the interruption itself."""
    faults = []

    def hook(unraisable):
        if not isinstance(unraisable.exc_value, INTERRUPTIONS):
            faults.append(f"{unraisable.exc_value!r} in {unraisable.object!r}")

    before, sys.unraisablehook = sys.unraisablehook, hook
    try:
        yield faults
    finally:
        sys.unraisablehook = before


def _problems(program_class, factory, tracer):
    problems = []
    loop = factory()
    loop.set_exception_handler(lambda loop, context: None)
    program = program_class(loop)
    try:
        program.begin()
        _traced(loop, tracer)
        program.after(tracer.where)
        if not _ends(loop, program.is_over):
            problems.append("the loop does not come to its end")
        if loop.is_running() or asyncio._get_running_loop() is not None:
            problems.append("the loop believes that it runs")
        problems += program.problems(interrupted=tracer.where is not None)
        try:
            check_invariants(loop._watches, tidy=False)  # an entry that is nobody's harms nobody
        except AssertionError as exc:
            problems.append(f"fd table: {exc}")
    finally:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program.end()
            with contextlib.suppress(RuntimeError, *INTERRUPTIONS):
                loop.run_until_complete(asyncio.sleep(0))
            loop.close()
            del loop, program
            gc.collect()
    return problems


def _traced(loop, tracer):
    sys.settrace(tracer)
    try:
        with contextlib.suppress(*INTERRUPTIONS):
            loop.run_forever()
    finally:
        sys.settrace(None)


def _ends(loop, is_over):
    """Run the loop until *is_over*, and end it by a threadsafe call; False if it does not hear that."""
    for _ in range(500):
        if is_over():
            break
        loop.call_later(0.002, loop.stop)
        with contextlib.suppress(*INTERRUPTIONS):
            loop.run_forever()
    heard = []
    deaf = threading.Timer(PATIENCE, os.kill, (os.getpid(), 14))  # SIGALRM: the test's own time limit

    def wake():
        loop.call_soon_threadsafe(lambda: (heard.append(1), loop.stop()))

    thread = threading.Thread(target=wake)
    deaf.start()
    loop.call_soon(thread.start)
    try:
        while not heard:  # a stop() of the program's own may come first
            with contextlib.suppress(*INTERRUPTIONS):  # a task passes on what it was hit by
                loop.run_forever()
    finally:
        deaf.cancel()
        deaf.join()
        thread.join()
    return bool(heard)


def examine(program_class, factory, occurrences=1, stride=1, excs=INTERRUPTIONS):
    """Interrupt at every *stride*-th of the moments; returns (how many runs, {line: what was wrong})."""
    found, runs = {}, 0
    chosen = moments(lines_of(program_class, factory), occurrences)
    for number, index in enumerate(chosen[::stride]):
        exc = excs[number % len(excs)]
        tracer = Interrupting(exc, index)
        problems = run(program_class, factory, tracer)
        runs += 1
        if problems and tracer.where is not None:
            name, number, text = tracer.where
            found[f"{name.removeprefix(PACKAGE)}:{number}: {text}"] = problems
    return runs, found


def missing(expected, got, tolerated):
    """What of *expected* is missing in, or doubled in, *got*; *tolerated* may be missing."""
    want, have = Counter(expected), Counter(got)
    problems = []
    doubled = have - want
    if doubled:
        problems.append(f"came twice: {sorted(doubled)[:5]}")
    lost = want - have
    if sum(lost.values()) > tolerated:
        problems.append(f"lost: {sum(lost.values())} of {sum(want.values())}, {sorted(lost)[:5]}")
    return problems
