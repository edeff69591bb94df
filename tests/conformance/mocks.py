"""What a test mocks inside stdlib asyncio, mocked for the loop under test as well.

`mock.patch("asyncio.base_events.socket")` is how many of CPython's tests bring about what is hard to come by:
a port in use, a platform without an option. What they then check is public behaviour, so it is worth having
them for every loop that can be reached.
"""

import asyncio
import enum
import logging
import sys
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any


def share_loggers() -> None:
    """Let a test that mocks `asyncio.base_events.logger` see what any loop logs.

    The tests replace a name in one of asyncio's modules; another loop has its own name for the same logger
    `asyncio`. So the logger itself passes calls on to whichever mock is in place.
    """
    logger = logging.getLogger("asyncio")
    modules = [module for module in vars(asyncio).values() if getattr(module, "logger", None) is logger]

    def shared(method: str) -> Callable[..., None]:
        def call(self: logging.Logger, *args: Any, **kwargs: Any) -> None:
            for module in modules:
                if module.logger is not self:
                    getattr(module.logger, method)(*args, **kwargs)
                    return
            getattr(logging.Logger, method)(self, *args, **kwargs)

        return call

    names = ("debug", "info", "warning", "error", "critical", "exception", "log")
    logger.__class__ = type("SharedLogger", (type(logger),), {name: shared(name) for name in names})


MOCKABLE = ("loopkit.executor", "loopkit.net", "loopkit.signals")

#: Those of them that loopkit loads when they are first used: too late for what is done here.
LATE = (
    "loopkit.net.connect",
    "loopkit.net.datagrams",
    "loopkit.net.sendfile",
    "loopkit.net.serve",
    "loopkit.signals",
)


class SharedModule:
    """A module as the loop under test sees it: the real one, or the mock that a test has put in its place."""

    def __init__(self, name: str, real: ModuleType) -> None:
        self._name = name
        self._real = real

    def __getattr__(self, attribute: str) -> Any:
        for owner in (asyncio.base_events, asyncio.unix_events):
            module = getattr(owner, self._name, self._real)
            if module is not self._real:
                mocked = getattr(module, attribute)  # AttributeError where the test has deleted it
                real = getattr(self._real, attribute)
                return real if isinstance(real, enum.EnumType) else mocked  # a mocked enumeration is no use
        return getattr(self._real, attribute)


def share_modules() -> None:
    """Let a test that mocks `asyncio.base_events.socket` mock it for loopkit's modules of that task as well.

    Not for the wakeup, whose counterpart sits in a module of asyncio's that no test mocks. A loop in C
    cannot be reached.
    """
    if "loopkit" in sys.modules:
        for name in LATE:
            import_module(name)
    for owner in [module for name, module in sys.modules.items() if name.startswith(MOCKABLE)]:
        for name in ("os", "signal", "socket", "sys"):
            if vars(owner).get(name) is sys.modules[name]:
                setattr(owner, name, SharedModule(name, sys.modules[name]))
