"""Time on the loop by coroutine function: an observer that goes when nobody asks any more."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from . import observing

#: Seconds after which somebody who asked is believed to have gone.
PATIENCE = 5.0

#: Names that are kept; what comes then is counted together.
NAMES = 1000


class Profile:
    """Steps, seconds, the longest, and the seconds waited in the queue, by the name of what is called."""

    def __init__(self) -> None:
        self.rows: dict[str, list[float]] = {}
        self.began = 0.0
        self.asked = time.monotonic()
        self.end: Callable[[], None] = lambda: None

    def callback_begins(self, call: observing.Call) -> None:
        self.began = time.monotonic()

    def callback_ends(self, call: observing.Call) -> None:
        if not self.began:
            return  # we came in the middle of it
        now = time.monotonic()
        took = now - self.began
        name = call.name if call.name in self.rows or len(self.rows) < NAMES else "(others)"
        row = self.rows.setdefault(name, [0, 0.0, 0.0, 0.0])
        row[0] += 1
        row[1] += took
        row[2] = max(row[2], took)
        if call.why == "soon" and call.origin is not None:
            row[3] += self.began - call.origin.at
        if now - self.asked > PATIENCE:
            self.end()

    def table(self) -> list[dict[str, Any]]:
        """The rows, the most seconds first."""
        self.asked = time.monotonic()
        rows = [
            {"name": name, "steps": row[0], "seconds": row[1], "longest": row[2], "waited": row[3]}
            for name, row in list(self.rows.items())
        ]
        return sorted(rows, key=lambda row: -float(row["seconds"]))
