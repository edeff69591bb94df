"""The front doors, and the ways they are built on each version of Python."""

import asyncio
import asyncio.unix_events as unix_events
import subprocess
import sys
import types
import warnings

import pytest

import loopkit
from loopkit import runner
from tests.support.programs import ROOT


async def running():
    return type(asyncio.get_running_loop())


def test_a_new_loop_is_ours():
    loop = loopkit.new_event_loop()
    assert type(loop) is loopkit.Loop
    loop.close()


def test_run_runs_on_our_loop_and_on_another_if_asked():
    assert loopkit.run(running()) is loopkit.Loop
    assert loopkit.run(running(), loop_factory=loopkit.PollLoop) is loopkit.PollLoop


def test_run_passes_debug_on():
    async def main():
        return asyncio.get_running_loop().get_debug()

    assert loopkit.run(main(), debug=True) is True
    assert loopkit.run(main(), debug=False) is False


def test_run_raises_what_main_raises_and_closes_everything():
    seen = []

    async def main():
        seen.append(asyncio.get_running_loop())
        raise LookupError("from main")

    with pytest.raises(LookupError, match="from main"):
        loopkit.run(main())
    assert seen[0].is_closed()


def test_run_inside_a_loop_is_refused():
    async def main():
        coroutine = running()
        with pytest.raises(RuntimeError, match=r"loopkit.run\(\) cannot be called from a running event loop"):
            loopkit.run(coroutine)

    loopkit.run(main())


def test_asyncios_own_doors_take_the_class():
    with asyncio.Runner(loop_factory=loopkit.Loop) as door:
        assert door.run(running()) is loopkit.Loop
    if sys.version_info >= (3, 12):
        assert asyncio.run(running(), loop_factory=loopkit.SelectLoop) is loopkit.SelectLoop


def test_the_environment_chooses_the_poller(monkeypatch):
    monkeypatch.setenv("LOOPKIT_POLLER", "select")
    loop = loopkit.new_event_loop()
    assert loop.poller_name == "select"
    loop.close()
    monkeypatch.setenv("LOOPKIT_POLLER", "kqueue")
    with pytest.raises(
        ValueError,
        match="LOOPKIT_POLLER: no poller is called 'kqueue'; choose one of epoll, poll, select, busy",
    ):
        loopkit.new_event_loop()
    loop = loopkit.PollLoop()  # which asks nobody
    assert loop.poller_name == "poll"
    loop.close()


# -- by version ----------------------------------------------------------------------------------------------


class OldPolicy:
    pass


@pytest.fixture
def surface(monkeypatch):
    """A stand-in for the asyncio of another version: has what the test puts there, and nothing else."""
    fake = types.SimpleNamespace(events=types.SimpleNamespace())
    monkeypatch.setattr(runner, "asyncio", fake)
    return fake


def test_to_313_the_base_is_the_public_policy(surface):
    surface.DefaultEventLoopPolicy = OldPolicy
    assert runner._policy_base((3, 11)) is runner._policy_base((3, 13)) is OldPolicy


def test_in_314_the_base_is_the_private_policy_which_does_not_warn(surface):
    surface.events._BaseDefaultEventLoopPolicy = OldPolicy
    assert runner._policy_base((3, 14)) is runner._policy_base((3, 15)) is OldPolicy


def test_from_316_there_is_no_policy_and_the_error_says_what_to_do():
    with pytest.raises(AttributeError, match="loop_factory=loopkit.Loop") as caught:
        runner._policy_base((3, 16))
    assert "no EventLoopPolicy on Python 3.16" in str(caught.value)


def test_to_313_install_sets_the_policy(surface, monkeypatch):
    done = []
    monkeypatch.setattr(runner, "policy_class", lambda: OldPolicy)
    surface.set_event_loop_policy = done.append
    runner._install_for((3, 13))
    assert [type(policy) for policy in done] == [OldPolicy]


def test_in_314_install_sets_the_policy_silently(surface, monkeypatch):
    done = []
    monkeypatch.setattr(runner, "policy_class", lambda: OldPolicy)
    surface.events._set_event_loop_policy = done.append
    runner._install_for((3, 14))
    assert [type(policy) for policy in done] == [OldPolicy]


def test_from_316_install_replaces_the_class_that_asyncio_looks_up(surface, monkeypatch):
    monkeypatch.setattr(unix_events, "EventLoop", None, raising=False)
    surface.EventLoop = None
    runner._install_for((3, 16))
    assert unix_events.EventLoop is surface.EventLoop is loopkit.Loop


@pytest.mark.skipif(sys.version_info >= (3, 16), reason="no policies any more")
def test_the_policy_makes_our_loops():
    policy = loopkit.EventLoopPolicy()
    loop = policy.new_event_loop()
    assert type(loop) is loopkit.Loop
    loop.close()
    assert loopkit.EventLoopPolicy is loopkit.EventLoopPolicy
    assert repr(loopkit.EventLoopPolicy) == "<class 'loopkit.EventLoopPolicy'>"


def test_importing_and_installing_warn_of_nothing():
    code = (
        "import asyncio, loopkit; loopkit.install()\n"
        "async def main(): return type(asyncio.get_running_loop()).__name__\n"
        "print(asyncio.run(main()))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=ROOT, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "Loop\n", "")


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="set_event_loop_policy itself warns")
def test_the_policy_can_be_set_by_hand():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        asyncio.set_event_loop_policy(loopkit.EventLoopPolicy())
    try:
        assert asyncio.run(running()) is loopkit.Loop
    finally:
        asyncio.set_event_loop_policy(None)


# What asyncio.get_event_loop() does where no loop is running: the policy's affair, and every version warns or
# refuses a little differently.
GET_EVENT_LOOP = """
import asyncio, sys, threading, warnings
if sys.argv[1] == "loopkit":
    import loopkit
    loopkit.install()
warnings.simplefilter("always")

def ask(where):
    with warnings.catch_warnings(record=True) as told:
        try:
            loop = asyncio.get_event_loop()
        except RuntimeError as exc:
            what = f"RuntimeError: {exc}"
        else:
            what = "a loop, the same again" if loop is asyncio.get_event_loop() else "loops"
            asyncio.set_event_loop(None)
            loop.close()
    print(where, what, sorted({str(warning.message) for warning in told}), sep=" | ")

ask("first")
ask("after set_event_loop(None)")
thread = threading.Thread(target=ask, args=("in a thread",))
thread.start()
thread.join()
async def main():
    assert asyncio.get_event_loop() is asyncio.get_running_loop()
asyncio.run(main())
ask("after run()")
"""


def test_get_event_loop_answers_as_under_asyncios_own_policy():
    on_asyncio, on_loopkit = (
        subprocess.run(
            [sys.executable, "-c", GET_EVENT_LOOP, name], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout
        for name in ("asyncio", "loopkit")
    )
    assert on_asyncio.count("\n") == 4
    assert on_loopkit == on_asyncio


def test_children_need_nothing_of_the_child_watchers_that_314_removed():
    code = (
        "import asyncio, loopkit\n"
        "for owner in (asyncio, asyncio.events, asyncio.unix_events, asyncio.AbstractEventLoopPolicy):\n"
        "    for name in [name for name in vars(owner) if 'child_watcher' in name.lower()]:\n"
        "        delattr(owner, name)\n"
        "async def main():\n"
        "    child = await asyncio.create_subprocess_exec('true')\n"
        "    return await child.wait()\n"
        "print(loopkit.run(main()))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], cwd=ROOT, capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == ("0\n", "")
