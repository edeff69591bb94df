"""The pytest plugin: simulated time for a test that asks for it, exploration for one that is marked.

It works with pytest-asyncio in both modes, with anyio's plugin, and with neither: a marked test is run by us.

- The fixture ``virtual_clock`` gives an async test a simulated loop. Under pytest-asyncio the runner of that
  test is made with it, so that its async fixtures are in the same time; otherwise we run the test.
- ``@pytest.mark.loopkit(seeds=100, level="sleep")`` explores it: the test's function is called for each seed,
  with async fixtures of its own each time (`fixtures.py`). ``--loopkit-seeds=N`` gives the marked tests so
  many seeds, ``--loopkit-seed=S`` the first, ``--loopkit-level`` the level, ``--loopkit-replay=TOKEN`` that
  one schedule. A token that has failed is kept in pytest's cache, and tried first the next time;
  ``--loopkit-save=DIR`` keeps it in a file, for another machine.
- ``--loopkit-hash-seed=N`` starts pytest again with PYTHONHASHSEED=N, for programs that go through sets of
  strings.

Nothing but this file is loaded before a test asks for more: pytest loads it wherever loopkit is installed.
"""

from __future__ import annotations

import inspect
import os
import re
import sys
from typing import Any

import pytest

MARK = "loopkit(seeds=100, level='time', strategy='mix'): explore this async test on a simulated kernel"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("loopkit", "tests on a simulated kernel")
    group.addoption("--loopkit-seeds", type=int, metavar="N", help="so many schedules for each marked test")
    group.addoption("--loopkit-seed", type=int, metavar="S", help="the first seed (0)")
    group.addoption("--loopkit-level", metavar="LEVEL", help="what differs: time, sleep or order")
    group.addoption(
        "--loopkit-replay", metavar="TOKEN", help="run this schedule only, or that of a .json file"
    )
    group.addoption("--loopkit-save", metavar="DIR", help="keep each failure there, in a .json file")
    group.addoption("--loopkit-hash-seed", metavar="N", help="start again with PYTHONHASHSEED=N")


_REPLAYED: Any = pytest.StashKey()


def pytest_configure(config: pytest.Config) -> None:
    """Look at the token before any test runs."""
    config.addinivalue_line("markers", MARK)
    if token := config.getoption("--loopkit-replay"):
        from .choices import token_of

        try:
            config.stash[_REPLAYED] = token_of(token)
        except (OSError, ValueError) as error:
            raise pytest.UsageError(f"--loopkit-replay: {error}") from None


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Begin anew if Python's hashes shall have another seed: it takes that from the environment, once."""
    seed = config.getoption("--loopkit-hash-seed")
    if seed is None or os.environ.get("PYTHONHASHSEED") == seed:
        return
    if seed != "random" and not (seed.isdecimal() and int(seed) < 1 << 32):
        raise pytest.UsageError(f"--loopkit-hash-seed is 0 to 4294967295, or random, not {seed!r}")
    if (capture := config.pluginmanager.getplugin("capturemanager")) is not None:
        capture.stop_global_capturing()  # what it holds would be lost
    environment = {**os.environ, "PYTHONHASHSEED": seed}
    os.chdir(config.invocation_params.dir)
    args = [sys.executable, "-m", "pytest", *map(os.fspath, config.invocation_params.args)]
    os.execve(sys.executable, args, environment)


@pytest.fixture
def virtual_clock(request: pytest.FixtureRequest) -> Any:
    """The test runs in simulated time: sleeping costs nothing. ``virtual_clock.now`` tells it, in seconds."""
    return request.node.stash.setdefault(_WORLD, _new_world()).clock


_WORLD: Any = pytest.StashKey()


def _new_world() -> Any:
    from .world import World

    return World()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_fixture_setup(fixturedef: Any, request: Any) -> Any:
    """Put off what each run makes for itself; give pytest-asyncio's runner of a test a simulated loop."""
    with pytest.MonkeyPatch.context() as patch:
        if fixturedef.argname == "_function_scoped_runner" and "virtual_clock" in request.fixturenames:
            _simulate(patch, request.node.stash.setdefault(_WORLD, _new_world()))
        elif isinstance(request.node, pytest.Function) and _is_ours(request.node):
            from .fixtures import put_off

            if (stands_for_it := put_off(fixturedef, request)) is not None:
                patch.setattr(fixturedef, "func", stands_for_it)
        return (yield)


def _simulate(patch: pytest.MonkeyPatch, world: Any) -> None:
    from pytest_asyncio import plugin

    class Runner(plugin.Runner):  # type: ignore[misc,name-defined]
        def __init__(self, **options: Any) -> None:
            super().__init__(**{**options, "loop_factory": _factory(world)})

    patch.setattr(plugin, "Runner", Runner)


def _factory(world: Any) -> Any:
    from .loop import SimLoop

    return lambda: SimLoop(world)


def _is_ours(item: pytest.Function) -> bool:
    """Whether we run *item*: it is marked, or asks for `virtual_clock` and nobody else would run it."""
    names = item.fixturenames
    return inspect.iscoroutinefunction(inspect.unwrap(item.obj)) and (
        item.get_closest_marker("loopkit") is not None
        or ("virtual_clock" in names and "_function_scoped_runner" not in names)
    )


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> object:
    """Run a test that is ours."""
    mark = pyfuncitem.get_closest_marker("loopkit")
    function = inspect.unwrap(pyfuncitem.obj)
    if mark is not None:
        _check(pyfuncitem, mark, function)
    if not _is_ours(pyfuncitem):
        return None
    if pyfuncitem.instance is not None and not inspect.ismethod(function):
        function = function.__get__(pyfuncitem.instance)
    from .fixtures import calls

    main = calls(function, pyfuncitem._fixtureinfo.argnames, pyfuncitem.funcargs)
    main.__qualname__ = pyfuncitem.name
    _perform(pyfuncitem, mark, main)
    return True


def _check(item: pytest.Function, mark: Any, function: Any) -> None:
    """Fail the test if its marker asks for what there is not."""
    from .exploring import WORLD, explore

    known = [name for name in inspect.signature(explore).parameters if name not in ("main", "options")]
    known += WORLD
    unknown = [*map(repr, mark.args), *(name for name in mark.kwargs if name not in known)]
    if unknown:
        wrong = f"@pytest.mark.loopkit takes {', '.join(f'{name}=' for name in known)}, not {unknown[0]}"
    elif not inspect.iscoroutinefunction(function):
        wrong = f"@pytest.mark.loopkit explores async tests, and {item.name} is none: write async def"
    else:
        return
    pytest.fail(wrong, pytrace=False)


def _lasting(item: pytest.Function) -> str:
    """What to say of an async fixture that lives longer than the test, if there is one."""
    from .fixtures import is_async

    for name in item.fixturenames:
        for made in item._fixtureinfo.name2fixturedefs.get(name, ()):
            if is_async(made.func) and made.scope != "function":
                return (
                    f"the async fixture {name} is made once for each {made.scope}, in another loop, in real "
                    'time and with real sockets; one with scope="function" is made in the loop of each run'
                )
    return ""


def _perform(item: pytest.Function, mark: Any, main: Any) -> None:
    from . import running

    if mark is None:
        running.perform(running.Program(main), item.stash[_WORLD], 0)
        return
    from .errors import Found

    report = None
    try:
        _explore(item, dict(mark.kwargs), main)
    except Found as found:
        report = found.report
    _keep(item, None if report is None else report.token)
    if report is not None:
        report.test, report.is_pytest = _as_typed(item), True
        if lasting := _lasting(item):
            report.note = report.note or lasting
            if not report.deviations:
                report.claim = "it fails with nothing varied at all: for that fixture, or an ordinary bug"
        _save(item, report)
        pytest.fail(str(report), pytrace=False)  # it has the program's frames, and ours say nothing


def _as_typed(item: pytest.Function) -> str:
    """Its name as seen from where the command was given: a node id begins where the configuration is."""
    file = os.path.relpath(item.path, item.config.invocation_params.dir)
    return "::".join([file, *item.nodeid.split("::")[1:]])


def _explore(item: pytest.Function, options: dict[str, Any], main: Any) -> None:
    from .choices import parse_token
    from .exploring import examine, explore

    if (replayed := item.config.stash.get(_REPLAYED, None)) is not None:
        examine(main, replayed, **options)
        return
    if token := _kept(item).get(item.nodeid):
        try:
            examine(main, parse_token(token), **options)
        except (RuntimeError, ValueError):
            pass  # it was made for another program, or another Python
    for name, option in (("seeds", "seeds"), ("first", "seed"), ("level", "level")):
        if (value := item.config.getoption(f"--loopkit-{option}")) is not None:
            options[name] = value
    try:
        explore(main, **options)
    except ValueError as error:  # a level or strategy that there is not
        pytest.fail(f"@pytest.mark.loopkit: {error}", pytrace=False)


# -- tokens that have failed ---------------------------------------------------------------------------------


def _save(item: pytest.Function, report: Any) -> None:
    """Keep *report* in the directory that was asked for: another machine can replay it."""
    folder = item.config.getoption("--loopkit-save")
    if folder is None:
        return
    name = re.sub(r"[^\w.-]+", "_", item.nodeid)
    try:
        os.makedirs(folder, exist_ok=True)
        report.save(os.path.join(folder, f"{name}.json"))
    except OSError as error:
        report.note = f"loopkit cannot keep the failure in {folder}: {error.strerror}. {report.note}".rstrip()


_CACHE = "loopkit/failed"


def _kept(item: pytest.Function) -> dict[str, str]:
    cache = getattr(item.config, "cache", None)
    return {} if cache is None else dict(cache.get(_CACHE, {}))


def _keep(item: pytest.Function, token: str | None) -> None:
    """Have *token* tried first the next time, or nothing."""
    cache = getattr(item.config, "cache", None)
    kept = _kept(item)
    if cache is not None and kept.get(item.nodeid) != token:
        cache.set(_CACHE, {name: it for name, it in {**kept, item.nodeid: token}.items() if it is not None})
