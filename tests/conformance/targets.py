"""The loops that can be tested, by name, and how to get at them."""

import asyncio
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from unittest import mock

# name on the command line -> "module:attribute" of a class or factory that takes no arguments
TARGETS = {
    "epoll": "loopkit:EpollLoop",
    "poll": "loopkit:PollLoop",
    "select": "loopkit:SelectLoop",
    "busy": "loopkit:BusyLoop",
    "asyncio": f"{__name__}:ReferenceLoop",
    "uvloop": "uvloop:Loop",
}
OURS = ("epoll", "poll", "select", "busy")


class ReferenceLoop(asyncio.SelectorEventLoop):
    """Stdlib asyncio's loop under a type of its own.

    Injected like a foreign loop it has to pass everything that is not excluded: what fails with it is a
    fault of this harness. A plain `SelectorEventLoop` would not do, since it could not be told from a loop
    that was never injected.
    """

    def __setattr__(self, name: str, value: object) -> None:
        # Tests that were written for BaseEventLoop, which has no I/O, mock these away. Any other loop has
        # no such attributes and is not harmed, and so must this one not be: it would never wake up again.
        if not (name in ("_selector", "_process_events", "_write_to_self") and isinstance(value, mock.Mock)):
            super().__setattr__(name, value)


# Error messages and reprs name the class: the tests must see the name that they expect of asyncio.
ReferenceLoop.__name__ = ReferenceLoop.__qualname__ = asyncio.SelectorEventLoop.__name__


@dataclass(frozen=True)
class Target:
    """A loop to test: how it is called, what makes one, and the type of what is made."""

    name: str
    factory: Callable[[], asyncio.AbstractEventLoop]
    type: type
    has_default_executor: bool


def load(name: str) -> Target:
    """The target of that name, or of "module:attribute".

    Raises LookupError when there is no such name or module, and TypeError when what is found there makes no
    event loop.
    """
    path = TARGETS.get(name, name)
    module_name, colon, attribute = path.partition(":")
    if not colon:
        raise LookupError(
            f"no loop is called {name!r}; known are {', '.join(TARGETS)}, or give module:factory"
        )
    try:
        factory = getattr(importlib.import_module(module_name), attribute)
    except (ImportError, AttributeError) as error:
        raise LookupError(f"cannot load {name!r}: {error}") from error
    probe = factory()
    if not isinstance(probe, asyncio.AbstractEventLoop):
        raise TypeError(f"{path} made {probe!r}, which is not an asyncio.AbstractEventLoop")
    probe.close()
    return Target(name, factory, type(probe), hasattr(probe, "_default_executor"))
