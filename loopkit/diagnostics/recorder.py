"""The flight recorder: the last turns of a loop, written down when something goes wrong.

By the time one thinks of tracing, what one would have liked to see is over. So a ring of turns is kept all
the time, and becomes a page that plays them

    on a stall           a callback that took too long has just returned
    on an error          something was reported to the exception handler
    on the way out       by an exception that nobody caught, or by SIGTERM
    on request           `FlightRecorder.dump`, or `loopkit dump PID --record FILE`

While a recorder is on, turns are the observed ones: each costs a few times what a plain one does. A stall
or an error is written by a thread: the loop goes on. There are at most `FILES` files of one loop, and not
more often than every `PAUSE` seconds; a file that is there already is left alone.
"""

from __future__ import annotations

import os
import threading
import time
from asyncio.log import logger
from typing import TYPE_CHECKING, Any

from . import files
from .capture import Capture, recording_of
from .endings import before_the_end, no_more
from .instruments import instruments, sharing
from .observing import observe

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ..loop import Loop
    from . import observing
    from .recording import Recording

__all__ = ["FlightRecorder", "record"]

#: Turns that are kept.
TURNS = 4096

#: A callback that takes longer, in seconds, is a stall.
STALL = 1.0

#: How many files a recorder writes by itself, and how many seconds lie between two of them, at least.
FILES = 10
PAUSE = 5.0


def record(loop: Any, turns: int = TURNS, *, file: str | None = None, stall: float = STALL) -> FlightRecorder:
    """Keep the last turns of *loop*, and write them down when something goes wrong.

    Args:
        loop: a loop of loopkit's.
        turns: how many are kept.
        file: where to write: a name that ends in .html, .json or .txt; a second file gets ``-2`` before that,
        and so on. Default: ``loopkit-PID.html`` in the current directory.
        stall: seconds; a callback that takes longer is worth a file.

    Raises ValueError for a name that has no form of ours, or whose directory is not there, and for numbers
    that make no sense; TypeError if *loop* is not loopkit's.
    """
    if turns < 1 or not stall > 0:
        raise ValueError(f"it keeps at least one turn, and a stall is longer than 0, not {turns} and {stall}")
    path = files.check_name(file or f"loopkit-{os.getpid()}.html")
    recorder = FlightRecorder(loop, turns, path, stall)
    instruments(loop).add(recorder)
    return recorder


def parse(value: str) -> str | None:
    """What LOOPKIT_RECORD asks for: ``1``, or the name of a file."""
    if value == "1":
        return None
    try:
        return str(files.check_name(value))
    except ValueError as error:
        raise ValueError(f"LOOPKIT_RECORD: {error}") from None


def equip(loop: Loop, file: str | None) -> None:
    """Record *loop*. Who watches it has said how long is too long."""
    limit = os.environ.get("LOOPKIT_WATCH", "")
    record(loop, file=file, stall=float(limit) if limit not in ("", "0") else STALL)


#: The recorder of the loop that was closed last.
_last: FlightRecorder | None = None


class _Ring(Capture):
    """A capture that notices when something goes wrong."""

    def __init__(self, loop: Loop, turns: int, stall: float, trouble: Callable[[str], None]) -> None:
        super().__init__(loop, turns)
        self.stall, self.trouble = stall, trouble

    def callback_ends(self, call: observing.Call) -> None:
        super().callback_ends(call)
        for step in reversed(self.steps):
            if step[0] == "c":
                if step[2] is not None and step[2] >= self.stall:
                    self.mark("m", f"stall: {call.name} took {step[2]:.3f} s")
                    self.trouble("stall")
                return

    def reported(self, context: dict[str, Any]) -> None:
        super().reported(context)
        self.trouble("error")


class FlightRecorder:
    """The ring of one loop, and when it is written."""

    def __init__(self, loop: Loop, turns: int, path: Path, stall: float) -> None:
        self.path = path
        #: The files that were written, oldest first.
        self.written: list[Path] = []
        self._process = os.getpid()
        self._last = float("-inf")
        self._tries = 0
        self._writers: list[threading.Thread] = []
        self._ring = _Ring(loop, turns, stall, self._trouble)
        self._end = observe(loop, self._ring)
        before_the_end(self._on_the_way_out)

    def snapshot(self) -> Recording:
        """What is in the ring now. From any thread."""
        return recording_of([self._ring])

    def dump(self, file: str) -> None:
        """Write what is in the ring to *file*, in the form that its suffix names; over what was there.

        Raises ValueError for a name that has no form of ours, OSError if it cannot be written.
        """
        files.write(self.snapshot(), files.check_name(file))

    # -- as a part of the loop's instruments -----------------------------------------------------------------

    def starts(self) -> None: ...

    def stops(self) -> None: ...

    def close(self) -> None:
        """The loop is closed: by `asyncio.run`, say, while an exception is on its way out of the program.

        So the ring of the loop that was closed last is kept until then.
        """
        global _last
        self._end()
        for writer in self._writers:
            writer.join()
        self._writers.clear()
        with sharing:
            before, _last = _last, self
        if before is not None and before is not self:
            no_more(before._on_the_way_out)

    def end(self) -> None:
        """Stop recording. Waits for files that are being written. Idempotent."""
        self.close()
        no_more(self._on_the_way_out)

    # -- when something goes wrong ---------------------------------------------------------------------------

    def _trouble(self, reason: str) -> None:
        """In the loop's thread: have it written by another one, if it is time for that."""
        now = time.monotonic()
        if self._tries >= FILES or now - self._last < PAUSE or self._process != os.getpid():
            return
        self._last = now
        self._tries += 1
        writer = threading.Thread(target=self._write, args=(reason,), name="loopkit-record", daemon=True)
        self._writers = [thread for thread in self._writers if thread.is_alive()]
        self._writers.append(writer)
        writer.start()

    def _on_the_way_out(self, reason: str) -> None:
        if self._ring.turns:
            self._write(reason)

    def _write(self, reason: str) -> None:
        """Write a new file. What goes wrong with that is logged, and disturbs nobody."""
        recording = self.snapshot()
        recording.about["reason"] = reason
        for number in range(1, 1000):
            path = self.path if number == 1 else self.path.with_stem(f"{self.path.stem}-{number}")
            try:
                files.write(recording, path, fresh=True)
            except FileExistsError:
                continue
            except OSError as error:
                words = "loopkit cannot write its flight recording to %s: %s"
                logger.warning(words, files.shown(path), error.strerror)
                return
            self.written.append(path)
            logger.warning("loopkit has written its flight recording (%s) to %s", reason, files.shown(path))
            return
