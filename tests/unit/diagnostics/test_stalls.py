"""Watch: is the culprit named while it is at work, and does an idle loop stay asleep?"""

import asyncio
import faulthandler
import gc
import re
import subprocess
import sys
import textwrap
import threading
import time
import types

import pytest

import loopkit
from loopkit.diagnostics import stalls, watch
from loopkit.diagnostics.alarm import parse_traceback
from loopkit.diagnostics.stacks import Place
from loopkit.diagnostics.stalls import Stall
from tests.cli.commands import run_loopkit
from tests.support.pythons import PYPY, cpython_only


@pytest.fixture
def loop():
    loop = loopkit.Loop()
    yield loop
    loop.close()


@pytest.fixture
def seen(loop):
    """Reports of stalls; the culprits below block until there are enough."""
    return Seen()


class Seen(list):
    def __init__(self):
        self.enough = threading.Event()
        self.wanted = 1

    def __call__(self, stall):
        self.append(stall)
        if len(self) >= self.wanted:
            self.enough.set()


def computing(seen):
    while not seen.enough.is_set():
        pass


def sleeping(seen):
    while not seen.enough.is_set():
        time.sleep(0.01)


def waiting_for_a_lock(seen):
    assert seen.enough.wait(20)


def reading_a_file(seen):
    while not seen.enough.is_set():
        with open(__file__) as file:
            file.read()


@pytest.mark.parametrize("culprit", [computing, sleeping, waiting_for_a_lock, reading_a_file])
def test_the_culprit_is_named_while_it_is_at_work(loop, seen, culprit):
    async def guilty():
        await asyncio.sleep(0)
        culprit(seen)

    async def main():
        await asyncio.create_task(guilty(), name="the guilty one")

    watch(loop, 0.05, seen)
    loop.run_until_complete(main())
    first = seen[0]
    assert not first.over
    assert first.seconds >= 0.05
    functions = [place.function for place in first.frames]
    assert functions[0].endswith("guilty")
    assert culprit.__name__ in functions
    assert "the guilty one" in first.task
    assert any("main" in waiter for waiter in first.awaiters)
    text = str(first)
    assert f"in {culprit.__name__}\n" in text
    assert "awaited by task" in text


def test_a_long_stall_is_reported_at_doubling_distances_and_at_its_end(loop, seen):
    seen.wanted = 3
    watch(loop, 0.02, seen)
    loop.call_soon(sleeping, seen)
    loop.run_until_complete(_until(lambda: any(stall.over for stall in seen)))
    during = [stall for stall in seen if not stall.over][:3]
    assert during[0].task is None
    assert during[1].seconds >= 0.04
    assert during[2].seconds >= 0.08
    over = next(stall for stall in seen if stall.over)
    assert over.seconds >= during[-1].seconds
    assert PYPY or over.off_cpu > 0  # it has no clock of another thread
    assert "the stall is over after" in str(over)


async def _until(condition):
    while not condition():
        await asyncio.sleep(0.01)


@cpython_only("PyPy has no gc.callbacks")
def test_the_collector_s_share_is_known(loop, seen):
    rubbish = [[] for _ in range(10)]

    def collecting():
        while not seen.enough.is_set():
            gc.collect()
        del rubbish[:]

    watch(loop, 0.05, seen)
    loop.call_soon(collecting)
    loop.run_until_complete(_until(lambda: any(stall.over for stall in seen)))
    assert max(stall.gc for stall in seen) > 0.02
    assert gc.callbacks == [] or all("Watcher" not in repr(callback) for callback in gc.callbacks)


def test_a_busy_loop_of_short_callbacks_is_no_stall(loop, seen):
    async def main():
        for _ in range(20_000):
            await asyncio.sleep(0)

    watch(loop, 1.0, seen)
    loop.run_until_complete(main())
    assert seen == []


@pytest.mark.skipif(not hasattr(loopkit, "EpollLoop"), reason="needs a poller that sleeps")
def test_an_idle_loop_is_never_woken():
    loop = loopkit.EpollLoop()
    watch(loop, 0.004)

    async def main():
        await asyncio.sleep(0.01)
        loop.metrics()
        before = loop.metrics().polls
        await asyncio.sleep(0.2)  # the thread has looked a hundred times
        return loop.metrics().polls - before

    # One poll sleeps; a second one may follow where the clock's resolution demands it.
    polls = loop.run_until_complete(main())
    loop.close()
    assert polls <= 3


class Ticks:
    """Stands for the lock on which the watching thread sleeps, and for its clock: no real time passes."""

    def __init__(self, monkeypatch, script, until):
        self.now, self.count = 1000.0, 0
        self.script, self.until = script, 1000.0 + until
        patched = {**vars(time), "monotonic": lambda: self.now}
        monkeypatch.setattr(stalls, "time", types.SimpleNamespace(**patched))

    def wait(self, timeout):
        self.now += timeout
        self.count += 1
        self.script(self.now - 1000)
        return self.now >= self.until


def looking(loop, limit, report, ticks):
    """A watcher that looks in this thread, on that clock."""
    watcher = stalls.Watcher(loop, limit, report)
    watcher.alarm.given_up = True
    return lambda thread_id: watcher._keep_looking(thread_id, None, ticks.wait)


def test_ten_idle_seconds_are_two_looks_a_limit_and_nothing_for_the_loop(loop, seen, monkeypatch):
    ticks = Ticks(monkeypatch, lambda now: None, until=10)
    monkeypatch.setattr(type(loop._wakeup), "wake", lambda self: pytest.fail("the loop was woken"))
    loop._thread_id = threading.get_ident()
    looking(loop, 0.1, seen, ticks)(loop._thread_id)
    loop._thread_id = None
    assert ticks.count == 223  # 10 s in steps of 0.045
    assert not loop._ready
    assert seen == []


@pytest.mark.parametrize("phase", [0, 0.001, 0.25, 0.5, 0.999])
@pytest.mark.parametrize("limit", [0.02, 0.1, 3])
def test_the_culprit_is_named_before_one_and_a_half_limits_have_passed(loop, monkeypatch, limit, phase):
    """Whenever between two looks it begins."""
    begins = limit * (2 + phase * stalls.LOOK)
    told = []

    def script(now):
        loop._idle = now < begins

    ticks = Ticks(monkeypatch, script, until=9 * limit)

    def report(stall):
        told.append((ticks.now - 1000 - begins, stall))

    def guilty():
        began.set()
        over.wait(20)

    began, over = threading.Event(), threading.Event()
    thread = threading.Thread(target=guilty)
    thread.start()
    began.wait()
    loop._thread_id = thread.ident
    looking(loop, limit, report, ticks)(thread.ident)
    over.set()
    thread.join()
    loop._thread_id, loop._idle = None, True
    first, stall = told[0]
    assert limit <= first <= 1.5 * limit + 1e-9
    assert any(place.function.endswith("guilty") for place in stall.frames)
    assert stall.seconds <= first + 1e-9
    # At the limit, at twice and at four times of it; and when the watch ends.
    assert [stall.over for _, stall in told] == [False, False, False, True]


#: Calls of C that take seconds. The first two keep the GIL; the last one lets it go.
LONG_CALLS = {
    "re": """re.match(r"(a+)+$", "a" * 27 + "b")""",
    "json": """json.loads("[" + "1," * 20_000_000 + "1]")""",
    "hashlib": """hashlib.pbkdf2_hmac("sha256", b"word", b"salt", 20_000_000)""",
}


@pytest.mark.parametrize("module", LONG_CALLS)
def test_a_long_call_of_c_is_named_while_it_lasts(module):
    program = f"""
        import asyncio, hashlib, json, re, time
        from loopkit.diagnostics import stalls
        async def computing():
            {LONG_CALLS[module]}
        asyncio.run(computing())
    """
    with subprocess.Popen(
        [sys.executable, "-m", "loopkit", "--watch", "0.05", "-c", textwrap.dedent(program)],
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        lines = []
        for line in process.stderr:
            lines.append(line)
            if "in computing" in line:
                break
        during = process.poll() is None
        process.kill()
        process.stderr.read()
    assert during
    assert any("in computing" in line for line in lines), lines
    assert module != "re" or any("re/__init__.py" in line for line in lines), lines


def test_an_alarm_that_somebody_else_has_set_is_left_alone(tmp_path):
    program = """
        import faulthandler, os, sys, threading
        from loopkit.diagnostics.alarm import Alarm
        ours = Alarm(100, to_stderr=False)
        ours.arm()
        print(ours.given_up)
        ours.arm()  # again: ours is not somebody else's
        print(ours.given_up)
        ours.close()
        faulthandler.dump_traceback_later(100)
        while True:  # its thread blocks the signals as its first act
            second = Alarm(100, to_stderr=False)
            second.arm()
            if second.given_up:
                break
            second.close()
            faulthandler.dump_traceback_later(100)
        print(second.given_up, second.armed_at)
        faulthandler.cancel_dump_traceback_later()
    """
    import textwrap

    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, timeout=20
    )
    assert (done.stdout, done.stderr) == ("False\nFalse\nTrue None\n", "")


@pytest.mark.parametrize("child", ["sys.exit(7)", "asyncio.run(asyncio.sleep(0.02)); sys.exit(7)"])
def test_a_child_forked_while_the_alarm_is_set_comes_to_its_end(child):
    """CPython's faulthandler would have it wait for the alarm's thread, which only the parent has."""
    program = f"""
        import asyncio, os, signal, sys, warnings
        from loopkit.diagnostics import alarm
        warnings.simplefilter("ignore")  # from 3.12 on it warns of forks beside threads
        loop = asyncio.new_event_loop()
        def forks():
            armed = alarm._armed
            pid = os.fork()
            if not pid:
                signal.alarm(15)
                {child}
            print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
            print(armed is not None, alarm._armed is armed)
            loop.stop()
        loop.call_soon(forks)
        loop.run_forever()
        loop.close()
    """
    ended = run_loopkit("--watch", "0.5", "-c", textwrap.dedent(program))
    assert (ended.code, ended.out) == (0, "7\nTrue True\n"), ended.err


def test_the_end_of_a_stall_is_told_though_the_program_ends_with_it():
    program = "import asyncio, time\nasync def main(): time.sleep(0.3)\nasyncio.run(main())"
    assert "the stall is over after" in run_loopkit("--watch", "0.1", "-c", program).err


def test_what_faulthandler_writes_is_understood():
    text = """0:00:00.300000)!
Thread 0x00007f05d950e6c0 (most recent call first):
  File "/lib/threading.py", line 363 in wait

Thread 0x00007f05dac96c40 (most recent call first):
  File "/lib/re/__init__.py", line 167 in match
  File "/app.py", line 8 in handler
  File "LOOP/loop.py", line 260 in _turns
  File "LOOP/loop.py", line 186 in run_forever
""".replace("LOOP", loopkit.__path__[0])
    assert parse_traceback(text) == (
        Place("/app.py", 8, "handler"),
        Place("/lib/re/__init__.py", 167, "match"),
    )
    assert faulthandler  # what the test is about


def test_an_import_is_shown_as_in_a_traceback_without_the_machinery(loop, seen, tmp_path, monkeypatch):
    (tmp_path / "slow_to_import.py").write_text("wait()\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr("builtins.wait", lambda: sleeping(seen), raising=False)

    def imports():
        import slow_to_import  # noqa: F401

    watch(loop, 0.05, seen)
    loop.call_soon(imports)
    loop.run_until_complete(asyncio.sleep(0.01))
    assert [place.file.rpartition("/")[2] for place in seen[0].frames[:2]] == [
        "test_stalls.py",
        "slow_to_import.py",
    ]


def test_a_report_that_raises_ends_the_watch_and_is_logged(loop, asyncio_log):
    def report(stall):
        raise LookupError("report")

    watch(loop, 0.02, report)
    loop.run_until_complete(_until(lambda: (time.sleep(0.05), bool(asyncio_log))[1]))
    assert "watch of" in asyncio_log[0].getMessage()


def test_the_watch_ends_when_told_and_with_the_loop(loop, seen):
    end = watch(loop, 0.05, seen)
    thread = []

    async def main():
        thread.append(next(t for t in threading.enumerate() if t.name == "loopkit-watch"))
        end()
        end()

    loop.run_until_complete(main())
    assert not thread[0].is_alive()
    assert [t for t in threading.enumerate() if t.name == "loopkit-watch"] == []


@pytest.mark.parametrize("limit", [0, -1, 1e9, float("nan")])
def test_a_limit_that_makes_no_sense_is_refused(loop, limit):
    with pytest.raises(ValueError, match=r"a limit is from 0\.001 to 3600 seconds"):
        watch(loop, limit)


def test_the_command_line_refuses_a_limit_that_makes_no_sense():
    for words in (("--watch", "soon", "app.py"), ("--watch=-1", "app.py"), ("--watch",)):
        code, out, err = run_loopkit(*words)
        assert (code, out) == (2, "")
        assert re.fullmatch(r"loopkit: --watch needs .*\n", err)


def test_a_stall_in_words():
    stall = Stall(0.25, False, (Place("/nowhere.py", 3, "f"),), None, (), 0.0, 0.0)
    assert str(stall) == ('loopkit: the loop has been stuck for 0.250 s\n  File "/nowhere.py", line 3, in f')
