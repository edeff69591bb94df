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
import enum
import functools
import importlib
import logging
import socket
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any
from unittest import mock

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
    _share_mocked_loggers()
    _share_mocked_modules()


def _replace_policy_factory(target: Target) -> None:
    name = "DefaultEventLoopPolicy" if sys.version_info < (3, 14) else "_DefaultEventLoopPolicy"
    policy = getattr(asyncio, name, None) or getattr(asyncio.unix_events, name)
    policy._loop_factory = staticmethod(target.factory)


def _share_mocked_loggers() -> None:
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
                return (
                    real if isinstance(real, enum.EnumType) else mocked
                )  # a mocked enumeration is of no use
        return getattr(self._real, attribute)


def _share_mocked_modules() -> None:
    """Let a test that mocks `asyncio.base_events.socket` mock it for loopkit's modules of that task as well.

    Not for the wakeup, whose counterpart sits in a module of asyncio's that no test mocks. A loop in C
    cannot be reached.
    """
    for owner in [module for name, module in sys.modules.items() if name.startswith(MOCKABLE)]:
        for name in ("os", "signal", "socket", "sys"):
            if vars(owner).get(name) is sys.modules[name]:
                setattr(owner, name, SharedModule(name, sys.modules[name]))


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
                    setattr(value, hook, lambda self: _new_loop(target))
    name = module.__name__.rpartition(".")[2]
    if name in SPECIAL:
        SPECIAL[name](module, target)


def _new_test_loop(self: Any, target: Target, gen: Script | None = None) -> asyncio.AbstractEventLoop:
    loop = _new_loop(target)
    if gen is not None:
        SimulatedClock(loop, gen)
    self.set_event_loop(loop)
    return loop


def _new_loop(target: Target) -> asyncio.AbstractEventLoop:
    """A loop with two private names of asyncio's, by which tests do what public calls do as well."""
    loop = target.factory()

    def run_once() -> None:
        loop.call_soon(loop.stop)
        loop.run_forever()

    def stop_serving(sock: socket.socket) -> None:
        loop.remove_reader(sock)
        sock.close()

    for name, function in (("_run_once", run_once), ("_stop_serving", stop_serving)):
        if not hasattr(loop, name):
            setattr(loop, name, function)
    return loop


def _set_up(target: Target, parent: type) -> Callable[[Any], None]:
    """A setUp that gives the test a loop, and leaves out what a class did to asyncio's private parts."""

    def setUp(self: Any) -> None:
        parent.setUp(self)
        if sys.version_info < (3, 14):
            asyncio.set_event_loop_policy(None)  # with it goes the child watcher that another test has set
        self.loop = _new_loop(target)
        self.set_event_loop(self.loop)

    return setUp


def _prepare_base_events(module: ModuleType, target: Target) -> None:
    module.BaseEventLoopTests.setUp = _set_up(target, module.test_utils.TestCase)
    # Imported by name inside that setUp, to have a loop without a native sendfile.
    sendfile_tests = module.BaseLoopSockSendfileTests
    sendfile_tests.setUp = mock.patch("asyncio.selector_events.BaseSelectorEventLoop", target.factory)(
        sendfile_tests.setUp
    )


def _prepare_selector_events(module: ModuleType, target: Target) -> None:
    module.BaseSelectorEventLoopTests.setUp = _set_up(target, module.test_utils.TestCase)


def _prepare_pep492(module: ModuleType, target: Target) -> None:
    module.BaseTest.setUp = _set_up(target, module.test_utils.TestCase)


def _prepare_events(module: ModuleType, target: Target) -> None:
    # Up to 3.13 these two install a child watcher that reaps by SIGCHLD: asyncio's own machinery, which
    # other loops do not consult.
    for name in ("setUp", "tearDown"):
        if name in vars(module.UnixEventLoopTestsMixin):
            delattr(module.UnixEventLoopTestsMixin, name)


class NoPause:
    """For a test that holds SSLProtocol back to have its buffer fill: the kernel's is full anyway."""

    def pause_writing(self) -> None:
        pass

    resume_writing = pause_writing


def _prepare_ssl(module: ModuleType, target: Target) -> None:
    """Two tests fill the write buffer of a TLS transport by private names; `write` does that, too."""
    open_connection = asyncio.open_connection

    async def lending(*args: Any, **kwargs: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await open_connection(*args, **kwargs)
        transport = type(writer.transport)
        if transport.__module__.startswith("loopkit."):
            transport._ssl_protocol = NoPause()
            transport._test__append_write_backlog = transport.write
        return reader, writer

    asyncio.open_connection = lending


def _prepare_subprocess(module: ModuleType, target: Target) -> None:
    module.SubprocessWatcherMixin.setUp = _set_up(target, module.test_utils.TestCase)
    if "tearDown" in vars(module.SubprocessWatcherMixin):
        del module.SubprocessWatcherMixin.tearDown


def _prepare_tasks(module: ModuleType, target: Target) -> None:
    def run_loop(self: Any, loop: asyncio.AbstractEventLoop) -> None:
        """More turns than any of these tests takes, instead of asking the private `_ready`."""
        for _ in range(10):
            module.test_utils.run_briefly(loop)

    module.GatherTestsBase._run_loop = run_loop
    if not issubclass(target.type, asyncio.BaseEventLoop):  # whose method the test replaces
        case = module.CoroutineGatherTests
        replaced = mock.patch.object(target.type, "call_exception_handler", mock.Mock())
        case.test_issue46672 = replaced(case.test_issue46672)


def _prepare_runners(module: ModuleType, target: Target) -> None:
    """The tests look at `shutdown_ag_run` to see that the runner shut the asynchronous generators down.

    One replaces the private function that asks the environment for the debug mode, so that is asked here.
    """

    def new_loop(self: Any) -> asyncio.AbstractEventLoop:
        loop = target.factory()
        loop.set_debug(asyncio.coroutines._is_debug_mode())
        shutdown_asyncgens = loop.shutdown_asyncgens
        loop.shutdown_ag_run = False

        async def watched() -> None:
            loop.shutdown_ag_run = True
            await shutdown_asyncgens()

        loop.shutdown_asyncgens = watched
        return loop

    module.BaseTest.new_loop = new_loop


SPECIAL: dict[str, Callable[[ModuleType, Target], None]] = {
    "test_base_events": _prepare_base_events,
    "test_events": _prepare_events,
    "test_pep492": _prepare_pep492,
    "test_runners": _prepare_runners,
    "test_selector_events": _prepare_selector_events,
    "test_ssl": _prepare_ssl,
    "test_subprocess": _prepare_subprocess,
    "test_tasks": _prepare_tasks,
}
