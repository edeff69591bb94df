"""Flow control of the writing side: water marks, and who is told.

A protocol is paused when more than `high` bytes are waiting to be sent, and resumed when no more than `low`
are. Errors in its `pause_writing` and `resume_writing` are reported and change nothing else.

Both are called in the connection's context, from wherever something was written: a task, another
connection's callback, a held write that leaves. If that context is the one we are in, nothing is to be done;
if we came from it into another (a task that was started eagerly), it cannot be entered again, and a copy is.
"""

from __future__ import annotations

from contextvars import copy_context
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Context

    from ..loop import Loop

KIB = 1024
HIGH = 64 * KIB

#: (high, low) of a transport whose limits nobody set; shared by all of them.
DEFAULT_LIMITS = (HIGH, HIGH // 4)


def limits(high: int | None, low: int | None) -> tuple[int, int]:
    """The water marks meant by *high* and *low* bytes, either of which may be None.

    Raises ValueError unless high >= low >= 0.
    """
    if high is None:
        high = HIGH if low is None else 4 * low
    if low is None:
        low = high // 4
    if not high >= low >= 0:
        raise ValueError(f"high ({high!r}) must be >= low ({low!r}) must be >= 0")
    return high, low


class WriteFlow:
    """A mixin for transports that keep unsent data; `_protocol` and `get_write_buffer_size` are theirs."""

    __slots__ = ()

    _context: Context
    _loop: Loop
    _protocol: Any
    _limits = DEFAULT_LIMITS  # where nobody sets others
    _protocol_paused: bool

    def get_write_buffer_size(self) -> int:
        raise NotImplementedError

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """The water marks, in bytes, as (low, high)."""
        high, low = self._limits
        return low, high

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set the water marks, in bytes. Default: 64 KiB, and a quarter of *high* for *low*.

        Raises ValueError unless high >= low >= 0.
        """
        self._limits = limits(high, low)  # type: ignore[misc]  # the transports have a __dict__
        self._maybe_pause_protocol()

    def _maybe_pause_protocol(self) -> None:
        if not self._protocol_paused and self.get_write_buffer_size() > self._limits[0]:
            self._protocol_paused = True  # type: ignore[misc]
            self._tell("pause_writing")

    def _maybe_resume_protocol(self) -> None:
        if self._protocol_paused and self.get_write_buffer_size() <= self._limits[1]:
            self._protocol_paused = False  # type: ignore[misc]
            self._tell("resume_writing")

    def _tell(self, method: str) -> None:
        try:
            call_in(self._context, getattr(self._protocol, method))
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            self._loop.call_exception_handler(
                {
                    "message": f"protocol.{method}() failed",
                    "exception": exc,
                    "transport": self,
                    "protocol": self._protocol,
                }
            )


def call_in(context: Context, function: Callable[[], object]) -> None:
    """Call *function* in *context*, whichever we are in."""
    try:
        context.run(int)
    except RuntimeError:  # it has been entered, by us or by who called us
        now = copy_context()
        if len(now) == len(context) and all(now.get(var, now) is value for var, value in context.items()):
            function()
            return
        context = context.copy()
    context.run(function)
