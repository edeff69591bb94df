"""The flight recorder: is what went wrong on the page, and is nobody disturbed by writing it?"""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

import loopkit
from loopkit.diagnostics import record
from loopkit.diagnostics.tracefile import load
from tests.cli.commands import SOURCE, environment, run_loopkit


@pytest.fixture
def loop():
    loop = loopkit.Loop()
    yield loop
    loop.close()


def marks(path):
    return [note.facts[0] for note in load(path).tracks[0].steps() if getattr(note, "kind", "") in ("e", "m")]


def test_a_stall_is_written_while_the_loop_goes_on(loop, tmp_path, asyncio_log):
    recorder = record(loop, file=str(tmp_path / "flight.html"), stall=0.03)

    async def main():
        time.sleep(0.04)
        await asyncio.sleep(0)
        while not recorder.written:
            await asyncio.sleep(0.01)

    loop.run_until_complete(main())
    assert recorder.written == [tmp_path / "flight.html"]
    assert "main took 0.0" in marks(recorder.written[0])[0]
    assert load(recorder.written[0]).about["reason"] == "stall"
    assert os.stat(recorder.written[0]).st_mode & 0o777 == 0o600
    assert "has written its flight recording (stall)" in asyncio_log[0].getMessage()


def test_an_error_is_written_and_not_more_often_than_now_and_then(loop, tmp_path, asyncio_log):
    loop.set_exception_handler(lambda loop, context: None)
    recorder = record(loop, file=str(tmp_path / "flight.json"), stall=1e9)
    for _ in range(5):
        loop.call_soon(lambda: 1 / 0)
    loop.call_soon(loop.stop)
    loop.run_forever()
    recorder.end()
    assert len(recorder.written) == 1
    assert "ZeroDivisionError: division by zero" in marks(recorder.written[0])[0]


def test_nothing_is_written_when_nothing_goes_wrong(loop, tmp_path):
    recorder = record(loop, file=str(tmp_path / "flight.html"), stall=1e9)
    loop.run_until_complete(asyncio.sleep(0.01))
    recorder.end()
    assert list(tmp_path.iterdir()) == []
    assert loop._guarded == loop.get_debug()


def test_a_file_that_is_there_is_left_alone(loop, tmp_path, asyncio_log):
    (tmp_path / "flight.txt").write_text("mine")
    (tmp_path / "flight-2.txt").symlink_to(tmp_path / "flight.txt")
    recorder = record(loop, file=str(tmp_path / "flight.txt"), stall=1e-9)
    loop.run_until_complete(asyncio.sleep(0))
    recorder.end()
    assert (tmp_path / "flight.txt").read_text() == "mine"
    assert recorder.written == [tmp_path / "flight-3.txt"]


def test_a_full_disk_is_logged_and_disturbs_nobody(loop, tmp_path, asyncio_log, monkeypatch):
    recorder = record(loop, file=str(tmp_path / "flight.html"), stall=1e-9)

    def full(*args, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("loopkit.diagnostics.files.write", full)
    loop.run_until_complete(asyncio.sleep(0))
    recorder.end()
    assert "No space left on device" in asyncio_log[0].getMessage()


def test_on_request_it_is_written_from_any_thread(loop, tmp_path):
    recorder = record(loop, 3, file=str(tmp_path / "flight.html"), stall=1e9)

    async def main():
        for _ in range(20):
            await asyncio.sleep(0)
        await asyncio.to_thread(recorder.dump, str(tmp_path / "asked.json"))

    loop.run_until_complete(main())
    track = load(tmp_path / "asked.json").tracks[0]
    assert len(track.turns) == 3
    assert track.dropped >= 1
    loop.run_until_complete(loop.shutdown_default_executor())


def test_what_makes_no_sense_is_refused(loop):
    for options in ({"turns": 0}, {"stall": 0}, {"file": "flight.doc"}, {"file": "/nowhere/flight.html"}):
        with pytest.raises(ValueError, match=r"it keeps at least|a trace is written as|cannot write"):
            record(loop, **options)


PROGRAM = """
import asyncio, sys, time
async def main():
    print("up", flush=True)
    if sys.argv[1:] == ["raise"]:
        raise LookupError("nobody caught it")
    while True:
        await asyncio.sleep(0.001)
asyncio.run(main())
"""


def test_a_program_that_dies_of_an_exception_leaves_a_page(tmp_path):
    code, _, err = run_loopkit("--record=last.html", "-c", PROGRAM, "raise", cwd=tmp_path)
    assert code == 1
    assert "LookupError: nobody caught it" in err
    assert load(tmp_path / "last.html").about["reason"] == "exception"


def test_a_program_that_dies_of_a_signal_leaves_a_page(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-m", "loopkit", "--record=last.json", "-c", PROGRAM],
        cwd=tmp_path,
        env=environment(PYTHONPATH=str(SOURCE)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        process.stdout.readline()
        process.terminate()
        process.communicate(timeout=20)
    assert process.returncode == -signal.SIGTERM
    assert load(tmp_path / "last.json").about["reason"] == "signal"


def test_a_program_that_handles_sigterm_itself_keeps_its_handler(tmp_path):
    code = """
import asyncio, os, signal
async def main():
    got = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, got.set)
    os.kill(os.getpid(), signal.SIGTERM)
    await got.wait()
    print("mine")
asyncio.run(main())
"""
    assert run_loopkit("--record=last.html", "-c", code, cwd=tmp_path) == (0, "mine\n", "")
    assert list(tmp_path.iterdir()) == []


THREADS = """
import asyncio, os, signal, sys, threading
from loopkit.diagnostics import record
async def main(name, stop):
    record(asyncio.get_running_loop(), file=name)
    await asyncio.sleep(0)
    await asyncio.to_thread(stop)
def run(name, stop):
    asyncio.run(main(name, stop))
over = threading.Event()
ready = threading.Event()
def in_thread():
    ready.set()
    over.wait()
thread = threading.Thread(target=run, args=("thread.json", in_thread), daemon=True)
thread.start()
ready.wait()
def die():
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait()
run("main.json", die)
"""


def test_the_main_thread_s_loop_is_written_though_another_thread_s_came_first(tmp_path):
    """Only the main thread may set the handler of SIGTERM."""
    code, out, err = run_loopkit("-c", THREADS, cwd=tmp_path)
    assert (code, out) == (-signal.SIGTERM, ""), err
    assert {load(tmp_path / f"{name}.json").about["reason"] for name in ("main", "thread")} == {"signal"}


def test_a_listener_that_comes_after_the_last_has_gone_hears_the_end_once(tmp_path):
    code = """
from loopkit.diagnostics.endings import before_the_end, no_more
for number in range(3):
    def listener(reason, number=number):
        print(number, reason)
    before_the_end(listener)
    if number < 2:
        no_more(listener)
raise LookupError
"""
    assert run_loopkit("-c", code, cwd=tmp_path)[:2] == (1, "2 exception\n")


def test_the_command_line_refuses_a_file_that_cannot_be(tmp_path):
    code, out, err = run_loopkit("--record=flight.doc", "-c", "pass", cwd=tmp_path)
    assert (code, out) == (2, "")
    assert err == "loopkit: a trace is written as .html, .json, .txt, not as 'flight.doc'\n"


def test_no_thread_is_left(loop, tmp_path):
    record(loop, file=str(tmp_path / "flight.html"), stall=1e9)
    loop.run_until_complete(asyncio.sleep(0))
    assert [thread.name for thread in threading.enumerate() if "record" in thread.name] == []
