"""What watches the loop at work. Loaded on demand; nothing below imports it.

metrics   how busy, how late (metrics.py)
watch     what it is stuck in, while it is stuck (stalls.py)
observe   every step of every turn, as calls of an observer (observing.py)
record    the last turns in a ring, written when something goes wrong (recorder.py)
fds       the fd table beside the kernel's (descriptors.py)
dump_on_signal
          stacks and tasks on standard error, when a signal comes (dumping.py)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .descriptors import fds
    from .dumping import dump_on_signal
    from .observing import observe
    from .recorder import record
    from .stalls import watch

__all__ = ["dump_on_signal", "fds", "observe", "record", "watch"]

_HOMES = {
    "dump_on_signal": "dumping",
    "fds": "descriptors",
    "observe": "observing",
    "record": "recorder",
    "watch": "stalls",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
