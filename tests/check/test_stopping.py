"""Does an examination that is stopped, at whatever line, leave no program behind, and end at once?"""

import _thread
import contextlib
import os
import signal
import sys
import threading
import time
from contextlib import closing
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from loopkit.check import process
from loopkit.check.batch import marking
from loopkit.check.batch.marking import Journal, Plan, mark_all
from loopkit.check.batch.students import Student
from loopkit.check.program import Program
from loopkit.check.stopping import Terminated, heed, stoppable, uninterrupted

pytestmark = pytest.mark.timeout(200)

SLEEP = "/bin/sleep"


class At:
    """Sends this process SIGTERM before the *number*-th line that the functions of these files run."""

    def __init__(self, number: int) -> None:
        self.left = number

    def __call__(self, frame: FrameType, event: str, _: Any) -> Any:
        if Path(frame.f_code.co_filename).name not in ("program.py", "subprocess.py"):
            return None
        if event == "line":
            self.left -= 1
            if self.left == 0:
                signal.raise_signal(signal.SIGTERM)
        return self


def start_and_end(program: Program, at: At) -> None:
    before = sys.gettrace()
    sys.settrace(at)
    try:
        with closing(program), closing(program):  # as the command does
            program.launch([SLEEP, "600"])
    finally:
        sys.settrace(before)


def test_a_program_is_gone_at_whatever_line_of_its_start_or_end_a_signal_comes() -> None:
    number, stopped = 0, True
    while stopped:
        number += 1
        at = At(number)
        program = Program([SLEEP, "600"])
        stopped = False
        try:
            with stoppable():
                start_and_end(program, at)
        except Terminated:
            stopped = True
        assert process.bearing(program._mark) == [], number
        assert at.left > 0 or stopped, f"the signal before line {number} has been lost"
    assert number > 100


def test_what_comes_meanwhile_is_told_afterwards() -> None:
    done = []
    with stoppable(), pytest.raises(KeyboardInterrupt):
        with uninterrupted():
            with uninterrupted():
                signal.raise_signal(signal.SIGINT)
                done.append("inside")
            done.append("outside")
        done.append("never")
    assert done == ["inside", "outside"]


def test_what_a_destructor_has_swallowed_is_told_again() -> None:
    with stoppable():
        heed()
        with contextlib.suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            heed()
    with stoppable():
        heed()


def test_a_class_is_stopped_though_the_signal_has_not_ended_the_sleep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which is so if it comes while the thread that is told of signals waits for the interpreter.

    interrupt_main() leaves exactly that behind: a signal that has come, and a thread that goes on sleeping.
    """
    program = tmp_path / "ann.py"
    program.write_text("")
    main = threading.get_ident()

    def examine(room: Any, *_: Any) -> str:
        while sys._current_frames()[main].f_code.co_name not in ("_next", "wait"):
            time.sleep(0)
        _thread.interrupt_main()
        while not room._stopped:
            time.sleep(0)
        return "stopped"

    monkeypatch.setattr(marking._Room, "_run", examine)
    student = Student("ann", program, None)
    with pytest.raises(KeyboardInterrupt):
        mark_all([student], Plan([], 1, 1), Journal(None, Plan([], 1, 1)), lambda _: None)
    assert os.listdir(tmp_path) == ["ann.py"]
