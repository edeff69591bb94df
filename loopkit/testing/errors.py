"""What a simulation raises, besides what the program in it raises."""

from __future__ import annotations

from typing import Any

__all__ = ["Deadlock", "EscapedError", "Found", "InvariantError", "Livelock"]


class Deadlock(Exception):
    """Nothing can happen any more: no callback, no timer, no packet under way, and tasks that wait.

    ``str()`` tells each task, what it waits for, who holds that, and the circle if there is one.
    """


class Livelock(Exception):
    """Callbacks run on and on, and no time passes."""


class EscapedError(RuntimeError):
    """The program calls for what the simulation cannot give it; the text says the way out."""


class InvariantError(AssertionError):
    """What `always` or `eventually` asked for does not hold."""


class Found(AssertionError):
    """`explore` has found a failing schedule. ``report`` tells it, ``token`` replays it.

    The failure itself is the ``__cause__``.
    """

    def __init__(self, report: Any) -> None:
        super().__init__(str(report))
        self.report = report
        self.token: str = report.token
