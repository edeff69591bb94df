"""loopkit.testing: the same loop on a simulated kernel.

    from loopkit.testing import run, explore
    run(main)                       # an hour of sleeping costs milliseconds; whoever waits in vain is named
    explore(main, seeds=1000)       # the ways it might go in production; a failure comes with a line that
                                    # replays it

Loopkit's own `Loop`, transports, flow control and TLS on a fifth poller, sockets in memory and a clock that
jumps. Nothing of it is loaded by ``import loopkit``, and a name of this module only when it is asked for:
pytest loads the plugin in every project that has loopkit.

    clock.py choices.py errors.py files.py      time; what may go otherwise; what is raised; descriptors
    poller.py turn.py loop.py                   the kernel's side of the loop
    world.py                                    what is outside the program
    outside.py                                  what the program reaches for, and what it gets
    waits.py                                    who waits for what
    running.py                                  one run
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .errors import Deadlock, EscapedError, Found, InvariantError, Livelock
    from .exploring import explore, replay
    from .hosts import Host
    from .loop import SimLoop
    from .network import Link
    from .outside import real_sockets
    from .running import always, choice, eventually, run, settle
    from .world import World

_HOMES = {
    "exploring": ("explore", "replay"),
    "errors": ("Deadlock", "EscapedError", "Found", "InvariantError", "Livelock"),
    "hosts": ("Host",),
    "loop": ("SimLoop",),
    "network": ("Link",),
    "outside": ("real_sockets",),
    "running": ("always", "choice", "eventually", "run", "settle"),
    "world": ("World",),
}

__all__ = [
    "Deadlock",
    "EscapedError",
    "Found",
    "Host",
    "InvariantError",
    "Link",
    "Livelock",
    "SimLoop",
    "World",
    "always",
    "choice",
    "eventually",
    "explore",
    "real_sockets",
    "replay",
    "run",
    "settle",
]


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            value = globals()[name] = getattr(import_module(f"{__name__}.{home}"), name)
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
