"""A signal that has a process say what it does: while it sleeps, works, is stuck; and is it left in peace?"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import warnings

import pytest

import loopkit
from loopkit.diagnostics import dump_on_signal
from loopkit.diagnostics.dumping import number_of
from tests.cli.commands import SOURCE, environment, run_loopkit
from tests.support.pythons import PYPY

PROGRAM = """
import asyncio, re, sys, time
def asleep():
    pass
def computing():
    until = time.monotonic() + 60
    while time.monotonic() < until:
        pass
def blocking():
    time.sleep(60)
def matching():
    re.match(r"(a+)+$", "a" * 40 + "b")
async def waits(lock):
    async with lock:
        await asyncio.sleep(1000)
async def main():
    lock = asyncio.Lock()
    tasks = [asyncio.create_task(waits(lock), name=name) for name in ("sleeping", "locked")]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    print("up", flush=True)
    globals()[sys.argv[1]]()
    await asyncio.gather(*tasks)
def run():
    asyncio.run(main())
if sys.argv[2:] == ["thread"]:
    import threading
    thread = threading.Thread(target=run, name="other")
    thread.start()
    while thread.is_alive():
        thread.join(0.1)  # a signal that comes just before it waits is heard by Python when it wakes
else:
    run()
"""


#: The last line of what is told.
LAST = "  sleeping  waiting"


@contextlib.contextmanager
def started(program, *arguments):
    """A program that is up."""
    with subprocess.Popen(
        [sys.executable, "-m", "loopkit", "--dump-signal", "usr1", "-c", program, *arguments],
        env=environment(PYTHONPATH=str(SOURCE)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout.readline() == "up\n"
            yield process
        finally:
            process.kill()


def told(*arguments, meets):
    """What the program says to a signal; it is asked again until *meets* is said of it."""
    with started(PROGRAM, *arguments) as process:
        while True:
            process.send_signal(signal.SIGUSR1)
            lines = []
            while not lines or not lines[-1].startswith(LAST):
                lines.append(process.stderr.readline())
                assert lines[-1], lines
            if any(meets in line for line in lines):
                return "".join(lines)


@pytest.mark.parametrize(
    "what",
    [
        "computing",
        "blocking",
        pytest.param("matching", marks=pytest.mark.skipif(PYPY, reason="hears no signal while it matches")),
    ],
)
def test_stacks_and_tasks_are_told_while_it_is_stuck(what):
    text = told(what, meets=f"in {what}\n")
    assert "loop 1: epoll in MainThread, at work, 3 tasks\n" in text
    assert "in task 'Task-1' running main\n" in text
    assert "Current thread 0x" in text
    assert "dumping.py" not in text
    assert PYPY or "Lock.acquire" in text
    assert "timer in " in text


@pytest.mark.parametrize(("where", "thread"), [((), "MainThread"), (("thread",), "other")])
def test_stacks_and_tasks_are_told_while_it_sleeps(where, thread):
    text = told("asleep", *where, meets="asleep in its poll")
    assert f"loop 1: epoll in {thread}, asleep in its poll, 3 tasks\n" in text
    assert "in task" not in text


PARSING = """
import asyncio, json
text = "[" + "1," * 5_000_000 + "1]"
async def parsing():
    print("up", flush=True)
    while True:
        json.loads(text)
asyncio.run(parsing())
"""


@pytest.mark.skipif(PYPY, reason="its json is no call of C")
def test_a_call_of_c_that_keeps_the_lock_is_named_while_it_lasts():
    """Python has no turn before it is over; faulthandler needs none."""
    with started(PARSING) as process:
        process.send_signal(signal.SIGUSR1)
        while "json/decoder.py" not in (line := process.stderr.readline()):
            assert line
            if line.startswith("  Task-1"):  # the end of what was told while json was not at work
                process.send_signal(signal.SIGUSR1)
        while "in parsing" not in (line := process.stderr.readline()):
            assert line


def test_who_sets_a_handler_of_its_own_has_it():
    code = """
import asyncio, os, signal
async def main():
    got = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, got.set)
    os.kill(os.getpid(), signal.SIGUSR1)
    await got.wait()
    print("mine")
asyncio.run(main())
"""
    assert run_loopkit("--dump-signal=USR1", "-c", code) == (0, "mine\n", "")
    early = "import signal; signal.signal(signal.SIGUSR1, lambda *_: print('mine'))\n"
    early += "import asyncio, os\nasyncio.run(asyncio.sleep(0)); os.kill(os.getpid(), signal.SIGUSR1)"
    assert run_loopkit("-c", early, LOOPKIT_DUMP_SIGNAL="USR1") == (0, "mine\n", "")


@pytest.mark.parametrize("stderr", ["/dev/full", "closed"])
def test_a_program_whose_error_output_is_full_or_closed_goes_on(stderr):
    code = "import asyncio, os, signal\nasync def main():\n    os.kill(os.getpid(), signal.SIGUSR1)\n"
    code += "    await asyncio.sleep(0)\n    print('done')\nasyncio.run(main())"
    where = "2>&-" if stderr == "closed" else f"2>{stderr}"
    words = [sys.executable, "-m", "loopkit", "--dump-signal=USR1", "-c", code]
    done = subprocess.run(
        ["/bin/sh", "-c", f'"$@" {where}', "sh", *words],
        env=environment(PYTHONPATH=str(SOURCE)),
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "done\n")


def test_children_that_inherit_the_variable_tell_of_themselves():
    code = "import asyncio, os, signal\nasync def main():\n    os.kill(os.getpid(), signal.SIGUSR1)\n"
    code += "    await asyncio.sleep(0)\nasyncio.run(main())\nprint(os.getpid())"
    exit_code, out, err = run_loopkit("-c", code, LOOPKIT_DUMP_SIGNAL="SIGUSR1")
    assert exit_code == 0
    assert f"process {out.strip()}: -c (" in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--dump-signal",), "--dump-signal needs the name of a signal, as USR1"),
        (("--dump-signal=", "x"), "--dump-signal: there is no signal '': it is one as USR1"),
        (("--dump-signal", "USR9", "x"), "--dump-signal: there is no signal 'USR9': it is one as USR1"),
        (("--dump-signal", "99", "x"), "--dump-signal: there is no signal '99': it is one as USR1"),
        (("--dump-signal", "KILL", "x"), "--dump-signal: SIGKILL has a meaning of its own: take one as USR1"),
        (("--dump-signal=int", "x"), "--dump-signal: SIGINT has a meaning of its own: take one as USR1"),
    ],
)
def test_a_signal_that_cannot_be_is_one_line(words, said):
    assert run_loopkit(*words) == (2, "", f"loopkit: {said}\n")


def test_one_that_is_ignored_or_handled_is_refused():
    before = signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    try:
        with pytest.raises(ValueError, match="SIGUSR2 has a handler, or is ignored, already"):
            dump_on_signal("USR2")
    finally:
        signal.signal(signal.SIGUSR2, before)


@pytest.mark.parametrize("name", ["USR1", "usr1", "SIGUSR1", " SIGUSR1 ", signal.SIGUSR1, "10"])
def test_a_signal_has_several_names(name):
    if signal.SIGUSR1 != 10 and name == "10":
        pytest.skip("another number here")
    assert number_of(name) is signal.SIGUSR1


def test_a_loop_of_a_thread_cannot_and_says_so(monkeypatch):
    monkeypatch.setenv("LOOPKIT_DUMP_SIGNAL", "USR2")
    seen = []

    def make():
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            loopkit.Loop().close()
            seen.extend(str(warning.message) for warning in caught)

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    assert seen == ["SIGUSR2 would end this process: only the main thread can handle it, and has no loop"]
    assert signal.getsignal(signal.SIGUSR2) is signal.SIG_DFL
    monkeypatch.setenv("LOOPKIT_DUMP_SIGNAL", "nonsense")
    with pytest.raises(ValueError, match="LOOPKIT_DUMP_SIGNAL: there is no signal 'nonsense'"):
        loopkit.Loop()
    assert os.environ["LOOPKIT_DUMP_SIGNAL"] == "nonsense"
