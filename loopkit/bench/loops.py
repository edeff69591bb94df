"""Who takes part: the names of loops, where their factories are, and which of them are installed.

A loop is named or given as `module:factory`, where the factory takes no argument and returns an event loop. A
folder stands for the loopkit in it: another version, measured by this one.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from .others import OTHER_LOOPS

FLOOR = "floor"


@dataclass(frozen=True)
class Contestant:
    """A loop under test.

    Attributes:
        name: what it is called in tables.
        factory: `module:callable`; the floor, which is no event loop, has none.
        install: the distribution it comes from, where it may be missing.
        folder: where its modules are looked for first; empty: where Python finds them.
        settings: variables of the environment that its process gets.
    """

    name: str
    factory: str
    install: str = ""
    folder: str = ""
    settings: tuple[tuple[str, str], ...] = ()

    @property
    def is_installed(self) -> bool:
        """Whether its module can be found. Not whether it works: that shows when it runs."""
        return self.name == FLOOR or find_spec(self.factory.partition(":")[0]) is not None


LOOPKIT = tuple(
    Contestant(f"loopkit-{poller}", f"loopkit:{poller.title()}Loop")
    for poller in ("epoll", "poll", "select", "busy")
)
YARDSTICKS = (
    Contestant("asyncio", "asyncio:SelectorEventLoop"),
    Contestant("uvloop", "uvloop:new_event_loop", install="uvloop"),
    Contestant(FLOOR, ""),
)
# Other people's loops: they take part when they are installed, without being asked for.
OTHERS = tuple(
    Contestant(name, f"{name}:{factory}", install=name)
    for name, factory in OTHER_LOOPS.items()
    if name != "uvloop"
)
# The same loop while somebody looks: what that costs is told in percent of the plain one (`results.PLAIN`).
LOOKED_AT = (
    Contestant("loopkit-epoll+metrics", "loopkit:EpollLoop", settings=(("LOOPKIT_METRICS", "1"),)),
    Contestant("loopkit-epoll+watch", "loopkit:EpollLoop", settings=(("LOOPKIT_WATCH", "0.1"),)),
)
KNOWN = {contestant.name: contestant for contestant in (*LOOPKIT, *YARDSTICKS, *OTHERS, *LOOKED_AT)}
ALIASES = {"loopkit": [c.name for c in LOOPKIT]} | {
    c.name.removeprefix("loopkit-"): [c.name] for c in (*LOOPKIT, *LOOKED_AT)
}


def choose(names: list[str], extra: list[str]) -> tuple[list[Contestant], list[str]]:
    """Who runs, and one line about each who does not.

    Args:
        names: names, aliases or `module:factory`; empty for every loop that is installed.
        extra: more of the same, added to the former.

    Raises:
        ValueError: a name is neither known, nor of the form `module:factory`, nor a folder with a loopkit.
    """
    if names:
        wanted = [contestant for name in names for contestant in resolve(name)]
    else:
        wanted = [*LOOPKIT, *YARDSTICKS, *(other for other in OTHERS if other.is_installed)]
    wanted += [contestant for name in extra for contestant in resolve(name)]
    unique = list({contestant.name: contestant for contestant in wanted}.values())
    missing = [c for c in unique if c.install and not c.is_installed]
    notes = [f"{c.name} is not installed: skipped (python -m pip install {c.install})" for c in missing]
    return [c for c in unique if c not in missing], notes


def resolve(name: str) -> list[Contestant]:
    """The contestants that a name stands for; `module:factory` and a folder are contestants of that name."""
    if name in ALIASES:
        return [KNOWN[full] for full in ALIASES[name]]
    if name in KNOWN:
        return [KNOWN[name]]
    module, colon, factory = name.partition(":")
    if colon and module and factory:
        return [Contestant(name, name)]
    if "/" in name:
        return [in_folder(name, name)]
    known = ", ".join([*KNOWN, *ALIASES])
    raise ValueError(f"no loop is called {name!r}; known: {known}; any other: module:factory, or a folder")


def in_folder(folder: str, name: str) -> Contestant:
    """The loopkit whose package is in a folder, for instance a checkout of another version.

    Raises:
        ValueError: there is none in it.
    """
    if not Path(folder, "loopkit", "__init__.py").is_file():
        raise ValueError(f"{folder} has no package loopkit in it")
    return Contestant(name, "loopkit:EpollLoop", folder=str(Path(folder).resolve()))
