"""Debug mode: the one flag behind which the checks are, and what it changes in the interpreter."""

import asyncio
import sys
import threading

import pytest

import loopkit
from loopkit import debug
from tests.support.programs import run_program


@pytest.fixture
def loop():
    loop = loopkit.EpollLoop()
    loop.set_debug(False)
    yield loop
    loop.close()


def test_one_flag_says_that_there_is_something_to_check(loop):
    assert loop._guarded is False
    loop.set_debug(True)
    assert loop._guarded is True
    loop.set_debug(False)
    assert loop._guarded is False
    loop.close()
    assert loop._guarded is True
    loop.set_debug(False)
    assert loop._guarded is True


def test_get_debug_gives_back_what_was_set(loop):
    loop.set_debug(1)
    assert loop.get_debug() == 1
    assert loop._guarded is True


@pytest.mark.parametrize("enabled", [True, False])
def test_origins_are_tracked_while_a_loop_in_debug_mode_runs(loop, enabled):
    before = sys.get_coroutine_origin_tracking_depth()
    loop.set_debug(enabled)

    async def main():
        return sys.get_coroutine_origin_tracking_depth()

    assert loop.run_until_complete(main()) == (debug.ORIGIN_DEPTH if enabled else before)
    assert sys.get_coroutine_origin_tracking_depth() == before


def test_origins_follow_a_switch_while_the_loop_runs(loop):
    before = sys.get_coroutine_origin_tracking_depth()
    depths = []

    async def main():
        for enabled in (True, False, False, True, True):
            loop.set_debug(enabled)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            depths.append(sys.get_coroutine_origin_tracking_depth())

    loop.run_until_complete(main())
    on = debug.ORIGIN_DEPTH
    assert depths == [on, before, before, on, on]
    assert sys.get_coroutine_origin_tracking_depth() == before


def test_a_depth_that_somebody_else_has_set_comes_back(loop):
    sys.set_coroutine_origin_tracking_depth(3)
    try:
        loop.set_debug(True)
        loop.run_until_complete(asyncio.sleep(0))
        assert sys.get_coroutine_origin_tracking_depth() == 3
    finally:
        sys.set_coroutine_origin_tracking_depth(0)


@pytest.mark.parametrize("method", ["call_soon", "call_later", "call_at"])
def test_calls_from_another_thread_are_refused(loop, method):
    loop.set_debug(True)
    args = () if method == "call_soon" else (0,)
    failures = []

    def other():
        try:
            getattr(loop, method)(*args, int)
        except RuntimeError as exc:
            failures.append(str(exc))
        loop.call_soon_threadsafe(loop.stop)

    thread = threading.Thread(target=other)
    loop.call_soon(thread.start)
    loop.run_forever()
    thread.join()
    assert failures == [
        "Non-thread-safe operation invoked on an event loop other than the current one",
    ]


def test_calls_from_another_thread_while_nobody_runs_the_loop_are_not(loop):
    loop.set_debug(True)
    handles = []
    thread = threading.Thread(target=lambda: handles.append(loop.call_soon(int)))
    thread.start()
    thread.join()
    assert len(handles) == 1


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"PYTHONASYNCIODEBUG": "1"}, True),
        ({"PYTHONASYNCIODEBUG": ""}, False),
        ({"PYTHONDEVMODE": "1"}, True),
        ({}, False),
    ],
)
def test_the_environment_decides_at_first(options, expected, monkeypatch):
    for name in ("PYTHONASYNCIODEBUG", "PYTHONDEVMODE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in options.items():
        monkeypatch.setenv(name, value)
    if "PYTHONDEVMODE" in options:
        monkeypatch.setattr(
            debug.sys, "flags", type("Flags", (), {"dev_mode": True, "ignore_environment": 0})
        )
    elif sys.flags.dev_mode:
        pytest.skip("this interpreter is in development mode")
    loop = loopkit.EpollLoop()
    assert loop.get_debug() is expected
    loop.close()


def test_python_told_to_ignore_the_environment_ignores_it():
    code, out, err = run_program(
        "epoll",
        """
        import os, subprocess, sys
        program = (
            "import sys; sys.path.insert(0, {!r}); import loopkit\\n"
            "loop = loopkit.Loop(); print(loop.get_debug()); loop.close()"
        )
        env = {**os.environ, "PYTHONASYNCIODEBUG": "1"}
        for option in ((), ("-E",)):
            command = [sys.executable, *option, "-c", program.format(os.environ["PYTHONPATH"])]
            sys.stdout.write(subprocess.run(command, env=env, capture_output=True, text=True).stdout)
        """,
    )
    assert (code, out, err) == (0, "True\nFalse\n", "")
