"""Bounded here; whole by `python -m tests.interruption`."""

import pytest

import loopkit
from loopkit import timers
from tests.interruption.harness import Interrupting, examine, missing, run
from tests.interruption.programs import PROGRAMS, Timers
from tests.support.pythons import cpython_only

heap_in_c = cpython_only("PyPy's heap compares in Python, where Ctrl-C may hit it; what was held goes late")

LOSING = """
def collect(self, end):
    taken = []
    while self.heap and self.heap[0][0] < end:
        taken.append(self.heap.pop(0)[2])
        self.heap.sort()
    self.due.extend(taken)
    self.horizon = end
"""

# How many of the lines are taken: every so manieth. A subprocess takes longest.
STRIDES = {"echo": 9, "secureecho": 31, "sockets": 7, "subprocess": 47}


# What the callback that was hit had in its hands is dropped, and says so.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::RuntimeWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.leaks("errors", reason="exceptions of tasks that were hit are told")
@pytest.mark.timeout(120, method="thread")  # the programs use signals, and a trace function
@pytest.mark.parametrize("name", PROGRAMS)
@heap_in_c
def test_ctrl_c_at_any_line_loses_nothing_but_the_callback_it_hits(name):
    runs, found = examine(PROGRAMS[name], loopkit.EpollLoop, stride=STRIDES.get(name, 3))
    assert runs
    assert found == {}


@heap_in_c
def test_the_harness_sees_a_timer_that_is_lost(monkeypatch):
    """As it was when what was due was kept in a variable for a while."""
    rooms = {}
    exec(compile(LOSING, timers.__file__, "exec"), rooms)
    monkeypatch.setattr(timers.TimerHeap, "collect", rooms["collect"])
    _, found = examine(Timers, loopkit.EpollLoop)
    assert any("lost" in problem for problems in found.values() for problem in problems)


def test_an_undisturbed_run_has_no_problems():
    assert run(Timers, loopkit.EpollLoop, Interrupting()) == []


def test_what_is_missing_is_told():
    assert missing([1, 2, 3], [1, 3], 1) == []
    assert missing([1, 2, 3], [1], 1) == ["lost: 2 of 3, [2, 3]"]
    assert missing([1, 2], [1, 2, 2], 1) == ["came twice: [2]"]
