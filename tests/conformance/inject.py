"""How a loop gets into tests that were written for asyncio's.

CPython's tests come by a loop in four ways, and each has its own door here:

1. `asyncio.new_event_loop()`, `run()`, `Runner`, `IsolatedAsyncioTestCase`: through the default policy
   (where policies are gone: through the names `asyncio.new_event_loop` and `asyncio.EventLoop`);
2. `asyncio.SelectorEventLoop()`: a stand-in has that name, makes our loop and knows it by `isinstance`;
3. a `create_event_loop()` or `new_loop()` of a mixin: overridden in every class that has one;
4. a bare `BaseEventLoop()` or the tests' own `TestLoop`, loops without I/O: replaced where they are made.

Nothing is taken on trust: `Witness` sees every loop that runs, by type, so that a test that got past all
four doors is found out.
"""

import asyncio
import functools
import importlib
import sys
from types import ModuleType
from typing import Any

from . import hooks, mocks
from .hooks import new_loop
from .simulated import Script, SimulatedClock
from .targets import Target


class Witness:
    """Which loops ran, by type, since `reset()`."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.ours = 0
        self.foreign: set[str] = set()
        self.watch(asyncio.BaseEventLoop)
        if not issubclass(target.type, asyncio.BaseEventLoop):
            self.watch(target.type)

    def watch(self, loop_type: type) -> None:
        run_forever = loop_type.run_forever

        @functools.wraps(run_forever)
        def watched(loop: asyncio.AbstractEventLoop) -> None:
            if isinstance(loop, self.target.type):
                self.ours += 1
            else:
                self.foreign.add(f"{type(loop).__module__}.{type(loop).__qualname__}")
            run_forever(loop)

        loop_type.run_forever = watched

    def reset(self) -> None:
        self.ours = 0
        self.foreign = set()


def open_doors(target: Target) -> None:
    """Put the target in asyncio's place. To be called before CPython's test modules are imported."""
    if sys.version_info < (3, 16):
        _replace_policy_factory(target)
    else:
        asyncio.new_event_loop = asyncio.events.new_event_loop = target.factory

    class StandInType(type):
        def __call__(cls, selector: object = None) -> asyncio.AbstractEventLoop:
            if selector is not None:
                selector.close()
            return target.factory()

        def __instancecheck__(cls, loop: object) -> bool:
            return isinstance(loop, target.type)

    class SelectorEventLoop(metaclass=StandInType):
        """What the tests find under the name of asyncio's loop."""

    asyncio.SelectorEventLoop = SelectorEventLoop
    if sys.version_info >= (3, 13):
        asyncio.EventLoop = SelectorEventLoop
    mocks.share_loggers()
    mocks.share_modules()


def _replace_policy_factory(target: Target) -> None:
    name = "DefaultEventLoopPolicy" if sys.version_info < (3, 14) else "_DefaultEventLoopPolicy"
    policy = getattr(asyncio, name, None) or getattr(asyncio.unix_events, name)
    policy._loop_factory = staticmethod(target.factory)


def prepare(module: ModuleType, target: Target) -> None:
    """Hook the classes of an imported test module so that they make the target's loops."""
    utils = importlib.import_module("test.test_asyncio.utils")
    asyncio.set_event_loop(None)  # some tests take it for granted that another one has done so
    if not target.has_default_executor:  # the only private attribute that every teardown reads
        utils.TestCase.close_loop = staticmethod(lambda loop: loop.close())
    utils.TestCase.new_test_loop = functools.partialmethod(_new_test_loop, target)
    for value in vars(module).values():
        if isinstance(value, type):
            for hook in ("create_event_loop", "new_loop"):
                if hook in vars(value):
                    setattr(value, hook, lambda self: new_loop(target))
    hooks.prepare(module, target)


def _new_test_loop(self: Any, target: Target, gen: Script | None = None) -> asyncio.AbstractEventLoop:
    loop = new_loop(target)
    if gen is not None:
        SimulatedClock(loop, gen)
    self.set_event_loop(loop)
    return loop
