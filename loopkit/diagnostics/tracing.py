"""Tracing a program: every loop that it makes, from its first turn on. What `loopkit trace` does.

The loops are found by an environment variable that holds the number of this process: it means nothing to
children, which inherit it.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from .capture import Capture, recording_of
from .lint import BLOCKS
from .observing import observe
from .stalls import watch

if TYPE_CHECKING:
    from ..loop import Loop
    from .recording import Recording

VARIABLE = "LOOPKIT_TRACE"

#: The last so many loops are kept: a program may make one for each of its steps.
LOOPS = 16


class Tracer:
    """Observes all loops of this process."""

    def __init__(self, turns: int, *, looks: bool = True) -> None:
        self.turns = turns
        #: Whether a thread looks where a callback is that takes long.
        self.looks = looks
        self.captures: list[Capture] = []
        self.made = 0

    def start(self) -> None:
        global current
        current = self
        os.environ[VARIABLE] = str(os.getpid())

    def stop(self) -> None:
        global current
        current = None
        os.environ.pop(VARIABLE, None)

    def add(self, loop: Loop) -> None:
        self.made += 1
        capture = Capture(loop, self.turns, f"loop {self.made} ({threading.current_thread().name})")
        self.captures = [*self.captures[-LOOPS + 1 :], capture]
        observe(loop, capture)
        if self.looks:
            watch(loop, BLOCKS, capture.stuck)

    def recording(self) -> Recording:
        """What was seen so far, of the loops that have turned."""
        return recording_of([capture for capture in self.captures if capture.turns])


current: Tracer | None = None


def parse(value: str) -> bool:
    """What LOOPKIT_TRACE asks for: the number of a process; whether it is that of this one."""
    return value == str(os.getpid())


def equip(loop: Loop, is_ours: bool) -> None:
    """Trace *loop* if it is this very process that shall be traced."""
    if current is not None and is_ours:
        current.add(loop)
