"""A step that never comes back is ended, with the place where it is: `Livelock` out of that very line.

The loop cannot look at its clock while a callback runs, and pytest-timeout would end the whole process or say
nothing of steps. So a timer of the process looks whether steps are taken. It counts processor time: whoever
stands in a debugger is not disturbed, and a machine that is busy with other things is no reason.

Only the main thread hears signals. In others, and where a program has SIGVTALRM itself, nobody looks.
"""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from .errors import Livelock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .loop import SimLoop

#: Seconds of processor time between two looks. A step that is there at both has to end.
SECONDS = 10.0


@contextmanager
def watching(running: Callable[[], SimLoop | None]) -> Iterator[None]:
    """No step of the loop that *running* tells computes for ever."""
    if (
        threading.current_thread() is not threading.main_thread()
        or signal.getsignal(signal.SIGVTALRM) is not signal.SIG_DFL
    ):
        yield
        return
    seen: Any = None

    def look(number: int, frame: Any) -> None:
        nonlocal seen
        loop = running()
        before, seen = seen, None if loop is None else (loop, *loop.world.progress())
        if before is not None and seen == before:
            raise Livelock(
                f"a step has computed for {SECONDS:g} s of processor time, and has not come back: "
                f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_name}"
            )

    signal.signal(signal.SIGVTALRM, look)
    signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, signal.SIG_DFL)
