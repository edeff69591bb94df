"""Which loops a test runs on, and what it must not leave behind.

Every async test runs once per loop (`tests/support/loops.py`), and so does every synchronous one that asks
for `new_loop` (or, when it starts programs of its own, for `loop_name`). Under `tests/parity` the loops are
stdlib asyncio, uvloop and all of loopkit's, elsewhere loopkit's.

A test fails when it leaves open descriptors, threads, tasks or child processes, or when something was
reported to an exception handler that the test had not set itself. Tests that expect such a report say so:
with the fixture `reports` (a handler that collects contexts) or `asyncio_log` (the records of asyncio's
logger), or with the marker `leaks`.
"""

import asyncio
import gc
import inspect
import logging
import os
import signal
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from loopkit.watches import Watches
from tests.support.attempts import FAILED, pytest_runtest_setup, pytest_timeout_set_timer  # noqa: F401 (hooks)
from tests.support.fdtable import checked
from tests.support.leaks import Snapshot
from tests.support.loops import EARLY, OURS, SIMULATED, Ambient, LoopFactory, factories, name_of
from tests.support.simulated import RUN_SIMULATED, reason_not_to

PARITY = Path(__file__).parent / "parity"
SHAPE = Path(__file__).parent / "shape"
INTERRUPTION = Path(__file__).parent / "interruption"

# How long, in seconds, tasks of a finished test may take to notice that their connection is gone.
SETTLE = 5.0


# A shell that starts us in the background has SIGINT ignored, and exec() hands that down: the programs that
# tests start would not notice Ctrl-C either.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--loops", help="comma-separated names: run only on these of the test's loops")


@pytest.fixture(autouse=True, scope="module")
def _frozen() -> None:
    # Every test ends with a full collection. What older files have left need not be walked each time: that
    # was half of the time that the unit tests took.
    gc.collect()
    if sys.implementation.name == "cpython":
        gc.freeze()


# --- which loops --------------------------------------------------------------------------------------------


def _factories_for(config: pytest.Config, definition: Any) -> dict[str, LoopFactory]:
    is_parity = PARITY in definition.path.parents
    chosen = factories(parity=is_parity)
    if definition.path in RUN_SIMULATED and "LOOPKIT_POLLER" not in os.environ:
        chosen |= SIMULATED
    if wanted := config.getoption("--loops"):
        chosen = {name: chosen[name] for name in wanted.split(",") if name in chosen}
    if marker := definition.get_closest_marker("loops"):
        names = [*marker.args, "simulated"] if set(OURS) <= set(marker.args) else marker.args
        chosen = {name: chosen[name] for name in names if name in chosen}
    return chosen


def pytest_asyncio_loop_factories(config: pytest.Config, item: Any) -> dict[str, LoopFactory]:
    # The hook must not return an empty mapping; what has no loop left is deselected below.
    return _factories_for(config, item) or {"none": asyncio.SelectorEventLoop}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    # An async test is parametrised by pytest-asyncio, a synchronous one by the first of these it asks for.
    if inspect.iscoroutinefunction(metafunc.function):
        return
    for fixture in ("new_loop", "loop_name"):
        if fixture in metafunc.fixturenames:
            chosen = _factories_for(metafunc.config, metafunc.definition)
            metafunc.parametrize(fixture, chosen.values(), ids=chosen.keys(), indirect=True)
            return


def _factory_of(item: pytest.Item) -> LoopFactory | None:
    params = getattr(getattr(item, "callspec", None), "params", {})
    return params.get("_asyncio_loop_factory") or params.get("new_loop") or params.get("loop_name")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    kept, dropped = [], []
    for item in items:
        factory = _factory_of(item)
        if factory is not None and not _factories_for(config, item):
            dropped.append(item)
            continue
        kept.append(item)
        if factory is SIMULATED["simulated"] and (reason := reason_not_to(item.name)):
            item.add_marker(pytest.mark.skip(reason=f"not simulated: {reason}"))
        for marker in item.iter_markers("uvloop_differs"):
            if factory is not None and name_of(factory) == "uvloop" and marker.kwargs.get("when", True):
                reason, run = marker.kwargs["reason"], marker.kwargs.get("run", True)
                item.add_marker(pytest.mark.xfail(reason=reason, run=run, strict=True))
    if dropped:
        config.hook.pytest_deselected(items=dropped)
        items[:] = kept


@pytest.fixture
def loop_name(request: pytest.FixtureRequest) -> str:
    """The name of the loop that this test runs on: asyncio, uvloop, epoll, poll, select or busy."""
    factory = _factory_of(request.node)
    assert factory is not None, "this test runs on no loop"
    return name_of(factory)


@pytest.fixture
def new_loop(request: pytest.FixtureRequest) -> Iterator[LoopFactory]:
    """A function that makes a loop, for tests that run, stop and close loops themselves."""
    made = []

    def make() -> asyncio.AbstractEventLoop:
        loop = request.param()
        made.append(loop)
        return loop

    yield make
    for loop in made:
        if not loop.is_closed():
            loop.close()


@pytest.fixture(autouse=True)
def _checked_fd_table(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """After every turn of every loop of ours the fd table is what it promises to be."""
    # Where calls are counted, and where it is looked at after an interruption.
    if not {SHAPE, INTERRUPTION} & set(request.path.parents):
        monkeypatch.setattr(Watches, "take", checked(Watches.take))


# --- what is reported ---------------------------------------------------------------------------------------


class Reports(list[dict[str, Any]]):
    """An exception handler that keeps the contexts it was called with."""

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.append(context)

    @property
    def messages(self) -> list[str]:
        return [context["message"] for context in self]

    @property
    def exceptions(self) -> list[BaseException | None]:
        return [context.get("exception") for context in self]


@pytest.fixture
def reports() -> Reports:
    """For `loop.set_exception_handler(reports)`: the list of contexts that were reported."""
    return Reports()


class _Records(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@pytest.fixture
def asyncio_log(_leak_guard: _Records) -> list[logging.LogRecord]:
    """Warnings and errors that asyncio's logger received so far; who asks for them may cause any."""
    return _leak_guard.records


# --- what is left behind ------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _leak_guard(request: pytest.FixtureRequest) -> Iterator[_Records]:
    allowed = {kind for marker in request.node.iter_markers("leaks") for kind in marker.args}
    before, log = Snapshot.take(), _Records()
    logger = logging.getLogger("asyncio")
    logger.addHandler(log)
    yield log
    if request.node.stash.get(FAILED, False):
        # Its traceback holds sockets and loops: one failure is enough to read about. What is collected now is
        # nobody else's fault either.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            gc.collect()
        logger.removeHandler(log)
        return
    gc.collect()
    logger.removeHandler(log)
    found = before.leaks()
    if "asyncio_log" not in request.fixturenames:
        errors = [record for record in log.records if record.levelno >= logging.ERROR]
        if errors:
            found["errors"] = f"reported to no handler of the test: {[r.getMessage() for r in errors]}"
    if unwanted := [text for kind, text in found.items() if kind not in allowed]:
        pytest.fail("the test leaks; " + "; ".join(unwanted), pytrace=False)


@pytest.fixture(autouse=True)
def _simulated_world(request: pytest.FixtureRequest, _leak_guard: _Records) -> Iterator[None]:
    """Where the loop is simulated, so is what other fixtures make for it."""
    if _factory_of(request.node) is not SIMULATED["simulated"]:
        yield
        return
    loop = Ambient(stays=True)
    EARLY.append(loop)
    try:
        yield
    finally:
        EARLY.clear()
        loop.close()
        loop.leave()


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Any:
    try:
        result = yield
        runner = pyfuncitem.funcargs.get("_function_scoped_runner")
        if runner is not None:
            _check_tasks(pyfuncitem, runner)
        return result
    except BaseException:
        pyfuncitem.stash[FAILED] = True
        raise


def _check_tasks(item: pytest.Function, runner: asyncio.Runner) -> None:
    """Fail when tasks are left that do not end by themselves now that the test is over."""
    loop = runner.get_loop()
    if loop.is_closed():
        return

    async def settle() -> set[asyncio.Task[Any]]:
        # Two turns for connection_lost and its kind, which a close() in the test's last line has scheduled.
        for _ in range(2):
            await asyncio.sleep(0)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        if others:
            _, others = await asyncio.wait(others, timeout=SETTLE)
        return others

    loop.set_task_factory(None)  # a test may have set one that cannot make the task for this
    left = runner.run(settle())
    if left and not any("tasks" in marker.args for marker in item.iter_markers("leaks")):
        pytest.fail(f"the test leaks; tasks still running: {left}", pytrace=False)
