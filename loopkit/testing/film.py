"""A run for the player of `loopkit trace`: every turn of it, with packets, faults and deviations as marks.

Its times are the simulation's. No callback takes any there, and the player shows the order all the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..diagnostics.capture import Capture, recording_of
from ..diagnostics.instruments import instruments
from ..diagnostics.observing import observe
from .report import error_of
from .trace import Trace

if TYPE_CHECKING:
    from ..diagnostics.recording import Recording
    from .world import World

#: What of a trace's events the turns do not show by themselves.
MARKED = ("packet", "fault", "stall", "otherwise")


class Film(Trace):
    """A trace that also keeps what an observer of the loop is told."""

    _capture: Capture

    def begins(self, world: World) -> None:
        super().begins(world)
        clock = world.clock
        self._capture = Capture(world.loop, 0, clock=lambda: clock.now)
        self._dismiss = observe(world.loop, self._capture)
        instruments(world.loop).audience.clock = lambda: clock.now

    def add(self, world: World, kind: str, text: str, place: str = "", host: str = "") -> None:
        super().add(world, kind, text, place, host)
        if kind in MARKED:
            self._capture.mark("m", f"{host} -> {text}" if kind == "packet" else text)

    def ends(self) -> None:
        self._capture.ends()
        self._dismiss()

    def recording(self, error: BaseException | None, **about: Any) -> Recording:
        """What was kept, with *error* at its end."""
        if error is not None:
            self._capture.mark("e", error_of(error))
        return recording_of([self._capture], **about)
