"""A signal that has the process say what it does: stacks, loops, tasks. `loopkit --dump-signal USR1 app.py`.

For where no socket can be reached: a container whose only doors are `kill` and its log. It is off unless a
signal is named, since servers use several for themselves; who sets a handler of its own for it later has it,
and this one is gone.

Two tell. `faulthandler` writes the stacks of all threads at once, from C, also while a call into C keeps the
interpreter's lock. Then Python's handler has its turn, in the main thread and between two instructions, and
writes what only Python knows: which task, who awaits it, what all others wait for. It takes no lock but those
that the same thread may take twice, and writes past the buffers of `sys.stderr`, which it may have
interrupted.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import signal
import threading
import warnings
from typing import TYPE_CHECKING, Any

from .. import __version__
from . import agent, answers

if TYPE_CHECKING:
    from ..loop import Loop

__all__ = ["dump_on_signal"]

#: They end, stop or break a process, or tell of its children: whoever sends one means that.
TAKEN = {"INT", "TERM", "KILL", "STOP", "CHLD", "SEGV", "BUS", "FPE", "ILL", "ABRT", "PIPE"}


def dump_on_signal(name: str | int) -> None:
    """Have this process write what it does to standard error whenever it gets the signal *name*.

    Args:
        name: as ``"USR1"``, ``"SIGUSR1"`` or ``signal.SIGUSR1``.

    Raises ValueError if there is no such signal, if it means something else already, and in another thread
    than the main one.
    """
    number = number_of(name)
    if signal.getsignal(number) is not signal.SIG_DFL:
        raise ValueError(f"{number.name} has a handler, or is ignored, already")
    signal.signal(number, _tell)
    faulthandler.register(number, file=2, chain=True)


def number_of(name: str | int) -> signal.Signals:
    """The signal of that name. Raises ValueError if there is none that can be used."""
    text = str(int(name)) if isinstance(name, int) else name.strip().upper().removeprefix("SIG")
    try:
        found = signal.Signals(int(text)) if text.isdecimal() else signal.Signals[f"SIG{text}"]
    except (KeyError, ValueError):
        raise ValueError(f"there is no signal {name!r}: it is one as USR1") from None
    if found.name.removeprefix("SIG") in TAKEN:
        raise ValueError(f"{found.name} has a meaning of its own: take one as USR1")
    return found


def parse(value: str) -> signal.Signals:
    """What LOOPKIT_DUMP_SIGNAL asks for: the name of a signal."""
    try:
        return number_of(value)
    except ValueError as error:
        raise ValueError(f"LOOPKIT_DUMP_SIGNAL: {error}") from None


def equip(loop: Loop, number: signal.Signals) -> None:
    """Dump when that signal comes. What handles it already is left alone."""
    if signal.getsignal(number) is not signal.SIG_DFL:
        return
    if threading.current_thread() is threading.main_thread():
        dump_on_signal(number)
    else:
        warnings.warn(
            f"{number.name} would end this process: only the main thread can handle it, and has no loop",
            RuntimeWarning,
            stacklevel=2,
        )


def _tell(number: int, frame: object) -> None:
    try:
        text = told()
    except Exception as error:
        text = f"loopkit cannot tell more: {error!r}"
    data = f"\n{text}\n\n".encode(errors="backslashreplace")
    with contextlib.suppress(OSError):  # closed, or full: nobody reads it
        while data:
            data = data[os.write(2, data) :]


def told() -> str:
    """What each loop is at, and its tasks."""
    answer = agent.of_loops(lambda loop: {**_without_us(agent.at_work(loop)), **agent.tasks(loop)})
    answer = {"pid": os.getpid(), "loopkit": __version__, "threads": [], **answer}
    tasks = answers.tasks(answer).removeprefix(answers.header(answer))  # which is there already
    return answers.dump(answer) + tasks


def _without_us(about: dict[str, Any]) -> dict[str, Any]:
    """Of the main thread, what was interrupted."""
    stack = about["stack"]
    ours = next((place for place, (file, *_) in enumerate(stack) if file == __file__), len(stack))
    return {**about, "stack": stack[:ours]}
