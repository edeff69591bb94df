"""What single test modules need, beyond the doors that all have in common.

Each function here replaces a setUp or a helper that reaches for asyncio's private parts by one that does the
same with public calls.
"""

import asyncio
import socket
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any
from unittest import mock

from .targets import Target


def new_loop(target: Target) -> asyncio.AbstractEventLoop:
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
        self.loop = new_loop(target)
        self.set_event_loop(self.loop)

    return setUp


def _prepare_base_events(module: ModuleType, target: Target) -> None:
    module.BaseEventLoopTests.setUp = _set_up(target, module.test_utils.TestCase)
    if target.type.__module__.startswith(
        "loopkit."
    ):  # a test reads the family of an endpoint's private _sock
        from loopkit.transports.datagram import DatagramTransport

        DatagramTransport._sock = property(lambda transport: transport.get_extra_info("socket"))
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
    mixin = getattr(module, "UnixEventLoopTestsMixin", None)  # gone with the watchers in 3.14
    for name in ("setUp", "tearDown"):
        if mixin is not None and name in vars(mixin):
            delattr(mixin, name)


class NoPause:
    """For tests that hold SSLProtocol back to have its buffer fill: the kernel's is full anyway."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport  # a test replaces its `write`

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
            transport._ssl_protocol = NoPause(transport)
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
    """The tests look at `shutdown_ag_run` to see that the runner shut the asynchronous generators down."""

    def new_loop(self: Any) -> asyncio.AbstractEventLoop:
        loop = target.factory()
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


def prepare(module: ModuleType, target: Target) -> None:
    """Apply what that test module needs, if anything."""
    special = SPECIAL.get(module.__name__.rpartition(".")[2])
    if special is not None:
        special(module, target)
